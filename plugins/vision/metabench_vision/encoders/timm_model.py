"""``timm:MODEL``: any image model of the ``timm`` library, frozen.

Wightman, "PyTorch image models", 2019, https://github.com/huggingface/pytorch-image-models. Weights
have to be safetensors: those that timm names on the hub, from the cache or fetched, or a file.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.torchvision_compat import import_torchvision
from metabench_vision.encoders.scaling import image_shape, unit

SUFFIX = ".safetensors"
ON_THE_HUB = "model.safetensors"
REMEDY = (
    "fetch it while online with `hf download {repository} model.safetensors`, or give weights of"
    " your own as timm:{name}@FILE.safetensors"
)


class TimmModel(Encoder):
    """A pretrained model without its classifier.

    Images are made three-channel, resized to the model's own size as a whole (aspect not kept,
    nothing cropped) and normalised as its configuration says, all in torch on the device. The
    embedding is what the classifier would have got.

    Args:
        spec: What it is built for.
        argument: The name of a model, such as ``resnet18.a1_in1k``, or ``name@FILE.safetensors``.

    Raises:
        UsageError: If timm has no such model, or the file holds no safetensors.
        UnavailableError: If timm or the weights are not there, or weights are incomplete.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: InputSpec, *, argument: str) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        name, _, file = argument.partition("@")
        timm = _import_timm()
        _check_name(timm, name)
        path = _own_file(argument, file) if file else _from_hub(timm, name)
        self.files = (str(path),)
        self.model = _load(timm, name, path)
        config = timm.data.resolve_model_data_config(self.model)
        self.channels, *size = config["input_size"]
        if channels not in (1, self.channels):
            raise UnavailableError(
                f"timm:{name} takes images of {self.channels} channels, not of {channels}"
            )
        self.size = tuple(size)
        self.mode = str(config["interpolation"])
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(config["std"]).view(1, -1, 1, 1))
        self.requires_grad_(requires_grad=False)
        self.eval()
        with torch.inference_mode():
            blank = {"pixels": torch.zeros((1, channels, height, width), dtype=torch.uint8)}
            self.width = self(blank).shape[1]

    def train(self, mode: bool = True) -> TimmModel:  # noqa: FBT001, FBT002 - torch's signature
        """Stay in evaluation mode: a frozen model has no dropout and fixed statistics."""
        del mode
        return super().train(mode=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        x = unit(inputs, self.mean.dtype).expand(-1, self.channels, -1, -1)
        if tuple(x.shape[-2:]) != self.size:
            mode = self.mode if self.mode in {"bilinear", "bicubic"} else "bicubic"
            x = F.interpolate(x, self.size, mode=mode, antialias=True, align_corners=False)
            x = x.clamp(0, 1)
        found: Tensor = self.model((x - self.mean) / self.std)
        return found.flatten(1)

    def weights_digest(self) -> str:
        """SHA-256 of the safetensors file."""
        with Path(self.files[0]).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _import_timm() -> Any:
    import_torchvision()
    try:
        import timm  # noqa: PLC0415 - seconds that only a cell with such an encoder needs
        import timm.data  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            f"timm cannot be imported ({error})", "`pip install 'metabench-vision[timm]'`"
        ) from error
    logging.getLogger("timm").setLevel(logging.ERROR)
    return timm


def _check_name(timm: Any, name: str) -> None:
    if name and timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`timm.list_models()` names them"
    raise UsageError(f"timm:{name}: timm {timm.__version__} has no such model; {hint}")


def _own_file(argument: str, file: str) -> Path:
    path = Path(file).expanduser()
    if path.suffix != SUFFIX:
        raise UsageError(f"timm:{argument}: weights have to be a {SUFFIX} file, not {path.name!r}")
    if not path.is_file():
        raise UnavailableError(f"timm:{argument}: {path} does not exist")
    return path


def _from_hub(timm: Any, name: str) -> Path:
    """Find a model's pretrained weights in the hub's cache, or fetch them."""
    config = timm.get_pretrained_cfg(name)
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        raise UnavailableError(
            f"timm names no weights for {name} on the hub", f"give timm:{name}@FILE{SUFFIX}"
        )
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - comes with timm

    reason = ""
    for cached_only in (True, False):
        try:
            found = hf_hub_download(repository, ON_THE_HUB, local_files_only=cached_only)
        except (OSError, ValueError, RuntimeError) as error:  # not there, or not reachable
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            continue
        return Path(found)
    raise UnavailableError(
        f"cannot get the weights of timm:{name} ({reason})",
        REMEDY.format(repository=repository, name=name),
    )


def _load(timm: Any, name: str, path: Path) -> Any:
    """Build the model with the weights of a file, all of them."""
    built = []
    try:
        for seed in (0, 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                overlay = {"file": str(path), "hf_hub_id": None, "url": ""}
                model = timm.create_model(
                    name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay
                )
            built.append(model)
    except Exception as error:  # whatever the libraries raise, the cell lacks its encoder
        reason = " ".join(str(error).split())[:300]
        raise UnavailableError(f"{path} does not fit timm:{name} ({reason})") from error
    # What the file does not hold is random still, so it differs.
    pairs = zip(built[0].named_parameters(), built[1].parameters(), strict=True)
    lacking = [key for (key, first), second in pairs if not torch.equal(first, second)]
    if lacking:
        raise UnavailableError(
            f"{path} lacks {len(lacking)} weights of timm:{name}, such as {lacking[0]}"
        )
    return built[0]
