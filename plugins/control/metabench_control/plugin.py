"""Control for metabench: what this distribution adds, described without importing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import EncoderInfo, MetricInfo, TaskSourceInfo, hookimpl
from metabench_control import files

_EVERY_SUITE = ("quick", "standard", "full")


@hookimpl
def metabench_task_sources() -> Iterator[TaskSourceInfo]:
    """Yield the control sources."""
    yield TaskSourceInfo(
        name="sinusoid",
        summary="regression of sine waves, amplitude and phase drawn per task",
        target="metabench_control.sources.sinusoid:sinusoid",
        domain="control",
        modality="vector",
        task_kind="regression",
        metric="nmse",
        other_metrics=("mse",),
        synthetic=True,
        citation="Finn et al. (2017), ICML, section 5.1; a fixed pool of tasks: ours",
        licence="Apache-2.0",
        suites={
            "quick": {"shots": [5, 10], "query": 40, "draws": 1, "budget": 20_000},
            "standard": {"shots": [5, 10, 20], "query": 40, "draws": 3},
            "full": {"shots": [5, 10, 20], "query": 40, "draws": 10},
        },
    )
    yield TaskSourceInfo(
        name="mujoco-dynamics",
        summary="next states of four simulated bodies; half of the test draws out of range",
        target="metabench_control.sources.mujoco_dynamics:mujoco_dynamics",
        domain="control",
        modality="vector",
        task_kind="regression",
        metric="nmse",
        other_metrics=("r2",),
        synthetic=True,
        citation="Todorov et al. (2012), IROS; bodies and draws: ours",
        licence="Apache-2.0",
        requires=("mujoco",),
        protocol={"support": "random", "group_disjoint": True},
        suites={
            "quick": {"shots": [10, 50], "query": 50, "draws": 1, "budget": 12_000},
            "standard": {"shots": [10, 20, 50], "query": 50, "draws": 3},
            "full": {"shots": [10, 20, 50], "query": 50, "draws": 10},
        },
    )
    yield TaskSourceInfo(
        name="reacher-imitation",
        summary="a policy from a few demonstrations for a new goal and arm, scored in closed loop",
        target="metabench_control.sources.reacher_imitation:reacher_imitation",
        domain="control",
        modality="vector",
        task_kind="regression",
        metric="reacher-success",
        other_metrics=("nmse",),
        synthetic=True,
        citation="after Duan et al. (2017), NeurIPS (one-shot imitation); arm and expert: ours",
        licence="Apache-2.0",
        requires=("mujoco",),
        protocol={"support": "groups", "group_disjoint": True},
        suites={
            "quick": {"shots": [1, 5], "query": 60, "draws": 1, "budget": 12_000},
            "standard": {"shots": [1, 2, 5, 10], "query": 60, "draws": 2},
            "full": {"shots": [1, 2, 5, 10], "query": 60, "draws": 5},
        },
    )
    yield TaskSourceInfo(
        name="sarcos-joints",
        summary="inverse dynamics of a real robot arm; test joints held out",
        target="metabench_control.sources.sarcos:sarcos_joints",
        domain="control",
        modality="vector",
        task_kind="regression",
        metric="nmse",
        other_metrics=("r2",),
        citation="Vijayakumar & Schaal (2000), ICML; split by joint and rows: ours",
        licence="LicenseRef-unknown",
        files=(files.SARCOS,),
        protocol={"support": "random"},
        suites={
            "standard": {"shots": [5, 10, 20, 50], "query": 40, "draws": 5},
            "full": {"shots": [5, 10, 20, 50], "query": 40, "draws": 10},
        },
    )
    yield TaskSourceInfo(
        name="cascaded-tanks",
        summary="level of a real tank one sample ahead; test on the validation record",
        target="metabench_control.sources.cascaded_tanks:cascaded_tanks",
        domain="control",
        modality="vector",
        task_kind="regression",
        metric="nmse",
        other_metrics=("r2",),
        citation="Schoukens et al. (2016), Nonlinear System Identification Benchmarks",
        licence="LicenseRef-unknown",
        files=(files.CASCADED_TANKS,),
        protocol={"support": "random", "group_disjoint": True},
        suites={
            "standard": {"shots": [5, 10, 20], "query": "rest", "draws": 10},
            "full": {"shots": [5, 10, 20], "query": "rest", "draws": 20},
        },
    )


@hookimpl
def metabench_encoders() -> Iterator[EncoderInfo]:
    """Yield the encoders of vectors."""
    yield EncoderInfo(
        name="identity",
        summary="the vector itself",
        target="metabench_control.encoders.identity:Identity",
        modalities=("vector",),
        trainable=False,
        licence="Apache-2.0",
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="mlp",
        summary="two layers of 40 units with ReLU, trained from scratch",
        target="metabench_control.encoders.mlp:MLP",
        modalities=("vector",),
        trainable=True,
        citation="Finn et al. (2017), ICML, section 5.1",
        licence="Apache-2.0",
        suites=_EVERY_SUITE,
    )


@hookimpl
def metabench_metrics() -> Iterator[MetricInfo]:
    """Yield the metric that simulates."""
    yield MetricInfo(
        name="reacher-success",
        summary="share of simulated trials in which the adapted policy reaches the goal",
        target="metabench_control.metrics:reacher_success",
        task_kinds=("regression",),
        citation="success rate in closed loop from 10 starts per task: ours",
        licence="Apache-2.0",
        requires=("mujoco",),
    )
