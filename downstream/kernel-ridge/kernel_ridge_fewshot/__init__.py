"""A learner by scikit-learn; this module imports neither that nor torch."""

from metabench.hookspecs import AlgorithmInfo, hookimpl

metabench_api = "1.0"


@hookimpl
def metabench_algorithms():
    """Yield the learner."""
    yield AlgorithmInfo(
        name="kernel-ridge",
        summary="kernel ridge regression on one-hot labels or values",
        target="kernel_ridge_fewshot.learner:KernelRidgeLearner",
        citation="Saunders, Gammerman & Vovk (1998), Ridge regression learning in dual variables",
        licence="MIT",
        task_kinds=("classification", "binary", "regression"),
        recipe="none",
    )
