"""eSpeak NG by ctypes: text to samples, the same ones every time.

The library and its voices come with the optional package ``espeakng-loader``. eSpeak NG is under
GPL-3.0; it is loaded at run time where a user has installed it and no part of it is included here.

Its generator keeps state from one utterance to the next that no function of the interface resets,
not even a new initialisation: random breath noise and the phase of the flutter of the pitch. So the
library is loaded anew for each text and its two random generators are seeded; what a text sounds
like in a list of voices then depends on the text and the list alone.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.errors import UnavailableError

RATE = 22_050
"""Samples per second that the library's voices are made for."""
REMEDY = "`pip install 'metabench-speech[espeak]'`"

_RETRIEVAL_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_BY_CHARACTER = 1
_SPEED, _PITCH = 1, 3
_SEED = 1

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Voice:
    """How something is said.

    Attributes:
        name: Language or accent and variant, such as ``en-us+f2``.
        rate: Words per minute.
        pitch: 0 to 99.
    """

    name: str
    rate: int
    pitch: int


class Espeak:
    """The installed library.

    Raises:
        UnavailableError: If the package is missing or the library does not load.
    """

    def __init__(self) -> None:
        try:
            loader: Any = importlib.import_module("espeakng_loader")
        except ImportError as error:
            raise UnavailableError("espeakng-loader is not installed", REMEDY) from error
        try:
            self._library = str(loader.get_library_path())
            self._data = str(loader.get_data_path())
            with self._loaded([]) as library:
                library.espeak_Info.restype = ctypes.c_char_p
                self.version = library.espeak_Info(None).decode().split()[0]
        except (OSError, RuntimeError, AttributeError) as error:
            raise UnavailableError(f"eSpeak NG does not load ({error})", REMEDY) from error

    def say(self, text: str, voices: Sequence[Voice]) -> list[npt.NDArray[np.int16]]:
        """Synthesise one text in several voices.

        Args:
            text: What to say.
            voices: How, one after the other; an utterance may depend on those before it.

        Returns:
            ``[T]`` samples at 22,050 Hz for each voice.

        Raises:
            UnavailableError: If the library lacks a voice, or says nothing.
        """
        parts: list[npt.NDArray[np.int16]] = []
        said = []
        with self._loaded(parts) as library:
            for voice in voices:
                parts.clear()
                done = [
                    library.espeak_SetVoiceByName(voice.name.encode()),
                    library.espeak_SetParameter(_SPEED, voice.rate, 0),
                    library.espeak_SetParameter(_PITCH, voice.pitch, 0),
                    _synthesise(library, text.encode()),
                    library.espeak_Synchronize(),
                ]
                if any(done) or not parts:
                    raise UnavailableError(
                        f"eSpeak NG {self.version} cannot say {text!r} in the voice {voice.name!r}",
                        REMEDY,
                    )
                said.append(np.concatenate(parts))
        return said

    @contextmanager
    def _loaded(self, parts: list[npt.NDArray[np.int16]]) -> Iterator[Any]:
        """Load and initialise the library, and unload it; samples are appended to ``parts``."""
        self._check_unloaded()
        library = ctypes.CDLL(self._library)
        try:
            rate = library.espeak_Initialize(
                _RETRIEVAL_SYNCHRONOUS, 0, self._data.encode(), _DO_NOT_EXIT
            )
            if rate != RATE:
                raise RuntimeError(f"its data in {self._data} give a rate of {rate}")
            callback = _Callback(_receiver(parts))
            library.espeak_SetSynthCallback(callback)
            library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
            library.espeak_ng_SetRandSeed(_SEED)
            _c_library().srand(_SEED)
            yield library
        finally:
            library.espeak_Terminate()
            _unload(library)

    def _check_unloaded(self) -> None:
        """Refuse a library that something else in the process keeps, with its state."""
        only_if_there = getattr(os, "RTLD_NOLOAD", None)
        if only_if_there is None:
            return
        try:
            held = ctypes.CDLL(self._library, mode=only_if_there | os.RTLD_NOW)
        except OSError:
            return
        _unload(held)
        raise RuntimeError("it is in use by other code of this process")


def _synthesise(library: Any, content: bytes) -> int:
    size = ctypes.c_size_t(len(content) + 1)
    return int(library.espeak_Synth(content, size, 0, _BY_CHARACTER, 0, _UTF8, None, None))


def _receiver(parts: list[npt.NDArray[np.int16]]) -> Any:
    def receive(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            parts.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0

    return receive


def _c_library() -> Any:
    return ctypes.CDLL("ucrtbase") if sys.platform == "win32" else ctypes.CDLL(None)


def _unload(library: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)  # noqa: SLF001 - ctypes has no public way
    else:
        _ctypes.dlclose(library._handle)  # noqa: SLF001
