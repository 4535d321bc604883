"""The sources that read files, on small archives in upstream's layouts."""

from __future__ import annotations

import numpy as np
import pytest
from speech_files import encoded, tone, word, write_tar, write_zip

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_speech.files import ARABIC, ESC50, SPEECH_COMMANDS
from metabench_speech.recordings import committed_split
from metabench_speech.sources.arabic import commands, speakers
from metabench_speech.sources.esc50 import esc50
from metabench_speech.sources.speech_commands import speech_commands


def names(split):
    return [name for labels in committed_split(split).values() for name in labels]


def arabic_members(speakers_=2):
    return {
        f"dataset/{keyword}/{speaker:08d}_NO_01.wav": word(number + speaker)
        for number, keyword in enumerate(names("arabic-commands"))
        for speaker in range(1, speakers_ + 1)
    }


def commands_members(count=3):
    members = {"./README.md": b"text", "./_background_noise_/hum.wav": word(0)}
    for number, name in enumerate(names("speech-commands")):
        for take in range(count):
            members[f"./{name}/{take:08x}_nohash_{take % 2}.wav"] = word(number, 0.1)
    return members


def esc_members():
    members, rows = {}, ["filename,fold,target,category,esc10,src_file,take"]
    for target, name in enumerate(names("esc50")):
        for take in "AB":
            file = f"1-{target + 100}-{take}-{target}.wav"
            members[f"ESC-50-master/audio/{file}"] = encoded(tone(0.1, 44_100), 44_100)
            rows.append(f"{file},1,{target},{name},False,{target + 100},{take}")
    members["ESC-50-master/meta/esc50.csv"] = "\n".join(rows).encode()
    return members


def context(tmp_path):
    return SourceContext("the-source", tmp_path)


def test_arabic_commands(tmp_path):
    members = arabic_members()
    members["dataset/background_noise/hall.wav"] = b"?"
    write_zip(tmp_path / ARABIC.path, members)
    data = commands(context(tmp_path))
    assert data.modality == "audio"
    assert data.inputs["waveform"].shape == (80, 16_000)
    assert data.inputs["length"].unique().tolist() == [3_200]
    assert data.inputs["waveform"][:, 3_200:].abs().max() == 0
    assert data.splits["test"].names == committed_split("arabic-commands")["test"]
    for pool in data.splits.values():
        for members_ in pool.members:
            assert len(set(data.groups[members_])) == 2
    assert data.notes == ()


def test_arabic_speakers_are_classes_and_keywords_groups(tmp_path):
    write_zip(tmp_path / ARABIC.path, arabic_members(30))
    whole = speakers(context(tmp_path))
    assert list(whole.splits) == ["test"]
    assert len(whole.splits["test"].names) == 30
    assert all(len(set(whole.groups[m])) == 40 for m in whole.splits["test"].members)
    split = speakers(context(tmp_path), split=True)
    assert [len(split.splits[s].names) for s in ("train", "val", "test")] == [18, 6, 6]


def test_bad_recordings_are_left_out_counted_and_named(tmp_path):
    members = arabic_members()
    bad = [f"dataset/{k}/00000002_NO_01.wav" for k in ("up", "stop", "nine", "zero")]
    contents = (b"junk", encoded(np.zeros(0)), members[bad[2]][:900], b"")
    write_zip(tmp_path / ARABIC.path, members | dict(zip(bad, contents, strict=True)))
    data = commands(context(tmp_path))
    assert len(data) == 76
    (note,) = data.notes
    assert note.startswith("4 recordings left out: ")
    assert note.endswith("and 1 more")
    assert f"{ARABIC.path}: {bad[2]} (cut short)" in note
    sizes = {n: len(m) for p in data.splits.values() for n, m in zip(p.names, p.members)}  # noqa: B905
    assert {name for name, size in sizes.items() if size == 1} == {"up", "stop", "nine", "zero"}


def test_long_recordings_are_cut_and_counted(tmp_path):
    members = arabic_members()
    members["dataset/up/00000001_NO_01.wav"] = encoded(tone(1.5))
    write_zip(tmp_path / ARABIC.path, members)
    data = commands(context(tmp_path))
    assert data.notes == ("1 recordings cut to 1 seconds",)
    assert int(data.inputs["length"].max()) == 16_000


def test_a_class_without_a_usable_recording_names_the_file(tmp_path):
    members = arabic_members(1)
    members["dataset/up/00000001_NO_01.wav"] = b"junk"
    write_zip(tmp_path / ARABIC.path, members)
    with pytest.raises(UnavailableError, match=r"'up'; left out: .*dataset/up/00000001_NO_01\.wav"):
        commands(context(tmp_path))


@pytest.mark.parametrize("name", ["dataset/oops/00000001_NO_01.wav", "dataset/up/x.wav"])
def test_unknown_members_are_named(tmp_path, name):
    write_zip(tmp_path / ARABIC.path, {**arabic_members(1), name: word(1)})
    with pytest.raises(UnavailableError, match=name):
        commands(context(tmp_path))


@pytest.mark.parametrize("load", [commands, esc50, speech_commands])
def test_a_missing_file_is_unavailable(tmp_path, load):
    with pytest.raises(UnavailableError, match="does not exist"):
        load(context(tmp_path))


def test_a_truncated_zip_is_unavailable(tmp_path):
    path = tmp_path / ARABIC.path
    write_zip(path, arabic_members())
    path.write_bytes(path.read_bytes()[:-3_000])
    with pytest.raises(UnavailableError, match="not a complete zip"):
        commands(context(tmp_path))


def test_speech_commands(tmp_path):
    write_tar(tmp_path / SPEECH_COMMANDS.path, commands_members())
    data = speech_commands(context(tmp_path), per_word=2)
    assert len(data) == 70
    assert data.notes == ("70 of 105 recordings, at most 2 of a word",)
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [20, 5, 10]
    assert all((pool.sizes == 2).all() for pool in data.splits.values())
    assert set(data.groups) <= {0, 1, 2}


def test_the_selection_does_not_depend_on_the_order_of_the_archive(tmp_path):
    members = commands_members(5)
    digests = []
    for folder, order in (("a", members), ("b", dict(reversed(members.items())))):
        write_tar(tmp_path / folder / SPEECH_COMMANDS.path, order)
        digests.append(speech_commands(context(tmp_path / folder), per_word=3).digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_a_truncated_tar_is_unavailable(tmp_path, share):
    path = tmp_path / SPEECH_COMMANDS.path
    write_tar(path, commands_members())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnavailableError, match=r"not a complete tar\.gz"):
        speech_commands(context(tmp_path))


def test_a_tar_that_leads_out_is_refused(tmp_path):
    write_tar(tmp_path / SPEECH_COMMANDS.path, {"../../evil.wav": word(1)})
    with pytest.raises(UnavailableError, match="leads out of the archive"):
        speech_commands(context(tmp_path))


def test_a_tar_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("metabench_speech.archives.MAX_ARCHIVE_BYTES", 10_000)
    write_tar(tmp_path / SPEECH_COMMANDS.path, commands_members())
    with pytest.raises(UnavailableError, match="would unpack to"):
        speech_commands(context(tmp_path))


def test_esc50(tmp_path):
    write_zip(tmp_path / ESC50.path, esc_members())
    data = esc50(context(tmp_path))
    assert data.inputs["waveform"].shape == (100, 80_000)
    assert data.inputs["length"].unique().tolist() == [1_600]
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [35, 5, 10]
    for pool in data.splits.values():
        assert all(len(set(data.groups[members])) == 1 for members in pool.members)


def test_esc50_without_its_listing_or_a_file(tmp_path):
    members = esc_members()
    listing = members.pop("ESC-50-master/meta/esc50.csv")
    write_zip(tmp_path / "a" / ESC50.path, members)
    with pytest.raises(UnavailableError, match=r"esc50\.csv is missing"):
        esc50(context(tmp_path / "a"))
    gone = members.popitem()[0].rpartition("/")[2]
    write_zip(tmp_path / "b" / ESC50.path, {**members, "ESC-50-master/meta/esc50.csv": listing})
    with pytest.raises(UnavailableError, match=gone):
        esc50(context(tmp_path / "b"))
