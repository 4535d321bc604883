"""Files that are written whole or not at all."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from metabench import atomic
from metabench.errors import MetabenchError


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_content_is_written_below_new_folders_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "x.json"
    atomic.write_text(path, "zwölf")
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["x.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise error

    expected = MetabenchError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        atomic.write_with(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_it_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), sync(handle)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    atomic.write_bytes(tmp_path / "x", b"x")
    assert done == ["sync", "rename", "sync"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_the_message_names_the_file_and_the_reason(tmp_path, number, words):
    def fail(_):
        raise OSError(number, os.strerror(number))

    with pytest.raises(MetabenchError, match=words) as caught:
        atomic.write_with(tmp_path / "x", fail)
    assert str(tmp_path / "x") in str(caught.value)


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "x").write_text("file")
    with pytest.raises(MetabenchError, match="cannot write"):
        atomic.write_text(tmp_path / "x" / "y", "z")


def test_a_reader_never_sees_a_half_written_file(tmp_path):
    path = tmp_path / "x"
    contents = [bytes([n]) * 100_000 for n in range(2)]
    atomic.write_bytes(path, contents[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                atomic.write_bytes(path, content)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    torn = [seen for _ in range(300) if (seen := path.read_bytes()) not in contents]
    stop.set()
    for writer in writers:
        writer.join()
    assert not torn
    assert names(tmp_path) == ["x"]
