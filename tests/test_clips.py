"""Clip sampling: the published rule, and draws that depend on (seed, epoch, video, view) alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coreecho.clips import (
    GREY,
    MEAN,
    SD,
    assemble,
    crop_shift,
    cut,
    fit,
    generator,
    legal_starts,
    normalise,
    random_starts,
    shift_on_device,
)
from coreecho.datasets import Study
from coreecho.loading import ClipDataset, make_loader
from coreecho.settings import ClipSettings

PARITY = json.loads((Path(__file__).parent / "fixtures/parity/clip_sampling.json").read_text())
CLIP = ClipSettings()
LENGTHS = {"SYN1": 174, "SYN2": 144, "SYN3": 120, "SYN4": 28, "SYN5": 1002, "SYN6": 141}


def numbered(frames, side=4):
    """A video whose frame i holds the values i % 256 and i // 256."""
    video = np.zeros((frames, side, side, 3), np.uint8)
    video[..., 0], video[..., 1] = np.arange(frames)[:, None, None] % 256, np.arange(frames)[:, None, None] // 256
    video[..., 2] = 7
    return video


def test_span_and_minimum_length_are_the_papers():
    assert (CLIP.frames, CLIP.stride) == (PARITY["frames"], PARITY["stride"])
    assert (CLIP.span, CLIP.minimum_length) == (PARITY["span"], 144)


@pytest.mark.parametrize("case", PARITY["cases"], ids=lambda case: f"{case['F']} frames")
def test_starts_and_source_frames_are_the_published_ones(case):
    frames = case["F"]
    assert max(frames, CLIP.minimum_length) == case["padded_length"]
    assert legal_starts(frames, CLIP) == case["n_legal_starts"]
    assert case["start_min"] == 0
    assert case["start_max"] == case["n_legal_starts"] - 1
    video = numbered(frames)
    for which in ("min", "max"):
        clip = cut(video, case[f"start_{which}"], CLIP)
        shown = clip[:, 0, 0, 0].astype(int) + 256 * clip[:, 0, 0, 1].astype(int)
        assert [int(i) if marked else -1 for i, marked in zip(shown, clip[:, 0, 0, 2], strict=True)] == case[
            f"frames_at_start_{which}"
        ]


def test_normalisation_constants_are_the_published_ones():
    published = PARITY["normalisation"]
    assert (list(MEAN), list(SD)) == (published["mean_0_1"], published["std_0_1"])
    for level in (0, 128, 255):
        value = normalise(torch.full((1, 3, 1, 1, 1), level, dtype=torch.uint8)).flatten()
        assert value.tolist() == pytest.approx(published[f"value_of_raw_{level}"], abs=1e-6)


def test_black_padding_is_about_minus_065_after_normalisation_and_grey_about_zero():
    video = numbered(3)
    studies = [Study(id="a", path=Path("a.avi"), label=50.0, split="train")]
    for padding, value, tolerance in (("black", -0.654, 0.004), ("grey", 0.0, 0.01)):
        data = ClipDataset(studies, ClipSettings(frames=8, stride=2, size=4), lambda *_: [0], padding=padding)
        data._cache["a"] = video
        beyond = normalise(data[0].clips)[:, :, 4:]  # frames 0 and 2 exist, the others do not
        assert beyond.numpy() == pytest.approx(value, abs=tolerance)


def test_random_starts_cover_exactly_the_legal_ones():
    rule = random_starts(CLIP, 2, seed=7)
    for video, frames in LENGTHS.items():
        drawn = {start for epoch in range(60) for start in rule(video, frames, epoch)}
        assert min(drawn) >= 0
        assert max(drawn) <= max(frames, 144) - 141
        if frames <= 144:
            assert drawn == {0, 1, 2, 3}


def test_starts_are_a_pure_function_of_seed_epoch_video_and_view():
    draws = {
        (seed, epoch, video, view): random_starts(CLIP, 2, seed)(video, 5000, epoch)[view]
        for seed in (7, 8)
        for epoch in (0, 1)
        for video in ("SYN1", "SYN2")
        for view in (0, 1)
    }
    assert len(set(draws.values())) == len(draws)
    assert draws == {key: random_starts(CLIP, 2, key[0])(key[2], 5000, key[1])[key[3]] for key in draws}


def test_views_are_drawn_independently_and_coincide_as_often_as_chance_says():
    rule = random_starts(CLIP, 2, seed=0)
    same = np.mean([len(set(rule("SYN3", 120, epoch))) == 1 for epoch in range(2000)])
    assert same == pytest.approx(1 / 4, abs=0.04)


def test_streams_of_different_keys_are_unrelated():
    keys = [(1, 2, "a", 3), (2, 2, "a", 3), (1, 3, "a", 3), (1, 2, "b", 3), (1, 2, "a", 4), (2, 1, "a", 3)]
    draws = [tuple(generator(*key).integers(2**32, size=4)) for key in keys]
    assert len(set(draws)) == len(keys)


@pytest.fixture
def cached_studies():
    return [Study(id=name, path=Path(f"{name}.avi"), label=float(i), split="train") for i, name in enumerate(LENGTHS)]


def epoch_of_items(studies, *, workers=0, batch_size=2, epoch=3, seed=7):
    """Starts and clips of every video in one pass over a shuffled loader."""
    data = ClipDataset(studies, CLIP_SMALL, random_starts(CLIP, 2, seed), seed=seed, augment=True)
    data._cache = {study.id: numbered(LENGTHS[study.id], CLIP_SMALL.size) for study in studies}
    loader = make_loader(data, batch_size, shuffle=True, workers=workers)
    loader.batch_sampler.epoch = epoch
    found = {}
    for batch in loader:
        found |= {
            name: (batch.starts[i], batch.clips[i].numpy().tobytes(), float(batch.labels[i]))
            for i, name in enumerate(batch.videos)
        }
    return found


CLIP_SMALL = ClipSettings(size=8, pad=2)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (0, 6), (1, 2), (4, 2)])
def test_clips_and_crops_do_not_depend_on_workers_batches_or_order(cached_studies, workers, batch_size):
    expected = epoch_of_items(cached_studies)
    assert set(expected) == set(LENGTHS)
    assert epoch_of_items(cached_studies[::-1], workers=workers, batch_size=batch_size) == expected


def test_another_epoch_or_seed_gives_other_clips_and_another_order(cached_studies):
    expected = epoch_of_items(cached_studies)
    for other in (epoch_of_items(cached_studies, epoch=4), epoch_of_items(cached_studies, seed=8)):
        assert other != expected
    orders = set()
    for epoch in range(5):
        loader = make_loader(ClipDataset(cached_studies, CLIP, random_starts(CLIP, 1, 0)), 6, shuffle=True)
        loader.batch_sampler.epoch = epoch
        orders.add(tuple(index for batch in loader.batch_sampler for _, index in batch))
    assert len(orders) > 1


def cropped(video, shift, clip, fill=(0, 0, 0)):
    """The first clip of a video, moved: (3, T, H, W)."""
    return assemble(video, [0], [shift], clip, fill)[0]


def test_a_crop_is_a_window_of_the_padded_clip():
    """The published description: pad each side, cut back to the size at an offset of 0 to 2 pad."""
    clip, fill = ClipSettings(frames=3, stride=1, size=9, pad=2), (10, 20, 30)
    video = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    padded = np.empty((3, 13, 13, 3), np.uint8)
    padded[:] = fill
    padded[:, 2:-2, 2:-2] = video
    for top in range(5):
        for left in range(5):
            window = padded[:, top : top + 9, left : left + 9].transpose(3, 0, 1, 2)
            assert np.array_equal(cropped(video, (top - 2, left - 2), clip, fill), window)


def test_crops_reach_every_offset_on_both_axes():
    drawn = [crop_shift(2, generator(0, 0, "v", stream)) for stream in range(300)]
    assert {top for top, _ in drawn} == {left for _, left in drawn} == set(range(-2, 3))
    assert len(set(drawn)) == 25


@pytest.mark.parametrize("fill", [(0, 0, 0), GREY])
@pytest.mark.parametrize("side", [8, 1])
def test_clips_moved_on_the_device_are_those_moved_while_they_are_cut(fill, side):
    clip = ClipSettings(frames=6, stride=2, size=side, pad=3)
    rng = np.random.default_rng(1)
    videos = [rng.integers(0, 256, (frames, side, side, 3), dtype=np.uint8) for frames in (40, 7, 12)]
    starts = rng.integers(0, 9, (3, 2))  # some clips end, and some lie, past their video's end
    shifts = rng.integers(-3, 4, (3, 2, 2))
    shifts[0] = [[0, 0], [-3, 3]]
    still = [assemble(video, each, [(0, 0)] * 2, clip, fill) for video, each in zip(videos, starts, strict=True)]
    expected = [assemble(*each, clip, fill) for each in zip(videos, starts, shifts.tolist(), strict=True)]
    clips = torch.from_numpy(np.stack(still))  # (B, V, 3, T, H, W)
    moved = shift_on_device(clips, torch.from_numpy(shifts), fill)
    assert moved.dtype == torch.uint8
    assert np.array_equal(moved.numpy(), np.stack(expected))


def test_a_clip_moved_out_of_sight_has_the_fills_colour():
    clips = torch.full((1, 1, 3, 2, 4, 4), 200, dtype=torch.uint8)
    moved = shift_on_device(clips, torch.tensor([[[4, 0]]]), (1, 2, 3))
    assert moved.flatten(3)[0, 0].unique(dim=1).flatten().tolist() == [1, 2, 3]


def test_the_two_views_of_one_clip_are_cropped_independently():
    studies = [Study(id="a", path=Path("a.avi"), label=50.0, split="train")]
    clip = ClipSettings(frames=4, stride=1, size=16, pad=4)
    data = ClipDataset(studies, clip, random_starts(clip, 1, 0), augment=True, same_clip=True)
    data._cache["a"] = np.random.default_rng(0).integers(0, 255, (20, 16, 16, 3)).astype(np.uint8)
    items = [data[epoch, 0] for epoch in range(10)]
    assert all(item.starts[0] == item.starts[1] for item in items)
    assert sum(not torch.equal(*item.clips) for item in items) >= 8


def test_frames_of_another_size_are_squashed_to_the_square():
    assert fit(numbered(2, 5), 4).shape == (2, 4, 4, 3)
    exact = numbered(2, 4)
    assert fit(exact, 4) is exact
