"""What metabench itself provides, through the same hooks as every plugin."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import MetricInfo, TaskKind, hookimpl

_BINARY: tuple[TaskKind, ...] = ("binary",)
_REGRESSION: tuple[TaskKind, ...] = ("regression",)


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
    yield MetricInfo(
        name="auroc",
        summary="area under the receiver operating characteristic",
        task_kinds=_BINARY,
        target="metabench.learners.metrics:auroc",
        chance=0.5,
    )
    yield MetricInfo(
        name="average-precision",
        summary="step-wise area under the precision-recall curve",
        task_kinds=_BINARY,
        target="metabench.learners.metrics:average_precision",
        chance="base-rate",
    )
    yield MetricInfo(
        name="delta-auprc",
        summary="average precision above the share of positives in the query set",
        task_kinds=_BINARY,
        target="metabench.learners.metrics:delta_auprc",
        citation="Stanley et al. (2021), FS-Mol, NeurIPS Datasets and Benchmarks",
        best="1-base-rate",
    )
    yield MetricInfo(
        name="mrr",
        summary="mean reciprocal rank of the first answer to each question (list)",
        task_kinds=_BINARY,
        target="metabench.learners.metrics:mrr",
        citation="Voorhees (1999), TREC-8 question answering track",
    )
    yield MetricInfo(
        name="nmse",
        summary="squared error as a share of that of predicting the support mean",
        task_kinds=_REGRESSION,
        target="metabench.learners.metrics:nmse",
        best=0.0,
        chance=1.0,
    )
    yield MetricInfo(
        name="r2",
        summary="coefficient of determination, averaged over outputs",
        task_kinds=_REGRESSION,
        target="metabench.learners.metrics:r2",
    )
    yield MetricInfo(
        name="mse",
        summary="mean squared error; chance is that of the mean of standardised targets",
        task_kinds=_REGRESSION,
        target="metabench.learners.metrics:mse",
        best=0.0,
        chance=1.0,
    )
