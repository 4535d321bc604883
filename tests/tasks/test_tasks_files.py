"""Upstream files: missing, damaged and hostile ones."""

import zipfile

import pytest

from metabench.errors import UnavailableError
from metabench.tasks import files
from metabench.tasks.files import SourceContext


@pytest.fixture
def context(tmp_path):
    return SourceContext("demo", tmp_path)


def archive(folder, members, name="a.zip", compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(folder / name, "w", compression) as zipped:
        for member, content in members:
            zipped.writestr(member, content)
    return folder / name


def read(context, **options):
    return list(context.zip_members("a.zip", **options))


def test_without_a_data_directory_the_message_says_how_to_set_one():
    with pytest.raises(UnavailableError, match=r"p/x\.bin.*METABENCH_DATA or --data.*fetch demo"):
        SourceContext("demo").file("p/x.bin")


def test_a_missing_file_is_named_with_the_command_that_mends_it(context, tmp_path):
    with pytest.raises(UnavailableError) as caught:
        context.file("p/x.bin")
    assert str(tmp_path / "p" / "x.bin") in str(caught.value)
    assert "metabench data fetch demo" in str(caught.value)
    assert context.used == []


def test_found_files_and_folders_are_remembered_in_order(context, tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "x.bin").write_bytes(b"x")
    found = [context.file("p/x.bin"), context.file("p")]
    assert found == context.used == [tmp_path / "p" / "x.bin", tmp_path / "p"]


@pytest.mark.parametrize(
    "path", ["../x", "p/../../x", "/etc/passwd", "", ".", "..", "p\\..\\x", "//x"]
)
def test_a_path_out_of_the_data_directory_is_refused(tmp_path, path):
    (tmp_path / "x").write_bytes(b"secret")
    (tmp_path / "data" / "p").mkdir(parents=True)
    context = SourceContext("demo", tmp_path / "data")
    with pytest.raises(ValueError, match="not a path below the data directory"):
        context.file(path)
    with pytest.raises(ValueError, match="not a path below the data directory"):
        list(context.zip_members(path))
    assert context.used == []


def test_members_come_sorted_by_name_without_folders_and_by_suffix(context, tmp_path):
    archive(tmp_path, [("b/2.png", b"2"), ("b/", b""), ("a.txt", b"t"), ("b/1.png", b"1")])
    assert read(context) == [("a.txt", b"t"), ("b/1.png", b"1"), ("b/2.png", b"2")]
    assert [name for name, _ in read(context, suffix=".png")] == ["b/1.png", "b/2.png"]


@pytest.mark.parametrize("kept", [0, 1, 20, 300, -1, -30])
def test_a_truncated_archive_is_unavailable(context, tmp_path, kept):
    path = archive(tmp_path, [(f"{n}.bin", bytes(range(256))) for n in range(5)])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UnavailableError, match=r"a\.zip is not a complete zip archive"):
        read(context)


def test_flipped_bytes_never_go_unnoticed_or_raise_anything_else(context, tmp_path):
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        path = archive(tmp_path, [("x.bin", b"some words " * 20)], compression=compression)
        whole = path.read_bytes()
        noticed = 0
        for place in range(0, len(whole), 3):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            try:
                content = dict(read(context))
            except UnavailableError:
                noticed += 1
            else:
                assert set(content.values()) <= {b"some words " * 20}
        assert noticed > 20


def test_an_encrypted_member_is_unavailable(context, tmp_path):
    path = archive(tmp_path, [("x.bin", b"abc")])
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(UnavailableError, match="encrypted"):
        read(context)


def test_what_unpacks_to_too_much_is_refused_before_it_is_read(context, tmp_path, monkeypatch):
    archive(tmp_path, [("bomb.bin", bytes(5000)), ("small.bin", b"x")])
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("was read"))
    monkeypatch.setattr(files, "MAX_MEMBER_BYTES", 4999)
    with pytest.raises(UnavailableError, match=r"bomb\.bin is 5000 bytes"):
        read(context)
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", 5000)
    with pytest.raises(UnavailableError, match="more than 5000 bytes"):
        read(context)


def test_a_header_that_understates_the_size_does_not_get_past_the_limit(context, tmp_path):
    path = archive(tmp_path, [("bomb.bin", bytes(100_000))])
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = raw.index(signature) + offset
        raw[start : start + 4] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(UnavailableError, match="not a complete zip archive"):
        read(context)


@pytest.mark.parametrize("name", ["../x.bin", "a/../../x.bin", "/x.bin"])
def test_a_member_whose_name_leads_out_is_refused(context, tmp_path, name):
    archive(tmp_path, [(name, b"x")])
    with pytest.raises(UnavailableError, match="leads out of the archive"):
        read(context)


def test_a_folder_is_no_archive(context, tmp_path):
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(UnavailableError, match=r"a\.zip is not a complete"):
        read(context)
