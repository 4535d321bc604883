"""The sources on the real files below METABENCH_DATA."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from metabench.tasks.files import SourceContext
from metabench_nlp import files, files_by_hand
from metabench_nlp.plugin import metabench_task_sources
from metabench_nlp.sources.banking77 import banking77
from metabench_nlp.sources.clinc150 import clinc150
from metabench_nlp.sources.fewrel import fewrel
from metabench_nlp.text import identity, unpack

ROOT = os.environ.get("METABENCH_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not (ROOT and (Path(ROOT) / "nlp").is_dir()),
        reason="METABENCH_DATA names no folder with nlp/",
    ),
]
EXPECTED = {
    "clinc150": (clinc150, {}, (75, 30, 45), 22433, 130),
    "banking77": (banking77, {}, (25, 25, 27), 13023, 75),
    "fewrel": (fewrel, {}, (50, 14, 16), 22641, 133),
    "fewrel-pubmed": (fewrel, {"test": "pubmed"}, (50, 14, 10), 12534, 100),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_counts_and_traps(name):
    load, options, classes, examples, smallest = EXPECTED[name]
    data = load(SourceContext(name, Path(ROOT)), **options)
    assert tuple(len(data.splits[s].names) for s in ("train", "val", "test")) == classes
    assert len(data) == examples
    assert min(pool.sizes.min() for pool in data.splits.values()) >= smallest
    assert not any("differs from upstream" in note for note in data.notes)

    keys = [identity(text) for text in unpack(data.inputs)]
    assert len(keys) == len(set(keys))
    assert data.splits["test"].items.size + data.splits["val"].items.size < len(data)
    names = [set(pool.names) for pool in data.splits.values()]
    assert sum(map(len, names)) == len(set.union(*names))


@pytest.mark.parametrize("name", ["clinc150"])
def test_clinc_domains_are_apart(name):
    data = clinc150(SourceContext(name, Path(ROOT)))
    domains = [{n.split("/")[0] for n in pool.names} for pool in data.splits.values()]
    assert sum(map(len, domains)) == len(set.union(*domains)) == 10


@pytest.mark.parametrize("test", ["wiki", "pubmed"])
def test_fewrel_sentences_of_the_test_are_not_in_training(test):
    data = fewrel(SourceContext("fewrel", Path(ROOT)), test=test)
    tested = data.groups[data.splits["test"].items]
    trained = data.groups[np.union1d(data.splits["train"].items, data.splits["val"].items)]
    assert np.intersect1d(tested, trained).size == 0


def test_declared_digests():
    declared = {f.path: f for info in metabench_task_sources() for f in info.files}
    assert files.FEWREL_TRAIN.path in declared
    for path, file in declared.items():
        if file in files_by_hand.WIKIQA:  # of no known digest, and not among the real files
            assert (file.url, file.sha256) == ("", "")
            continue
        assert sha256((Path(ROOT) / path).read_bytes()).hexdigest() == file.sha256
        assert file.url.startswith("https://") or file is files.FEWREL_TRAIN
