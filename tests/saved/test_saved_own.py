"""A user's own table: the answer at the end of the run, and its learner in another process."""

import csv
import json

import numpy as np
import pytest

RUN = (
    "run", "--data-table", "wishes.csv", "--text", "wish", "--label", "intent", "--shots", "1,3",
    "--queries", "5", "--episodes", "20", "--encoders", "hashed-ngrams", "--jobs", "1",
    "--algorithms", "chance,simpleshot,nearest-neighbour,bd-cspn",
)  # fmt: skip
USE = """
import json, metabench
learner = metabench.load("mine")
support, labels, asked = json.load(open("new.json"))
print(json.dumps(learner.adapt(support, labels).predict(asked).tolist()))
"""


def wishes(names, each, seed):
    """Texts that share two words with others of their class."""
    rng = np.random.default_rng(seed)
    filler = [f"word{n}" for n in range(30)]
    for name in names:
        for _ in range(each):
            words = [f"{name}a", f"{name}b", *rng.choice(filler, 3)]
            yield " ".join(rng.permutation(words).tolist()), name


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("wish", "intent"), *rows])


@pytest.fixture(scope="module")
def own(tmp_path_factory, toy_site):
    from saved_cases import Process

    shell = Process(tmp_path_factory.mktemp("own"), toy_site)
    write(shell.folder / "wishes.csv", wishes([f"class{n}" for n in range(30)], 14, 0))
    shell.out, shell.err = shell(*RUN)
    return shell


def test_a_run_on_own_data_ends_with_the_recommendation(own):
    *_, use, expect, ties, examples, surer, save = own.out.strip().splitlines()
    assert use.startswith("Use      ")
    assert "on wishes, with 3 labelled examples per class" in use
    assert "over 20 test episodes of 5 classes" in expect
    assert ties.startswith("Ties ")
    assert "with 1: " in examples
    assert surer.startswith("Surer ")
    assert save == "Save it  metabench export OUT --store results --source wishes --shots 3"
    told, _ = own("recommend")
    assert told.splitlines()[0] == use


def test_its_json_holds_the_recommendation(own):
    out, _ = own(*RUN, "--json")
    assert json.loads(out)["recommendation"]["pick"]["encoder"] == "hashed-ngrams"


@pytest.mark.slow
def test_strings_of_new_classes_are_predicted_in_another_process(own):
    _, err = own("export", "mine")
    assert err == ""
    note = (own.folder / "mine" / "README.md").read_text("utf-8")
    assert "all from the same test classes of `wishes`" in note
    support = list(wishes(["new1", "new2", "new3"], 3, 1))
    asked = list(wishes(["new1", "new2", "new3"], 5, 2))
    content = [[t for t, _ in support], [c for _, c in support], [t for t, _ in asked]]
    (own.folder / "new.json").write_text(json.dumps(content))
    found = json.loads(own.python(USE))
    assert np.mean([one == two for one, (_, two) in zip(found, asked, strict=True)]) > 0.8


@pytest.mark.slow
def test_data_of_an_earlier_run_are_found_or_asked_for(own):
    own("run", "--sources", "blobs", "--algorithms", "chance", "--episodes", "5", "--jobs", "1")
    own("export", "found", "--source", "wishes")
    kept = own.folder / "results" / "own" / "wishes.json"
    content = kept.read_text("utf-8")
    kept.unlink()
    try:
        _, err = own("export", "lost", "--source", "wishes", code=2)
        assert "run with these data again" in err
        assert "metabench run --data-table wishes.csv --text wish --label intent" in err
    finally:
        kept.write_text(content, "utf-8")


@pytest.mark.slow
def test_after_an_edit_only_what_ran_on_the_data_as_they_are_counts(own):
    path, place = own.folder / "wishes.csv", ("--store", "edited")
    before = path.read_bytes()
    own(*RUN, *place)
    try:
        write(path, wishes([f"class{n}" for n in range(30)], 12, 5))
        _, err = own("export", "stale", *place, code=1)
        (line,) = err.splitlines()
        assert "the data of wishes have changed since the record was made" in line
        assert "metabench run --data-table wishes.csv" in line
        assert not (own.folder / "stale").exists()
        few = (*RUN[:-1], "chance,simpleshot,nearest-neighbour", "--shots", "1", *place)
        out, _ = own(*few)
        use = next(line for line in out.splitlines() if line.startswith("Use "))
        assert "with 1 labelled example per class" in use
        told, err = own("recommend", *place)
        assert told.splitlines()[0] == use
        assert "wishes: 8 records of earlier data left out" in err
        _, err = own("export", "fresh", *place)
        assert "wishes: 8 records of earlier data left out" in err
        path.write_bytes(before)
        own(*RUN, *place)  # all is found, and the data are the earlier ones again
        _, err = own("recommend", *place)
        assert "wishes: 3 records of earlier data left out" in err
    finally:
        path.write_bytes(before)
