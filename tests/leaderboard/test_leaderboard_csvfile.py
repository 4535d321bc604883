import csv
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metabench.errors import MetabenchError
from metabench.leaderboard.csvfile import FORMULA_STARTS, cell_text, read_csv, write_csv
from metabench.leaderboard.text import one_line


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
        "\u202e=1",
        "\ufeff=1",
        "'=1",
    ],
)
def test_text_never_starts_a_formula(text):
    shown = cell_text(text)
    assert shown[0] == "'"
    assert shown[0] not in FORMULA_STARTS


def test_numbers_stay_numbers():
    assert cell_text(-0.25) == "-0.250000"
    assert cell_text(-1e-9) == "0.000000"
    assert cell_text(1.23456, "train_seconds") == "1.235"
    assert cell_text(float("nan")) == cell_text(None) == cell_text(float("inf")) == ""
    assert (cell_text(True), cell_text(False), cell_text(-3)) == ("true", "false", "-3")


def test_one_line_drops_what_cannot_be_seen():
    assert one_line("a\x00b\n\n c\u202ed\x85e\u2028f\ud800") == "ab cd e f"
    assert one_line("x" * 10, 5) == "xxxx…"


@given(st.lists(st.text(max_size=12), min_size=2, max_size=2))
def test_text_survives_writing_and_reading(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, ("a", "b"), [dict(zip("ab", texts, strict=True))])
    (row,) = read_csv(path)
    assert [row["a"], row["b"]] == [one_line(text) for text in texts]
    with path.open(encoding="utf-8", newline="") as file:
        assert all(cell[:1] not in FORMULA_STARTS for line in csv.reader(file) for cell in line)


def test_lines_end_alike_and_text_is_utf8(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(path, ("a",), [{"a": 'é, "quoted"'}, {"a": "two\r\nlines"}])
    content = path.read_bytes()
    assert content == 'a\n"é, ""quoted"""\ntwo lines\n'.encode()


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call):
    path = tmp_path / "t.csv"
    write_csv(path, ("a",), [{"a": 1}])
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif call == "replace":
        monkeypatch.setattr(os, "replace", full)
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MetabenchError, match=r"t\.csv: .*disk is full"):
        write_csv(path, ("a",), [{"a": 2}])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_folder_is_a_clear_error(tmp_path, monkeypatch):
    def denied(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(MetabenchError, match="read-only"):
        write_csv(tmp_path / "t.csv", ("a",), [])
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_cannot_be_formatted_writes_nothing(tmp_path):
    with pytest.raises(KeyError):
        write_csv(tmp_path / "t.csv", ("a",), [{"a": 1}, {"b": 1}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n1\n", "line 2: 1 cells under 2 columns"),
        (b"a,b\n\xff,1\n", "not UTF-8"),
        (b'a,b\n"x', "not a CSV table"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(MetabenchError, match=words):
        read_csv(path)
    with pytest.raises(MetabenchError, match="cannot read"):
        read_csv(tmp_path / "none.csv")
