"""How a worker's memory is kept and counted."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path

PROC = Path("/proc/self")
COUNT_ANEW = "5"
"""What Linux takes in ``clear_refs`` to reset the peak resident size (proc_pid_clear_refs(5))."""
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks instead of returning them at once; only glibc can.

    Every large tensor is otherwise mapped anew and its pages are cleared by the kernel, which takes
    as long as the arithmetic does where tensors have some MB: training steps of Conv4 on
    spectrograms take half the time without (``benchmarks/memory.py``), for a fifth to a third more
    memory.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, LARGEST)


def reset_peak_memory() -> None:
    """Return what is free and begin to count anew; without effect where the system cannot."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        (PROC / "clear_refs").write_text(COUNT_ANEW, "ascii")


def peak_memory_mb() -> float:
    """Return the largest resident size since the last reset, in MB."""
    with contextlib.suppress(OSError):
        for line in (PROC / "status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
