"""What a machine is, in words that a reader of a table needs. No torch."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


@lru_cache
def processor() -> str:
    """Return the processor's model; the architecture where the system does not tell."""
    try:
        lines = _CPU_INFO.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.processor() or platform.machine())


def cores() -> int:
    """Return the number of cores that the machine has, whether this process may use them or not."""
    return os.cpu_count() or 1
