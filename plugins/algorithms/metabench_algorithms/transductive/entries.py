"""Descriptors of the transductive learners."""

from __future__ import annotations

from metabench.hookspecs import AlgorithmInfo

TRANSDUCTIVE: tuple[AlgorithmInfo, ...] = ()
