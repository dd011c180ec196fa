"""Loading: one decode per item, bounded memory, and the same bytes whether a video is decoded whole or in part."""

from itertools import chain

import cv2
import numpy as np
import pytest
import torch
from helpers import sector_frames, write_avi

from coreecho import distributed, loading, study_video
from coreecho.clips import random_starts
from coreecho.datasets import Study
from coreecho.errors import VideoError
from coreecho.loading import ClipDataset, EpochSampler, make_loader, stored_frames
from coreecho.protocols import protocol_starts
from coreecho.settings import ClipSettings

CLIP = ClipSettings(frames=8, stride=2, size=32, pad=2)


@pytest.fixture
def reads(monkeypatch):
    """What was decoded: (file name, last, number of frames asked for); none and none for whole videos."""
    calls = []

    def counted(path, **options):
        calls.append((path.name, options.get("last"), None if options.get("only") is None else len(options["only"])))
        return original(path, **options)

    def counted_pictures(path, wanted):
        found = pictures(path, wanted)
        calls.extend([] if found is None else [(path.name, wanted[-1], len(wanted))])
        return found

    original, pictures = loading.read_video, loading.read_pictures
    monkeypatch.setattr(loading, "read_pictures", counted_pictures)
    for module in (loading, study_video):  # decoding in part, and whole
        monkeypatch.setattr(module, "read_video", counted)
    return calls


def test_a_video_is_decoded_once_however_many_clips_and_epochs(phantom_data, reads):
    studies = phantom_data.split("test")
    data = ClipDataset(studies, CLIP, protocol_starts("all", CLIP))
    clips = [data[epoch, index].clips for epoch in range(2) for index in range(len(data))]
    assert all(len(each) > 20 for each in clips)
    assert sorted(name for name, *_ in reads) == sorted(study.path.name for study in studies)


def test_memory_stays_under_its_bound_and_videos_beyond_it_are_read_anew(phantom_data, reads, monkeypatch):
    studies = phantom_data.split("train")
    sizes = {study.id: stored_frames(study.path) * 32 * 32 * 3 for study in studies}
    monkeypatch.setattr(loading, "CACHE_BYTES", sizes[studies[0].id] + sizes[studies[1].id] + 100)
    data = ClipDataset(studies, CLIP, random_starts(CLIP, 2, 0))
    for epoch in range(3):
        for index in range(len(data)):
            data[epoch, index]
        assert sum(video.nbytes for video in data._cache.values()) <= loading.CACHE_BYTES
    names = [name for name, *_ in reads]
    assert {names.count(study.path.name) for study in studies[:2]} == {1}
    assert {names.count(study.path.name) for study in studies[2:]} == {3}


@pytest.mark.parametrize(
    "rule", [random_starts(CLIP, 2, 3), protocol_starts("even5", CLIP), protocol_starts("all", CLIP)]
)
@pytest.mark.parametrize("augment", [False, True])
def test_decoding_in_part_gives_the_same_bytes_as_decoding_whole(phantom_data, reads, monkeypatch, rule, augment):
    studies = phantom_data.split("train")[:4]
    whole = ClipDataset(studies, CLIP, rule, augment=augment)
    expected = [whole[epoch, index] for epoch in range(3) for index in range(4)]
    reads.clear()
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    part = ClipDataset(studies, CLIP, rule, augment=augment)
    found = [part[epoch, index] for epoch in range(3) for index in range(4)]
    assert all(a.starts == b.starts and torch.equal(a.clips, b.clips) for a, b in zip(expected, found, strict=True))
    assert all(last is not None and count is not None for _, last, count in reads)
    assert not part._cache


@pytest.mark.parametrize("apart", [True, False])
def test_decoding_in_part_asks_for_the_clips_frames_alone(phantom_data, reads, monkeypatch, apart):
    studies = phantom_data.split("train")[:1]
    expected = ClipDataset(studies, CLIP, lambda *_: [1])[0]
    reads.clear()
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    if apart:
        monkeypatch.setattr(loading, "read_video", lambda *_, **__: pytest.fail("other pictures were decoded too"))
    else:  # as where a picture needs tables of one before it
        monkeypatch.setattr(loading, "read_pictures", lambda *_: None)
    assert torch.equal(ClipDataset(studies, CLIP, lambda *_: [1])[0].clips, expected.clips)
    assert [call[1:] for call in reads] == [(15, 8)]


def test_other_sizes_and_short_videos_are_the_same_in_part(tmp_path, monkeypatch):
    studies = []
    for frames, size in ((5, 48), (15, 32), (40, 20)):
        path = write_avi(tmp_path / f"v{frames}.avi", sector_frames(frames, size, size)[0])
        studies.append(Study(id=path.stem, path=path, label=50.0, split="train"))
    rule = random_starts(CLIP, 3, 1)
    whole = [ClipDataset(studies, CLIP, rule)[epoch, index] for epoch in range(4) for index in range(3)]
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    part = [ClipDataset(studies, CLIP, rule)[epoch, index] for epoch in range(4) for index in range(3)]
    assert all(torch.equal(a.clips, b.clips) for a, b in zip(whole, part, strict=True))


def test_a_clip_that_lies_wholly_past_the_end_is_black(tmp_path, monkeypatch):
    path = write_avi(tmp_path / "one.avi", sector_frames(1, 32, 32)[0])
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    data = ClipDataset([Study(id="one", path=path, label=50.0, split="train")], CLIP, lambda *_: [1])
    assert not data[0].clips.any()


@pytest.mark.parametrize("announced", [3, 20, 90])
def test_a_header_that_lies_about_its_frames_is_not_believed(tmp_path, reads, monkeypatch, announced):
    path = write_avi(tmp_path / "liar.avi", sector_frames(30, 32, 32)[0])
    study = [Study(id="liar", path=path, label=50.0, split="train")]
    rule = protocol_starts("all", CLIP)
    expected = ClipDataset(study, CLIP, rule)[0]
    content = bytearray(path.read_bytes())
    place = content.index(b"avih") + 8 + 16
    content[place : place + 4] = announced.to_bytes(4, "little")
    path.write_bytes(content)
    assert stored_frames(path) is None
    reads.clear()
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    found = ClipDataset(study, CLIP, rule)[0]
    assert found.starts == expected.starts
    assert torch.equal(found.clips, expected.clips)
    assert [last for _, last, _ in reads] == [None]


def test_a_read_that_comes_up_short_falls_back_to_the_whole_video(phantom_data, reads, monkeypatch):
    study = phantom_data.split("train")[:1]
    rule = random_starts(CLIP, 2, 0)
    expected = ClipDataset(study, CLIP, rule)[0]
    reads.clear()
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    monkeypatch.setattr(loading, "stored_frames", lambda _: 500)
    found = ClipDataset(study, CLIP, rule)[0]
    assert found.starts == expected.starts
    assert torch.equal(found.clips, expected.clips)
    assert [last is None for _, last, _ in reads] == [False, True]


def test_only_motion_jpeg_files_are_counted_without_decoding(tmp_path):
    frames = sector_frames(9, 32, 32)[0]
    assert stored_frames(write_avi(tmp_path / "a.avi", frames)) == 9
    assert stored_frames(write_avi(tmp_path / "b.mp4", frames, codec="mp4v")) is None


def test_an_unreadable_video_is_named(tmp_path):
    path = tmp_path / "SYN1.avi"
    path.write_bytes(b"RIFF\x00\x00\x00\x00AVI nothing")
    data = ClipDataset([Study(id="SYN1", path=path, label=50.0, split="train")], CLIP, random_starts(CLIP, 1, 0))
    with pytest.raises(VideoError, match=r"SYN1\.avi"):
        data[0]


def test_batches_hold_all_views_and_labels(phantom_data):
    studies = phantom_data.split("train")
    loader = make_loader(ClipDataset(studies, CLIP, random_starts(CLIP, 2, 0)), 4, drop_last=True)
    batches = list(loader)
    assert [tuple(batch.clips.shape) for batch in batches] == [(4, 2, 3, 8, 32, 32)] * 2
    assert batches[0].clips.dtype == torch.uint8
    assert torch.cat([batch.labels for batch in batches]).tolist() == pytest.approx([study.label for study in studies])


def test_loading_leaves_the_stream_that_dropout_uses_alone(phantom_data):
    loader = make_loader(ClipDataset(phantom_data.split("val"), CLIP, random_starts(CLIP, 1, 0)), 2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert sum(len(batch.videos) for batch in loader) == 4
    assert torch.equal(torch.rand(3), expected)


def test_items_can_leave_their_crop_to_the_device(phantom_data):
    options = {"studies": phantom_data.split("train"), "clip": CLIP, "starts": random_starts(CLIP, 2, 0)}
    still, now = ClipDataset(**options), ClipDataset(**options, augment=True, padding="grey")
    later = ClipDataset(**options, augment=True, padding="grey", crop_on_device=True)
    for epoch in range(2):
        assert torch.equal(later[epoch, 1].clips, still[epoch, 1].clips)
        assert later[epoch, 1].shifts == tuple(now.shift(epoch, later.studies[1].id, view) for view in range(2))
        assert later[epoch, 1].fill == now.fill
    for data in (now, ClipDataset(**options, crop_on_device=True)):
        assert data[0, 0].shifts == ()
        assert next(iter(make_loader(data, 4))).shifts is None


@pytest.mark.parametrize("drop_last", [False, True])
def test_an_epoch_can_go_on_after_some_of_its_batches(drop_last):
    sampler = EpochSampler(10, 4, shuffle=True, drop_last=drop_last)
    every = list(sampler)
    for sampler.first in range(len(every) + 1):
        assert list(sampler) == every[sampler.first :]
        assert len(sampler) == len(every) == (2 if drop_last else 3)


def test_processes_share_each_batch(monkeypatch):
    sampler = EpochSampler(11, 4, shuffle=True, drop_last=False)
    alone, shares = list(sampler), []
    monkeypatch.setattr(distributed, "world", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(list(sampler))
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == alone
    assert {len(part) for share in shares for part in share} == {1, 2}


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_decode_and_resize_after_the_parent_used_opencvs_threads(tmp_path, monkeypatch):
    path = write_avi(tmp_path / "large.avi", sector_frames(20, 600, 600)[0])
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (500, 500), interpolation=cv2.INTER_AREA)  # starts the threads
    data = ClipDataset([Study(id="a", path=path, label=50.0, split="train")], CLIP, random_starts(CLIP, 1, 0))
    (alone,), (apart,) = list(make_loader(data, 1)), list(make_loader(data, 1, workers=1))
    assert torch.equal(alone.clips, apart.clips)
