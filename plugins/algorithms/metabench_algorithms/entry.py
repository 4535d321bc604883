"""What the descriptors of all families share."""

from __future__ import annotations

from typing import Any

from metabench.hookspecs import AlgorithmInfo, TaskKind

CLASSES: tuple[TaskKind, ...] = ("classification", "binary")
ALL_KINDS: tuple[TaskKind, ...] = ("classification", "binary", "regression")
IN_QUICK = frozenset(
    {
        "anil", "baseline", "chance", "cnp", "fomaml", "gp", "knn", "logistic-probe", "maml",
        "matchingnet", "matchingnet-fce", "nearest-neighbour", "protonet", "ridge-probe",
        "simpleshot",
    }
)  # fmt: skip
"""Learners of every suite; the others are in the larger suites, until their cost in ``quick`` is
measured on all domains."""


def entry(
    name: str,
    target: str,
    summary: str,
    citation: str = "",
    *,
    kinds: tuple[TaskKind, ...] = CLASSES,
    **more: Any,
) -> AlgorithmInfo:
    """Describe one algorithm of this distribution.

    Args:
        name: As users write it.
        target: ``family.module:Class`` below ``metabench_algorithms``.
        summary: One line.
        citation: Authors, year, title, arXiv number.
        kinds: The task kinds to which it applies.
        **more: Other fields of `AlgorithmInfo`.
    """
    more.setdefault("suites", ("*",) if name in IN_QUICK else ("standard", "full"))
    return AlgorithmInfo(
        name=name,
        target=f"metabench_algorithms.{target}",
        summary=summary,
        citation=citation,
        licence="Apache-2.0",
        task_kinds=kinds,
        **more,
    )
