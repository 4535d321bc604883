"""Weights & Biases for real, offline: what it wrote is read back."""

import json
import struct
import time

import pytest
from trk_cases import record

pytest.importorskip("wandb", reason="`pip install 'metabench-trackers[wandb]'`")

from wandb.proto import wandb_internal_pb2

from metabench_trackers import wandb_observer as observer


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("METABENCH_WANDB", "someone/few-shots")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_API_KEY", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


BLOCK, HEAD = 32_768, 7


def written(folder):
    """The entries of the run in a folder: LevelDB's log format after a head of wandb's own."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    end = time.monotonic() + 60
    while True:  # the process that writes may be behind
        found = list(entries(path.read_bytes()))
        if any(items(found, "exit")) or time.monotonic() > end:
            return found
        time.sleep(0.1)


def entries(data):
    position, parts = HEAD, b""
    while position + HEAD <= len(data):
        rest = BLOCK - position % BLOCK
        if rest < HEAD:
            position += rest
            continue
        _, size, kind = struct.unpack_from("<IHB", data, position)
        parts += data[position + HEAD : position + HEAD + size]
        position += HEAD + size
        if kind in {1, 4}:  # whole, or the last part
            entry = wandb_internal_pb2.Record()
            entry.ParseFromString(parts)
            yield entry
            parts = b""


def items(found, kind):
    for entry in found:
        if entry.WhichOneof("record_type") == kind:
            yield getattr(entry, kind)


def values(changes):
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for change in changes
        for item in change
    }


@pytest.mark.parametrize(("status", "code"), [("inapplicable", 0), ("failed", 1)])
def test_a_run_is_written_with_its_cells_and_tables(tmp_path, status, code):
    table = tmp_path / "vision.csv"
    table.write_text("source,mean\ndigits,0.5\n")
    observer.metabench_run_started(2, str(tmp_path))
    observer.metabench_cell_finished(record("a", mean=0.25))
    observer.metabench_cell_finished(record("b", status=status, reason="why"))
    observer.metabench_run_finished((str(table),))
    found = written(tmp_path)
    (run,) = items(found, "run")
    assert (run.entity, run.project) == ("someone", "few-shots")
    history = values(change.item for change in items(found, "history"))
    assert history["digits/pixels/a/quick-5w1s/seed0/accuracy"] == 0.25
    assert history["cells/finished"] == 2
    summary = values(change.update for change in items(found, "summary"))
    assert summary["digits/pixels/b/quick-5w1s/seed0/accuracy"] == f"{status}: why"
    (artifact,) = items(found, "artifact")
    assert [file.path for file in artifact.manifest.contents] == ["vision.csv"]
    (ended,) = items(found, "exit")
    assert ended.exit_code == code


def test_without_a_login_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    observer.metabench_run_started(1, str(tmp_path))
    with pytest.raises(RuntimeError, match="wandb at METABENCH_WANDB failed"):
        observer.metabench_run_finished(())
