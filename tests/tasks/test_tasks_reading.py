"""What readers of users' own items share: order, faults, identities."""

import time

import numpy as np
import pytest
import torch

from metabench.tasks.reading import (
    BadItemError,
    ReadItems,
    identities,
    identity_of,
    in_order,
    item_bytes,
)


class Counted:
    """Items that are made when they are asked for."""

    def __init__(self, count):
        self.count = count
        self.made = 0

    def __len__(self):
        return self.count

    def __getitem__(self, position):
        self.made += 1
        return str(position)


def test_results_come_in_order_whatever_each_one_takes():
    def decode(item):
        time.sleep(0.002 * (int(item) % 3))
        if int(item) % 5 == 0:
            raise BadItemError(f"no {item}")
        return int(item)

    faults = []
    found = list(in_order(Counted(20), decode, faults, threads=4))
    assert found == [(n, n) for n in range(20) if n % 5]
    assert faults == [(n, f"no {n}") for n in (0, 5, 10, 15)]


def test_only_a_few_items_are_held_at_once():
    items = Counted(1000)
    results = in_order(items, len, [], threads=2)
    next(results)
    assert items.made <= 8


def test_any_other_error_of_a_reader_is_a_bug_and_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_order(Counted(3), lambda item: 1 // int(item), []))


@pytest.mark.parametrize("as_text", [True, False])
def test_the_content_of_a_file(tmp_path, as_text):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert item_bytes(str(path) if as_text else path) == b"abc"
    assert item_bytes(b"abc") == b"abc"


def test_files_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "empty").touch()
    for item, what in (
        (tmp_path / "empty", r"empty \(0 bytes\)"),
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (np.zeros(3), "ndarray, and no file"),
    ):
        with pytest.raises(BadItemError, match=what):
            item_bytes(item)
    (tmp_path / "big").write_bytes(b"12345")
    monkeypatch.setattr("metabench.tasks.reading.MAX_MEMBER_BYTES", 4)
    with pytest.raises(BadItemError, match="has 5 bytes; at most 4 are read"):
        item_bytes(tmp_path / "big")


def test_what_was_read_has_to_fit_together():
    x = {"x": torch.zeros(2, 3)}
    ReadItems(x, np.array([0, 4]))
    for kept, more in (
        (np.array([0]), {}),
        (np.array([4, 0]), {}),
        (np.array([1, 1]), {}),
        (np.array([0, 1]), {"groups": ("a",)}),
        (np.array([0, 1]), {"identity": np.zeros(3, np.uint64)}),
    ):
        with pytest.raises(ValueError, match="a reader"):
            ReadItems(x, kept, **more)


def test_without_identities_rows_are_compared():
    x = torch.tensor([[1, 2], [1, 2], [2, 1]])
    found = identities(ReadItems({"x": x, "y": torch.tensor([0, 0, 0])}, np.arange(3)))
    assert found[0] == found[1] != found[2]
    own = np.array([7, 7, 7], np.uint64)
    assert identities(ReadItems({"x": x}, np.arange(3), identity=own)) is own
    assert identity_of(b"a") == identity_of(b"a") != identity_of(b"b")
