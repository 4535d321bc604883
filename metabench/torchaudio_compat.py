"""A torchaudio that can be imported, whatever torch it was built for.

The registry's wheels of torchaudio are built for CUDA. Next to a torch for the CPU, ``import
torchaudio`` raises OSError (``libc10_cuda.so: cannot open shared object file``), and importing
those models of transformers that look for torchaudio fails with it. What is missing is the compiled
extension alone, which `torchaudio._extension` loads; transforms, functionals and models are Python.
If a first import fails, that module is replaced by a stand-in that says "no extension" and the
import is tried once more. A torchaudio that works is not touched.

Importing this module imports neither torch nor torchaudio.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from metabench.errors import UnavailableError
from metabench.torchvision_compat import prepare_torchvision

__all__ = ["TorchaudioStatus", "import_torchaudio", "prepare_torchaudio", "status"]

NAME = "torchaudio"
EXTENSION = f"{NAME}._extension"
REMEDY = "`pip install torchaudio`"
FAULTS = (ImportError, OSError, RuntimeError, AttributeError)
"""What a mismatched extension raises: the loader's OSError, torch's RuntimeError, torchaudio's own
ImportError; AttributeError where operators are missing."""


@dataclass(frozen=True)
class TorchaudioStatus:
    """What became of ``import torchaudio``.

    Attributes:
        state: ``works``; ``mended``, without its compiled extension; ``absent``; or ``broken``.
        version: Its version; empty if there is none.
        reason: Why it is broken.
    """

    state: Literal["works", "mended", "absent", "broken"]
    version: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        if self.state == "mended":
            return (
                f"{self.version}, without its compiled extension, which was built for another"
                " torch; features work, forced alignment and RNN-T loss do not"
            )
        if self.state == "broken":
            return f"{self.version} is installed, but it cannot be imported ({self.reason})"
        return self.version if self.state == "works" else "not installed"


def import_torchaudio() -> ModuleType:
    """Import torchaudio, without its extension if that does not load.

    Returns:
        The module.

    Raises:
        UnavailableError: If torchaudio is not installed, or fails for another reason.
    """
    loaded = sys.modules.get(NAME)
    if loaded is not None:
        return loaded
    if importlib.util.find_spec(NAME) is None:
        raise UnavailableError("torchaudio is not installed", REMEDY)
    try:
        return importlib.import_module(NAME)
    except FAULTS:
        _forget()
    sys.modules[EXTENSION] = _stand_in()
    try:
        return importlib.import_module(NAME)
    except FAULTS as error:
        _forget()
        raise UnavailableError(
            f"torchaudio is installed, but it cannot be imported ({_first_line(error)})",
            "install the build that matches your torch (https://pytorch.org/get-started)",
        ) from error


def prepare_torchaudio() -> None:
    """Make sure that a later ``import torchaudio`` anywhere in the process does not fail.

    To be called before models of transformers are imported. These look for torchvision, too, which
    has the same fault, so it is prepared as well. Where one of them is absent or beyond help
    nothing happens: those who need it will say so.
    """
    prepare_torchvision()
    try:
        import_torchaudio()
    except UnavailableError:
        return


def status() -> TorchaudioStatus:
    """Import torchaudio and say what came of it; for a process of its own, since it takes seconds.

    Returns:
        The outcome; nothing is raised.
    """
    try:
        module = import_torchaudio()
    except UnavailableError as error:
        if importlib.util.find_spec(NAME) is None:
            return TorchaudioStatus("absent")
        return TorchaudioStatus("broken", _version(), _first_line(error.__cause__ or error))
    stub = getattr(sys.modules.get(EXTENSION), "stands_in", False)
    version = str(getattr(module, "__version__", "") or _version())
    return TorchaudioStatus("mended" if stub else "works", version)


def _stand_in() -> ModuleType:
    """Build a module with what torchaudio takes from its extension, saying that there is none."""
    module: Any = ModuleType(EXTENSION, "Stands in for an extension that does not load.")
    module.__path__ = []
    module.stands_in = True
    module._IS_TORCHAUDIO_EXT_AVAILABLE = False  # noqa: SLF001 - the name that torchaudio reads
    module._IS_ALIGN_AVAILABLE = False  # noqa: SLF001
    module._check_cuda_version = lambda: None  # noqa: SLF001
    module._load_lib = lambda _lib: False  # noqa: SLF001
    module.fail_if_no_align = _failing
    return module  # type: ignore[no-any-return]


def _failing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that needs the extension: it raises when it is called."""

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError(
            f"torchaudio's {function.__name__} needs its compiled extension, which does not load"
        )

    return fail


def _forget() -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in [n for n in sys.modules if n == NAME or n.startswith(f"{NAME}.")]:
        del sys.modules[name]


def _version() -> str:
    try:
        return importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
