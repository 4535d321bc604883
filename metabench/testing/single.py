"""Examining one encoder or one source that need not be installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metabench.errors import UsageError
from metabench.hookspecs import EncoderInfo, TaskSourceInfo
from metabench.leaderboard.audits import Finding
from metabench.learners.contracts import Encoder
from metabench.registry.discovery import load_plugins
from metabench.registry.targets import resolve_target
from metabench.tasks.data import TaskData
from metabench.testing.encoder_checks import EncoderSubject, run_encoder_check
from metabench.testing.inputs import Sample, find_sample, sample_of
from metabench.testing.kit import described, expected, no_subject, refuse_declared
from metabench.testing.names import ENCODER_CHECKS, SOURCE_CHECKS, chosen_checks
from metabench.testing.source_checks import SourceSubject, run_source_check

MADE_UP: Mapping[str, Any] = {"modalities": ("*",), "trainable": True}
"""What a class without a descriptor declares unless it is said."""


def examine_encoder(
    encoder: str | EncoderInfo | type[Encoder],
    inputs: TaskData | Mapping[str, Tensor] | None,
    modality: str,
    checks: tuple[str, ...],
    declared: Mapping[str, Any],
) -> tuple[Finding, ...]:
    """Run checks on one encoder; see `metabench.testing.check_encoder`."""
    chosen = chosen_checks(checks, ENCODER_CHECKS)
    info, made = _encoder(encoder, declared)
    wanted = modality or info.modalities[0]
    subject = EncoderSubject(info, made, _sample(inputs, wanted))
    return tuple(run_encoder_check(subject, check) for check in chosen)


def _encoder(
    encoder: str | EncoderInfo | type[Encoder], declared: Mapping[str, Any]
) -> tuple[EncoderInfo, Any]:
    if isinstance(encoder, type):
        made = expected(encoder, Encoder)
        return described(EncoderInfo, made, {**MADE_UP, **declared}), made
    if not isinstance(encoder, str | EncoderInfo):
        raise no_subject(encoder, "encoder", "a class")
    refuse_declared("encoder", declared)
    if isinstance(encoder, str):
        info = load_plugins().encoder(encoder).info
        _, colon, argument = encoder.partition(":")
        options = {**info.options, "argument": argument} if colon else info.options
        encoder = replace(info, options=options)
    return encoder, resolve_target(encoder.target)


def _sample(inputs: TaskData | Mapping[str, Tensor] | None, modality: str) -> Sample:
    if inputs is None:
        return find_sample(load_plugins(), modality)
    if isinstance(inputs, TaskData):
        return sample_of(inputs, "the given data")
    lengths = {name: len(tensor) for name, tensor in inputs.items()}
    if len(set(lengths.values())) != 1 or min(lengths.values()) < 2:  # noqa: PLR2004 - see text
        raise UsageError(f"inputs {lengths} are not two or more examples of one number")
    count = next(iter(lengths.values()))
    train = torch.arange(max(count * 2 // 3, 1))
    return Sample(modality, dict(inputs), train, "the given inputs")


def examine_source(
    source: str | TaskSourceInfo | Callable[..., TaskData],
    data: Path | None,
    checks: tuple[str, ...],
    declared: Mapping[str, Any],
) -> tuple[Finding, ...]:
    """Run checks on one source; see `metabench.testing.check_source`."""
    chosen = chosen_checks(checks, SOURCE_CHECKS)
    if isinstance(source, str | TaskSourceInfo):
        refuse_declared("source", declared)
        info = load_plugins().source(source).info if isinstance(source, str) else source
        made = resolve_target(info.target)
    elif not hasattr(source, "__qualname__"):
        raise no_subject(source, "source", "a function")
    else:
        if "modality" not in declared:
            raise UsageError("say what a function delivers: check_source(..., modality='image')")
        if "<" in source.__qualname__:
            raise UsageError(
                f"{source.__qualname__} cannot be imported, and a run imports sources by name; "
                "define it in a module"
            )
        info = described(TaskSourceInfo, source, {"domain": "examined", **declared})
        made = source
    subject = SourceSubject(info, made, data)
    return tuple(run_source_check(subject, check) for check in chosen)
