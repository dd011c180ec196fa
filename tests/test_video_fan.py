"""The ultrasound sector is found and nothing burned in beside it reaches the network; squares keep proportions."""

import cv2
import numpy as np
import pytest
from helpers import sector_frames, write_avi

from coreecho.errors import VideoError
from coreecho.video import Video, crop_to_fan, fan, fan_mask, read_video, resample_seconds, to_square


def rgb(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


def jpeg(frames):
    return np.stack([cv2.imdecode(cv2.imencode(".jpg", frame)[1], cv2.IMREAD_COLOR) for frame in frames])


def proportion(mask):
    return (np.ptp(np.flatnonzero(mask.any(0))) + 1) / (np.ptp(np.flatnonzero(mask.any(1))) + 1)


def overlap(found, true):
    return (found & true).sum() / (found | true).sum()


@pytest.fixture(scope="module")
def scene():
    """(T, 120, 160, 3) with a name across the apex, an MI text, and an ECG sweeping over the sector's lower end."""
    grey, mask = sector_frames(12)
    frames = rgb(grey)
    for index, frame in enumerate(frames):
        cv2.putText(frame, "DOE JANE 1900", (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (235, 235, 235), 1)
        cv2.putText(frame, "MI 0.9", (120, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (220, 220, 80), 1)
        step = 20 + 10 * index
        cv2.polylines(frame, [np.array([[0, 105], [step, 105], [step + 3, 111], [159, 111]])], False, (0, 255, 0), 1)
    return frames, grey, mask


@pytest.mark.parametrize("size", [(112, 112), (240, 320), (300, 400)])
def test_a_sector_is_found_at_any_size(size):
    grey, mask = sector_frames(10, *size)
    assert overlap(fan_mask(rgb(grey)), mask) > 0.95
    assert overlap(fan_mask(jpeg(rgb(grey))), mask) > 0.9


def test_text_and_ecg_do_not_reach_the_model(scene):
    frames, _, mask = scene
    video = crop_to_fan(Video(jpeg(frames), 30.0))
    found = fan_mask(jpeg(frames))
    assert overlap(found, mask) > 0.85
    assert np.ptp(video.frames, axis=-1).max() == 0
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    whole = np.zeros(frames.shape[:3], np.uint8)
    whole[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = video.frames[..., 0]
    assert not whole[:, ~found].any()
    name = (frames[0, :14] > 200).all(axis=-1)
    assert name.sum() > 50
    assert whole[:, :14][:, name].max() < 60
    green = (frames[..., 1] > 200) & (frames[..., 0] < 50)
    assert green.sum() > 1000
    assert whole[green].max() == 0
    assert any("coloured overlay" in note for note in video.notes)
    assert any("motionless" in note for note in video.notes)


def test_tissue_is_left_as_it_is(scene):
    _, grey, _ = scene
    video = crop_to_fan(Video(rgb(grey)))
    assert video.notes == ()
    assert video.frames.sum() == pytest.approx(rgb(grey).sum(), rel=0.02)


def test_a_region_of_the_header_bounds_the_sector():
    left, _ = sector_frames(10, 120, 160, seed=1)
    right, _ = sector_frames(10, 120, 160, seed=2)
    both = rgb(np.concatenate([left, right], axis=2))
    mask = fan_mask(both, (160, 0, 320, 120))
    assert not mask[:, :160].any()
    assert mask[:, 160:].mean() > 0.4
    assert crop_to_fan(Video(both, region=(160, 0, 320, 120))).frames.shape[2] <= 160


def test_without_a_sector_the_whole_picture_is_used_with_a_note():
    video = crop_to_fan(Video(np.zeros((5, 60, 80, 3), np.uint8)))
    assert video.frames.shape == (5, 60, 80, 3)
    assert any("no ultrasound sector" in note for note in video.notes)
    assert fan_mask(video.frames).all()


def test_a_frozen_clip_is_found_by_brightness():
    grey, mask = sector_frames(1)
    still = np.repeat(cv2.GaussianBlur(grey[0], (5, 5), 0)[None], 4, axis=0)
    assert overlap(fan_mask(rgb(still)), mask) > 0.85


LAYOUTS = {
    "contiguous": lambda frames: frames,
    "cut out": lambda frames: np.pad(frames, ((0, 0), (2, 1), (1, 3), (0, 0)))[:, 2:-1, 1:-3],
    "every second": lambda frames: np.repeat(np.repeat(frames, 2, axis=1), 2, axis=2)[:, ::2, ::2],
    "mirrored": lambda frames: np.ascontiguousarray(frames[:, ::-1, ::-1])[:, ::-1, ::-1],
    "blue first": lambda frames: np.ascontiguousarray(frames[..., ::-1])[..., ::-1],
    "channels first": lambda frames: np.ascontiguousarray(frames.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0),
    "read only": lambda frames: np.frombuffer(frames.tobytes(), np.uint8).reshape(frames.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1), (3, 3), (7, 5), (33, 47)])
def test_extremes_over_channels_are_those_of_numpy_to_the_byte(size, layout):
    plain = np.random.default_rng(0).integers(0, 256, (5, *size, 3)).astype(np.uint8)
    frames = LAYOUTS[layout](plain)
    assert np.array_equal(frames, plain)
    highest, spread = plain.max(axis=-1), np.ptp(plain, axis=-1)
    for frame, high, wide in zip(frames, highest, spread, strict=True):
        assert np.array_equal(fan._highest(frame), high)
        assert np.array_equal(fan._chroma(frame), wide)
    stats = fan.statistics(frames)
    assert np.array_equal(stats.lowest, highest.min(axis=0))
    assert np.array_equal(stats.highest, highest.max(axis=0))
    assert np.array_equal(stats.coloured, fan._widen((spread > fan.COLOUR).any(axis=0)))
    grey, tinted = fan.untinted(frames)
    assert tinted, "noise is coloured"
    assert np.array_equal(grey, np.repeat(highest[..., None], 3, axis=-1))


def test_no_extreme_is_taken_along_an_axis_of_three(scene):
    class Slow(np.ndarray):
        def max(self, *_, **__):
            raise AssertionError("NumPy takes most of a file's time here")

    tinted = scene[0].astype(float) * (1.0, 0.85, 0.5)
    for frames in (scene[0], tinted.astype(np.uint8)):
        expected = crop_to_fan(Video(frames, 30.0)).frames
        assert np.array_equal(crop_to_fan(Video(frames.view(Slow), 30.0)).frames, expected)


def test_a_tinted_picture_turns_grey_instead_of_black(scene):
    _, grey, _ = scene
    tinted = (rgb(grey) * np.array([1.0, 0.8, 0.4])).astype(np.uint8)
    video = crop_to_fan(Video(tinted))
    assert any("tinted" in note for note in video.notes)
    assert np.ptp(video.frames, axis=-1).max() == 0
    assert video.frames.mean() == pytest.approx(crop_to_fan(Video(rgb(grey))).frames.mean(), rel=0.05)


def test_the_real_clip_loses_its_toolbar_and_labels():
    pydicom = pytest.importorskip("pydicom")
    video = read_video(pydicom.data.get_testdata_file("examples_ybr_color.dcm"))
    mask = fan_mask(video.frames)
    assert mask[120, 160]
    assert 0.2 < mask.mean() < 0.5
    for rows, columns in (
        (slice(0, 40), slice(0, 60)),
        (slice(225, 240), slice(0, 320)),
        (slice(0, 130), slice(298, 320)),
    ):
        assert not mask[rows, columns].any()


@pytest.mark.parametrize(("height", "width", "spacing"), [(90, 160, None), (160, 90, None), (120, 80, (0.154, 0.308))])
def test_squares_keep_the_proportions(height, width, spacing):
    """A disc stays a disc: in pixels, or in mm where pixels are oblong."""
    high, wide = spacing or (1.0, 1.0)
    y, x = np.mgrid[:height, :width]
    disc = np.hypot((y - height / 2) * high, (x - width / 2) * wide) < 0.3 * min(height * high, width * wide)
    frames = np.repeat((disc * 200).astype(np.uint8)[None, ..., None], 3, axis=-1)
    video = to_square(Video(np.repeat(frames, 2, axis=0), 20.0, spacing=spacing), 112, fan=False)
    assert video.frames.shape == (2, 112, 112, 3)
    shown = video.frames[0, ..., 0] > 100
    tall, broad = np.ptp(np.flatnonzero(shown.any(1))), np.ptp(np.flatnonzero(shown.any(0)))
    assert abs(int(tall) - int(broad)) <= 2
    if spacing:
        assert video.spacing[0] == pytest.approx(video.spacing[1])
        assert tall * video.spacing[0] == pytest.approx(2 * 0.3 * min(height * high, width * wide), rel=0.06)


def test_what_fits_is_returned_untouched(scene):
    video = Video(np.random.default_rng(0).integers(0, 255, (3, 112, 112, 3), dtype=np.uint8), 50.0)
    assert to_square(video, 112, fan=False) is video


def test_a_mixed_folder_becomes_one_stack(tmp_path):
    sizes = {"a.avi": (112, 112), "b.avi": (236, 318), "c.AVI": (300, 400), "d.mp4": (240, 320)}
    for name, size in sizes.items():
        write_avi(tmp_path / name, sector_frames(9, *size)[0], 25.0, "mp4v" if name.endswith("mp4") else "MJPG")
    stack = np.stack([to_square(read_video(tmp_path / name), 112).frames for name in sizes])
    assert stack.shape == (4, 9, 112, 112, 3)
    for picture, size in zip(stack[:, 0, ..., 0] > 20, sizes.values(), strict=True):
        assert proportion(picture) == pytest.approx(proportion(sector_frames(1, *size)[1]), rel=0.06)


@pytest.mark.parametrize(
    ("source", "target", "picks"), [(25, 50, [0, 1, 1, 2, 2, 3, 3, 3]), (100, 50, [0, 2]), (50, 50, [0, 1, 2, 3])]
)
def test_time_is_resampled_to_the_nearest_frame(source, target, picks):
    frames = np.zeros((4, 2, 2, 3), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
    video = resample_seconds(Video(frames, float(source)), target)
    assert (video.frames[:, 0, 0, 0].tolist(), video.fps) == (picks, target)


def test_time_needs_a_frame_rate():
    frames = np.zeros((4, 2, 2, 3), np.uint8)
    with pytest.raises(VideoError, match="no frame rate"):
        resample_seconds(Video(frames), 50)
    with pytest.raises(VideoError, match="out of range"):
        resample_seconds(Video(frames, 25.0), 0)
