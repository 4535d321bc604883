"""While a plugin's code runs in our process: stdout stays ours, and one that is slow is named."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

STDOUT, STDERR = 1, 2


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what is printed meanwhile to stderr, because stdout belongs to the command's result.

    That holds for ``print`` and for whoever writes to file descriptor 1, as extension modules do.
    """
    with contextlib.redirect_stdout(sys.stderr), _descriptor_to_stderr():
        yield


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    _flush()
    try:
        kept = os.dup(STDOUT)
    except OSError:  # closed: nothing can be written to it
        yield
        return
    try:
        with contextlib.suppress(OSError):  # stderr is closed
            os.dup2(STDERR, STDOUT)
        yield
    finally:
        _flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.__stdout__.flush()  # type: ignore[union-attr] # None where there is no console


@contextlib.contextmanager
def announced(text: str, after: float) -> Iterator[None]:
    """Write a line to stderr if what happens meanwhile takes long, while it still does.

    Args:
        text: The line.
        after: Seconds until it is written.
    """
    stream = sys.stderr
    timer = threading.Timer(after, lambda: print(text, file=stream, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
