"""The pretext task's videos: the motion alone tells the classes apart, and a bad folder is refused by name."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from helpers import digests

from coreecho import phantom
from coreecho.datasets import MOTIONS, read_motions
from coreecho.errors import DataError, SettingsError
from coreecho.phantom import motions
from coreecho.phantom.motions import draw_motion, motion_of
from coreecho.phantom.moving_shapes import Ranges, draw_places, draw_pose, draw_shape
from coreecho.phantom_settings import MotionSettings
from coreecho.settings_text import from_dict, to_dict
from coreecho.study_video import read_study

TINY = MotionSettings(train=26, test=13, size=24, frames=6, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return phantom.write_phantom(tmp_path_factory.mktemp("motions") / "set", TINY, workers=1, progress=False)


def drawn(motion, seed=0, **changes):
    settings = MotionSettings(**({"size": 48, "frames": 16} | changes))
    return draw_motion(np.random.default_rng(seed), motion, settings)


def pose(motion, seed, frames=33):
    return draw_pose(np.random.default_rng(seed), motion, np.zeros(2), frames, Ranges())


def test_every_video_is_read_with_its_motion(folder):
    data = read_motions(folder)
    assert (data.name, data.task) == ("motions", "motion")
    assert Counter(study.label for study in data.split("train")) == dict.fromkeys(map(float, range(13)), 2)
    assert Counter(study.label for study in data.split("test")) == dict.fromkeys(map(float, range(13)), 1)
    for study in data.studies:
        video = read_study(study)
        assert video.frames.shape == (6, 24, 24, 3)
        assert video.fps == pytest.approx(25.0)
        assert np.ptp(video.frames.astype(int), axis=3).max() <= 2  # grey, but for the encoder's rounding
        assert video.frames.std() > 5.0
    with pytest.raises(DataError, match="no usable video in split 'val'"):
        data.split("val")


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_split_has_one_motion_more_than_once_more_than_another(split):
    settings = MotionSettings()
    start, count = (0, settings.train) if split == "train" else (settings.train, settings.test)
    found = Counter(motion_of(settings, index) for index in range(start, start + count))
    assert set(found) == set(MOTIONS)
    assert max(found.values()) - min(found.values()) <= 1


def test_a_video_depends_on_seed_and_number_only(folder, tmp_path):
    larger = dataclasses.replace(TINY, test=14)
    again = phantom.write_phantom(tmp_path / "set", larger, workers=2, progress=False)
    first, second = digests(folder / "Videos"), digests(again / "Videos")
    assert len(set(first.values())) == 39  # no two alike
    assert {name: second[name] for name in first} == first
    other = phantom.write_phantom(tmp_path / "other", dataclasses.replace(TINY, seed=4), workers=1, progress=False)
    assert not set(digests(other / "Videos").values()) & set(first.values())


@pytest.mark.parametrize("seed", range(3))
def test_the_shapes_are_the_same_whatever_the_motion(seed):
    """One moment of a pose comes from the same ranges in all classes, so that a single frame cannot tell them apart."""
    shapes = [draw_shape(np.random.default_rng(seed), Ranges()) for _ in MOTIONS]
    assert len({(shape.hole, shape.depth, shape.lobes) for shape in shapes}) == 1
    still = pose("still", seed)
    for motion in ("right", "up", "clockwise", "anticlockwise", "expand", "shrink"):
        moved = pose(motion, seed, frames=4001)
        difference = np.abs(moved.matrix - still.matrix[0]).max(axis=(1, 2)) + np.abs(moved.shift - still.shift[0]).max(
            1
        )
        assert difference.min() < 2e-3
        assert difference.max() > 0.02


def test_sizes_grow_and_shrink_about_the_same_mean():
    areas = {
        motion: np.array([np.log(np.linalg.det(pose(motion, seed).matrix)) for seed in range(400)])
        for motion in ("still", "expand", "shrink", "pulse_slow", "pulse_fast")
    }
    assert np.all(np.diff(areas["expand"], axis=1) > 0)
    assert np.all(np.diff(areas["shrink"], axis=1) < 0)
    for motion, area in areas.items():
        assert area.mean() == pytest.approx(areas["still"].mean(), abs=0.06), motion
    turns = {motion: (np.diff(np.sign(np.diff(areas[motion], axis=1)), axis=1) != 0).sum(axis=1) for motion in areas}
    assert 1 <= turns["pulse_slow"].min() <= turns["pulse_slow"].max() <= 3
    assert 4 <= turns["pulse_fast"].min() <= turns["pulse_fast"].max() <= 6


def matching_shift(first, second, reach=4):
    """Whole pixels (x, y) by which the first frame must be moved to fit the second best."""
    inner = slice(reach, -reach)
    fits = {}
    for x in range(-reach, reach + 1):
        for y in range(-reach, reach + 1):
            moved = np.roll(first, (y, x), axis=(0, 1))[inner, inner]
            fits[x, y] = np.abs(moved - second[inner, inner]).mean()
    return min(fits, key=fits.get)


@pytest.mark.parametrize(
    ("motion", "way"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1)), ("still", (0, 0))]
)
def test_shapes_travel_where_the_name_says(motion, way):
    videos = [drawn(motion, seed).astype(float) for seed in range(12)]
    shifts = [matching_shift(video[7], video[8]) for video in videos]
    along = [np.array(shift) @ np.array(way) for shift in shifts]
    assert sum(shift == (0, 0) for shift in shifts) <= (12 if motion == "still" else 4)
    if motion == "still":
        assert shifts == [(0, 0)] * 12
    assert min(along) >= 0
    assert max(abs(np.array(shift) @ np.array(way[::-1])) for shift in shifts) == 0


def test_places_are_even_over_the_field_in_every_frame():
    """Neither the first nor the last frame tells by a shape's place which way it goes."""
    ranges, rng = Ranges(), np.random.default_rng(0)
    shifts = {motion: [] for motion in ("left", "right", "still")}
    for motion, found in shifts.items():
        for _ in range(150):
            for place in draw_places(rng, ranges):
                found.append(draw_pose(rng, motion, place, 2, ranges).shift)
    for found in shifts.values():
        across = np.array(found)[..., 0]  # (600, 2)
        assert np.abs(across).max() <= ranges.field
        assert np.abs(across.mean(axis=0)).max() < 0.15
        assert across.std(axis=0) == pytest.approx(ranges.field / math.sqrt(3.0), rel=0.05)


@pytest.mark.parametrize(("motion", "sign"), [("clockwise", 1.0), ("anticlockwise", -1.0)])
def test_shapes_turn_as_the_name_says(motion, sign):
    for seed in range(5):
        matrix = pose(motion, seed).matrix
        turn = matrix[1:] @ np.linalg.inv(matrix[:-1])
        degrees = np.degrees(np.arctan2(turn[:, 1, 0], turn[:, 0, 0]))  # y points down: positive is clockwise
        assert np.allclose(turn.transpose(0, 2, 1) @ turn, np.eye(2), atol=1e-4)
        assert np.all(sign * degrees > 0)
        assert 60.0 <= abs(degrees.sum()) <= 150.0


def test_sway_shears_and_keeps_the_area():
    for seed in range(5):
        area = np.linalg.det(pose("sway", seed).matrix)
        np.testing.assert_allclose(area, area[0], rtol=1e-4)
        assert np.ptp(pose("sway", seed).matrix, axis=0).max() > 0.05


def test_squeeze_moves_the_hole_and_leaves_the_outer_border():
    ranges = Ranges()
    seeds = [seed for seed in range(40) if draw_shape(np.random.default_rng(seed), ranges).hole][:6]
    for seed in seeds:
        shape, squeezed = draw_shape(np.random.default_rng(seed), ranges), pose("squeeze", seed, frames=9)
        points = np.asarray(squeezed.own(96))
        before = shape.squeezed(points, squeezed)
        outside = shape.level(points) >= 1.0
        np.testing.assert_array_equal(before[outside], points[outside])
        assert np.abs(before - points)[~outside].max() > 0.02
        hole = (shape.level(before) < shape.hole).sum(axis=(1, 2))
        assert np.corrcoef(hole, squeezed.squeeze)[0, 1] < -0.9
        assert hole.min() < 0.9 * hole.max()


def test_still_shapes_flicker_but_do_not_move():
    flicker, motion = [], []
    for seed in range(8):
        still, right = drawn("still", seed).astype(float), drawn("right", seed).astype(float)
        assert np.abs(np.diff(still, axis=0)).mean() > 0.5
        flicker.append(np.abs(still[-1] - still[0]).mean())
        motion.append(np.abs(right[-1] - right[0]).mean())
    assert np.mean(motion) > 1.3 * np.mean(flicker)


def test_any_size_and_length_can_be_asked_for():
    assert drawn("squeeze", size=112, frames=36).shape == (36, 112, 112)
    assert drawn("expand", size=8, frames=2).shape == (2, 8, 8)


@pytest.mark.parametrize(
    "changes", [{"frames": 1}, {"size": 4}, {"train": 0, "test": 0}, {"train": -1}], ids=lambda changes: str(changes)
)
def test_settings_that_ask_for_nothing_are_refused(changes, tmp_path):
    with pytest.raises(SettingsError, match="cannot be made"):
        phantom.write_phantom(tmp_path / "set", dataclasses.replace(TINY, **changes), progress=False)
    assert not list(tmp_path.iterdir())


def test_fingerprint_and_completeness(folder, tmp_path, monkeypatch):
    assert phantom.is_complete(folder, TINY)
    assert not phantom.is_complete(folder, dataclasses.replace(TINY, frames=7))
    assert phantom.fingerprint(TINY) != phantom.fingerprint(dataclasses.replace(TINY, seed=4))
    assert from_dict(MotionSettings, to_dict(TINY)) == TINY
    before = (folder / "motions.csv").stat().st_mtime_ns
    assert phantom.write_phantom(folder, TINY) == folder
    assert (folder / "motions.csv").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="is not this phantom in full"):
        phantom.write_phantom(folder, dataclasses.replace(TINY, seed=4))
    first = phantom.fingerprint(TINY)
    monkeypatch.setattr(motions, "MOTIONS_VERSION", motions.MOTIONS_VERSION + 1)
    assert phantom.fingerprint(TINY) != first


def listed(tmp_path, rows, columns=("FileName", "Motion", "Split")):
    """A folder with videos V1 and V2, empty files, and the list given."""
    (tmp_path / "Videos").mkdir()
    for name in ("V1", "V2"):
        (tmp_path / "Videos" / f"{name}.avi").write_bytes(b"x")
    pd.DataFrame(rows, columns=list(columns)).to_csv(tmp_path / "motions.csv", index=False)
    return tmp_path


GOOD = [("V1", "still", "TRAIN"), ("V2.avi", "Clockwise", "test")]


def test_a_good_list_is_read_in_its_order(tmp_path):
    data = read_motions(listed(tmp_path, GOOD).parent / tmp_path.name)
    assert [(study.id, study.label, study.split) for study in data.studies] == [
        ("V1", 0.0, "train"),
        ("V2", float(MOTIONS.index("clockwise")), "test"),
    ]
    assert math.isfinite(data.mean_label)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("V1", "jump", "TRAIN")], "row 2: Motion is 'jump'; it must be one of still, left"),
        ([GOOD[0], ("V2", "left", "DEV")], "row 3: Split is 'DEV'"),
        ([GOOD[0], ("v1.AVI", "left", "TEST")], "v1 is listed twice"),
        ([GOOD[0], ("V3", "left", "TEST")], "V3: no such video"),
    ],
)
def test_a_bad_row_is_named(rows, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_motions(listed(tmp_path, rows))


def test_a_missing_list_column_or_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_motions(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no motions\.csv"):
        read_motions(tmp_path)
    root = listed(tmp_path, [("V1", "TRAIN")], columns=("FileName", "Split"))
    with pytest.raises(DataError, match="no single column Motion; found FileName, Split"):
        read_motions(root)
    (root / "motions.csv").write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(DataError, match="not a readable CSV file"):
        read_motions(root)
