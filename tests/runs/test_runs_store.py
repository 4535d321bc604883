"""The store: what is written is whole, and what is read is what was written."""

import errno
import hashlib
import io
import json
import os
import pickle
import time
import zipfile

import numpy as np
import pytest

from metabench.errors import MetabenchError
from metabench.runs.migrate import MIGRATIONS
from metabench.runs.record import SCHEMA_VERSION, Cell, Failure, Record, digest_of
from metabench.runs.store import Store

CELL = Cell(
    domain="toy", source="blobs", task_kind="classification", encoder="plain:a/b",
    encoder_policy="frozen", algorithm="protonet", protocol="quick-5w1s", protocol_digest="d" * 64,
    way="5", shot="1", metric="accuracy", chance=0.2, best=1.0, seed=0, inductive=True,
    plugin="metabench-algorithms", plugin_version="0.1.0",
)  # fmt: skip
ARRAYS = {"scores": np.linspace(0, 1, 7), "units": np.empty(0, np.int64)}


def record(status="ok", **fields):
    parts = fields.pop("key_parts", {"seed": 0, "protocol": "d" * 64})
    cell = CELL.model_copy(update=fields.pop("cell", {}))
    failure = None if status == "ok" else Failure(reason="it broke")
    return Record(
        key=digest_of(parts), key_parts=parts, cell=cell, status=status, failure=failure, **fields
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def kept(store):
    return store.put(record(mean=0.5, episodes=7), ARRAYS)


def path_of(store, kept):
    return store.path(kept.cell, kept.key)


def lost(store, kept, said):
    """The record is not read, is reported and lies in quarantine."""
    assert store.get(kept.cell, kept.key) is None
    assert len(store.quarantined) == 1
    assert said in store.quarantined[0]
    assert path_of(store, kept).name in store.quarantined[0]
    assert not path_of(store, kept).exists()
    assert not path_of(store, kept).with_suffix(".npz").exists()
    assert list((store.root / "quarantine").iterdir())
    return True


def test_what_is_put_is_got(store, kept):
    assert store.get(kept.cell, kept.key) == kept
    assert list(store.scan()) == [kept]
    np.testing.assert_array_equal(store.scored(kept).scores, ARRAYS["scores"])
    assert store.scored(kept).units is None
    assert store.quarantined == []
    assert path_of(store, kept).read_text().endswith("}\n")
    assert {p.suffix for p in path_of(store, kept).parent.iterdir()} == {".json", ".npz"}


def test_the_files_are_the_same_bytes_each_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        path = path_of(store, store.put(record(mean=0.5), ARRAYS))
        contents.append((path.read_bytes(), path.with_suffix(".npz").read_bytes()))
    assert contents[0] == contents[1]


def test_each_byte_of_a_record_counts(store, kept):
    path = path_of(store, kept)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        found = Store(store.root, only_read=True).get(kept.cell, kept.key)
        assert found is None or found == kept, content[position : position + 10]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "[]",
        lambda _: "null",
        lambda _: "{}",
        lambda text: text.replace('"mean": 0.5', '"mean": NaN'),
        lambda _: "[" * 100_000,
        lambda text: text.replace('"schema_version": 2,', ""),
    ],
    ids=["half", "empty", "list", "null", "object", "nan", "deep", "unversioned"],
)
def test_a_torn_record_is_quarantined(store, kept, spoil):
    path = path_of(store, kept)
    path.write_text(spoil(path.read_text()))
    assert lost(store, kept, "")


def test_bytes_that_are_no_text_are_quarantined(store, kept):
    path_of(store, kept).write_bytes(b"\xff\xff")
    assert lost(store, kept, "cannot be read")


def test_a_better_score_is_seen_through(store, kept):
    path = path_of(store, kept)
    path.write_text(path.read_text().replace('"mean": 0.5', '"mean": 0.9'))
    assert lost(store, kept, "changed after it was written")


def test_a_newer_layout_is_not_guessed_at(store, kept):
    path = path_of(store, kept)
    values = json.loads(path.read_text()) | {"schema_version": 3, "new": True}
    path.write_text(json.dumps(values))
    said = "has schema version 3, and this metabench reads version 2: update metabench"
    assert lost(store, kept, said)


def as_version_1(kept):
    """The text of a record as the first layout had it: without further metrics."""
    body = {k: v for k, v in kept.body().items() if k != "other_metrics"} | {"schema_version": 1}
    return json.dumps(body | {"checksum": digest_of(body)}, indent=1)


def test_an_older_layout_is_read_and_its_file_stays(store, kept):
    path = path_of(store, kept)
    path.write_text(as_version_1(kept))
    before = path.read_bytes()
    assert list(store.scan()) == [kept]
    assert store.get(kept.cell, kept.key) == kept
    np.testing.assert_array_equal(store.scored(kept).scores, ARRAYS["scores"])
    assert path.read_bytes() == before
    assert store.quarantined == []


def test_an_older_layout_that_was_changed_is_not_believed(store, kept):
    path = path_of(store, kept)
    path.write_text(as_version_1(kept).replace('"mean": 0.5', '"mean": 0.9'))
    assert lost(store, kept, "changed after it was written")


def test_every_older_layout_can_be_read():
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))


def test_a_flipped_byte_in_the_scores(store, kept):
    path = path_of(store, kept).with_suffix(".npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert lost(store, kept, "damaged scores")


def test_missing_scores(store, kept):
    path_of(store, kept).with_suffix(".npz").unlink()
    assert lost(store, kept, "lacks its scores")


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def npz(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def saved(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npz(scores=saved(np.array([Bomb()], dtype=object), allow_pickle=True), units=saved([1])),
        npz(scores=pickle.dumps(Bomb()), units=saved([1])),
        npz(scores=saved([0.5])),
        npz(scores=saved([[0.5]]), units=saved([1])),
        b"no archive",
    ],
    ids=["object array", "pickle", "no units", "two axes", "no zip"],
)
def test_scores_that_match_their_digest_are_checked_all_the_same(store, kept, content):
    """A checksum is no secret: whoever changes the one file can change the other."""
    forged = kept.model_copy(update={"scores_sha256": hashlib.sha256(content).hexdigest()}).sealed()
    path = path_of(store, kept)
    path.write_text(json.dumps({**forged.body(), "checksum": forged.checksum}))
    path.with_suffix(".npz").write_bytes(content)
    assert lost(store, kept, "scores")


def test_a_record_under_another_name_is_not_read(store, kept):
    path = path_of(store, kept)
    other = path.with_name(path.name.replace("seed0", "seed1"))
    path.rename(other)
    path.with_suffix(".npz").rename(other.with_suffix(".npz"))
    assert list(store.scan()) == []
    assert "another cell's name" in store.quarantined[0]


def test_quarantine_keeps_every_victim(store):
    for _ in range(3):
        kept = store.put(record(mean=0.5), ARRAYS)
        path_of(store, kept).write_text("torn")
        assert store.get(kept.cell, kept.key) is None
    assert len(list((store.root / "quarantine").iterdir())) == 6


def test_a_reader_moves_nothing(store, kept):
    path_of(store, kept).write_text("torn")
    reader = Store(store.root, only_read=True)
    assert reader.get(kept.cell, kept.key) is None
    assert "left where it is" in reader.quarantined[0]
    assert path_of(store, kept).read_text() == "torn"
    assert not (store.root / "quarantine").exists()


def test_a_quarantine_that_cannot_be_made_is_said(store, kept):
    path_of(store, kept).write_text("torn")
    (store.root / "quarantine").write_text("a file")
    assert store.get(kept.cell, kept.key) is None
    assert "cannot be moved" in store.quarantined[0]


def test_scores_are_never_replaced_by_a_failure(store, kept):
    assert store.put(record("killed")) == kept
    assert store.get(kept.cell, kept.key) == kept


def test_a_failure_is_replaced_by_scores(store):
    store.put(record("failed"))
    kept = store.put(record(mean=0.5), ARRAYS)
    assert list(store.scan()) == [kept]


def test_a_record_serves_under_any_name_of_the_same_protocol(store, kept):
    renamed = kept.cell.model_copy(update={"protocol": "mine-5w1s"})
    found = store.get(renamed, kept.key)
    assert found is not None
    assert found.cell == renamed
    np.testing.assert_array_equal(store.scored(found).scores, ARRAYS["scores"])
    assert store.get(renamed, "0" * 64) is None


def test_scores_that_vanish_after_reading_are_an_error_of_one_line(store, kept):
    path_of(store, kept).with_suffix(".npz").unlink()
    with pytest.raises(MetabenchError, match="run the same command again"):
        store.scored(kept)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_leaves_nothing_half_written(store, monkeypatch, call, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        MetabenchError, match=r"^cannot write .*disk is full|^cannot write .*read-only"
    ):
        store.put(record(mean=0.5), ARRAYS)
    monkeypatch.undo()
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
    assert list(store.scan()) == []


def test_old_leftovers_are_swept_and_young_ones_are_not(store, kept):
    folder = path_of(store, kept).parent
    old, young = folder / ".a.json.x", folder / ".b.json.y"
    for path in (old, young):
        path.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    store.sweep()
    assert not old.exists()
    assert young.exists()
    assert store.get(kept.cell, kept.key) == kept
