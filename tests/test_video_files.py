"""AVI, MP4, GIF, NIfTI and MetaImage files, whole, damaged and mislabelled, through `read_video`."""

import gzip
import struct

import cv2
import numpy as np
import pytest
from helpers import sector_frames, write_avi
from PIL import Image

from coreecho.errors import VideoError
from coreecho.video import count_frames, is_video, read_video, read_volume


@pytest.fixture(scope="module")
def clip():
    return sector_frames(40, 112, 112)[0]


@pytest.fixture
def avi(tmp_path, clip):
    return write_avi(tmp_path / "ok.avi", clip)


def announce(path, count):
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, count)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, count)
    path.write_bytes(data)


def test_avi_keeps_frames_order_colour_and_rate(avi, clip):
    video = read_video(avi)
    assert video.frames.shape == (40, 112, 112, 3)
    assert video.frames.dtype == np.uint8
    assert (video.fps, video.notes, count_frames(avi), len(video), video.seconds) == (50.0, (), 40, 40, 0.8)
    errors = np.abs(video.frames[..., 0].astype(int) - clip).mean(axis=(1, 2))
    assert errors.max() < 6
    shuffled = np.abs(video.frames[..., 0].astype(int) - np.roll(clip, 10, axis=0)).mean(axis=(1, 2))
    assert shuffled.min() > errors.max()


def test_channels_are_red_green_blue(tmp_path):
    frames = np.zeros((3, 64, 64, 3), np.uint8)
    frames[..., 0] = 200
    video = read_video(write_avi(tmp_path / "red.avi", frames))
    assert video.frames[..., 0].mean() > 180
    assert video.frames[..., 1:].mean() < 20


@pytest.mark.parametrize("said", [55, 31])
def test_wrong_header_count_is_usable_and_told(avi, said):
    announce(avi, said)
    video = read_video(avi)
    assert len(video) == count_frames(avi) == 40
    assert video.notes == (f"header announces {said} frames, 40 decode",)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_truncated_avi_is_damaged(avi, share):
    data = avi.read_bytes()
    avi.write_bytes(data[: int(share * len(data))])
    with pytest.raises(VideoError, match=r"ok\.avi: damaged"):
        read_video(avi)
    with pytest.raises(VideoError, match="damaged"):
        read_video(avi, last=3)


def test_frames_lost_in_the_middle_are_damage(avi):
    data = bytearray(avi.read_bytes())
    place = data.index(b"00dc", len(data) // 2)
    size = struct.unpack_from("<I", data, place + 4)[0]
    data[place + 8 : place + 8 + size] = bytes(size)
    avi.write_bytes(data)
    with pytest.raises(VideoError, match="of 40 frames decode"):
        read_video(avi)


def test_bytes_appended_to_an_avi_do_no_harm(avi):
    avi.write_bytes(avi.read_bytes() + b"\0" * 1000)
    assert len(read_video(avi)) == 40


def test_partial_reads_are_bytes_of_the_whole(avi):
    whole = read_video(avi).frames
    np.testing.assert_array_equal(read_video(avi, last=17).frames, whole[:18])
    np.testing.assert_array_equal(read_video(avi, last=30, only=range(2, 31, 4)).frames, whole[2:31:4])
    np.testing.assert_array_equal(read_video(avi, last=0).frames, whole[:1])


def test_suffix_does_not_decide(avi, tmp_path):
    disguised = avi.rename(tmp_path / "clip.dcm")
    assert len(read_video(disguised)) == 40


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.avi", b"", "empty"),
        ("page.avi", b"<!DOCTYPE html><html></html>", "text or web page"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0\0\0", "not a video"),
        ("still.avi", b"\x89PNG\r\n\x1a\n\0\0", "PNG still picture"),
        ("bad.avi", b"RIFF\x04\0\0\0AVI ", "cannot be opened"),
    ],
)
def test_what_is_no_video_is_named(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError, match=reason) as caught:
        read_video(path)
    assert name in str(caught.value)
    assert is_video(path) == (name == "bad.avi")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        read_video(tmp_path / "gone.avi")
    with pytest.raises(VideoError, match="cannot be opened"):
        read_video(tmp_path)


def test_one_frame_is_a_still(tmp_path, clip):
    path = write_avi(tmp_path / "one.avi", clip[:1])
    with pytest.raises(VideoError, match="still picture, not a clip"):
        read_video(path)
    assert len(read_video(path, min_frames=1)) == 1
    with pytest.raises(VideoError, match="3 frames, at least 5"):
        read_video(write_avi(tmp_path / "three.avi", clip[:3]), min_frames=5)


def test_decoded_size_is_limited(avi):
    with pytest.raises(VideoError, match="max_bytes"):
        read_video(avi, max_bytes=30 * 112 * 112 * 3)


def test_mp4_whole_and_cut(tmp_path, clip):
    path = write_avi(tmp_path / "clip.mp4", clip[:12], 30.0, "mp4v")
    video = read_video(path)
    assert (len(video), video.fps, count_frames(path)) == (12, 30.0, 12)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(VideoError, match="damaged"):
        read_video(path)


def write_gif(path, frames, durations):
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def test_gif_frames_and_durations(tmp_path, clip):
    path = tmp_path / "clip.gif"
    write_gif(path, clip[:6], 40)
    video = read_video(path)
    assert (len(video), video.fps, count_frames(path), video.notes) == (6, 25.0, 6, ())
    assert np.abs(video.frames[..., 1].astype(int) - clip[:6]).max() <= 8
    np.testing.assert_array_equal(read_video(path, last=4, only={1, 3}).frames, video.frames[[1, 3]])
    write_gif(path, clip[:6], [40, 40, 40, 40, 40, 400])
    assert read_video(path).notes == ("frame durations differ; the median is taken as the frame rate",)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(VideoError, match="damaged"):
        read_video(path)


def write_nifti(path, values, zooms=(0.3, 0.15, 1.0)):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(values, np.diag([*zooms, 1.0]))
    nibabel.save(image, path)
    return path


def test_nifti_stands_upright_with_its_spacing(tmp_path, clip):
    upright = clip[:5, :100, :80]
    path = write_nifti(tmp_path / "x_half_sequence.nii.gz", np.ascontiguousarray(upright.transpose(2, 1, 0)))
    video = read_video(path)
    np.testing.assert_array_equal(video.frames, np.repeat(upright[..., None], 3, axis=-1))
    assert video.spacing == pytest.approx((0.15, 0.3))
    assert video.fps is None
    assert count_frames(path) == 5
    np.testing.assert_array_equal(read_video(path, last=2).frames, video.frames[:3])
    path.write_bytes(gzip.decompress(path.read_bytes())[:20000])
    with pytest.raises(VideoError, match="damaged"):
        read_video(path.rename(tmp_path / "cut.nii"))


def test_float_volumes_are_stretched_with_a_note(tmp_path, clip):
    path = write_nifti(tmp_path / "f.nii.gz", clip[:4].transpose(2, 1, 0).astype(np.float32) / 255)
    video = read_video(path)
    assert video.frames.max() == 255
    assert any("stretched" in note for note in video.notes)


def test_a_true_3d_scan_is_refused(tmp_path):
    path = write_nifti(tmp_path / "scan.nii.gz", np.zeros((4, 5, 6, 7), np.uint8))
    with pytest.raises(VideoError, match="3D scan"):
        read_volume(path)


def write_mhd(folder, values, kind="MET_UCHAR", data_file="seq.raw"):
    size = " ".join(str(side) for side in values.shape[::-1])
    header = f"ObjectType = Image\nNDims = 3\nElementSpacing = 0.308 0.154 1.0\nDimSize = {size}\n"
    path = folder / "seq.mhd"
    path.write_text(f"{header}ElementType = {kind}\nElementDataFile = {data_file}\n")
    if data_file != "LOCAL":
        (folder / "seq.raw").write_bytes(values.tobytes())
    return path


def test_mhd_values_spacing_and_damage(tmp_path, clip):
    path = write_mhd(tmp_path, clip[:12, :, :80])
    values, spacing = read_volume(path)
    np.testing.assert_array_equal(values, clip[:12, :, :80])
    assert spacing == (0.154, 0.308)
    assert (count_frames(path), len(read_video(path))) == (12, 12)
    (tmp_path / "seq.raw").write_bytes(b"\0" * 100)
    with pytest.raises(VideoError, match="100 of 107520 bytes"):
        read_video(path)
    (tmp_path / "seq.raw").unlink()
    with pytest.raises(VideoError, match=r"pixel file seq\.raw is missing"):
        read_video(path)


def test_mhd_reads_no_file_outside_its_folder(tmp_path, clip):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "seq.raw").write_bytes(clip[:3].tobytes())
    path = write_mhd(inner, clip[:3], data_file="../seq.raw")
    (inner / "seq.raw").unlink()
    with pytest.raises(VideoError, match="missing"):
        read_video(path)


def test_mhd_signed_short_and_unknown_type(tmp_path, clip):
    values = clip[:3].astype("<i2") - 40
    np.testing.assert_array_equal(read_volume(write_mhd(tmp_path, values, "MET_SHORT"))[0], values)
    with pytest.raises(VideoError, match="MET_LONG_LONG is not read"):
        read_volume(write_mhd(tmp_path, values, "MET_LONG_LONG"))


def test_the_library_leaves_opencv_threads_alone(avi):
    before = cv2.getNumThreads()
    read_video(avi)
    assert cv2.getNumThreads() == before
