"""``text-cnn``: convolutions over words, trained from scratch.

Kim, "Convolutional neural networks for sentence classification", EMNLP 2014, the variant CNN-rand:
word embeddings, filters of several widths, the maximum over time. Words are hashed to a fixed
vocabulary, so that words of the meta-test classes, which training never sees, have embeddings too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_nlp.text import pad, unpack

_TOKEN = re.compile(r"\w+|[^\w\s]")


class TextCNN(Encoder):
    """Hashed word embeddings, convolutions, maximum over time.

    Args:
        spec: What the inputs are.
        vocabulary: Hash buckets; bucket 0 is padding.
        embedding: Length of a word embedding.
        filters: Filters of each width.
        widths: Words that a filter spans; Kim's 3, 4 and 5 are for sentences of reviews, and
            on requests of ten words shorter filters transfer better to unseen classes.
        dropout: Share of the pooled features that is dropped in training; Kim's 0.5 is for a
            single linear layer, and embeddings to be compared are better left whole.
        max_words: Where texts are cut.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        vocabulary: int = 2**13,
        embedding: int = 64,
        filters: int = 80,
        widths: Sequence[int] = (1, 2, 3),
        dropout: float = 0.0,
        max_words: int = 128,
    ) -> None:
        super().__init__()
        del spec
        self.width = filters * len(widths)
        self._vocabulary = vocabulary
        self._max_words = max_words
        self.words = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.widths = tuple(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, filters, w) for w in widths)
        self.dropout = nn.Dropout(dropout)

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Hash the lower-cased words and punctuation marks of every text."""
        del meta_train
        known: dict[str, int] = {}
        rows = []
        for text in unpack(inputs):
            tokens = _TOKEN.findall(text.lower())[: self._max_words]
            for token in tokens:
                if token not in known:
                    known[token] = 1 + zlib.crc32(token.encode()) % (self._vocabulary - 1)
            rows.append([known[token] for token in tokens])
        return pad(rows)

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``ids`` ``[n, T]`` with ``length`` ``[n]``."""
        ids, length = inputs["ids"], inputs["length"]
        ids = ids[:, : _longest(ids, length)]
        words = self.words(ids).transpose(1, 2)
        pooled: list[Tensor] = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            margin = width - 1
            found: Tensor = convolution(F.pad(words, (margin, margin)))
            steps = torch.arange(found.shape[-1], device=ids.device)
            beyond = steps >= (length.clamp_min(1) + margin).unsqueeze(-1)
            pooled.append(found.masked_fill(beyond.unsqueeze(-2), -torch.inf).amax(-1))
        embedded: Tensor = self.dropout(F.relu(torch.cat(pooled, dim=-1)))
        return embedded


def _longest(ids: Tensor, length: Tensor) -> int:
    try:
        return max(1, int(length.max()))
    except RuntimeError:  # under vmap, and in an empty batch, a length is no number
        return ids.shape[-1]
