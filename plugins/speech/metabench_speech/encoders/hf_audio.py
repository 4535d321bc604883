"""``hf-audio:MODEL``: any audio encoder of `transformers`, frozen, mean over time.

Wav2vec 2.0 (Baevski et al., 2020), HuBERT (Hsu et al., 2021), the encoder of Whisper (Radford et
al., 2023), and what has the same interface. The weights have to be safetensors, and no code of the
model's repository is ever run.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.torchaudio_compat import prepare_torchaudio
from metabench_speech.decoding import RATE, SCALE
from metabench_speech.encoders.features import audio_samples

BATCH = 16
SHORTEST = 1_600
"""Samples; the convolutions of wav2vec 2.0 need 400."""
EXTRACTOR = "preprocessor_config.json"
_WANTED = ("*.safetensors", "*.safetensors.index.json", "config.json", EXTRACTOR)
_REMEDY = "it has to be a transformers audio model with config.json and safetensors weights"


class HFAudio(Encoder):
    """A pretrained encoder.

    A recording goes through the model's own feature extractor at its real length, or a tenth of a
    second if it is shorter. The embedding is the mean of the last layer over the frames of that
    length; of the 30 seconds that Whisper always takes, only those count.

    Args:
        spec: What the inputs are.
        argument: A folder, a hub id, or ``id@revision``.

    Raises:
        UsageError: If there is no argument.
        UnavailableError: If transformers or the model is not there, does not load, lacks weights,
            or is for another sampling rate.
    """

    def __init__(self, spec: InputSpec, *, argument: str = "") -> None:
        super().__init__()
        self._samples = audio_samples(spec)
        if not argument:
            raise UsageError("hf-audio needs a model: hf-audio:FOLDER or hf-audio:ID@REVISION")
        folder = find_model(argument)
        self._digest = _digest(folder)
        self.model: Any  # transformers' models are untyped in what they are called with
        self._extractor: Any
        self._extractor, self.model = _load(folder, argument)
        if self._extractor.sampling_rate != RATE:
            raise UnavailableError(
                f"hf-audio: {argument} takes {self._extractor.sampling_rate} Hz, not {RATE}"
            )
        self.width = int(getattr(self.model.config, "hidden_size", 0) or self.model.config.d_model)
        self.requires_grad_(requires_grad=False).eval()

    def train(self, mode: bool = True) -> HFAudio:  # noqa: FBT001, FBT002 - torch's signature
        """Stay in evaluation mode: a frozen model has no dropout and no masking."""
        del mode
        return super().train(mode=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``waveform`` ``[n, T]`` with ``length`` ``[n]`` as ``[n, width]``.

        Only recordings of one length share a pass, since models that normalise over time, such as
        wav2vec2-base, see the padding of a mixed batch.
        """
        waveform = inputs["waveform"]
        length = inputs["length"].long().clamp(min(SHORTEST, self._samples), self._samples)
        out = torch.empty(len(waveform), self.width, device=waveform.device)
        for size in sorted(set(length.tolist())):
            for rows in (length == size).nonzero().squeeze(1).split(BATCH):
                out[rows] = self._embed(waveform[rows, :size])
        return out

    def _embed(self, waveform: Tensor) -> Tensor:
        name = self._extractor.model_input_names[0]
        whisper = name == "input_features"
        given = self._extractor(
            list((waveform.float() / SCALE).cpu().numpy()),
            sampling_rate=RATE,
            return_tensors="pt",
            padding="max_length" if whisper else False,
        )
        values = given[name].to(waveform.device, next(self.model.parameters()).dtype)
        hidden: Tensor = self.model(values).last_hidden_state
        if whisper:
            real = math.ceil(waveform.shape[1] / self._extractor.n_samples * hidden.shape[1])
            hidden = hidden[:, :real]
        return hidden.mean(1)

    def weights_digest(self) -> str:
        """SHA-256 over the names and SHA-256 of the weights and settings files."""
        return self._digest


def find_model(argument: str) -> Path:
    """Find or download a model.

    Args:
        argument: A folder, a hub id, or ``id@revision``.

    Returns:
        A folder with safetensors weights.

    Raises:
        UnavailableError: If the model cannot be had or has no safetensors weights.
    """
    folder = Path(argument).expanduser()
    if not folder.is_dir():
        if argument.startswith(("/", ".", "~")):
            raise UnavailableError(f"hf-audio: {folder} does not exist", _REMEDY)
        folder = _from_hub(argument)
    if not any(folder.glob("*.safetensors")):
        raise UnavailableError(
            f"hf-audio: {argument} has no *.safetensors weights",
            "save it with `model.save_pretrained(FOLDER)` and pass hf-audio:FOLDER",
        )
    return folder


def _from_hub(argument: str) -> Path:
    try:
        import huggingface_hub  # noqa: PLC0415 - not needed for a folder
    except ImportError as error:
        raise _no_transformers(error) from error
    name, _, revision = argument.partition("@")
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, revision=revision or None, allow_patterns=list(_WANTED), etag_timeout=5
            )
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"hf-audio: {argument!r} is no folder and the hub did not give it"
            f" ({type(error).__name__})",
            f"download it with `hf download {name} --local-dir FOLDER` and pass hf-audio:FOLDER",
        ) from error


def _load(folder: Path, argument: str) -> tuple[Any, Any]:
    """Load feature extractor and encoder."""
    prepare_torchaudio()
    try:
        import transformers  # noqa: PLC0415 - seconds that only a cell with such an encoder needs
    except (ImportError, OSError) as error:
        raise _no_transformers(error) from error
    try:
        extractor = _extractor(transformers, folder)
        model, info = transformers.AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # config, extractor and safetensors faults share no base
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnavailableError(
            f"hf-audio: {argument} cannot be loaded ({reason})", _REMEDY
        ) from error
    if lacking := sorted(info["missing_keys"]):
        raise UnavailableError(
            f"hf-audio: {argument} lacks {len(lacking)} weights, such as {lacking[0]}", _REMEDY
        )
    return extractor, model.get_encoder() if model.config.is_encoder_decoder else model


def _extractor(transformers: Any, folder: Path) -> Any:
    """The model's feature extractor; without settings, that of wav2vec 2.0 for raw waveforms."""
    if (folder / EXTRACTOR).is_file():
        return transformers.AutoFeatureExtractor.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind == "whisper":
        return transformers.WhisperFeatureExtractor()
    return transformers.Wav2Vec2FeatureExtractor()


def _digest(folder: Path) -> str:
    sha = hashlib.sha256()
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.suffix == ".safetensors" or path.name in {"config.json", EXTRACTOR}:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            sha.update(f"{path.name} {found}\n".encode())
    return sha.hexdigest()


def _no_transformers(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"hf-audio cannot import transformers ({error})", "`pip install 'metabench-speech[hf]'`"
    )
