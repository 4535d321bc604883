"""Descriptors; like every entry point they need no dependency."""

from metabench.hookspecs import AlgorithmInfo, EncoderInfo, hookimpl


@hookimpl
def metabench_algorithms():
    print("printed while it is loaded")
    yield AlgorithmInfo(
        name="tinted-mean",
        summary="nearest class mean, measured by version 2 of the palette",
        target="metabench_tinted.learner:TintedMean",
        recipe="none",
        requires=("metabench_sample_palette",),
        suites=(),
    )
    yield AlgorithmInfo(
        name="tinted-crash",
        summary="ends its process",
        target="metabench_tinted.learner:Crash",
        recipe="none",
        suites=(),
    )
    yield AlgorithmInfo(
        name="tinted-sleep",
        summary="never ends",
        target="metabench_tinted.learner:Sleep",
        recipe="none",
        suites=(),
    )


@hookimpl
def metabench_encoders():
    yield EncoderInfo(
        name="tinted-frozen",
        summary="embeddings by version 2 of the palette",
        target="metabench_tinted.learner:TintedFrozen",
        modalities=("*",),
        trainable=False,
    )
