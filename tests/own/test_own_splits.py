"""Which classes are for meta-training, validation and test."""

import json

import pytest

from metabench.errors import UsageError
from metabench.own.splits import read_split_file, split_by_name

NAMES = [f"class {number}" for number in range(40)]
PINNED = ("class 0", "class 1", "class 12")


def sizes(count):
    return {split: len(part) for split, part in split_by_name(NAMES[:count]).items()}


def test_shares():
    assert sizes(2) == {"test": 2}
    assert sizes(9) == {"test": 9}
    assert sizes(10) == {"train": 5, "test": 5}
    assert sizes(14) == {"train": 9, "test": 5}
    assert sizes(15) == {"train": 5, "val": 5, "test": 5}
    assert sizes(40) == {"train": 20, "val": 8, "test": 12}


def test_the_split_hangs_on_the_names_alone():
    split = split_by_name(NAMES)
    assert split == split_by_name(reversed(NAMES))
    assert sorted(name for part in split.values() for name in part) == sorted(NAMES)
    # Fixed for ever: published numbers hang on it.
    assert split["val"][:3] == PINNED


def test_files_of_splits(tmp_path):
    known = ("a", "b, c", "d")
    lines = tmp_path / "split.csv"
    lines.write_text('class,split\nd,test\n"b, c",Training\n\na,dev\n')
    expected = {"d": "test", "b, c": "train", "a": "val"}
    assert read_split_file(lines, known) == expected
    assert list(read_split_file(lines, known)) == ["d", "b, c", "a"]
    for content in (expected, {"test": ["d"], "train": ["b, c"], "validation": ["a"]}):
        (tmp_path / "split.json").write_text(json.dumps(content))
        assert read_split_file(tmp_path / "split.json", known) == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,fold1\n", "line 1: 'fold1' is no split"),
        ("cat,test\n", "line 1: unknown class 'cat'; did you mean cats"),
        ("cats,test\ncats,train\n", "line 2: 'cats' is in test already"),
        ("cats\n", "line 1: 'cats' is not class,split"),
        ('{"cats": 3}', "key 'cats': a split, or a list of classes"),
        ('{"cats": ', "is not JSON"),
    ],
)
def test_files_that_say_nothing(tmp_path, text, match):
    path = tmp_path / "split"
    path.write_text(text)
    with pytest.raises(UsageError, match=match):
        read_split_file(path, ("cats", "a"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_split_file(tmp_path / "none", ("a",))
