"""Users' own texts: spaces, encodings, lengths and what is no text."""

import numpy as np
import pytest

from metabench.errors import UsageError
from metabench_nlp.reader import TextReader
from metabench_nlp.text import unpack


def test_texts_come_back_with_single_spaces():
    read = TextReader().read(["  two\nwords ", "Zürich", "日本"])
    assert unpack(read.inputs) == ["two words", "Zürich", "日本"]
    assert read.kept.tolist() == [0, 1, 2]


def test_texts_that_differ_in_case_and_punctuation_only_are_the_same():
    same = TextReader().read(["Hello, you!", "hello you", "hello, her"]).identity
    assert same[0] == same[1] != same[2]


def test_files_and_their_encodings(tmp_path):
    (tmp_path / "a.txt").write_bytes("Zürich".encode("latin-1"))
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf" + "Genève".encode())
    items = [tmp_path / "a.txt", tmp_path / "b.txt", b"Bern"]
    read = TextReader().read(items)
    assert unpack(read.inputs) == ["Genève", "Bern"]
    assert read.faults == ((0, "is not utf-8 at byte 1; name its encoding"),)
    assert unpack(TextReader("latin-1").read(items[:1]).inputs) == ["Zürich"]
    with pytest.raises(UsageError, match="unknown encoding 'utf-9'"):
        TextReader("utf-9")


@pytest.mark.parametrize("item", ["", " \n ", "\ud800", np.zeros(3), b""])
def test_what_cannot_be_used_is_a_fault_and_the_others_stay(item):
    read = TextReader().read(["one", item, "two"])
    assert unpack(read.inputs) == ["one", "two"]
    assert [position for position, _ in read.faults] == [1]


def test_long_texts_are_cut_between_characters(monkeypatch):
    read = TextReader().read(["é" * 3000, "short"])
    assert read.inputs["bytes"].shape == (2, 4096)
    assert read.notes == ("1 texts cut to 4096 bytes",)
    assert unpack(TextReader().read(["é" * 3], {"bytes": (3,), "length": ()}).inputs) == ["é"]
    assert TextReader().read(["é"], {"bytes": (9,)}).inputs["bytes"].shape == (1, 9)
    monkeypatch.setattr("metabench_nlp.reader.MAX_BYTES", 4 * 200)
    assert TextReader().read(["x" * 300] * 4).inputs["bytes"].shape == (4, 200)
    assert TextReader().read(["x" * 300] * 40).inputs["bytes"].shape == (40, 128)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_of_a_huge_text_the_beginning_alone_is_looked_at(monkeypatch, encoding):
    seen = []
    monkeypatch.setattr("metabench_nlp.reader.tidy", lambda text: seen.append(len(text)) or text)
    text = "x" + "é" * 300_000
    read = TextReader(encoding).read([text.encode(encoding), text])
    assert max(seen) <= 64 * 1024
    assert unpack(read.inputs) == ["x" + "é" * 2047] * 2
    assert not read.faults
