"""An encoder by PyWavelets; this module imports neither that nor torch."""

from metabench.hookspecs import EncoderInfo, hookimpl

metabench_api = "1.0"


@hookimpl
def metabench_encoders():
    """Yield the encoder."""
    yield EncoderInfo(
        name="wavelets",
        summary="energies of the wavelet coefficients of each scale and direction",
        target="wavelet_energies.encoder:WaveletEnergies",
        citation="Mallat (1989), A theory for multiresolution signal decomposition, IEEE TPAMI 11",
        licence="MIT",
        modalities=("image",),
        trainable=False,
        requires=("pywt",),
    )
