"""The embedded corpus: enough of it, no repetitions, and labels that do not give it away."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from metabench.tasks.files import SourceContext
from metabench_nlp.sources.intents import corpus, intents
from metabench_nlp.text import identity, tidy

WORDS = re.compile(r"\w+")
NOT_CONTENT = {"a", "an", "the", "of", "for", "to", "my", "in", "on"}


@pytest.fixture(scope="module")
def utterances():
    return [
        (domain, intent, text)
        for domain, classes in corpus().items()
        for intent, texts in classes.items()
        for text in texts
    ]


def test_counts():
    domains = corpus()
    assert len(domains) >= 8
    assert sum(len(classes) for classes in domains.values()) >= 60
    assert min(len(texts) for classes in domains.values() for texts in classes.values()) >= 24


def test_utterances_are_tidy(utterances):
    untidy = [text for _, _, text in utterances if text != tidy(text) or not text]
    assert untidy == []


def test_no_utterance_twice(utterances):
    counts = Counter(identity(text) for _, _, text in utterances)
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_near_duplicates(utterances):
    sets = [set(WORDS.findall(text.lower())) for _, _, text in utterances]
    column = {word: number for number, word in enumerate(sorted(set.union(*sets)))}
    member = np.zeros((len(sets), len(column)), dtype=np.float32)
    for row, words in enumerate(sets):
        member[row, [column[word] for word in words]] = 1
    shared = member @ member.T
    sizes = member.sum(1)
    jaccard = np.triu(shared / (sizes[:, None] + sizes - shared), 1)
    near = [(utterances[i][2], utterances[j][2]) for i, j in np.argwhere(jaccard >= 0.8)]
    assert near == []


def test_labels_do_not_leak():
    leaking = {}
    for domain, classes in corpus().items():
        for intent, texts in classes.items():
            label = set(WORDS.findall(intent.replace("-", " "))) - NOT_CONTENT
            told = sum(label <= set(WORDS.findall(text.lower())) for text in texts)
            if told > 0.25 * len(texts):
                leaking[f"{domain}/{intent}"] = told
    assert leaking == {}


def test_no_single_word_gives_an_intent_away():
    """No word may occur in nearly all utterances of an intent (function words aside)."""
    common = Counter(
        word
        for classes in corpus().values()
        for texts in classes.values()
        for text in texts
        for word in set(WORDS.findall(text.lower()))
    )
    total = sum(len(t) for c in corpus().values() for t in c.values())
    telling = {}
    for domain, classes in corpus().items():
        for intent, texts in classes.items():
            counts = Counter(w for text in texts for w in set(WORDS.findall(text.lower())))
            for word, count in counts.items():
                if count > 0.8 * len(texts) and common[word] < 0.1 * total:
                    telling[f"{domain}/{intent}"] = word
    assert telling == {}


def test_split_is_by_domain():
    data = intents(SourceContext("intents"))
    assert data.modality == "text"
    assert {split: len(pool.names) for split, pool in data.splits.items()} == {
        "train": 42,
        "val": 14,
        "test": 14,
    }
    domains = {
        split: {name.split("/")[0] for name in pool.names} for split, pool in data.splits.items()
    }
    assert domains["test"] == {"kitchen", "media"}
    assert not domains["train"] & domains["test"]
    assert not domains["train"] & domains["val"]
    assert not domains["val"] & domains["test"]
    assert min(pool.sizes.min() for pool in data.splits.values()) >= 24
    assert data.digest == intents(SourceContext("intents")).digest
