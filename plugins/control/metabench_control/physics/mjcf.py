"""Writing models in MJCF, MuJoCo's XML."""

from __future__ import annotations


def number(value: float) -> str:
    """Write a number with all its digits; numpy's scalars have another ``repr``."""
    return repr(float(value))
