"""Whole sequences as clips: splines along time, the central square, one affine draw for all frames, grey levels."""

import dataclasses

import numpy as np
import pytest

from coreecho.sequences import central_square, grey_levels, in_time, random_affine, whole_clip
from coreecho.settings import ClipSettings

AFFINE = ClipSettings(frames=6, stride=1, size=24, pad=0, resample=True, rotation=20.0, zoom=(0.8, 1.1), shift=0.1)


def sequence(count=9, height=24, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("count", "wanted"), [(9, 16), (30, 16), (16, 16), (2, 5)])
def test_first_and_last_frame_stay_as_they_are(count, wanted):
    frames = sequence(count)
    out = in_time(frames, wanted)
    assert out.shape == (wanted, 24, 24, 3)
    assert out.dtype == np.uint8
    assert np.array_equal(out[0], frames[0])
    assert np.array_equal(out[-1], frames[-1])


def test_a_cubic_course_is_followed_exactly():
    course = np.array([t**3 / 8 - t**2 + 3 * t + 40 for t in range(9)])
    frames = np.rint(course * 8 / 8)[:, None, None, None] * np.ones((1, 2, 2, 3))
    exact = (np.linspace(0, 8, 17) ** 3 / 8 - np.linspace(0, 8, 17) ** 2 + 3 * np.linspace(0, 8, 17) + 40).round()
    out = in_time(frames.astype(np.uint8), 17)[:, 0, 0, 0]
    assert np.abs(out - exact).max() <= 1  # the frames themselves are rounded to whole levels


def test_overshoots_are_clipped_to_bytes():
    frames = np.zeros((6, 2, 2, 3), np.uint8)
    frames[3:] = 255
    out = in_time(frames, 41).astype(int)
    assert out.min() == 0
    assert out.max() == 255
    assert (np.diff(out[:, 0, 0, 0]) >= -60).all()  # wrapping round would jump by 255


def test_a_single_frame_is_repeated():
    frames = sequence(1)
    assert np.array_equal(in_time(frames, 4), np.repeat(frames, 4, axis=0))


def test_the_central_square_is_a_share_of_the_shorter_side():
    frames = sequence(2, 40, 60)
    out = central_square(frames, 0.8)
    assert out.shape == (2, 32, 32, 3)
    assert np.array_equal(out, frames[:, 4:36, 14:46])
    assert central_square(frames, 1.0) is frames


def test_a_sequence_becomes_one_clip_of_the_network():
    clip = dataclasses.replace(AFFINE, crop=0.8, size=20)
    assert whole_clip(sequence(11, 40, 60), clip).shape == (6, 20, 20, 3)


def test_one_draw_moves_all_frames_alike():
    still = np.repeat(sequence(1), 6, axis=0)
    moved = random_affine(still, AFFINE, np.random.default_rng(3))
    assert all(np.array_equal(frame, moved[0]) for frame in moved)
    assert not np.array_equal(moved[0], still[0])
    assert set(np.unique(moved)) <= {0, *np.unique(still)}  # nearest pixels: no new level but black


def test_no_rotation_scale_and_shift_is_no_change():
    frames = sequence(6)
    none = dataclasses.replace(AFFINE, rotation=0.0, zoom=(1.0, 1.0), shift=0.0)
    assert not none.moves
    assert AFFINE.moves
    assert np.array_equal(random_affine(frames, none, np.random.default_rng(0)), frames)


def test_scale_and_shift_stay_in_their_ranges():
    dot = np.zeros((1, 101, 101, 3), np.uint8)
    dot[:, 45:56, 45:56] = 255
    only_shift = dataclasses.replace(AFFINE, rotation=0.0, zoom=(1.0, 1.0))
    centres = []
    for seed in range(50):
        rows, columns = np.nonzero(random_affine(dot, only_shift, np.random.default_rng(seed))[0, :, :, 0])
        centres.append((rows.mean() - 50, columns.mean() - 50))
    assert np.abs(centres).max() <= 10.6
    assert np.abs(centres).max() > 7


def test_many_frames_go_through_opencv_in_parts():
    frames = sequence(200, 8, 8)
    moved = random_affine(frames, AFFINE, np.random.default_rng(1))
    alone = random_affine(frames[190:191], AFFINE, np.random.default_rng(1))
    assert np.array_equal(moved[190], alone[0])


def test_grey_levels_are_those_of_all_pixels_together():
    clips = [sequence(3, seed=1), sequence(5, seed=2)]
    mean, sd = grey_levels(clips)
    pixels = np.concatenate([clip.ravel() for clip in clips]) / 255
    assert mean == pytest.approx([pixels.mean()] * 3)
    assert sd == pytest.approx([pixels.std()] * 3)


def test_a_set_of_one_level_is_not_divided_by_nothing():
    assert grey_levels([np.full((2, 4, 4, 3), 7, np.uint8)])[1] == pytest.approx([1 / 255] * 3)
