import json

import numpy as np
import pytest
from record_cases import make_store, put

from metabench.errors import MetabenchError
from metabench.leaderboard.folder import read_folder
from metabench.leaderboard.manifest import file_digest, read_manifest
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish


@pytest.fixture
def store(tmp_path, rng):
    return make_store(tmp_path / "store", rng, seeds=(0, 1))


def build(store, out):
    return publish(prepare(found.scored() for found in read_folder(store).found), out)


def test_it_tells_what_the_tables_rest_on(store, tmp_path):
    _, paths = build(store, tmp_path / "out")
    manifest = read_manifest(tmp_path / "out" / "manifest.json")
    assert manifest.schema_version == 1
    assert manifest.records == {"total": 13, "ok": 12, "failed": 1}
    (digest,) = manifest.protocols
    assert manifest.protocols[digest]["names"] == ["quick-5w1s"]
    assert manifest.protocols[digest]["settings"]["query"] == 15
    assert manifest.plugins["metabench-algorithms"]["versions"] == ["0.1.0"]
    assert manifest.plugins["metabench-algorithms"]["code"]["algorithm maml"] == ["c" * 64]
    assert manifest.plugins["metabench-vision"]["code"]["encoder conv4"] == ["e" * 64]
    assert manifest.sources["glyphs"] == {
        "digests": ["d" * 64], "from": ["metabench-vision 0.1.0"],
    }  # fmt: skip
    assert manifest.packages["torch"] == ("2.9.0",)
    (machine,) = manifest.machines
    assert machine["processor"] == "A CPU"
    assert machine["cells"] == 12
    assert manifest.finished == ("2026-01-01T00:01:00+00:00",) * 2
    assert set(manifest.files) == {path.name for path in paths} - {"manifest.json"}
    for name, told in manifest.files.items():
        assert told["sha256"] == file_digest(tmp_path / "out" / name)


def test_a_build_that_changes_nothing_changes_no_byte(store, tmp_path):
    build(store, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    build(store, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_two_machines_and_versions(store, tmp_path):
    arrays = {"scores": np.linspace(0, 1, 30), "units": np.empty(0, np.int64)}
    put(store, arrays, algorithm="far", provenance={"processor": "B", "torch": "2.8.0"})
    build(store, tmp_path / "out")
    manifest = read_manifest(tmp_path / "out" / "manifest.json")
    assert [machine["cells"] for machine in manifest.machines] == [12, 1]
    assert manifest.packages["torch"] == ("2.8.0", "2.9.0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is torn"),
        ("[]", "its content: input should be an object"),
        ('{"schema_version": 2}', "update metabench"),
        ('{"schema_version": 1}', "field required"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, text, said):
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(MetabenchError, match=said):
        read_manifest(path)


def test_what_is_invisible_in_a_name_is_seen(store, tmp_path):
    put(store, algorithm="b", plugin="\u202eevil")
    build(store, tmp_path / "out")
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert text.isascii()
    assert "\u202eevil" in json.loads(text)["plugins"]
