"""SimpleShot on real intents equals an independent scikit-learn computation, episode by episode."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from metabench.learners.training import FIT_EXAMPLES
from metabench.registry.discovery import load_plugins
from metabench.registry.targets import resolve_target
from metabench.runs.protocol import Protocol
from metabench.runs.store import Store
from metabench.tasks.files import SourceContext
from metabench.tasks.sampler import EpisodeSampler

pytestmark = pytest.mark.real_data
SOURCES = ("banking77",)
EPISODES = 100


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    if "METABENCH_DATA" not in os.environ:
        pytest.skip("METABENCH_DATA is not set")
    folder = tmp_path_factory.mktemp("oracle")
    command = (
        sys.executable, "-m", "metabench", "run", "--suite", "standard", "--encoders", "minilm",
        "--sources", ",".join(SOURCES), "--algorithms", "simpleshot",
        "--episodes", str(EPISODES), "--store", str(folder),
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Store(folder)


def expected_scores(data, features, protocol, seed):
    train = data.splits["train"].items
    seen = train[np.linspace(0, len(train) - 1, min(FIT_EXAMPLES, len(train))).astype(int)]
    centre = features[seen].mean(0)
    sampler = EpisodeSampler(
        data.splits["test"], protocol.sampling, source_digest=data.digest, split="test", seed=seed
    )
    for batch in sampler.batches(0, EPISODES, 1):
        support = normalize(features[batch.support[0]] - centre)
        query = normalize(features[batch.query[0]] - centre)
        head = NearestCentroid().fit(support, batch.support_targets[0])
        yield (head.predict(query) == batch.query_targets[0]).mean()


@pytest.mark.parametrize("source", SOURCES)
def test_simpleshot_equals_scikit_learn(store, source):
    records = [record for record in store.scan() if record.cell.source == source]
    assert {record.cell.shot for record in records} == {"1", "5"}
    entry = load_plugins().source(source)
    context = SourceContext(source, data_dir=Path(os.environ["METABENCH_DATA"]))
    data = resolve_target(entry.info.target)(context, **entry.info.options)
    for record in records:
        assert record.key_parts["source"]["digest"] == data.digest
        features = next(
            tensors["embedding"]
            for path in (store.root / "cache").glob("features/minilm-*.safetensors")
            if len((tensors := load_file(path))["embedding"]) == len(data)
        ).astype(np.float64)
        protocol = Protocol(**record.provenance["protocol"])
        ours = store.scored(record).scores
        theirs = np.array(list(expected_scores(data, features, protocol, record.cell.seed)))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
