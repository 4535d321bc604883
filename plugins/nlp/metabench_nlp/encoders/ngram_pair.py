"""``ngram-pair``: how a question and a sentence look side by side; nothing is learned.

Surface features of the kind that systems for answer selection had before sentence embeddings:
shared words and n-grams (Yih et al., "Question answering using enhanced lexical semantic models",
ACL 2013, section 4.2), the word that the question asks with, and the kind of answer that it expects
(Li & Roth, "Learning question classifiers", COLING 2002): a number, a year, a name, a place, a
reason. The meta-train examples give each feature's mean and spread.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_nlp.pairs import unpack_pairs

_WORD = re.compile(r"\w+")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be been before but by can could did do does for from had has have how"
        " if in into is it its of on one or so that the their them there they this to was we were"
        " what when where which who whom whose why will with would you"
    )
)
ASKED = ("how many", "how", "when", "where", "which", "who", "what", "why")
"""Question words; the first that occurs in a question counts."""
CUES: dict[str, re.Pattern[str]] = {
    "number": re.compile(
        r"\d|\b(two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred|thousand|million)\b"
    ),
    "year": re.compile(r"\b(1\d|20)\d\d\b|\bcentur(y|ies)\b"),
    "name": re.compile(r"(?<=\s)[A-Z]\w+ [A-Z]\w+"),
    "place": re.compile(r"\b([Ii]n|[Aa]t|[Nn]ear|[Ff]rom) (the )?[A-Z]"),
    "reason": re.compile(r"\b([Bb]ecause|[Ss]ince|[Ss]o that|[Tt]herefore)\b|, (as|for|so|which) "),
}
EXPECTED = {
    "how many": "number",
    "when": "year",
    "where": "place",
    "who": "name",
    "why": "reason",
}
"""The cue in the sentence that each question word asks for."""
FEATURES = (
    "words of the question found",
    "words of the sentence found",
    "stems of the question found",
    "words 1-gram",
    "words 2-gram",
    "characters 3-gram",
    "characters 4-gram",
    "characters 5-gram",
    "question length",
    "sentence length",
    *(f"asks {word}" for word in ASKED),
    *(f"has {cue}" for cue in CUES),
    *(f"{word} and {cue}" for word, cue in EXPECTED.items()),
)
_STEM = 5


class NgramPair(Encoder):
    """The features of `FEATURES`, standardised.

    Args:
        spec: What the inputs are.
    """

    width = len(FEATURES)

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        del spec

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute ``features``, float32 ``[n, width]``, with mean 0 and variance 1 in meta-train.

        A feature without spread there is only centred; without meta-train examples nothing is.
        """
        questions, sentences = unpack_pairs(inputs)
        rows = [pair_features(q, s) for q, s in zip(questions, sentences, strict=True)]
        found = torch.tensor(rows, dtype=torch.float64).reshape(-1, self.width)
        if len(meta_train):
            seen = found[meta_train]
            spread = seen.std(0, correction=0)
            found = (found - seen.mean(0)) / torch.where(spread > 0, spread, 1.0)
        return {"features": found.float()}

    def forward(self, inputs: Inputs) -> Tensor:
        """Return ``features`` ``[n, width]``."""
        return inputs["features"]


def pair_features(question: str, sentence: str) -> list[float]:
    """Describe one pair by the values of `FEATURES`, before standardisation.

    Overlaps are shares of distinct words that are not function words; stems are the first five
    letters. N-grams are compared by the cosine of their counts, lengths are ``log(1 + words)``.
    """
    asked, said = _words(question), _words(sentence)
    word = asked_with(question)
    cues = {cue: float(bool(pattern.search(sentence))) for cue, pattern in CUES.items()}
    return [
        _share(_content(asked), _content(said)),
        _share(_content(said), _content(asked)),
        _share({w[:_STEM] for w in _content(asked)}, {w[:_STEM] for w in _content(said)}),
        *(_cosine(_ngrams(asked, n), _ngrams(said, n)) for n in (1, 2)),
        *(_cosine(_letters(asked, n), _letters(said, n)) for n in (3, 4, 5)),
        math.log1p(len(asked)),
        math.log1p(len(said)),
        *(float(word == known) for known in ASKED),
        *cues.values(),
        *(float(word == known) * cues[cue] for known, cue in EXPECTED.items()),
    ]


def asked_with(question: str) -> str:
    """Return the first of `ASKED` in a question, or nothing; a quantity counts as "how many"."""
    lowered = " ".join(_words(question))
    quantity = r"how (many|much|long|far|fast|large|big|old|tall|high|deep|often|quickly)"
    lowered = re.sub(rf"\b{quantity}\b", "how many", lowered)
    found = re.search(rf"\b({'|'.join(ASKED)})\b", lowered)
    return found[1] if found else ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _content(words: list[str]) -> set[str]:
    return set(words) - _FUNCTION_WORDS


def _share(part: set[str], whole: set[str]) -> float:
    return len(part & whole) / len(part) if part else 0.0


def _ngrams(words: list[str], n: int) -> Counter[str]:
    return Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))


def _letters(words: list[str], n: int) -> Counter[str]:
    """Character n-grams within the words, whose borders count as characters."""
    return Counter(gram for word in words for gram in _windows(f" {word} ", n))


def _windows(text: str, n: int) -> Iterator[str]:
    return (text[i : i + n] for i in range(len(text) - n + 1))


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    shared: int = sum(count * second[gram] for gram, count in first.items())
    squares = math.prod(sum(c * c for c in counts.values()) for counts in (first, second))
    return shared / math.sqrt(squares) if shared else 0.0
