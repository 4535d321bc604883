"""Why a cell cannot be run, as far as that can be told before it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metabench.errors import InapplicableError
from metabench.hookspecs import AlgorithmInfo, EncoderInfo, MetricInfo, TaskSourceInfo
from metabench.runs.outcomes import Verdict
from metabench.runs.parts import what_is_missing
from metabench.runs.tasks import Part, Prepared, environments
from metabench.tasks.sampling import Sampling, eligible_classes

ANY_MODALITY = "*"


def first_verdict(
    source: Part[TaskSourceInfo],
    encoder: Part[EncoderInfo] | None,
    learner: Part[AlgorithmInfo],
    metrics: Sequence[Part[MetricInfo]] = (),
) -> Verdict | None:
    """Decide what can be decided without loading anything.

    Args:
        source: What is predicted from what.
        encoder: The encoder, if there is one.
        learner: The algorithm.
        metrics: What the answers are scored by.

    Returns:
        Why the cell is not run; ``None`` if nothing speaks against it.
    """
    kind, modality = source.info.task_kind, source.info.modality
    if kind not in learner.info.task_kinds:
        kinds = ", ".join(learner.info.task_kinds)
        return Verdict("inapplicable", f"{learner.name} does {kinds}, not {kind}")
    if encoder is None and learner.info.uses_encoder:
        return Verdict(
            "unavailable", f"no installed encoder accepts {modality}; install a plugin that has one"
        )
    if encoder is not None and (reason := _misfit(source.info, encoder.info, learner.info)):
        return Verdict("inapplicable", reason)
    parts: list[Part[Any]] = [source, *([encoder] if encoder else []), learner]
    for part in parts:
        if part.missing:
            return Verdict("unavailable", what_is_missing(part))
    if len(homes := environments(learner, encoder, metrics)) > 1:
        return Verdict("unavailable", f"it needs {' and '.join(map(str, homes))} in one process")
    return None


def _misfit(source: TaskSourceInfo, coder: EncoderInfo, learner: AlgorithmInfo) -> str:
    """Say why an encoder does not go with the source or the learner, if it does not."""
    if not accepts(coder, source.modality):
        accepted = ", ".join(coder.modalities)
        return f"{coder.name} encodes {accepted}, not {source.modality}"
    if learner.adapts_encoder and not coder.trainable:
        return f"{learner.name} adapts the encoder's weights and {coder.name} is frozen"
    if learner.features == "map" and not coder.feature_map:
        return f"{learner.name} compares maps of local features and {coder.name} gives none"
    return ""


def shape_verdict(
    source: Part[TaskSourceInfo], loaded: Prepared, sampling: Sampling
) -> Verdict | None:
    """Compare way and shots with the classes of the test split.

    Args:
        source: The source.
        loaded: What loading it has told.
        sampling: The shape of the test episodes.

    Returns:
        Why no episode can be drawn; ``None`` if it can.
    """
    if (sizes := loaded.sizes.get("test")) is None:
        return None
    try:
        eligible_classes("test", sizes, sampling)
    except InapplicableError as error:
        from metabench.own.describe import TARGET  # noqa: PLC0415 - only where nothing fits
        from metabench.own.plan import flags_that_fit  # noqa: PLC0415

        fits = flags_that_fit(sizes, sampling.least_way) if source.info.target == TARGET else ""
        remedy = f"; {fits} would fit" if fits else ""
        return Verdict("inapplicable", f"{error}{remedy}")
    return None


def accepts(encoder: EncoderInfo, modality: str) -> bool:
    """Whether an encoder takes inputs of a modality."""
    return ANY_MODALITY in encoder.modalities or modality in encoder.modalities
