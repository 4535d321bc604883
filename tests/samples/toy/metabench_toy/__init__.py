"""A third-party plugin, as a stranger would write it; its descriptors import nothing heavy."""

from metabench.hookspecs import AlgorithmInfo, EncoderInfo, MetricInfo, TaskSourceInfo, hookimpl


@hookimpl
def metabench_task_sources():
    yield TaskSourceInfo(
        name="blobs",
        summary="Gaussian classes in the plane",
        domain="toy",
        modality="points",
        target="metabench_toy.parts:blobs",
        synthetic=True,
        suites={"quick": {}},
    )
    yield TaskSourceInfo(
        name="few-blobs",
        summary="Gaussian classes, four of them in the test split",
        domain="toy",
        modality="points",
        target="metabench_toy.parts:blobs",
        options={"classes": 12},
        synthetic=True,
    )
    yield TaskSourceInfo(
        name="sides",
        summary="which side of a line a point lies on",
        domain="toy",
        modality="points",
        task_kind="binary",
        metric="average-precision",
        other_metrics=("auroc", "delta-auprc"),
        target="metabench_toy.tasks:sides",
        protocol={"query": "rest", "draws": 2},
        synthetic=True,
    )
    yield TaskSourceInfo(
        name="walks",
        summary="walk to a goal that demonstrations show",
        domain="toy",
        modality="points",
        task_kind="regression",
        metric="arrival",
        other_metrics=("nmse", "r2"),
        target="metabench_toy.tasks:walks",
        protocol={"support": "groups", "query": 10, "draws": 1},
        synthetic=True,
    )


@hookimpl
def metabench_metrics():
    yield MetricInfo(
        name="arrival",
        summary="share of walks that end at the goal",
        target="metabench_toy.tasks:arrival",
        task_kinds=("regression",),
    )


@hookimpl
def metabench_encoders():
    yield EncoderInfo(
        name="toy-linear",
        summary="a linear layer",
        modalities=("points",),
        trainable=True,
        target="metabench_toy.parts:Linear",
        suites=("quick",),
    )
    yield EncoderInfo(
        name="toy-plain",
        summary="the coordinates",
        modalities=("points",),
        trainable=False,
        target="metabench_toy.parts:Plain",
        suites=("quick",),
    )
    yield EncoderInfo(
        name="toy-bytes",
        summary="the coordinates in steps of a tenth, prepared once, in a byte each",
        modalities=("points",),
        trainable=False,
        target="metabench_toy.parts:Bytes",
    )
    yield EncoderInfo(
        name="toy-map",
        summary="a linear layer that also gives a map",
        modalities=("points",),
        trainable=True,
        feature_map=True,
        target="metabench_toy.parts:Mapped",
    )
    yield EncoderInfo(
        name="toy-prepared",
        summary="a linear layer on standardised coordinates",
        modalities=("points",),
        trainable=True,
        target="metabench_toy.parts:Prepared",
    )


@hookimpl
def metabench_algorithms():
    yield AlgorithmInfo(
        name="nearest-mean",
        summary="nearest class mean",
        target="metabench_toy.parts:NearestMean",
    )
    yield AlgorithmInfo(
        name="staged-mean",
        summary="nearest class mean in a space that is pre-trained first, with a learned scale",
        target="metabench_toy.parts:ScaledMean",
        recipe="supervised+episodic",
        suites=("trouble",),
    )
    for name, features in (("map-mean", "map"), ("either-mean", "map-if-any")):
        yield AlgorithmInfo(
            name=name,
            summary="nearest class mean of flattened maps",
            target="metabench_toy.parts:MapMean",
            features=features,
            suites=("trouble",),
        )
    for name, summary in (
        ("raiser", "raises while it adapts"),
        ("killer", "kills its own process"),
        ("sleeper", "takes a minute"),
        ("exhauster", "runs out of memory"),
        ("diverger", "predicts infinity"),
    ):
        yield AlgorithmInfo(
            name=name,
            summary=summary,
            target="metabench_toy.parts:Troublesome",
            options={"trouble": name},
            task_kinds=("classification", "regression"),
            recipe="none",
            suites=("trouble",),
        )
