"""Text as tensors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metabench.errors import MetabenchError
from metabench_nlp.text import identity, pack, pad, tidy, unpack


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_unpack_undoes_pack(texts):
    inputs = pack(texts)
    assert inputs["bytes"].dtype == torch.uint8
    assert inputs["length"].dtype == torch.int32
    assert unpack(inputs) == texts


def test_padding_is_zero():
    inputs = pack(["é", "abc"])
    assert inputs["bytes"].tolist() == [[0xC3, 0xA9, 0], [97, 98, 99]]
    assert inputs["length"].tolist() == [2, 3]


def test_bytes_that_are_not_utf8_name_the_row():
    inputs = pack(["fine", "also"])
    inputs["bytes"][1, 0] = 0xFF
    with pytest.raises(MetabenchError, match="row 1 is not UTF-8"):
        unpack(inputs)


def test_a_lone_surrogate_names_the_row():
    with pytest.raises(MetabenchError, match="row 1 is not UTF-8"):
        pack(["fine", "\ud800"])


def test_an_impossible_length_names_the_row():
    inputs = pack(["fine"])
    inputs["length"][0] = 99
    with pytest.raises(MetabenchError, match="row 0 has length 99"):
        unpack(inputs)


def test_pad():
    padded = pad([[1, 2, 3], [], [4]])
    assert padded["ids"].tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert padded["length"].tolist() == [3, 0, 1]
    assert pad([])["ids"].shape == (0, 1)


def test_tidy_and_identity():
    assert tidy("\n two\t words \n") == "two words"
    assert identity("Yes, that's it!") == identity("yes that s it")
    assert identity("?!") == "?!"
