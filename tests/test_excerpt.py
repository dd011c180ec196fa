"""Some pictures of a Motion-JPEG AVI, decoded without the others: the same bytes, or none at all."""

import struct

import cv2
import numpy as np
import pytest
from helpers import sector_frames, write_avi

from coreecho.video import read_video
from coreecho.video.excerpt import complete, excerpt, read_pictures

WANTED = ([0], [11], [1, 3, 5], [0, 4, 8], list(range(12)))


def colours(count, height, width):
    """Smooth coloured noise, which subsampled colours change and whose pictures differ in size."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    return np.stack([cv2.resize(each, (width, height)) for each in coarse])


@pytest.fixture(params=["grey", "coloured", "odd", "opencv"])
def video(request, tmp_path):
    path = tmp_path / "video.avi"
    if request.param == "opencv":  # the other writer that OpenCV has
        writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (48, 32))
        for frame in colours(12, 32, 48):
            writer.write(frame)
        writer.release()
        return path
    made = {"grey": sector_frames(12, 40, 40)[0], "coloured": colours(12, 32, 48), "odd": colours(12, 37, 51)}
    return write_avi(path, made[request.param])


def pictures_of(content):
    """(first byte, size) of each picture in an AVI."""
    places, place = [], content.index(b"movi") + 4
    while content[place : place + 4] in (b"00dc", b"JUNK"):
        size = struct.unpack_from("<I", content, place + 4)[0]
        places += [(place + 8, size)] if content[place : place + 4] == b"00dc" else []
        place += 8 + size + size % 2
    return places


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_pictures_have_the_bytes_that_the_whole_video_gives_them(video, wanted):
    found = read_pictures(video, wanted)
    assert np.array_equal(found, read_video(video).frames[wanted])


def test_only_what_is_wanted_is_copied(video):
    content = video.read_bytes()
    places = pictures_of(content)
    assert len(places) == 12
    copied = excerpt(video, [2, 7])
    assert [size for _, size in pictures_of(copied)] == [places[2][1], places[7][1]]
    assert struct.unpack_from("<I", copied, 4)[0] == len(copied) - 8


def test_a_picture_that_does_not_exist_is_not_found(video):
    assert read_pictures(video, [3, 12]) is None


def test_a_damaged_picture_harms_only_those_who_want_it(video):
    expected = read_video(video).frames
    content = bytearray(video.read_bytes())
    place, size = pictures_of(content)[5]
    content[place : place + size] = bytes(size)
    video.write_bytes(content)
    assert read_pictures(video, [4, 5, 6]) is None
    assert np.array_equal(read_pictures(video, [4, 6]), expected[[4, 6]])


@pytest.mark.parametrize("marker", [0xDB, 0xC4])
def test_a_picture_without_its_tables_is_not_taken_apart(video, marker):
    """Decoders keep tables from picture to picture, so that a file may give them once."""
    content = bytearray(video.read_bytes())
    place, size = pictures_of(content)[3]
    picture = content[place : place + size]
    assert complete(bytes(picture))
    content[place + picture.index(bytes((0xFF, marker))) + 1] = 0xFE  # a comment now
    assert not complete(bytes(content[place : place + size]))
    video.write_bytes(content)
    assert read_pictures(video, [2, 3]) is None
    assert read_pictures(video, [2, 4]) is not None


@pytest.mark.parametrize("kept", [0, 1, 3, 20, 100])
def test_half_a_picture_is_not_complete(video, kept):
    content = video.read_bytes()
    place, _ = pictures_of(content)[0]
    assert not complete(content[place : place + kept])


def test_a_progressive_picture_is_not_taken_apart():
    frame = colours(1, 32, 48)[0]
    plain, progressive = (cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_PROGRESSIVE, on])[1].tobytes() for on in (0, 1))
    assert complete(plain)
    assert not complete(progressive)
