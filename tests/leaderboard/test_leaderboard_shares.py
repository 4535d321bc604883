"""Tables put together from kept shares are those of the records, whatever happened in between."""

import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from record_cases import classified, make_store, put, reseal

from metabench.cli import main
from metabench.leaderboard import shares
from metabench.leaderboard.audits import Audit, Finding, read_audits, write_audit
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish
from metabench.leaderboard.shares import Shares
from metabench.leaderboard.verify import verify
from metabench.runs.store import Store, read_record


@pytest.fixture
def store(tmp_path, rng):
    return make_store(tmp_path / "results", rng, seeds=(0, 1))


@pytest.fixture
def reads(monkeypatch):
    """Records that were read, in one process; files are old enough at once."""
    found = []
    read = Store.read
    monkeypatch.setattr(
        Store, "read", lambda self, path, *a: found.append(path) or read(self, path, *a)
    )
    monkeypatch.setattr(shares, "TICK_SECONDS", -10.0)
    return found


def files(out):
    """Every file but for the time of the build."""
    found = {path.name: path.read_text("utf-8") for path in out.iterdir()}
    lines = found["manifest.json"].splitlines()
    return found | {"manifest.json": [line for line in lines if '"built"' not in line]}


def built(store, out, **options):
    opened = Store(store, only_read=True)
    publish(Shares(opened, read_audits(store)[0], **options).prepare(), out)
    return files(out), opened.quarantined


def expected(store, out):
    """From the records, without any share."""
    publish(prepare(Store(store, only_read=True).scan_scored(), read_audits(store)[0]), out)
    return files(out)


def test_shares_give_what_the_records_give(store, tmp_path, reads):
    wanted = expected(store, tmp_path / "direct")
    for turn in range(3):
        reads.clear()
        assert built(store, tmp_path / "out")[0] == wanted
        assert len(reads) == (13 if turn == 0 else 0)


def test_only_the_source_of_a_new_cell_is_read(store, tmp_path, rng, reads):
    built(store, tmp_path / "out")
    reads.clear()
    put(store, classified(rng, 0.9), domain="nlp", source="intents", algorithm="new")
    found, _ = built(store, tmp_path / "out")
    assert {path.parent.parent.name for path in reads} == {"intents"}
    assert found == expected(store, tmp_path / "direct")


def change_in_place(path):
    """Other content of the same length, with the old time of change put back."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_changed_record_shows_even_if_its_times_do_not(store, tmp_path, reads, suffix):
    built(store, tmp_path / "out")
    path = next((store / "records" / "glyphs").rglob(f"maml*{suffix}"))
    change_in_place(path)
    for _ in range(2):
        found, damaged = built(store, tmp_path / "out")
        assert len(damaged) == 1
        assert path.stem in damaged[0]
        assert found == expected(store, tmp_path / "direct")


def test_a_removed_or_forged_record_shows(store, tmp_path, reads):
    built(store, tmp_path / "out")
    path = next((store / "records" / "glyphs").rglob("maml*.json"))
    reseal(path, lambda values: values["cost"].update(parameters=7))
    found, _ = built(store, tmp_path / "out")
    assert ",7," in found["vision.csv"]
    path.unlink()
    assert built(store, tmp_path / "out")[0] == expected(store, tmp_path / "direct")


def test_a_share_that_was_changed_is_not_believed(store, tmp_path, reads):
    wanted, _ = built(store, tmp_path / "out")
    for path in (store / "cache" / "tables").iterdir():
        content = bytearray(path.read_bytes())
        content[-len(content) // 3] ^= 1
        path.write_bytes(content)
    reads.clear()
    assert built(store, tmp_path / "out")[0] == wanted
    assert len(reads) == 13
    for path in (store / "cache" / "tables").iterdir():
        path.write_bytes(b"")
    assert built(store, tmp_path / "out")[0] == wanted


def test_a_share_of_another_store_or_of_other_code_is_not_used(
    store, tmp_path, rng, reads, monkeypatch
):
    built(store, tmp_path / "out")
    other = make_store(tmp_path / "other", rng, seeds=(0, 1))
    shutil.copytree(store / "cache", other / "cache")
    reads.clear()
    assert built(other, tmp_path / "out")[0] == expected(other, tmp_path / "direct")
    assert len(reads) >= 13
    reads.clear()
    monkeypatch.setattr(shares, "_code", lambda: "later")
    built(store, tmp_path / "out")
    assert len(reads) == 13


def test_what_was_written_only_now_is_read_again(store, tmp_path, reads, monkeypatch):
    monkeypatch.setattr(shares, "TICK_SECONDS", 3600.0)
    for _ in range(2):
        reads.clear()
        built(store, tmp_path / "out")
        assert len(reads) == 13
    assert not (store / "cache").exists()


def test_a_record_in_a_strange_place_is_read_all_the_same(store, tmp_path, reads):
    wanted, _ = built(store, tmp_path / "out")
    (store / "records" / "glyphs").rename(store / "records" / "elsewhere")
    assert built(store, tmp_path / "out")[0] == wanted
    for path in (store / "records" / "intents").rglob("*.*"):
        path.rename(store / "records" / path.name)
    assert built(store, tmp_path / "out")[0] == wanted


def test_a_store_that_cannot_be_written_to(store, tmp_path, reads):
    (store / "cache").write_text("no folder")
    assert built(store, tmp_path / "out")[0] == expected(store, tmp_path / "direct")


def test_an_audit_marks_rows_that_were_kept(store, tmp_path, reads):
    built(store, tmp_path / "out")
    record = read_record(next((store / "records" / "glyphs").rglob("maml*.json")))
    leak = Finding(check="query-independence", outcome="violated", detail="differs")
    write_audit(
        store,
        Audit(
            algorithm=record.key_parts["algorithm"], source="glyphs", source_digest="d" * 64,
            task_kind="classification", encoder="conv4", protocol="quick-5w1s",
            protocol_digest=record.cell.protocol_digest, seed=0, plugin="p", plugin_version="1",
            findings=(leak,),
        ),
    )  # fmt: skip
    for _ in range(2):
        found, _ = built(store, tmp_path / "out")
        assert "audit: query-independence violated" in found["vision.csv"]
        assert found == expected(store, tmp_path / "direct")


def test_a_learner_that_is_missing_later_changes_everybody(store, tmp_path, rng, reads):
    """Who is ranked hangs on all sources: parts of other sources are made anew."""
    put(store, classified(rng, 0.8), algorithm="extra")
    put(store, classified(rng, 0.8), algorithm="extra", seed=1)
    built(store, tmp_path / "out")
    for seed in (0, 1):
        place = {"domain": "nlp", "source": "intents", "seed": seed}
        put(store, classified(rng, 0.8), algorithm="extra", **place)
    assert built(store, tmp_path / "out")[0] == expected(store, tmp_path / "direct")


def test_several_processes_read_as_one_does(store, tmp_path, reads, monkeypatch):
    wanted, _ = built(store, tmp_path / "out", jobs=1)
    shutil.rmtree(store / "cache")
    monkeypatch.setattr(shares, "MANY", 1)
    reads.clear()
    assert built(store, tmp_path / "out", jobs=2)[0] == wanted
    assert reads == []  # in this process


def test_an_empty_store(tmp_path):
    (tmp_path / "records").mkdir()
    found, damaged = built(tmp_path, tmp_path / "out")
    assert damaged == []
    assert found["overall.csv"].count("\n") == 1


def test_undefined_scores_and_failures_survive(tmp_path, rng, reads):
    for algorithm, level in (("a", 0.4), ("b", 0.6)):
        arrays = classified(rng, level)
        arrays["scores"][:2] = np.nan
        put(tmp_path / "s", arrays, algorithm=algorithm)
    put(tmp_path / "s", algorithm="broken", status="timeout")
    for _ in range(2):
        found, _ = built(tmp_path / "s", tmp_path / "out")
        assert found == expected(tmp_path / "s", tmp_path / "direct")


def test_the_command_writes_tables_and_the_site(store, tmp_path):
    out = tmp_path / "out"
    typed = ["leaderboard", "build", "--store", str(store), "--out", str(out)]
    first = CliRunner().invoke(main, [*typed, "--no-site"])
    assert first.exit_code == 0, first.output
    assert "no site; to make one: metabench leaderboard site" in first.output
    assert not (out / "site").exists()
    second = CliRunner().invoke(main, typed)
    assert second.exit_code == 0, second.output
    assert (out / "site" / "index.html").is_file()
    assert [c.outcome for c in verify(out, store)].count("fail") == 0


def test_a_damaged_record_is_named_once_and_with_its_path(store, tmp_path):
    path = next((store / "records" / "glyphs").rglob("maml*.json"))
    path.write_text(path.read_text("utf-8")[:100], "utf-8")
    typed = ["leaderboard", "build", "--store", str(store), "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(main, typed).output
    assert said.count(f"{path.relative_to(store).as_posix()} is torn") == 1
