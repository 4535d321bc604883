"""Folders of files: what is recognised, split and left out, and what is refused."""

import os
import shutil
import zipfile

import numpy as np
import pytest
import soundfile
from own_cases import CITIES, described, load, look, photos, picture

from metabench.errors import MetabenchError, UnavailableError, UsageError
from metabench.tasks import files


def refused(match, **fields):
    with pytest.raises(UsageError, match=match) as error:
        look(**fields)
    assert "\n" not in str(error.value)


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def test_a_folder_becomes_a_source(tmp_path):
    photos(tmp_path / "My Photos é", classes=16, each=6, suffix=".jpg")
    session = look(data_folder=tmp_path / "My Photos é")
    info = session.catalogue.source("my-photos-e").info
    assert (info.domain, info.modality, info.task_kind) == ("vision", "image", "classification")
    assert session.request.sources == ("my-photos-e",)
    assert session.said[0] == "own data My Photos é: 96 image files (.jpg) of 16 classes"
    assert "classes split by their names: 6 train, 5 val, 5 test" in session.said
    data = load(data_folder=tmp_path / "My Photos é")
    assert data.inputs["pixels"].shape == (96, 3, 84, 84)
    assert sorted(name for pool in data.splits.values() for name in pool.names) == sorted(CITIES)


def test_the_data_and_not_the_place_make_the_digest(tmp_path):
    photos(tmp_path / "a", classes=3)
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere" / "b")
    zipped(tmp_path / "a", tmp_path / "c.zip")
    found = {load(data_folder=tmp_path / n).digest for n in ("a", "elsewhere/b", "c.zip")}
    assert len(found) == 1
    picture(tmp_path / "a" / CITIES[0] / "9.png", 999)
    assert load(data_folder=tmp_path / "a").digest not in found


def test_a_file_moved_to_another_class_is_noticed_though_no_file_changed(tmp_path):
    photos(tmp_path / "a", classes=2)
    before = described(data_folder=tmp_path / "a").options["state"]
    (tmp_path / "a" / CITIES[0] / "0.png").rename(tmp_path / "a" / CITIES[1] / "x.png")
    assert described(data_folder=tmp_path / "a").options["state"] != before


def test_a_name_that_a_source_has_already_is_not_taken(tmp_path):
    photos(tmp_path / "digits")
    assert look(data_folder=tmp_path / "digits").own == "digits-own"


def test_two_classes_only(tmp_path):
    session = look(data_folder=photos(tmp_path / "a", classes=2, each=4))
    info = session.catalogue.source("a").info
    assert info.suites["quick"] == {"way": 2, "shots": [1, 2], "query": 2}
    assert "2-way episodes: there are 2 test classes" in session.said
    assert "2 test classes: all for test, too few to meta-train on" in session.said


def test_copies_do_not_count_for_the_size_of_a_class(tmp_path):
    folder = photos(tmp_path / "a", classes=5, each=4)
    for path in sorted(folder.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    for where in (folder, zipped(folder, tmp_path / "b.zip")):
        session = look(data_folder=where)
        fitted = session.catalogue.source(session.own).info.suites["quick"]
        assert fitted == {"shots": [1, 2], "query": 2}


def test_deeper_folders_are_told(tmp_path):
    for shelf in ("Fruit", "Packages"):
        photos(tmp_path / "shop" / shelf, classes=3)
    picture(tmp_path / "shop" / "Vegetables" / "0.png", 1)
    picture(tmp_path / "shop" / "Vegetables" / "1.png", 2)
    note = (
        "6 deeper folders are taken as part of 2 classes; to tell them apart, name the folder "
        "below, such as shop/Fruit"
    )
    assert note in look(data_folder=tmp_path / "shop").said


def test_links_that_are_not_followed_are_told(tmp_path):
    folder = photos(tmp_path / "a", classes=3)
    (folder / "Linked").symlink_to(folder / CITIES[0])
    (folder / CITIES[0] / "broken.png").symlink_to(folder / "none.png")
    assert (
        "2 links to folders or to nothing left out, for no link is followed there: "
        "Amman/broken.png, Linked" in look(data_folder=folder).said
    )
    only = tmp_path / "only"
    only.mkdir()
    (only / "x").symlink_to(only)
    refused("only holds 1 link to folders or to nothing alone; put the files", data_folder=only)


def test_one_class_is_refused(tmp_path):
    refused("a holds the one class 'Amman'.*two classes are needed",
            data_folder=photos(tmp_path / "a", classes=1))  # fmt: skip


def test_a_class_with_one_example_is_left_out_and_named(tmp_path):
    folder = photos(tmp_path / "a", classes=3)
    picture(folder / "Zagreb" / "0.png", 7)
    data = load(data_folder=folder)
    assert data.splits["test"].names == CITIES[:3]
    assert "1 class with one example left out: 'Zagreb'" in data.notes


def test_uneven_classes_do_not_shrink_the_episodes_of_all(tmp_path):
    folder = photos(tmp_path / "a", classes=6, each=8)
    for number in range(2, 8):
        (folder / CITIES[0] / f"{number}.png").unlink()
    info = described(data_folder=folder)
    assert info.suites["quick"] == {"shots": [1, 4], "query": 4}
    assert any("1 test class of fewer than 8 examples" in note for note in info.options["notes"])


@pytest.mark.parametrize("make", [lambda f: f.mkdir(), lambda f: (f / "class").mkdir(parents=True)])
def test_an_empty_folder(tmp_path, make):
    make(tmp_path / "a")
    refused("a is empty; put the files of each class into a folder", data_folder=tmp_path / "a")


def test_files_without_folders_and_folders_of_something_else(tmp_path):
    picture(tmp_path / "a" / "0.png", 1)
    refused("holds 1 file and no folder of files", data_folder=tmp_path / "a")
    for name in ("b/x/1.doc", "b/x/2.doc", "b/y/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    refused(r"found .doc \(2\), without suffix \(1\); read are .*\.png", data_folder=tmp_path / "b")
    refused("aa does not exist; did you mean .*a", data_folder=tmp_path / "aa")
    refused("neither a folder nor a .zip", data_folder=tmp_path / "a" / "0.png")


def test_mixed_modalities_are_counted_and_a_choice_is_offered(tmp_path):
    folder = photos(tmp_path / "a")
    for number in range(3):
        soundfile.write(folder / CITIES[0] / f"{number}.wav", np.full(99, number / 9), 16_000)
    refused(r"a holds 8 image files \(.png\) and 3 audio files \(.wav\); .* --modality image",
            data_folder=folder)  # fmt: skip
    refused("unknown modality 'imge'; did you mean image", data_folder=folder, modality="imge")
    data = load(data_folder=folder, modality="image")
    assert len(data) == 8
    assert "3 files of other kinds left out: Amman/0.wav, Amman/1.wav, Amman/2.wav" in data.notes


def test_a_corrupt_file_is_skipped_counted_and_named(tmp_path):
    folder = photos(tmp_path / "a", each=5)
    (folder / CITIES[1] / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (folder / CITIES[1] / "4.png").write_bytes(b"")
    data = load(data_folder=folder)
    assert len(data) == 8
    (note,) = [note for note in data.notes if "left out" in note]
    assert note.startswith("2 items left out: Bern/3.png does not decode as an image (")
    assert note.endswith("Bern/4.png is empty (0 bytes)")


def test_a_folder_in_which_nothing_can_be_read(tmp_path):
    for name in ("x/1.png", "x/2.png", "y/3.png", "y/4.png"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"no image")
    with pytest.raises(UnavailableError, match=r"none of 4 items could be read; x/1\.png does not"):
        load(data_folder=tmp_path / "a")


def test_an_audio_file_of_0_bytes(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("x/1", "x/2", "x/3", "y/1", "y/2"):
        path = tmp_path / "a" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-1, 1, 8000), 16_000)
    (tmp_path / "a" / "x" / "0.wav").touch()
    data = load(data_folder=tmp_path / "a")
    assert data.inputs["waveform"].shape == (5, 8000)
    assert "1 item left out: x/0.wav is empty (0 bytes)" in data.notes


def test_equal_files_in_two_classes_and_splits_are_kept_once(tmp_path):
    folder = photos(tmp_path / "a", classes=12, each=4)
    data = load(data_folder=folder)
    test, train = data.splits["test"].names[0], data.splits["train"].names[0]
    first, second = sorted((test, train))
    shutil.copy(folder / first / "0.png", folder / second / "again.png")
    shutil.copy(folder / first / "1.png", folder / first / "twice.png")
    again = load(data_folder=folder)
    assert len(again) == 48
    assert (
        f"2 repeated items left out, the first kept: {first}/twice.png (as {first}/1.png), "
        f"{second}/again.png (as {first}/0.png); 1 had another class, 1 were in another split"
    ) in again.notes


def test_labels_that_differ_in_case_or_space_are_asked_about(tmp_path):
    folder = photos(tmp_path / "a", classes=2)
    picture(folder / "amman" / "0.png", 1001)
    picture(folder / "amman" / "1.png", 1002)
    refused("'Amman' and 'amman'; say --similar-labels merge .* --similar-labels keep",
            data_folder=folder)  # fmt: skip
    kept = load(data_folder=folder, similar_labels="keep")
    assert kept.splits["test"].names == ("Amman", "Bern", "amman")
    merged = load(data_folder=folder, similar_labels="merge")
    assert merged.splits["test"].names == ("Amman", "Bern")
    assert merged.splits["test"].sizes.tolist() == [6, 4]
    assert any("merged: 'Amman' and 'amman'" in note for note in merged.notes)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_leads_out_is_refused(tmp_path, what):
    folder = photos(tmp_path / "a")
    outside = picture(tmp_path / "secret" / "0.png", 5)
    target = outside if what == "file" else outside.parent
    (folder / CITIES[0] / "link.png").symlink_to(target)
    refused("link.png is a link that leads out of the folder, to .*secret", data_folder=folder)


def test_a_link_inside_is_the_file_and_no_loop_is_followed(tmp_path):
    folder = photos(tmp_path / "a")
    (folder / CITIES[0] / "loop").symlink_to(folder)
    (folder / CITIES[0] / "z.png").symlink_to(folder / CITIES[1] / "0.png")
    data = load(data_folder=folder)
    assert any("1 repeated item" in note for note in data.notes)
    assert len(data) == 8


def test_what_systems_leave_behind_is_ignored(tmp_path):
    folder = photos(tmp_path / "a")
    before = load(data_folder=folder).digest
    for name in (".DS_Store", "Thumbs.db", f"{CITIES[0]}/._0.png", ".git/x/0.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert load(data_folder=folder).digest == before


def test_an_archive_bomb_and_a_path_out_of_an_archive(tmp_path, monkeypatch):
    folder = photos(tmp_path / "a")
    archive = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/Amman/bomb.png", bytes(200_000))
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", 100_000)
    with pytest.raises(MetabenchError, match=r"a\.zip would unpack to more than 100000 bytes"):
        look(data_folder=archive)
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", 10**9)
    monkeypatch.setattr(files, "MAX_MEMBER_BYTES", 150_000)
    with pytest.raises(MetabenchError, match=r"member a/Amman/bomb\.png is 200000 bytes"):
        look(data_folder=archive)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.writestr("../../x/0.png", b"x")
    with pytest.raises(MetabenchError, match="leads out of the archive"):
        look(data_folder=tmp_path / "b.zip")
    archive.write_bytes(archive.read_bytes()[:500])
    refused("not a complete zip archive", data_folder=archive)


def test_folders_of_splits_with_the_same_classes_are_merged(tmp_path):
    for split, seed in (("train", 0), ("Validation", 1), ("test", 2)):
        for name in CITIES[:2]:
            for number in range(2):
                picture(
                    tmp_path / "a" / split / name / f"{number}.png",
                    f"{seed}{number}{name}".__hash__() % 2**31,
                )
    data = load(data_folder=tmp_path / "a")
    assert data.splits["test"].names == CITIES[:2]
    assert "train, val and test merged: they hold the same classes" in data.notes


def test_a_folder_around_everything_and_a_note_beside_it(tmp_path):
    photos(tmp_path / "a" / "My images v2")
    (tmp_path / "a" / "LICENSE").write_text("CC0")
    (tmp_path / "a" / "My images v2" / "README.txt").write_text("about them")
    data = load(data_folder=tmp_path / "a")
    assert data.splits["test"].names == CITIES[:2]
    assert data.digest == load(data_folder=tmp_path / "a" / "My images v2").digest


def test_folders_of_splits_with_other_classes_are_the_split(tmp_path):
    for split, names in (("train", CITIES[:2]), ("test", CITIES[2:5])):
        for name in names:
            for number in range(2):
                picture(
                    tmp_path / "a" / split / name / f"{number}.png",
                    50 * CITIES.index(name) + number,
                )
    data = load(data_folder=tmp_path / "a")
    assert data.splits["train"].names == CITIES[:2]
    assert data.splits["test"].names == CITIES[2:5]


def test_a_file_name_that_is_no_text(tmp_path):
    folder = photos(tmp_path / "a")
    odd = os.fsdecode(b"\xff\xfe")
    picture(folder / odd / "0.png", 1001)
    picture(folder / odd / "1.png", 1002)
    (folder / odd / "\x1b[31m.png").write_bytes(b"")
    data = load(data_folder=folder)
    assert "\\xff\\xfe" in data.splits["test"].names
    assert "1 item left out: \\xff\\xfe/\\x1b[31m.png is empty (0 bytes)" in data.notes


def test_texts_in_files_of_another_encoding(tmp_path):
    for name, content in (("x/1", "Zürich"), ("x/2", "Genève"), ("y/1", "Bern"), ("y/2", "Chur")):
        (tmp_path / "a" / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / f"{name}.txt").write_bytes(content.encode("latin-1"))
    with pytest.raises(
        UnavailableError, match=r"only the class 'y'.* x/1\.txt is not utf-8 at byte 1"
    ):
        load(data_folder=tmp_path / "a")
    assert len(load(data_folder=tmp_path / "a", encoding="latin-1")) == 4


def test_settings_of_the_reader(tmp_path):
    folder = photos(tmp_path / "a")
    data = load(data_folder=folder, reader_options={"size": 32})
    assert data.inputs["pixels"].shape == (8, 3, 32, 32)
    with pytest.raises(UsageError, match="'images' does not take siz=3 "):
        load(data_folder=folder, reader_options={"siz": 3})
    with pytest.raises(UsageError, match="size 0: a whole number from 1"):
        load(data_folder=folder, reader_options={"size": 0})


def test_columns_make_no_sense_for_a_folder(tmp_path):
    refused("--label kind names a column, and --data-folder has none",
            data_folder=photos(tmp_path / "a"), label="kind")  # fmt: skip
    refused("--label kind is about own data and none are named", label="kind")
    refused("--data-folder and --data-table: one per run",
            data_folder=tmp_path, data_table=tmp_path / "b")  # fmt: skip
