"""A torchvision that can be imported, whatever torch it was built for.

As with torchaudio (`metabench.torchaudio_compat`), the registry's wheels are built for CUDA. Next
to a torch for the CPU the compiled operators do not load; torchvision takes that well, except for
``torchvision._meta_registrations``, which describes them: ``operator torchvision::nms does not
exist``. Importing timm, and nearly every model of transformers, fails with it. If a first import
fails, that module is replaced by an empty one and the import is tried once more: transforms,
layers and models are Python, and no encoder has need of the operators (non-maximum suppression,
region pooling). A torchvision that works is not touched.

Importing this module imports neither torch nor torchvision.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from metabench.errors import UnavailableError

__all__ = ["import_torchvision", "prepare_torchvision"]

NAME = "torchvision"
REGISTRATIONS = f"{NAME}._meta_registrations"
FAULTS = (ImportError, OSError, RuntimeError, AttributeError)


def import_torchvision() -> ModuleType:
    """Import torchvision, without its operators if those do not load.

    Returns:
        The module.

    Raises:
        UnavailableError: If torchvision is not installed, or fails for another reason.
    """
    loaded = sys.modules.get(NAME)
    if loaded is not None:
        return loaded
    if importlib.util.find_spec(NAME) is None:
        raise UnavailableError("torchvision is not installed", "`pip install torchvision`")
    try:
        return importlib.import_module(NAME)
    except FAULTS:
        _forget()
    sys.modules[REGISTRATIONS] = ModuleType(REGISTRATIONS, "Stands in for what does not load.")
    try:
        return importlib.import_module(NAME)
    except FAULTS as error:
        _forget()
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnavailableError(
            f"torchvision is installed, but it cannot be imported ({reason})",
            "install the build that matches your torch (https://pytorch.org/get-started)",
        ) from error


def prepare_torchvision() -> None:
    """Make sure that a later ``import torchvision`` anywhere in the process does not fail.

    Where torchvision is absent or beyond help nothing happens: those who need it will say so.
    """
    try:
        import_torchvision()
    except UnavailableError:
        return


def _forget() -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in [n for n in sys.modules if n == NAME or n.startswith(f"{NAME}.")]:
        del sys.modules[name]
