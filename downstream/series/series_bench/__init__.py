"""Time series: a domain of its own, with its own modality; this module imports nothing heavy."""

from metabench.hookspecs import EncoderInfo, TaskSourceInfo, hookimpl

metabench_api = "1.0"

CITATION = "second-order autoregressive processes: Yule (1927), Phil. Trans. R. Soc. A 226"


@hookimpl
def metabench_task_sources():
    """Yield the task source."""
    yield TaskSourceInfo(
        name="oscillations",
        summary="which noisy oscillator made a series, generated",
        domain="time-series",
        modality="series",
        target="series_bench.data:oscillations",
        citation=CITATION,
        licence="MIT",
        synthetic=True,
        suites={"quick": {}},
    )


@hookimpl
def metabench_encoders():
    """Yield a fixed encoder and one that is trained."""
    yield EncoderInfo(
        name="spectrum",
        summary="logarithm of the power spectrum",
        target="series_bench.encoders:Spectrum",
        citation=CITATION,
        licence="MIT",
        modalities=("series",),
        trainable=False,
        suites=("quick",),
    )
    yield EncoderInfo(
        name="series-cnn",
        summary="two convolutions over time and a mean",
        target="series_bench.encoders:SeriesCnn",
        citation="Wang, Yan & Oates (2017), Time series classification from scratch, IJCNN",
        licence="MIT",
        modalities=("series",),
        trainable=True,
        suites=("quick",),
    )
