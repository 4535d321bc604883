"""What a plugin was written for, compared with what this metabench offers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import metabench
from metabench import hookspecs
from metabench.hookspecs import Descriptor

DECLARATION = "metabench_api"
VERSION = re.compile(r"(\d+)\.(\d+)")


def api_fault(plugin: Any) -> tuple[str, str] | None:
    """Compare the plugin API version that a plugin declares with ours.

    Args:
        plugin: A module or an object; without ``metabench_api`` it declares nothing.

    Returns:
        What is wrong and what to do, or ``None``.
    """
    wanted = getattr(plugin, DECLARATION, None)
    if wanted is None:
        return None
    match = VERSION.fullmatch(wanted) if isinstance(wanted, str) else None
    if match is None:
        return (
            f"its {DECLARATION} is {wanted!r}, which is no version of the plugin API",
            f"write MAJOR.MINOR as text, such as {hookspecs.API_VERSION!r}",
        )
    needed = int(match[1]), int(match[2])
    major, minor = map(int, hookspecs.API_VERSION.split("."))
    if needed[0] == major and needed[1] <= minor:
        return None
    ours = f"metabench {metabench.__version__} has plugin API {hookspecs.API_VERSION}"
    fault = f"it is written for plugin API {wanted}, and {ours}"
    if needed > (major, minor):
        return fault, "update metabench"
    return fault, "update it"


def import_hint(error: BaseException) -> str:
    """Say so if an import failed because our hook specifications lack a name.

    Args:
        error: What importing a plugin raised.
    """
    if not isinstance(error, ImportError) or error.name != hookspecs.__name__:
        return ""
    return (
        f"; it may be written for a later plugin API than {hookspecs.API_VERSION}, which "
        f"metabench {metabench.__version__} offers"
    )


def deprecated_fields(info: Descriptor) -> Iterator[str]:
    """Name the fields that a descriptor sets and that the next minor version will not have.

    A field to be removed is marked by ``field(metadata={"deprecated": "what to do instead"})``.

    Args:
        info: A descriptor.
    """
    for field in dataclasses.fields(info):
        note = field.metadata.get("deprecated")
        if note and getattr(info, field.name) != field.default:
            yield f"the field {field.name!r} of {type(info).__name__} is deprecated: {note}"
