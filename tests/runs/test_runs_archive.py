"""The archive beside a record: what goes in comes out, small, and nothing else is let in."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from metabench.runs import archive
from metabench.runs.archive import pack, pack_plain, unpack


@given(
    st.sampled_from(["int64", "int16", "float32", "float64", "uint8"]).flatmap(
        lambda kind: arrays(kind, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
    )
)
def test_values_survive(array):
    for packed in (pack, pack_plain):
        found = unpack(packed({"scores": array, "other.auroc": array}))
        assert list(found) == ["scores", "other.auroc"]
        np.testing.assert_array_equal(found["scores"], array)
        assert found["scores"].shape == array.shape


def test_it_reads_what_numpy_writes_and_the_other_way_round():
    content = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(3)}
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    for name, array in unpack(buffer.getvalue()).items():
        np.testing.assert_array_equal(array, content[name])
    with np.load(io.BytesIO(pack(content)), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["a"], content["a"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 4], "int8"),
        ([-129, 3], "int16"),
        ([0, 200], "int16"),
        ([2**40], "int64"),
        ([], "int64"),
    ],
)
def test_whole_numbers_are_kept_small_and_signed(values, kind):
    found = unpack(pack({"targets": np.array(values, np.int64)}))["targets"]
    assert found.dtype == kind
    assert found.tolist() == values


def test_only_what_is_asked_for_is_unpacked():
    content = pack({"scores": np.ones(3), "predictions": np.zeros(9)})
    assert list(unpack(content, ("scores", "units"))) == ["scores"]


def member(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("scores.npy", text)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no array",
        npy(np.ones(4))[:-3],
        npy(np.ones(4)) + b"more",
        npy(np.array([{}], dtype=object), allow_pickle=True),
        npy(np.ones(4)).replace(b"(4,), ", b"(-4,),"),
    ],
    ids=["empty", "noise", "short", "long", "objects", "negative"],
)
def test_forged_members_are_refused(text):
    with pytest.raises(ValueError):
        unpack(member(text))


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(ValueError, match="bytes unpacked"):
        unpack(pack({"scores": np.zeros(10_000)}))
