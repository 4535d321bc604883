"""The entry point: descriptors of every first-party algorithm; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import AlgorithmInfo, hookimpl
from metabench_algorithms.classical.entries import CLASSICAL
from metabench_algorithms.closed_form.entries import CLOSED_FORM
from metabench_algorithms.estimators.entries import ESTIMATORS
from metabench_algorithms.gradient.entries import GRADIENT
from metabench_algorithms.memory.entries import MEMORY
from metabench_algorithms.metric.entries import METRIC
from metabench_algorithms.transductive.entries import TRANSDUCTIVE
from metabench_algorithms.transfer.entries import TRANSFER


@hookimpl
def metabench_algorithms() -> Iterator[AlgorithmInfo]:
    """Yield every first-party algorithm, family by family."""
    yield from CLASSICAL
    yield from METRIC
    yield from GRADIENT
    yield from CLOSED_FORM
    yield from TRANSFER
    yield from TRANSDUCTIVE
    yield from MEMORY
    yield from ESTIMATORS
