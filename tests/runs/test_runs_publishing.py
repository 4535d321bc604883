"""Publishing as a user does it, on a small real run: build, verify, submit, merge, diff, push."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from run_cases import Shell

from metabench.cli.leaderboard import leaderboard
from metabench.errors import UsageError
from metabench.leaderboard.folder import Found, read_folder
from metabench.runs.record import Record
from metabench.runs.rerun import compare, sample

pytestmark = pytest.mark.slow  # cells are carried out


def board(shell, *arguments, code=0):
    return shell("leaderboard", *arguments, code=code)


def here(*arguments):
    """Run a command that needs no plugin in this process: exit code and output."""
    result = CliRunner().invoke(leaderboard, [str(a) for a in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value or 0, result.output


@pytest.fixture(scope="module")
def published(tmp_path_factory, toy_site):
    """A small run with its tables; tests copy what they change."""
    shell = Shell(tmp_path_factory.mktemp("published"), toy_site)
    small = ("--domains", "toy", "--shots", "1", "--episodes", "40", "--budget", "400")
    shell("run", *small, "--algorithms", "nearest-mean,protonet", "--jobs", "1")
    here("build", "--store", shell.folder / "results", "--out", shell.folder / "leaderboards")
    return shell


def forge(path, shift):
    """Raise every score of a record, as someone would who knows how checksums are made."""
    import hashlib

    scores_path = path.with_suffix(".npz")
    with np.load(scores_path) as file:
        arrays = {name: file[name] for name in file.files if name in {"scores", "units"}}
    arrays["scores"] = np.minimum(arrays["scores"] + shift, 1.0)
    np.savez_compressed(scores_path, **arrays)
    values = json.loads(path.read_text()) | {
        "mean": float(np.nanmean(arrays["scores"])),
        "scores_sha256": hashlib.sha256(scores_path.read_bytes()).hexdigest(),
    }
    values.pop("checksum")
    forged = Record.model_validate(values).sealed()
    path.write_text(json.dumps({**forged.body(), "checksum": forged.checksum}))


def test_every_row_passes_and_cells_run_again_give_the_same(published):
    out, err = board(published, "verify", "--rerun", "2", "--jobs", "1")
    lines = out.splitlines()
    assert lines[-1].endswith(" pass, 0 fail")
    rows = [line for line in lines if line.startswith("pass toy.csv row ")]
    table = (published.folder / "leaderboards" / "toy.csv").read_text().splitlines()
    assert len(rows) == len(table) - 1
    again = [line for line in lines if line.startswith("pass rerun: ")]
    assert len(again) == 2
    assert all("every episode the same" in line for line in again)
    assert "2 to run" in err
    assert not list(published.folder.glob("metabench-rerun-*"))


def test_an_edited_table_is_named_with_its_row_and_the_exit_code_says_so(published, tmp_path):
    shutil.copytree(published.folder / "leaderboards", tmp_path / "edited")
    path = tmp_path / "edited" / "toy.csv"
    lines = path.read_text().splitlines(keepends=True)
    column = lines[0].split(",").index("mean")
    cells = lines[3].split(",")
    assert cells[column]
    cells[column] = "0.999999"
    path.write_text("".join([*lines[:3], ",".join(cells), *lines[4:]]))
    asked = ("verify", tmp_path / "edited", "--store", published.folder / "results")
    code, out = here(*asked, "-q")
    assert code == 1
    assert "fail toy.csv row 4: " in out
    assert "mean is 0.999999" in out
    code, out = here(*asked, "--json")
    assert json.loads(out)["counts"]["fail"] == 2
    _, err = board(published, "verify", tmp_path / "nowhere", code=2)
    assert "is no folder" in err
    assert "Traceback" not in err


def test_a_forged_record_is_found_by_running_it_again(published, tmp_path):
    results = published.folder / "results"
    shutil.copytree(results / "records", tmp_path / "forged" / "records")
    wanted = next((tmp_path / "forged").rglob("nearest-mean--*.json"))
    for path in (tmp_path / "forged").rglob("*.*"):
        if path.stem != wanted.stem:
            path.unlink()
    forge(wanted, 0.1)
    asked = ("submit-check", tmp_path / "forged", "--published", results, "--rerun", "1")
    out, _ = board(published, *asked, code=1)
    one, again, _ = out.splitlines()
    assert "is of the same cell, with mean" in one
    assert again.startswith("fail rerun: ")
    assert "with the same code, versions and machine" in again
    # In the store that it was made from, it is a conflict, and neither is lost.
    shutil.copytree(results / "records", tmp_path / "mine" / "records")
    code, out = here("merge", tmp_path / "forged", "--store", tmp_path / "mine")
    assert code == 1
    assert out.startswith("conflict  ")
    assert "0 added" in out
    _, out = here("diff", results, tmp_path / "forged")
    assert "more than chance" in out
    assert "nearest-mean" in out


def test_a_submission_of_a_plugin_that_is_not_here(published, tmp_path):
    shutil.copytree(published.folder / "results" / "records", tmp_path / "strange" / "records")
    path = next((tmp_path / "strange").rglob("protonet--*.json"))
    values = json.loads(path.read_text())
    values["key_parts"]["algorithm"]["code"] = "0" * 64
    values["cell"]["plugin_version"] = "9.9"
    values.pop("checksum")
    from metabench.runs.record import digest_of
    from metabench.runs.store import record_name

    values["key"] = digest_of(values["key_parts"])
    strange = Record.model_validate(values).sealed()
    place = path.with_name(record_name(strange.cell, strange.key))
    place.write_text(json.dumps({**strange.body(), "checksum": strange.checksum}))
    path.with_suffix(".npz").rename(place.with_suffix(".npz"))
    path.unlink()
    out, _ = board(published, "submit-check", tmp_path / "strange", "-q", code=1)
    assert f"{place.name}: " in out
    assert "algorithm.code is 000000000000, and what is installed here is" in out
    assert "it says plugin_version '9.9'" in out
    assert out.splitlines()[-1].endswith("2 fail")


def test_without_the_plugin_nothing_is_known(published):
    out, _ = board(published, "submit-check", "results", "-q", "-p", "no:toy", code=1)
    assert "unknown source 'blobs'" in out


def test_a_dataset_folder_and_a_branch(published, tmp_path):
    tables = published.folder / "leaderboards"
    asked = ("--folder", tables, "--out", tmp_path / "hf", "--repo", "lab/boards")
    _, out = here("push", "hf", *asked)
    assert "nothing was uploaded; to do so: hf upload lab/boards" in out
    assert (tmp_path / "hf" / "data" / "toy.csv").exists()
    repo = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", repo], check=True)
    for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
        subprocess.run(["git", "-C", repo, "config", name, value], check=True)
    _, out = here("push", "git", repo, "--folder", tables, "--branch", "boards")
    assert "nothing was pushed; to do so: git -C" in out
    with pytest.raises(UsageError, match="is no git repository"):
        raise CliRunner().invoke(
            leaderboard, ["push", "git", str(tmp_path / "hf"), "--folder", str(tables)],
            standalone_mode=False,
        ).exception  # fmt: skip


def test_the_sample_is_the_same_for_the_same_seed(published):
    found = read_folder(published.folder / "results").found
    assert len(sample(found, 2, 0)) == 2
    assert sample(found, 2, 0) == sample(found[::-1], 2, 0)
    assert len({sample(found, 1, seed)[0].path for seed in range(20)}) > 1
    assert len(sample(found, 1000, 0)) == sum(f.record.status == "ok" for f in found)


@pytest.mark.parametrize(
    ("shift", "changed", "outcome"),
    [
        (0.0, {}, "pass"),
        (0.0, {"torch": "0"}, "pass"),
        (0.01, {}, "fail"),
        (0.01, {"torch": "0"}, "unchecked"),
        (0.4, {"torch": "0"}, "fail"),
    ],
)
def test_what_a_difference_means(published, shift, changed, outcome):
    found = next(f for f in read_folder(published.folder / "results").found
                 if f.record.cell.algorithm == "protonet" and f.record.status == "ok")  # fmt: skip
    again = found.record.model_copy(
        update={
            "provenance": {**found.record.provenance, **changed},
            "mean": found.record.mean - shift,
        }
    )
    noise = np.random.default_rng(0).normal(0, 1e-9, 40)
    scores = found.scored().scores - shift + noise
    check = compare(Found(found.path, found.record), again, scores, tests=1)
    assert check.outcome == outcome, check
    moved = again.model_copy(update={"episodes_digest": "f" * 64})
    assert compare(found, moved, scores, tests=1).outcome == "fail"
