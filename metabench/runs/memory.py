"""The largest resident size of this process, counted anew for each cell where the system can."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

PROC = Path("/proc/self")
COUNT_ANEW = "5"
"""What Linux takes in ``clear_refs`` to reset the peak resident size (proc_pid_clear_refs(5))."""


def reset_peak_memory() -> None:
    """Begin to count anew; without effect where the system cannot."""
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
