"""Upstream files, good and broken, and the sources made of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.errors import UnavailableError, UsageError
from metabench.tasks.files import SourceContext
from metabench_control import files
from metabench_control.matfile import variables
from metabench_control.sources.cascaded_tanks import cascaded_tanks, lagged
from metabench_control.sources.sarcos import GAP, JOINTS_OF, sarcos_joints

ROOT = os.environ.get("METABENCH_DATA", "")
REAL = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not (ROOT and (Path(ROOT) / "control").is_dir()),
        reason="METABENCH_DATA names no folder with control/",
    ),
]
HEADER = '"uEst","uVal","yEst","yVal","Ts",\n'


def put(root, file, content):
    path = root / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


def table(seed=0, rows=4449):
    return np.random.default_rng(seed).normal(size=(rows, 28))


def save(root, **variables):
    path = root / files.SARCOS.path
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables)
    return path


def tank_rows(count=1024):
    rng = np.random.default_rng(0)
    return [",".join(f"{v:.4f}" for v in rng.uniform(0, 10, 4)) + ",," for _ in range(count)]


def sarcos(root, **options):
    return sarcos_joints(SourceContext("sarcos-joints", root), **options)


def tanks(root, **options):
    return cascaded_tanks(SourceContext("cascaded-tanks", root), **options)


def check_sarcos(data):
    rows = {split: set(pool.items.tolist()) for split, pool in data.splits.items()}
    assert not rows["train"] & rows["test"]
    assert not rows["val"] & (rows["train"] | rows["test"])
    assert min(rows["val"]) - max(rows["train"]) > GAP
    assert min(rows["test"]) - max(rows["val"]) > GAP
    for split, pool in data.splits.items():
        joints = {int(task.name.split("-")[1]) for task in pool.tasks}
        assert joints == set(JOINTS_OF[split])
        assert all((np.diff(task.items) == 1).all() for task in pool.tasks)


def test_sarcos_splits_joints_and_rows(tmp_path):
    values = table()
    save(tmp_path, sarcos_inv_test=values)
    data = sarcos(tmp_path)
    check_sarcos(data)
    assert "differs from upstream" in data.notes[0]
    train = data.splits["train"].items
    x = data.inputs["x"].numpy()
    np.testing.assert_allclose(x[train].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x[train].std(0), 1, atol=1e-5)
    task = data.splits["test"].tasks[-1]
    joint = int(task.name.split("-")[1])
    raw = values[:, 20 + joint]
    expected = (raw[task.items] - raw[train].mean()) / raw[train].std()
    np.testing.assert_allclose(task.targets[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_sarcos_scale_looks_at_no_test_row(tmp_path):
    values = table()
    save(tmp_path, sarcos_inv_test=values)
    before = sarcos(tmp_path)
    values[before.splits["test"].items] *= 1000
    save(tmp_path, sarcos_inv_test=values)
    after = sarcos(tmp_path)
    first = before.splits["train"].tasks[0]
    assert np.array_equal(first.targets, after.splits["train"].tasks[0].targets)


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_sarcos_tasks_that_do_not_fit_are_refused(tmp_path, rows):
    save(tmp_path, sarcos_inv_test=table())
    with pytest.raises(UsageError, match=f"rows={rows}"):
        sarcos(tmp_path, rows=rows)


def holed(value):
    values = table()
    values[17, 3] = value
    return values


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"other": table()}, "missing; found other"),
        ({}, "missing; found nothing"),
        ({"sarcos_inv_test": table()[:, :27]}, r"found double \[4449, 27\]"),
        ({"sarcos_inv_test": table(rows=100)}, "100 rows, not 4449"),
        ({"sarcos_inv_test": table().astype(np.float32)}, "found single"),
        ({"sarcos_inv_test": "text"}, "found char"),
        ({"sarcos_inv_test": np.array([{"a": 1}], dtype=object)}, "found cell"),
        ({"sarcos_inv_test": {"field": table()}}, "found struct"),
        ({"sarcos_inv_test": table() * 1j}, "found complex double"),
        ({"sarcos_inv_test": holed(np.nan)}, "row 17, column 3: nan"),
        ({"sarcos_inv_test": holed(np.inf)}, "row 17, column 3: inf"),
        ({"sarcos_inv_test": holed(-1e300)}, r"row 17, column 3: -1e\+300"),
    ],
)
def test_a_wrong_matrix_is_named(tmp_path, variables, said):
    path = save(tmp_path, **variables)
    with pytest.raises(UnavailableError, match=said) as caught:
        sarcos(tmp_path)
    assert str(path) in str(caught.value)
    assert "get the upstream file again" in str(caught.value)


def test_a_damaged_mat_file_is_an_error_that_names_it(tmp_path):
    path = save(tmp_path, sarcos_inv_test=table())
    whole = path.read_bytes()
    hdf5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n"
    cases = [b"", b"not a mat file", whole[:60], whole[:130], whole[: len(whole) // 2], hdf5]
    for content in cases:
        path.write_bytes(content)
        with pytest.raises(UnavailableError, match=r"sarcos_inv_test\.mat"):
            sarcos(tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_are_those_of_scipy(tmp_path, compressed):
    rng = np.random.default_rng(0)
    held = {"a": rng.normal(size=(7, 3)), "whole": np.arange(12.0).reshape(4, 3), "t": "text"}
    scipy.io.savemat(tmp_path / "x.mat", held, do_compression=compressed)
    found = {v.name: v for v in variables((tmp_path / "x.mat").read_bytes(), 10_000)}
    assert {name: v.kind for name, v in found.items()} == {
        "a": "double", "whole": "double", "t": "char",
    }  # fmt: skip
    for name in ("a", "whole"):
        assert np.array_equal(found[name].matrix(), held[name])


def test_a_compressed_bomb_is_not_unpacked(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.zeros((1000, 1000))}, do_compression=True)
    with pytest.raises(ValueError, match="unpacks to more than 10000 bytes"):
        list(variables((tmp_path / "x.mat").read_bytes(), 10_000))


@given(
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 700),
    compressed=st.booleans(),
)
@settings(max_examples=300)
def test_damage_is_a_value_error_or_goes_unnoticed(edits, cut, compressed):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"a": np.arange(40.0).reshape(8, 5)}, do_compression=compressed)
    content = bytearray(buffer.getvalue())
    for place, value in edits:
        if place < len(content):
            content[place] = value
    try:
        for variable in variables(bytes(content[:cut]), 10_000):
            variable.matrix()
    except ValueError:
        return


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path):
    (tmp_path / files.SARCOS.path).mkdir(parents=True)
    with pytest.raises(UnavailableError, match="cannot be read"):
        sarcos(tmp_path)


def test_an_unreasonably_large_file_is_not_read(tmp_path):
    path = put(tmp_path, files.SARCOS, b"")
    os.truncate(path, 65 * 1024**2)
    with pytest.raises(UnavailableError, match="too many"):
        sarcos(tmp_path)


@pytest.mark.parametrize("load", [sarcos, tanks])
def test_missing_files_are_unavailable(tmp_path, load):
    with pytest.raises(UnavailableError, match="does not exist"):
        load(tmp_path)
    with pytest.raises(UnavailableError, match="METABENCH_DATA"):
        load(None)


def test_tanks_split_the_records(tmp_path):
    put(tmp_path, files.CASCADED_TANKS, HEADER + "\n".join(tank_rows()) + "\n")
    data = tanks(tmp_path)
    train, val, test = (data.splits[s].items for s in ("train", "val", "test"))
    assert train[-1] + 3 < val[0]
    assert val[-1] < 1021 <= test[0]
    x = data.inputs["x"].numpy()
    assert x.shape == (2042, 5)
    np.testing.assert_allclose(x[:765].mean(0), 0, atol=1e-5)
    tasks = [t for s in ("val", "test") for t in data.splits[s].tasks]
    items = np.concatenate([t.items for t in tasks])
    assert len(np.unique(items)) == len(items)


def test_lagged_looks_back_only():
    u, y = np.arange(10.0), np.arange(10.0) ** 2
    x, rise = lagged(u, y)
    assert x[0].tolist() == [2.0, 1.0, 4.0, 1.0, 0.0]
    assert rise[0] == 5.0
    for t in range(3, 10):
        later_u, later_y = u.copy(), y.copy()
        later_u[t:], later_y[t:] = -1, -1
        assert np.array_equal(lagged(later_u, later_y)[0][t - 3], x[t - 3])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (tank_rows(1000), "1000 samples, not 1024"),
        ([*tank_rows(3), "1,2,x,4,,", *tank_rows(1020)], "line 5, column 'yEst': 'x'"),
        ([*tank_rows(3), "1,2,,4,,", *tank_rows(1020)], "line 5, column 'yEst': ''"),
        ([*tank_rows(3), "1,nan,3,4,,", *tank_rows(1020)], "line 5, column 'uVal': 'nan'"),
        ([*tank_rows(3), "1,2,3", *tank_rows(1020)], "line 5: 3 fields for 6 columns"),
        ([*tank_rows(3), '1,2,3,"4,,'], "not CSV"),
    ],
)
def test_a_broken_row_is_named(tmp_path, rows, said):
    path = put(tmp_path, files.CASCADED_TANKS, HEADER + "\n".join(rows) + "\n")
    with pytest.raises(UnavailableError, match=said) as caught:
        tanks(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "found nothing"),
        ("uEst,yEst\n1,2\n", "no column 'uVal'; found uEst, yEst"),
        (HEADER.encode() + b"1,2,\xff,4,,\n", "line 2: not UTF-8"),
    ],
)
def test_a_broken_header_is_named(tmp_path, content, said):
    put(tmp_path, files.CASCADED_TANKS, content)
    with pytest.raises(UnavailableError, match=said):
        tanks(tmp_path)


@pytest.mark.parametrize("options", [{"window": 1}, {"window": 300}, {"stride": 0}])
def test_windows_that_do_not_fit_are_refused(tmp_path, options):
    put(tmp_path, files.CASCADED_TANKS, HEADER + "\n".join(tank_rows()) + "\n")
    with pytest.raises(UsageError, match="window="):
        tanks(tmp_path, **options)


class TestReal:
    pytestmark = REAL

    def test_sarcos(self):
        data = sarcos(Path(ROOT))
        assert data.notes == ()
        check_sarcos(data)
        path = Path(ROOT) / files.SARCOS.path
        expected = scipy.io.loadmat(path)["sarcos_inv_test"]
        (found,) = variables(path.read_bytes(), 0)
        assert np.array_equal(found.matrix(), expected)
        assert [len(data.splits[s].tasks) for s in ("train", "val", "test")] == [104, 4, 26]
        assert sarcos(Path(ROOT)).digest == data.digest

    def test_sarcos_can_be_learned_within_a_task(self):
        data = sarcos(Path(ROOT))
        x = data.inputs["x"].numpy()
        left = []
        for task in data.splits["test"].tasks:
            rows = np.column_stack([x[task.items], np.ones(100)])
            a, b = rows[::2], task.targets[::2]
            weights = np.linalg.solve(a.T @ a + np.eye(22), a.T @ b)
            error = ((rows[1::2] @ weights - task.targets[1::2]) ** 2).mean()
            left.append(error / task.targets[1::2].var())
        assert np.mean(left) < 0.4

    def test_tanks(self):
        data = tanks(Path(ROOT))
        assert data.notes == ()
        assert [len(data.splits[s].tasks) for s in ("train", "val", "test")] == [48, 4, 17]
        x, y = data.inputs["x"].numpy(), np.zeros(len(data))
        for pool in data.splits.values():
            for task in pool.tasks:
                y[task.items] = task.targets[:, 0]
        rows = np.column_stack([x, np.ones(len(x))])
        weights = np.linalg.lstsq(rows[:765], y[:765], rcond=None)[0]
        test = data.splits["test"].items
        assert ((rows[test] @ weights - y[test]) ** 2).mean() < 0.7 * y[test].var()
