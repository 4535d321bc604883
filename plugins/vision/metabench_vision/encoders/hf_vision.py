"""``hf-vision``: any vision backbone of the ``transformers`` library, frozen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.errors import UnavailableError
from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.torchaudio_compat import prepare_torchaudio
from metabench_vision.encoders.scaling import image_shape, unit

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
FILES = [CONFIG, PREPROCESSOR, SINGLE, INDEX, "model-*.safetensors"]
REMEDY = (
    "give the folder of a model (config.json and model.safetensors) as hf-vision:FOLDER, or fetch"
    " one while online with `hf download ID` and give hf-vision:ID or hf-vision:ID@REVISION"
)
FALLBACK_SIZE = 224
FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True)
class Preprocessing:
    """What the model's ``preprocessor_config.json`` asks for.

    Attributes:
        size: Height and width.
        mean: Subtracted from each channel of 0 .. 1.
        std: Divided by, for each channel.
        mode: Interpolation.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str

    @classmethod
    def of(cls, settings: dict[str, Any], config: Any) -> Preprocessing:
        """Read the settings; what they leave out comes from the model's configuration."""
        vision = getattr(config, "vision_config", config)
        size: Any = getattr(vision, "image_size", None) or FALLBACK_SIZE
        for name in ("size", "crop_size"):  # the crop is what the model gets to see
            if settings.get(name) and (name == "size" or settings.get("do_center_crop")):
                size = settings[name]
        if isinstance(size, dict):
            edge = size.get("shortest_edge") or size.get("longest_edge") or FALLBACK_SIZE
            size = (size.get("height", edge), size.get("width", edge))
        elif isinstance(size, int):
            size = (size, size)
        normalise = settings.get("do_normalize", True)
        mean, std = settings.get("image_mean") or [0.5], settings.get("image_std") or [0.5]
        return cls(
            (int(size[0]), int(size[1])),
            tuple(map(float, mean)) if normalise else (0.0,),
            tuple(map(float, std)) if normalise else (1.0,),
            FILTERS.get(settings.get("resample", 2), "bicubic"),
        )


class HFVision(Encoder):
    """A pretrained backbone, loaded from a folder or a hub id, never trained here.

    Images are made three-channel, resized to the model's own size as a whole (aspect not kept,
    nothing cropped) and normalised as its ``preprocessor_config.json`` says, all in torch on the
    device. The embedding is the model's pooled output; where its weights hold no pooler, the class
    token; where there is none either, the mean of all tokens or of the last feature map. Models
    with a text side, such as CLIP, give their image features.

    Only safetensors are read, and no code of the model's repository is ever run.

    Args:
        spec: What it is built for.
        argument: A folder, or ``id`` or ``id@revision`` on the hub.

    Raises:
        UnavailableError: If transformers or the model is not there, or weights are incomplete.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: InputSpec, *, argument: str) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        folder = find_model(argument)
        self._digest = _digest(weight_files(folder))
        # transformers' models are untyped in what they are called with.
        self.model: Any
        self.model, self._has_pooler = _load(folder, argument)
        self._has_class_token = any(
            name.endswith(("cls_token", "class_embedding")) for name in self.model.state_dict()
        )
        self._masks = self.model.config.model_type == "vit_mae"
        if self._masks:
            self.model.config.mask_ratio = 0.0
        vision = getattr(self.model.config, "vision_config", self.model.config)
        self.channels = int(getattr(vision, "num_channels", None) or 3)
        if channels not in (1, self.channels):
            raise UnavailableError(
                f"{argument} takes images of {self.channels} channels, not of {channels}", REMEDY
            )
        self.preprocessing = Preprocessing.of(_settings(folder), self.model.config)
        self.register_buffer("mean", torch.tensor(self.preprocessing.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(self.preprocessing.std).view(1, -1, 1, 1))
        self.requires_grad_(requires_grad=False)
        self.eval()
        with torch.inference_mode():
            blank = {"pixels": torch.zeros((1, channels, height, width), dtype=torch.uint8)}
            self.width = self(blank).shape[1]

    def train(self, mode: bool = True) -> HFVision:  # noqa: FBT001, FBT002 - torch's signature
        """Stay in evaluation mode: a frozen model has no dropout and fixed statistics."""
        del mode
        return super().train(mode=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        x = unit(inputs, self.mean.dtype)
        x = x.expand(-1, self.channels, -1, -1)
        size, mode = self.preprocessing.size, self.preprocessing.mode
        if tuple(x.shape[-2:]) != size:
            smooth = {} if mode == "nearest" else {"antialias": True, "align_corners": False}
            x = F.interpolate(x, size, mode=mode, **smooth).clamp(0, 1)
        x = (x - self.mean) / self.std
        if hasattr(self.model, "get_image_features"):
            features = self.model.get_image_features(pixel_values=x)
            found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
            return found
        return self._pooled(self.model(pixel_values=x, **self._unmasked(x)))

    def _unmasked(self, x: Tensor) -> dict[str, Tensor]:
        """Arguments by which a masked autoencoder sees all of an image, in order."""
        if not self._masks:
            return {}
        patch = int(self.model.config.patch_size)
        count = x.shape[2] // patch * (x.shape[3] // patch)
        return {"noise": torch.arange(count, device=x.device).expand(len(x), -1)}

    def _pooled(self, output: Any) -> Tensor:
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        if pooled is not None and self._has_pooler:
            return pooled.flatten(1)
        hidden: Tensor = output.last_hidden_state
        if hidden.ndim == 4:  # noqa: PLR2004 - a feature map
            return hidden.mean((2, 3))
        return hidden[:, 0] if self._has_class_token else hidden.mean(1)

    def weights_digest(self) -> str:
        """SHA-256 of the safetensors file; of several, of their digests in order of name."""
        return self._digest


def find_model(argument: str) -> Path:
    """Find the folder of a model: as it is given, in the hub's cache, or on the hub.

    Args:
        argument: A folder, or ``id`` or ``id@revision``.

    Returns:
        A folder with a configuration and safetensors.

    Raises:
        UnavailableError: If there is none.
    """
    if not argument:
        raise UnavailableError("hf-vision needs a model", REMEDY)
    folder = Path(argument).expanduser()
    if folder.is_dir():
        if not (folder / CONFIG).is_file() or not weight_files(folder):
            raise UnavailableError(f"{folder} lacks {CONFIG} or {SINGLE}", REMEDY)
        return folder
    if argument.startswith(("/", ".", "~")):
        raise UnavailableError(f"{folder} does not exist", REMEDY)
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - comes with the extra hf
    except ImportError as error:
        raise _no_transformers(error) from error
    name, _, revision = argument.partition("@")
    reason = "no model.safetensors in it"
    for cached_only in (True, False):
        try:
            found = snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                local_files_only=cached_only,
            )
        except (OSError, ValueError) as error:  # not there, not reachable, or not an id
            reason = str(error).strip().splitlines()[0]
            continue
        if (Path(found) / CONFIG).is_file() and weight_files(Path(found)):
            return Path(found)
    raise UnavailableError(f"cannot get the model {argument!r} ({reason})", REMEDY)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that hold the model's weights; none if one is missing."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        return []
    shards = sorted(set(_json(folder / INDEX).get("weight_map", {}).values()))
    paths = [folder / Path(name).name for name in shards]
    return paths if all(path.is_file() for path in paths) else []


def _load(folder: Path, argument: str) -> tuple[nn.Module, bool]:
    """Load the model, and say whether its pooler, if it has one, has weights."""
    prepare_torchaudio()
    try:
        from transformers import AutoModel  # noqa: PLC0415 - comes with the extra hf
    except ImportError as error:
        raise _no_transformers(error) from error
    try:
        model, info = AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # whatever the library raises, the cell lacks its encoder
        reason = " ".join(str(error).split())[:300]
        raise UnavailableError(f"{argument} does not load ({reason})", REMEDY) from error
    missing = sorted(info["missing_keys"])
    lacking = [name for name in missing if "pooler" not in name]
    if lacking:
        raise UnavailableError(
            f"{argument} lacks {len(lacking)} weights, such as {lacking[0]}", REMEDY
        )
    return model, not missing


def _no_transformers(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"hf-vision cannot import transformers ({error})", "`pip install 'metabench-vision[hf]'`"
    )


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / PREPROCESSOR
    return _json(path) if path.is_file() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{path} is not JSON ({error})", REMEDY) from error
    return loaded if isinstance(loaded, dict) else {}


def _digest(files: list[Path]) -> str:
    digests = []
    for path in files:
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
