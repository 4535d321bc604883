"""``hashed-ngrams``: a bag of word and character n-grams, hashed; nothing is learned.

Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009: n-grams are
hashed (MurmurHash3, scikit-learn's ``FeatureHasher``) with a signed hash to a fixed number of
dimensions. Term frequencies are sublinear, ``1 + log(tf)`` (Manning et al., "Introduction to
information retrieval", 2008, section 6.4.1), and rows have length 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_nlp.text import unpack

_WORD = r"(?u)\b\w+\b"


class HashedNgrams(Encoder):
    """Word 1-2-grams and, within words, character 3-5-grams.

    The n-grams are counted in ``forward``, because dense rows of all examples of a source would
    take hundreds of megabytes.

    Args:
        spec: What the inputs are.
        width: Dimensions of the hash.
        word_ngrams: Shortest and longest word n-gram.
        char_ngrams: Shortest and longest character n-gram.
    """

    def __init__(
        self,
        spec: InputSpec,
        width: int = 4096,
        word_ngrams: tuple[int, int] = (1, 2),
        char_ngrams: tuple[int, int] = (3, 5),
    ) -> None:
        super().__init__()
        from sklearn.feature_extraction import FeatureHasher  # noqa: PLC0415 - slow to import
        from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

        del spec
        self.width = width
        self._hasher = FeatureHasher(width, input_type="pair", dtype=np.float32)
        words = CountVectorizer(token_pattern=_WORD, ngram_range=tuple(word_ngrams))
        chars = CountVectorizer(analyzer="char_wb", ngram_range=tuple(char_ngrams))
        self._analyzers = (("w", words.build_analyzer()), ("c", chars.build_analyzer()))

    def forward(self, inputs: Inputs) -> Tensor:
        """Count and hash the n-grams of ``bytes`` ``[n, L]`` with ``length`` ``[n]``."""
        device = inputs["bytes"].device
        texts = unpack(inputs)
        if not texts:
            return torch.empty(0, self.width, device=device)
        rows = self._hasher.transform(self._terms(text) for text in texts).toarray()
        return F.normalize(torch.from_numpy(rows), dim=-1).to(device)

    def _terms(self, text: str) -> Iterator[tuple[str, float]]:
        for kind, analyze in self._analyzers:
            for term, count in Counter(analyze(text)).items():
                yield f"{kind} {term}", 1.0 + math.log(count)
