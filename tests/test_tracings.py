"""EchoNet-Dynamic's tracings: which frame is which, what an outline encloses, and what is refused."""

import cv2
import numpy as np
import pytest

from coreecho import phantom
from coreecho.datasets.tracings import area, fill, read_tracings
from coreecho.errors import DataError
from coreecho.video import read_video

HEADER = "FileName,X1,Y1,X2,Y2,Frame"


def box(name, left, right, top, bottom, frame, chords=20):
    """A long axis and chords of a rectangle."""
    middle = (left + right) / 2
    rows = [(middle, top, middle, bottom)]
    rows += [(left, y, right, y) for y in np.linspace(top, bottom, chords)]
    return [f"{name},{','.join(f'{value:g}' for value in row)},{frame}" for row in rows]


def write(folder, *parts):
    lines = [HEADER, *(line for part in parts for line in part)]
    (folder / "VolumeTracings.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_larger_outline_is_end_diastole_whatever_the_order(tmp_path):
    small, large = box("0XA.avi", 10, 20, 10, 30, 7), box("0XA.avi", 8, 24, 8, 40, 50)
    for parts in ((small, large), (large, small)):
        (tracing,) = read_tracings(write(tmp_path, *parts)).values()
        assert tracing.frames == (50, 7)
        assert area(tracing.outlines[0]) == pytest.approx(16 * 32)
        assert area(tracing.outlines[1]) == pytest.approx(10 * 20)


def test_only_videos_with_two_traced_frames_and_only_wanted_ones_are_given(tmp_path):
    folder = write(
        tmp_path,
        box("0Xa.AVI", 1, 5, 1, 5, 3),
        box("0Xa.AVI", 1, 4, 1, 4, 9),
        box("0XB.avi", 1, 5, 1, 5, 3),
        box("0XC", 1, 5, 1, 5, 3),
        box("0XC", 1, 4, 1, 5, 8),
        box("0XB.avi", 1, 4, 1, 4, "No Systolic"),
    )
    assert set(read_tracings(folder)) == {"0xa", "0xc"}
    assert set(read_tracings(folder, ["0XA", "0XB"])) == {"0xa"}


def test_an_outline_is_filled_where_it_lies_also_in_a_squashed_picture(tmp_path):
    (tracing,) = read_tracings(
        write(tmp_path, box("a", 9.5, 19.5, 3.5, 33.5, 1), box("a", 9.5, 12.5, 3.5, 9.5, 2))
    ).values()
    mask = fill(tracing.outlines[0], (40, 40), 40)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 33, 10, 19)
    squashed = fill(tracing.outlines[0], (80, 40), 20)
    rows, columns = np.nonzero(squashed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 8, 5, 9)


def test_the_phantom_is_traced_around_its_dark_cavity_at_its_true_frames(phantom_folder, phantom_data):
    truth = phantom.read_truth(phantom_folder)
    tracings = read_tracings(phantom_folder)
    assert len(tracings) == len(phantom_data.studies)
    inside, around = [], []
    for study in phantom_data.studies:
        tracing = tracings[study.id.lower()]
        assert tracing.frames == tuple(truth.loc[study.id, ["EDFrame", "ESFrame"]])
        frames = read_video(study.path).frames[..., 0]
        mask = fill(tracing.outlines[0], frames.shape[1:3], 32)
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > mask
        picture = frames[tracing.frames[0]].astype(float)
        inside.append(picture[mask].mean())
        around.append(picture[ring].mean())
    assert np.mean(around) > 1.5 * np.mean(inside)
    assert np.mean(np.greater(around, inside)) > 0.9


def test_what_is_no_tracing_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"VolumeTracings\.csv: no such file"):
        read_tracings(tmp_path)
    (tmp_path / "VolumeTracings.csv").write_text("FileName,X,Y,Frame\na,1,2,3\n")
    with pytest.raises(DataError, match="X1, Y1, X2, Y2"):
        read_tracings(tmp_path)
    for broken in ("a,1,one,3,4,5", "a,1,inf,3,4,5", "a,1,1e9,3,4,5"):
        write(tmp_path, box("a", 1, 5, 1, 5, 5), [broken], box("a", 1, 4, 1, 4, 9))
        with pytest.raises(DataError, match="tracing of a is not"):
            read_tracings(tmp_path)
    write(tmp_path, box("a", 1, 5, 1, 5, 5, chords=1), box("a", 1, 4, 1, 4, 9))
    with pytest.raises(DataError, match="tracing of a is not"):
        read_tracings(tmp_path)
    (tmp_path / "VolumeTracings.csv").write_bytes(b"\xff\xfe\x00\x01,\x00")
    with pytest.raises(DataError, match=r"VolumeTracings\.csv"):
        read_tracings(tmp_path)
