"""Libraries that only the site and the figures need."""

from __future__ import annotations

import importlib
from typing import Any

from metabench.errors import UnavailableError


def import_needed(module: str) -> Any:
    """Import a module.

    Args:
        module: Such as ``jinja2``.

    Returns:
        The module.

    Raises:
        UnavailableError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UnavailableError(
            f"the site and the figures need {module}, which is not installed",
            "`pip install 'metabench[site]'` brings it",
        ) from error
