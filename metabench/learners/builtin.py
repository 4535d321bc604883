"""What metabench itself provides, through the same hooks as every plugin."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import MetricInfo, hookimpl


@hookimpl
def metabench_metrics() -> Iterator[MetricInfo]:
    """Yield the metrics that need nothing beyond the core."""
    yield MetricInfo(
        name="accuracy",
        summary="share of queries whose highest score is that of their class",
        task_kinds=("classification", "binary"),
        target="metabench.learners.metrics:accuracy",
        chance="1/way",
    )
