"""Supports that break arithmetic: no variance, duplicates, constants, a missing class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from metabench.learners.contracts import Support
from metabench.testing.subject import Subject, examples

Episodes = tuple[Support[Any], Any]


def degenerate_episodes(subject: Subject) -> Mapping[str, Episodes]:
    """Return degenerate versions of the subject's episodes, made of their own examples.

    Args:
        subject: What is examined.

    Returns:
        By name, support and queries.
    """
    support, query = subject.support, subject.query
    here = torch.arange(support.y.shape[1], device=support.y.device).expand(len(support.y), -1)
    first, asked = torch.zeros_like(here), subject.batch.query.shape[1]
    one = examples(support.x, first)
    flat = examples(support.x, first[:, :1].expand(-1, asked))
    cases: dict[str, Episodes] = {"constant features": (replace(support, x=one), flat)}
    if isinstance(support.x, Tensor):
        zeros = replace(support, x=torch.zeros_like(support.x))
        cases["features of zeros"] = (zeros, torch.zeros_like(query))
    if subject.kind == "regression":
        cases["duplicates"] = (replace(support, x=one), query)
        cases["constant targets"] = (
            replace(support, y=support.y[:, :1].expand_as(support.y)),
            query,
        )
        return cases
    own_first = (support.y.unsqueeze(2) == support.y.unsqueeze(1)).int().argmax(2)
    still = torch.where(support.y == 0, own_first, here)
    cases["a class without variance"] = (replace(support, x=examples(support.x, still)), query)
    cases["duplicates"] = (replace(support, x=examples(support.x, own_first)), query)
    if subject.kind == "binary":
        for label in (0, 1):
            missing = replace(support, y=torch.full_like(support.y, 1 - label))
            cases[f"no example of class {label}"] = (missing, query)
    return cases
