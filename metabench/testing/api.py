"""The conformance kit's functions for a plugin's own tests; torch is imported by calling them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from metabench.hookspecs import AlgorithmInfo, EncoderInfo, TaskSourceInfo
    from metabench.leaderboard.audits import Finding
    from metabench.learners.contracts import Algorithm, Encoder
    from metabench.tasks.data import TaskData
    from metabench.testing.cases import Case
    from metabench.testing.review import Review


def check_algorithm(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]],
    *,
    checks: Iterable[str] = (),
    **declared: Any,
) -> Mapping[str, tuple[Finding, ...]]:
    """Check an algorithm on synthetic episodes, untrained: no data, a second or two.

    Args:
        algorithm: The name of an installed algorithm, a descriptor, or a class.
        checks: Names out of ``CHECKS`` and ``CONTRACT`` of `metabench.testing.names`; by default
            all.
        **declared: For a class, what its descriptor says and is no default: ``inductive=False``,
            ``task_kinds=("regression",)``, ``options={"steps": 3}``; see
            `metabench.hookspecs.AlgorithmInfo`.

    Returns:
        The findings for each kind of task that it applies to.

    Raises:
        AssertionError: If a check is violated, with one line for each violation.
        UsageError: If there is no such algorithm or check.
    """
    from metabench.testing.kit import examine  # noqa: PLC0415 - needs torch

    found = examine(algorithm, tuple(checks), declared)
    _refuse(
        algorithm,
        [(f"{kind}: ", finding) for kind, findings in found.items() for finding in findings],
    )
    return found


def check_encoder(
    encoder: str | EncoderInfo | type[Encoder],
    *,
    inputs: TaskData | Mapping[str, Tensor] | None = None,
    modality: str = "",
    checks: Iterable[str] = (),
    **declared: Any,
) -> tuple[Finding, ...]:
    """Check an encoder on a few examples, untrained.

    Args:
        encoder: The name of an installed encoder (``name:ARGUMENT`` where it takes one), a
            descriptor, or a class.
        inputs: Examples: the data of a source, or tensors with one common first dimension, of which
            the first two thirds count as meta-train. By default those of an installed source of the
            modality that needs no files.
        modality: What the examples are; by default the first that the encoder accepts.
        checks: Names out of ``ENCODER_CHECKS`` of `metabench.testing.names`; by default all.
        **declared: For a class, what its descriptor says and is no default: ``trainable=False``,
            ``options={"width": 32}``; see `metabench.hookspecs.EncoderInfo`.

    Returns:
        One finding for each check.

    Raises:
        AssertionError: If a check is violated, with one line for each violation.
        UsageError: If there is no such encoder or check.
        UnavailableError: If there are no examples of its modality.
    """
    from metabench.testing.single import examine_encoder  # noqa: PLC0415 - needs torch

    found = examine_encoder(encoder, inputs, modality, tuple(checks), declared)
    _refuse(encoder, [("", finding) for finding in found])
    return found


def check_source(
    source: str | TaskSourceInfo | Callable[..., TaskData],
    *,
    data: Path | None = None,
    checks: Iterable[str] = (),
    **declared: Any,
) -> tuple[Finding, ...]:
    """Check a task source: load it as a run would, twice, and draw episodes.

    Args:
        source: The name of an installed source, a descriptor, or a function.
        data: The data directory, for a source that reads files.
        checks: Names out of ``SOURCE_CHECKS`` of `metabench.testing.names`; by default all.
        **declared: For a function, what its descriptor says and is no default:
            ``modality="image"``, ``task_kind="binary"``; see `metabench.hookspecs.TaskSourceInfo`.

    Returns:
        One finding for each check.

    Raises:
        AssertionError: If a check is violated, with one line for each violation.
        UsageError: If there is no such source or check.
    """
    from metabench.testing.single import examine_source  # noqa: PLC0415 - needs torch

    found = examine_source(source, data, tuple(checks), declared)
    _refuse(source, [("", finding) for finding in found])
    return found


def plugin_checks(name: str) -> tuple[Case, ...]:
    """Return every check of an installed plugin, to parametrise a test with.

    Args:
        name: The name of its entry point or of its distribution.

    Returns:
        Cases, each with a method ``run()`` that raises an ``AssertionError`` if it is violated.

    Raises:
        UsageError: If no plugin of that name is installed.
    """
    from metabench.testing.cases import plugin_cases  # noqa: PLC0415 - reads all metadata

    return plugin_cases(name)


def check_plugin(name: str) -> tuple[Review, ...]:
    """Check an installed plugin and everything that it provides.

    Args:
        name: The name of its entry point or of its distribution.

    Returns:
        A review of each of its entry points.

    Raises:
        AssertionError: If a check is violated, with why it matters and how to mend it.
        UsageError: If no plugin of that name is installed.
    """
    from metabench.testing.cases import review_plugin  # noqa: PLC0415 - reads all metadata

    reviews = review_plugin(name)
    if any(review.violations for review in reviews):
        raise AssertionError("\n".join(line for review in reviews for line in review.lines()))
    return reviews


def _refuse(examined: Any, findings: Iterable[tuple[str, Finding]]) -> None:
    """Raise an assertion with a line for each violation."""
    lines = [
        f"{where}{finding.check}: {finding.detail}"
        for where, finding in findings
        if finding.outcome == "violated"
    ]
    if lines:
        name = getattr(examined, "name", None) or getattr(examined, "__name__", examined)
        raise AssertionError("\n  ".join([f"{name} violates", *lines]))
