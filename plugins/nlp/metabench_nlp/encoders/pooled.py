"""What the transformer encoders share: padded ids in, the mean over tokens out."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs
from metabench.torchaudio_compat import prepare_torchaudio

CHUNK_TOKENS = 512
"""Tokens per pass on a CPU: small enough for its caches; rows are sorted, so few are padding."""


class PooledTransformer(Encoder):
    """A frozen transformer and the mean of its last layer over the tokens of a text.

    Attributes:
        model: Called with ``input_ids`` and ``attention_mask``; returns ``last_hidden_state``.
        normalize: Whether embeddings have length 1.
    """

    model: nn.Module
    normalize: bool = False

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``ids`` ``[n, T]`` with ``length`` ``[n]``, in passes of rows of like length."""
        ids, length = inputs["ids"], inputs["length"].long()
        out = torch.empty(len(ids), self.width, device=ids.device)
        order = torch.argsort(length, descending=True, stable=True)
        sizes = length[order].tolist()
        budget = CHUNK_TOKENS if ids.device.type == "cpu" else 128 * CHUNK_TOKENS
        start = 0
        while start < len(sizes):
            longest = max(1, sizes[start])
            rows = order[start : start + max(1, budget // longest)]
            out[rows] = self._pool(ids[rows, :longest].long(), length[rows])
            start += len(rows)
        return out

    def _pool(self, ids: Tensor, length: Tensor) -> Tensor:
        mask = torch.arange(ids.shape[1], device=ids.device) < length.unsqueeze(1)
        hidden = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1)
        return F.normalize(mean, dim=-1) if self.normalize else mean


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def quiet_transformers() -> Iterator[Any]:
    """Import transformers and keep its progress bars and loading report off the screen."""
    prepare_torchaudio()
    import transformers  # noqa: PLC0415 - seconds that only a cell with such an encoder needs
    from transformers.utils import logging as library_logging  # noqa: PLC0415

    logging: Any = library_logging  # the functions have no annotations

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
