"""A third-party plugin, as a stranger would write it; its descriptors import nothing heavy."""

from metabench.hookspecs import AlgorithmInfo, EncoderInfo, TaskSourceInfo, hookimpl


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


@hookimpl
def metabench_algorithms():
    yield AlgorithmInfo(
        name="nearest-mean",
        summary="nearest class mean",
        target="metabench_toy.parts:NearestMean",
    )
    for name, summary in (
        ("raiser", "raises while it adapts"),
        ("killer", "kills its own process"),
        ("sleeper", "takes a minute"),
        ("exhauster", "runs out of memory"),
    ):
        yield AlgorithmInfo(
            name=name,
            summary=summary,
            target="metabench_toy.parts:Troublesome",
            options={"trouble": name},
            recipe="none",
            suites=("trouble",),
        )
