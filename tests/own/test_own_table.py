"""Tables: columns, labels, targets, splits and encodings, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from own_cases import CITIES, described, lines, load, look, picture, sentences, table

from metabench.errors import UsageError
from metabench.tasks.data import TaskPool
from metabench.tasks.sampler import EpisodeSampler
from metabench.tasks.sampling import Sampling


def refused(match, **fields):
    with pytest.raises(UsageError, match=match) as error:
        look(**fields)
    assert "\n" not in str(error.value)


def intents(path, classes=3, each=4, **fields):
    return {"data_table": table(path, sentences(classes, each)), "text": "text", "label": "label",
            **fields}  # fmt: skip


def test_a_table_of_texts(tmp_path):
    fields = intents(tmp_path / "Intents.v2.csv", 16, 6)
    session = look(**fields)
    info = session.catalogue.source("intents.v2").info
    assert (info.domain, info.modality) == ("nlp", "text")
    assert session.said[0] == "own data Intents.v2.csv: 96 texts of 16 classes"
    data = load(**fields)
    assert data.inputs["bytes"].dtype == torch.uint8
    assert len(data) == 96


def test_the_same_table_in_every_format(tmp_path):
    rows = sentences()
    digests = {load(**intents(tmp_path / "a.csv", 2)).digest}
    for path in (
        table(tmp_path / "b.tsv", rows, separator="\t"),
        table(tmp_path / "c.csv", rows, separator=";"),
        lines(tmp_path / "d.jsonl", [{"label": b, "text": a, "x": 1} for a, b in rows]),
    ):
        digests.add(load(data_table=path, text="text", label="label").digest)
    pd.DataFrame(rows, columns=["text", "label"]).to_parquet(tmp_path / "e.parquet")
    digests.add(load(data_table=tmp_path / "e.parquet", text="text", label="label").digest)
    bom = tmp_path / "f.csv"
    bom.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.csv").read_bytes())
    digests.add(load(data_table=bom, text="text", label="label").digest)
    assert len(digests) == 1


def test_numbers_are_labels_too(tmp_path):
    rows = [(text, CITIES.index(label)) for text, label in sentences()]
    for path in (table(tmp_path / "a.csv", rows), tmp_path / "b.parquet"):
        if path.suffix == ".parquet":
            pd.DataFrame(rows, columns=["text", "label"]).to_parquet(path)
        data = load(data_table=path, text="text", label="label")
        assert data.splits["test"].names == ("0", "1")


def test_a_missing_column_names_the_nearest(tmp_path):
    fields = intents(tmp_path / "a.csv")
    refused("unknown column 'txt'; did you mean text", **{**fields, "text": "txt"})
    refused("unknown column 'lable'; did you mean label", **{**fields, "label": "lable"})
    refused("say which column holds the items.*its columns are text, label",
            data_table=fields["data_table"], label="label")  # fmt: skip
    refused("say --label COLUMN .* or --targets", data_table=fields["data_table"], text="text")
    refused("either --label or --targets", **fields, targets=("x",))
    refused("--text text and --smiles text: a run reads one column", **fields, smiles="text")
    refused("unknown role of a column 'txet'; did you mean text",
            data_table=fields["data_table"], column="txet=text", label="label")  # fmt: skip
    assert len(load(data_table=fields["data_table"], column="text=text", label="label")) == 12


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    rows = [*sentences(), ("lost", ""), ("lost too", "  ")]
    data = load(data_table=table(tmp_path / "a.csv", rows), text="text", label="label")
    assert len(data) == 8
    assert "2 rows without a label left out: row 10, row 11" in data.notes
    nothing = table(tmp_path / "b.csv", [("x", "")])
    refused("none of its 1 row has a label", data_table=nothing, text="text", label="label")


def test_blank_texts_are_left_out_and_counted(tmp_path):
    rows = [*sentences(), ("  ", CITIES[0])]
    data = load(data_table=table(tmp_path / "a.csv", rows), text="text", label="label")
    assert "1 item left out: row 10 is blank" in data.notes


def test_repeated_rows_are_kept_once_whatever_their_split(tmp_path):
    rows = sentences(12)
    fields = {"text": "text", "label": "label"}
    plain = load(data_table=table(tmp_path / "a.csv", rows), **fields)
    test, train = plain.splits["test"].names[0], plain.splits["train"].names[0]
    text = next(text for text, label in rows if label == test)
    more = [*rows, (text.upper() + "!", test), (text, train)]
    data = load(data_table=table(tmp_path / "b.csv", more), **fields)
    assert data.digest == plain.digest
    (note,) = [note for note in data.notes if "repeated" in note]
    assert note.startswith("2 repeated items left out, the first kept: row 50 (as row ")
    assert note.endswith("1 had another class, 1 were in another split")


def test_labels_that_differ_in_case_or_space(tmp_path):
    rows = [
        (text, f" {label}" if n % 4 == 0 else label) for n, (text, label) in enumerate(sentences())
    ]
    fields = {"data_table": table(tmp_path / "a.csv", rows), "text": "text", "label": "label"}
    refused("a.csv: labels that differ only in case or space: ' Amman' and 'Amman'", **fields)
    merged = load(**fields, similar_labels="merge")
    assert merged.splits["test"].names == ("Amman", "Bern")


def test_text_that_is_not_utf_8_is_placed_and_an_encoding_offered(tmp_path):
    path = tmp_path / "a.csv"
    rows = [*sentences(), ("Zürich", CITIES[0])]
    path.write_bytes(("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)).encode("latin-1"))
    fields = {"data_table": path, "text": "text", "label": "label"}
    refused(r"a\.csv: line 10, byte 2: not UTF-8; .* --encoding cp1252", **fields)
    data = load(**fields, encoding="latin-1")
    assert len(data) == 9
    refused("'latin-7777' is unknown", **fields, encoding="latin-7777")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"text,label\n", "none of its 0 rows has a label"),
        (b'text,label\n"open,x\n', "cannot be read: line 2: unexpected end of data"),
        (b"text,label\na,b\na,b,c,d\n", "line 3: 4 fields for 2 columns; .* in double quotes"),
        (b"text,label\na\n", "line 2: 1 fields for 2 columns"),
        (b"text,label,label\na,b,c\n", "the column 'label' comes twice"),
    ],
)
def test_broken_tables(tmp_path, content, match):
    (tmp_path / "a.csv").write_bytes(content)
    refused(match, data_table=tmp_path / "a.csv", text="text", label="label")


def test_other_files_are_no_tables(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"x")
    refused("tables are .csv, .tsv, .parquet, .jsonl, not .xlsx",
            data_table=tmp_path / "a.xlsx", text="a", label="b")  # fmt: skip
    refused("does not exist", data_table=tmp_path / "none.csv", text="a", label="b")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    refused("cannot be read", data_table=tmp_path / "a.parquet", text="a", label="b")
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \n')
    refused("line 2: not JSON", data_table=tmp_path / "a.jsonl", text="a", label="a")


def photo_table(folder, rows):
    for number in range(8):
        picture(folder / "files" / f"{number}.png", number)
    return table(folder / "a.csv", rows, ("photo", "kind"))


def test_a_column_of_paths_in_the_order_of_the_table(tmp_path):
    rows = [(f"files/{number}.png", CITIES[number % 2]) for number in reversed(range(8))]
    data = load(data_table=photo_table(tmp_path, rows), file="photo", label="kind")
    assert data.splits["test"].members[0].tolist() == [1, 3, 5, 7]
    assert len(data) == 8


def test_a_file_that_changes_is_noticed_though_the_table_does_not(tmp_path):
    rows = [(f"files/{number}.png", CITIES[number % 2]) for number in range(8)]
    fields = {"data_table": photo_table(tmp_path, rows), "file": "photo", "label": "kind"}
    before = described(**fields).options["state"]
    assert described(**fields).options["state"] == before
    picture(tmp_path / "files" / "3.png", 333, size=(13, 13))
    assert described(**fields).options["state"] != before


def test_paths_that_lead_out_or_nowhere(tmp_path):
    home = tmp_path / "home"
    rows = [(f"files/{number}.png", CITIES[number % 2]) for number in range(8)]
    picture(tmp_path / "out.png", 99)
    for path in ("../out.png", str(tmp_path / "out.png"), "files/link.png"):
        fields = {"data_table": photo_table(home, [*rows, (path, "x"), (path, "x")]),
                  "file": "photo", "label": "kind"}  # fmt: skip
        link = home / "files" / "link.png"
        if not link.is_symlink():
            link.symlink_to(tmp_path / "out.png")
        refused(r"a\.csv, row 10: .* leads out of ", **fields)
    rows.append(("files/none.png", CITIES[0]))
    data = load(data_table=photo_table(home, rows), file="photo", label="kind")
    assert (
        "1 item left out: files/none.png cannot be read (No such file or directory)" in data.notes
    )


def test_what_can_be_no_path_is_named(tmp_path):
    rows = [{"photo": name, "kind": "Bern"} for name in ("a.png", "b\0.png")]
    path = lines(tmp_path / "odd.jsonl", [*rows, {**rows[0], "kind": "Oslo"}] * 2)
    refused(
        r"odd.jsonl, row 2: 'b.*\.png' is no path \(", data_table=path, file="photo", label="kind"
    )


def test_rows_without_a_file_are_left_out(tmp_path):
    rows = [(f"files/{m}.png", CITIES[m % 2]) for m in range(8)]
    path = photo_table(tmp_path, [*rows, ("", CITIES[0]), (" ", CITIES[1])])
    session = look(data_table=path, file="photo", label="kind")
    assert session.said[0].endswith("8 image files (.png) of 2 classes")
    assert "2 rows without a file or without a label left out: row 10, row 11" in session.said


def test_numbers_in_json_lines_are_labels(tmp_path):
    labels = [1, 1.0, "1", 2, 2.5, 2.5, 2.0, None, float("nan")]
    path = lines(tmp_path / "a.jsonl", [{"x": f"no {n}", "y": y} for n, y in enumerate(labels)])
    fields = {"data_table": path, "text": "x", "label": "y"}
    assert load(**fields).splits["test"].names == ("1", "2", "2.5")
    assert "2 rows without a label left out: row 8, row 9" in look(**fields).said


def test_groups(tmp_path):
    rows = [(text, label, "AB "[n % 3]) for n, (text, label) in enumerate(sentences())]
    path = table(tmp_path / "a.csv", rows, ("text", "label", "speaker"))
    info = described(data_table=path, text="text", label="label", group="speaker")
    assert info.protocol == {"group_disjoint": True}
    data = load(data_table=path, text="text", label="label", group="speaker")
    assert data.groups.tolist() == [0, 1, -1, 0, 1, -1, 0, 1]


def spoken(path, classes, each, speaker):
    """A table of sentences and who said them."""
    rows = [
        (
            f"{text} by",
            label,
            speaker.format(
                kind=CITIES.index(label), half=n % 2, quarter=n % 4, tail=max(0, n % each - 8)
            ),
        )
        for n, (text, label) in enumerate(sentences(classes, each))
    ]
    return {"data_table": table(path, rows, ("text", "label", "speaker")), "text": "text",
            "label": "label", "group": "speaker"}  # fmt: skip


@pytest.mark.parametrize(
    ("each", "speaker"),
    [
        (32, "s{quarter}"),
        (20, "{kind}-{half}"),
        (12, "{kind}-{tail}"),
        (6, "s{half}"),
    ],
)
def test_episodes_that_keep_speakers_apart_are_found(tmp_path, each, speaker):
    fields = spoken(tmp_path / "a.csv", 6, each, speaker)
    info, data = described(**fields), load(**fields)
    fitted = {"way": 5, "shots": [1, 5], "query": 15} | info.suites["quick"]
    for shot in fitted["shots"]:
        shape = Sampling(way=fitted["way"], shot=shot, query=fitted["query"], group_disjoint=True)
        sampler = EpisodeSampler(
            data.splits["test"], shape, source_digest=data.digest, split="test", seed=0,
            groups=data.groups,
        )  # fmt: skip
        for batch in sampler.batches(0, 300, 50):
            for support, query in zip(batch.support, batch.query, strict=True):
                assert not set(data.groups[support]) & set(data.groups[query])


def test_shots_are_fitted_to_what_is_left_without_copies(tmp_path):
    rows = [row for row in sentences(5, 6) for _ in range(4)]
    info = described(data_table=table(tmp_path / "a.csv", rows), text="text", label="label")
    assert info.suites["quick"] == {"shots": [1, 3], "query": 3}


def test_a_class_of_one_speaker_is_left_out(tmp_path):
    fields = spoken(tmp_path / "a.csv", 4, 8, "s{quarter}")
    text = fields["data_table"].read_text()
    fields["data_table"].write_text(re.sub(r"(?<=Bern,)s\d", "s0", text))
    assert (
        "1 class with one 'speaker' only left out, which cannot be on both sides of an episode: "
        "'Bern'" in look(**fields).said
    )
    assert load(**fields).splits["test"].names == ("Amman", "Cairo", "Delhi")
    refused("no class with 2 examples or more, after 4 classes with one 'speaker' only left out",
            **spoken(tmp_path / "b.csv", 4, 8, "s0"))  # fmt: skip


def test_a_column_of_splits(tmp_path):
    split = dict(zip(CITIES, ("test", "Train", "dev", "test"), strict=False))
    rows = [(text, label, split[label]) for text, label in sentences(4)]
    path = table(tmp_path / "a.csv", rows, ("text", "label", "part"))
    fields = {"data_table": path, "text": "text", "label": "label", "split_column": "part"}
    data = load(**fields)
    assert {s: p.names for s, p in data.splits.items()} == {
        "train": ("Bern",), "val": ("Cairo",), "test": ("Amman", "Delhi"),
    }  # fmt: skip
    table(path, [*rows, ("one more", CITIES[0], "train")], ("text", "label", "part"))
    refused("row 18, column 'part': class 'Amman' is in test and in train; few-shot splits hold",
            **fields)  # fmt: skip
    table(path, [*rows, ("one more", CITIES[0], "fold3")], ("text", "label", "part"))
    refused("'fold3' is no split; write train, val or test", **fields)


MEASURED = [
    ("CCO", "1", "0.5", "yes"), ("CCN", "0", "1.5", "no"), ("CCC", "1", "", "no"),
    ("CCCl", "0", "2.5", "yes"), ("OCC", "1", "3.5", "yes"), ("CCBr", "", "-1", ""),
    ("nonsense", "0", "1", "no"), ("CCF", "", "", ""),
]  # fmt: skip


@pytest.fixture
def assays(tmp_path):
    path = table(tmp_path / "a.csv", MEASURED, ("smiles", "toxic", "logp", "active"))
    return {"data_table": path, "smiles": "smiles"}


def test_targets_of_0_and_1_are_a_task_each(assays):
    info = described(**assays, targets=("toxic", "active"))
    assert (info.domain, info.modality, info.task_kind) == ("molecules", "molecule", "binary")
    assert (info.metric, info.suites["quick"]["shots"]) == ("auroc", [3])
    data = load(**assays, targets=("toxic", "active"))
    pool = data.splits["test"]
    assert isinstance(pool, TaskPool)
    active, toxic = pool.tasks
    # CCO and OCC are one molecule: measured twice alike as toxic, and as active.
    assert toxic.items.tolist() == [0, 1, 2, 3]
    assert toxic.targets.tolist() == [1, 0, 1, 0]
    assert active.targets.tolist() == [1, 0, 0, 1]
    assert "2 rows without a value of any task left out: row 7, row 9" in data.notes
    assert "1 item left out: row 8 is no SMILES that RDKit parses" in data.notes
    assert "2 measurements repeat an item of their task" in data.notes


def test_targets_of_numbers_are_regression(assays):
    info = described(**assays, targets=("logp",))
    assert (info.task_kind, info.metric) == ("regression", "nmse")
    data = load(**assays, targets=("logp",))
    (task,) = data.splits["test"].tasks
    np.testing.assert_allclose(task.targets[:, 0], [2.0, 1.5, 2.5, -1.0])


def test_targets_that_do_not_go_together(assays):
    refused("--targets: toxic hold 0 and 1, and logp hold numbers; run them apart",
            **assays, targets=("toxic", "logp"))  # fmt: skip
    table(assays["data_table"], [*MEASURED, ("CO", "n/a", "1", "1")],
          ("smiles", "toxic", "logp", "active"))  # fmt: skip
    refused("column 'toxic', row 10: 'n/a' is neither a number nor blank",
            **assays, targets=("toxic",))  # fmt: skip


def test_an_item_with_both_labels_is_left_out(tmp_path):
    rows = [("CCO", "1"), ("OCC", "0"), ("CCN", "1"), ("CCC", "0")]
    path = table(tmp_path / "a.csv", rows, ("smiles", "toxic"))
    data = load(data_table=path, smiles="smiles", targets=("toxic",))
    assert data.splits["test"].tasks[0].targets.tolist() == [1, 0]
    assert "1 times an item had both labels in a task and was left out of it" in data.notes


def test_many_rows_are_reduced_reproducibly_and_that_is_said(tmp_path):
    rows = [(f"{label} {n}", label) for label, size in (("a", 200), ("b", 100), ("c", 30))
            for n in range(size)]  # fmt: skip
    path = table(tmp_path / "a.csv", rows)
    fields = {"data_table": path, "text": "text", "label": "label"}
    data = load(**fields, max_items=130)
    assert sorted(data.splits["test"].sizes.tolist()) == [30, 50, 50]
    assert "130 of 330 examples kept, at most 50 of a class (--max-items 0 keeps all)" in data.notes
    assert load(**fields, max_items=130).digest == data.digest
    assert len(load(**fields, max_items=0)) == 330
    few = load(**fields, max_items=45)
    assert few.splits["test"].sizes.tolist() == [20, 20]
    assert any("1 class left out altogether" in note for note in few.notes)
