"""Packs: the same bytes as decoding, found and used without a word; stale or damaged ones are refused by name."""

import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from helpers import TINY, sector_frames, tiny_place, write_avi, write_echonet_folder

from coreecho import cli, runs
from coreecho.clips import CROP_STREAM, GREY, assemble, crop_shift, cut, fit, generator, random_starts
from coreecho.datasets import read_echonet
from coreecho.errors import DataError
from coreecho.loading import ClipDataset, make_loader
from coreecho.protocols import protocol_starts
from coreecho.settings import ClipSettings, Run
from coreecho.study_video import read_study
from coreecho.video import packing, read_video
from coreecho.video.pack import DATA_FILE, INDEX_FILE, open_pack
from coreecho.video.packing import attach_pack, estimate_bytes, find_pack, write_pack

ROWS = [(f"V{index}", "50", "40", "80", split) for index, split in enumerate(("TRAIN", "TRAIN", "VAL", "TEST"))]
CLIP = ClipSettings(frames=4, stride=2, size=32, pad=3)
ALONE = ClipSettings(frames=4, stride=1, size=32)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Four videos: three as OpenCV decodes them from Motion-JPEG, one in colour and of another size and length."""
    root = write_echonet_folder(tmp_path_factory.mktemp("pack") / "data", ROWS, size=32, frames=9)
    colour = np.random.default_rng(0).integers(0, 255, (7, 40, 48, 3)).astype(np.uint8)
    write_avi(root / "Videos" / "V1.avi", colour, fps=30)
    write_avi(root / "Videos" / "V2.avi", sector_frames(9, 32, 32)[0], codec="FFV1")
    write_pack(read_echonet(root), root.with_name("packed"), progress=False)
    return root


@pytest.fixture
def copy(source, tmp_path):
    """A data set and its pack that a test may spoil."""
    shutil.copytree(source, tmp_path / "data")
    shutil.copytree(source.with_name("packed"), tmp_path / "data" / "pack")
    return tmp_path / "data"


def refusal(call, *arguments, **options):
    with pytest.raises(DataError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_pack_gives_the_bytes_that_decoding_gives(source):
    pack = open_pack(source.with_name("packed"))
    studies = read_echonet(source).studies
    assert list(pack) == [study.id for study in studies]
    assert {pack.entry(name).channels for name in pack} == {1, 3}, "equal channels are kept once, others all"
    for study in studies:
        video = read_video(study.path)
        assert np.array_equal(pack.frames(study.id), video.frames)
        assert pack.entry(study.id).fps == video.fps
        chosen = pack.clip(study.id, [3, 0, 3])
        assert np.array_equal(chosen, video.frames[[3, 0, 3]])
        assert chosen.flags.writeable
        assert not pack.frames(study.id).flags.writeable
    assert pack.verify() == 4
    assert (pack.folder / DATA_FILE).stat().st_size == pack.index.bytes
    assert "frames 0 to 8" in refusal(pack.clip, "V0", [9])
    assert "no video 'V9'" in refusal(pack.frames, "V9")


@pytest.mark.parametrize("padding", ["black", "grey"])
@pytest.mark.parametrize(
    ("rule", "augment"), [(random_starts(CLIP, 2, 3), True), (protocol_starts("all", CLIP), False)]
)
def test_items_are_the_same_with_and_without_a_pack(source, rule, augment, padding):
    plain = read_echonet(source)
    packed = attach_pack(plain, source.with_name("packed"))
    assert packed.fingerprint() == plain.fingerprint()
    options = {"seed": 5, "augment": augment, "padding": padding}
    one, two = ClipDataset(plain.studies, CLIP, rule, **options), ClipDataset(packed.studies, CLIP, rule, **options)
    for epoch in range(3):
        for index in range(len(one)):
            expected, item = one[epoch, index], two[epoch, index]
            assert torch.equal(item.clips, expected.clips)
            assert (item.starts, item.label, item.video) == (expected.starts, expected.label, expected.video)


def test_an_item_is_its_clips_cut_and_cropped_one_by_one(source):
    study = read_echonet(source).studies[0]
    rule = random_starts(CLIP, 2, 0)
    data = ClipDataset([study], CLIP, rule, augment=True, padding="grey", seed=1)
    frames = fit(read_video(study.path).frames, 32)
    for epoch in range(6):
        for view, start in enumerate(rule(study.id, len(frames), epoch)):
            shift = crop_shift(3, generator(1, epoch, study.id, CROP_STREAM + view))
            (expected,) = assemble(cut(frames, start, CLIP, GREY), [0], [shift], ALONE, GREY)
            assert np.array_equal(data[epoch, 0].clips[view].numpy(), expected)


def test_a_part_of_a_video_read_backwards_is_the_same_from_a_pack(source):
    (study,) = read_echonet(source).studies[:1]
    study = dataclasses.replace(study, frames=(2, 6), reverse=True)
    packed = dataclasses.replace(study, pack=source.with_name("packed"))
    items = [ClipDataset([each], CLIP, protocol_starts("first", CLIP))[0].clips for each in (study, packed)]
    assert torch.equal(*items)
    assert np.array_equal(items[0][0, :, 0].permute(1, 2, 0), read_study(study).frames[0])
    late = dataclasses.replace(packed, frames=(2, 30))
    assert "listed" in refusal(ClipDataset([late], CLIP, protocol_starts("first", CLIP)).__getitem__, 0)


def test_no_video_is_decoded_where_there_is_a_pack(copy, monkeypatch):
    data = attach_pack(read_echonet(copy))
    monkeypatch.setattr("coreecho.loading.read_video", lambda *_, **__: pytest.fail("decoded"))
    assert len(ClipDataset(data.studies, CLIP, random_starts(CLIP, 2, 0))[1, 1].clips) == 2


def test_loader_processes_read_the_same_pack(copy):
    data = attach_pack(read_echonet(copy))
    dataset = ClipDataset(data.studies[:1], CLIP, random_starts(CLIP, 2, 0))
    (alone,), (apart,) = list(make_loader(dataset, 1)), list(make_loader(dataset, 1, workers=1))
    assert torch.equal(alone.clips, apart.clips)
    pack = open_pack(copy / "pack")
    pack.frames("V0")
    handed = pickle.dumps(pack)
    assert len(handed) < 5_000, "only the index travels to another process"
    assert np.array_equal(pickle.loads(handed).frames("V0"), pack.frames("V0"))


def test_a_pack_in_or_beside_the_folder_is_found(copy):
    assert find_pack(copy) == copy / "pack"
    assert all(study.pack == (copy / "pack").resolve() for study in attach_pack(read_echonet(copy)).studies)
    (copy / "pack").rename(copy.with_name("data.pack"))
    assert find_pack(copy) == copy.with_name("data.pack")
    shutil.rmtree(copy.with_name("data.pack"))
    assert attach_pack(read_echonet(copy)).studies[0].pack is None


def test_a_run_has_the_same_key_and_data_with_a_pack(phantom_folder, tmp_path):
    place = tiny_place(phantom_folder, tmp_path)
    data, about = runs.load_data(Run(), TINY, place)
    write_pack(data, tmp_path / "pack", progress=False)
    packed, same = runs.load_data(Run(), TINY, dataclasses.replace(place, pack=tmp_path / "pack"))
    assert same == about
    assert {study.pack for study in packed.studies} == {(tmp_path / "pack").resolve()}
    assert {study.pack for study in data.studies} == {None}


def test_a_stale_pack_is_refused(copy):
    video = copy / "Videos" / "V0.avi"
    kept = video.read_bytes()
    write_avi(video, sector_frames(12, 32, 32)[0])
    message = refusal(attach_pack, read_echonet(copy))
    assert "stale" in message
    assert "V0.avi" in message
    assert "coreecho data pack" in message
    changed = bytearray(kept)
    changed[-100] ^= 1  # the same size: seen only when the files are read
    video.write_bytes(changed)
    studies = attach_pack(read_echonet(copy)).studies
    assert "V0.avi has changed" in refusal(open_pack(copy / "pack").check, studies, contents=True)
    video.write_bytes(kept)
    open_pack(copy / "pack").check(studies, contents=True)
    write_echonet_folder(copy, [*ROWS, ("V9", "50", "40", "80", "TRAIN")], videos=["V9"])
    message = refusal(attach_pack, read_echonet(copy))
    assert "V9" in message
    assert "1 of 5" in message


def test_leaving_videos_out_does_not_make_a_pack_stale(copy):
    write_echonet_folder(copy, ROWS[:3], videos=[])
    assert len(attach_pack(read_echonet(copy)).studies) == 3


def test_changed_bytes_are_noticed_at_the_first_reading(copy):
    file = copy / "pack" / DATA_FILE
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    pack = open_pack(copy / "pack")
    assert len(pack.frames("V0")) == 9
    for call, *arguments in ((pack.frames, "V3"), (pack.verify,)):
        message = refusal(call, *arguments)
        assert "V3" in message
        assert "damaged" in message


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda pack: (pack / DATA_FILE).write_bytes(b"short"), "has 5 bytes instead of"),
        (lambda pack: (pack / DATA_FILE).unlink(), "frames.u8"),
        (lambda pack: (pack / INDEX_FILE).unlink(), "not a pack"),
        (lambda pack: (pack / INDEX_FILE).write_text("{"), "no JSON"),
        (lambda pack: (pack / INDEX_FILE).write_bytes(b"\xff\xfe\x00"), "no JSON"),
        (lambda pack: (pack / INDEX_FILE).write_text("[" * 100_000), "no JSON"),
        (lambda pack: (pack / INDEX_FILE).write_text('{"format": 99}'), "format 1"),
        (lambda pack: spoil_index(pack, frames=-9), "wrong at video V0"),
        (lambda pack: spoil_index(pack, offset=10**30), "wrong at video V0"),
        (lambda pack: spoil_index(pack, height="32"), "videos.0.height"),
        (lambda pack: spoil_index(pack, height=10**9), "wrong at video V1"),
        (lambda pack: spoil_index(pack, id="V1"), "twice"),
    ],
)
def test_a_damaged_pack_is_refused(copy, spoil, words):
    spoil(copy / "pack")
    message = refusal(open_pack, copy / "pack")
    assert words in message
    assert str(copy / "pack") in message


def spoil_index(pack, **changes):
    index = json.loads((pack / INDEX_FILE).read_text())
    index["videos"][0].update(changes)
    (pack / INDEX_FILE).write_text(json.dumps(index))


def test_the_size_is_estimated_before_anything_is_written(source, tmp_path, monkeypatch):
    data = read_echonet(source)
    needed = open_pack(source.with_name("packed")).index.bytes
    assert 0.5 * needed < estimate_bytes(data.studies) < 2 * needed
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 9, 9))
    message = refusal(write_pack, data, tmp_path / "out", progress=False)
    assert "free space" in message
    assert not list(tmp_path.iterdir())


def test_a_broken_video_or_a_kill_leaves_the_old_pack(copy, monkeypatch):
    before = (copy / "pack" / INDEX_FILE).read_bytes()
    data = read_echonet(copy)
    whole = (copy / "Videos" / "V3.avi").read_bytes()
    (copy / "Videos" / "V3.avi").write_bytes(whole[: len(whole) // 2])
    assert "V3.avi" in refusal(write_pack, data, copy / "pack", progress=False)
    (copy / "Videos" / "V3.avi").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "_append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_pack(data, copy / "pack", progress=False)
    assert (copy / "pack" / INDEX_FILE).read_bytes() == before
    assert sorted(path.name for path in copy.iterdir() if path.is_dir()) == ["Videos", "pack"]
    write_pack(data, copy / "pack", progress=False).verify()


def test_a_folder_with_other_things_is_not_overwritten(source, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert "no pack" in refusal(write_pack, read_echonet(source), tmp_path, progress=False)
    assert "no pack" in refusal(write_pack, read_echonet(source), tmp_path / "notes.txt", progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_command_packs_and_verifies(copy, capsys):
    shutil.rmtree(copy / "pack")
    assert cli.main(["data", "pack", str(copy), str(copy / "pack")]) == 0
    assert "4 videos" in capsys.readouterr().out
    assert cli.main(["data", "verify", str(copy / "pack"), str(copy)]) == 0
    (copy / "pack" / DATA_FILE).write_bytes(b"")
    assert cli.main(["data", "verify", str(copy / "pack"), str(copy)]) == 2
    assert "damaged" in capsys.readouterr().err
