"""``hf-text:MODEL``: any text encoder of `transformers`, frozen, mean over tokens.

Wolf et al., "Transformers: state-of-the-art natural language processing", EMNLP 2020. The weights
have to be safetensors, no code of the repository is ever run, and a hub model is first brought to
the local cache and then loaded from that folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import Inputs, InputSpec
from metabench_nlp.encoders.pooled import PooledTransformer, file_digest, quiet_transformers
from metabench_nlp.text import pad, unpack

_WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model")
_ELSEWHERE = ("*/*",)
_TEXT_FILES = (".json", ".txt", ".model")


class HFText(PooledTransformer):
    """A pretrained transformer.

    Args:
        spec: What the inputs are.
        argument: A folder, a hub id, or ``id@revision``.
        max_tokens: Where texts are cut, if the model does not ask for less.
        normalize: Whether embeddings are scaled to length 1.
    """

    def __init__(
        self, spec: InputSpec, argument: str = "", max_tokens: int = 256, *, normalize: bool = False
    ) -> None:
        super().__init__()
        del spec
        if not argument:
            raise UsageError("hf-text needs a model: hf-text:FOLDER or hf-text:ID@REVISION")
        self.normalize = normalize
        self._folder = find_model(argument)
        with quiet_transformers() as transformers:
            try:
                self._load(transformers, max_tokens)
            except Exception as error:  # config, tokenizer and safetensors faults share no base
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise UnavailableError(
                    f"hf-text: {argument} cannot be loaded ({reason})",
                    "it has to be a transformers model with a tokenizer and safetensors weights",
                ) from error
        self.requires_grad_(requires_grad=False).eval()

    def _load(self, transformers: Any, max_tokens: int) -> None:
        local = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._folder, **local)
        model, info = transformers.AutoModel.from_pretrained(
            self._folder, use_safetensors=True, output_loading_info=True, **local
        )
        # The configuration of an encoder that was saved alone does not say that it is one.
        halves = getattr(model, "encoder", None), getattr(model, "decoder", None)
        if model.config.is_encoder_decoder or None not in halves:
            model = model.get_encoder()
        unused = ("decoder.", "pooler.")
        missing = sorted(n for n in info["missing_keys"] if not n.startswith(unused))
        if missing:
            raise ValueError(f"it lacks {len(missing)} weights, such as {missing[0]}")
        self.model = model.float()
        self.width = int(model.config.hidden_size)
        limits = (getattr(model.config, "max_position_embeddings", None), max_tokens)
        known = (limit for limit in limits if limit and limit > 0)  # -1 says that there is none
        self._max_tokens = int(min(*known, self._tokenizer.model_max_length))

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Tokenise every text once."""
        del meta_train
        texts = unpack(inputs)
        if not texts:
            return pad(())
        ids = self._tokenizer(texts, truncation=True, max_length=self._max_tokens)["input_ids"]
        if not any(ids):
            raise UnavailableError(
                f"hf-text: the tokenizer in {self._folder} makes nothing of any text",
                "save the one that the model was trained with in the same folder",
            )
        return pad(ids)

    def weights_digest(self) -> str:
        """SHA-256 over the names and SHA-256 of the weights, configuration and tokenizer files."""
        sha = hashlib.sha256()
        for file in sorted(self._folder.iterdir(), key=lambda entry: entry.name):
            if file.suffix == ".safetensors" or file.suffix in _TEXT_FILES:
                sha.update(f"{file.name} {file_digest(file)}\n".encode())
        return sha.hexdigest()


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
        folder = _from_hub(argument)
    if not any(folder.glob("*.safetensors")):
        raise UnavailableError(
            f"hf-text: {argument} has no *.safetensors weights",
            "save it with `model.save_pretrained(FOLDER)` and pass hf-text:FOLDER",
        )
    return folder


def _from_hub(argument: str) -> Path:
    import huggingface_hub  # noqa: PLC0415 - not needed for a folder

    name, _, revision = argument.partition("@")
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=list(_WANTED),
                ignore_patterns=list(_ELSEWHERE),
                etag_timeout=5,
            )
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"hf-text: {argument!r} is no folder and the hub did not give it"
            f" ({type(error).__name__})",
            f"download it with `hf download {name} --local-dir FOLDER` and pass hf-text:FOLDER",
        ) from error
