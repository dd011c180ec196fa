"""EchoNet-Dynamic's ``VolumeTracings.csv``: the left ventricle as a reader traced it, at two frames of each video.

A frame has a long axis and, below it, 20 chords across the ventricle; the ends of the chords are its outline. Training
never reads them; Figure 3's measured claim does (gaps G).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from coreecho.datasets.echonet import TRACING_FILE
from coreecho.datasets.lists import read_list, stems
from coreecho.errors import DataError

COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
FINE_SIDE = 512
"""Side in pixels of the raster on which smaller masks are drawn."""
Outline = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tracing:
    """The ventricle's outlines of one video, where it is largest and where it is smallest."""

    frames: tuple[int, int]
    """End-diastole and end-systole, counted from 0."""
    outlines: tuple[Outline, Outline]
    """Their closed outlines, (N, 2) as column and row, where (0, 0) is the centre of the first pixel."""


def read_tracings(root: Path, videos: Collection[str] | None = None) -> Mapping[str, Tracing]:
    """The tracings of every video with at least two traced frames, by lower-case name without suffix.

    Of several traced frames end-diastole is the one with the largest outline and end-systole the one with the smallest,
    since the file does not say which is which.

    Args:
        root: the folder that holds the file.
        videos: names of the videos that are wanted; all if none.

    Raises:
        DataError: no such file, a column is missing, or an outline has too few chords or no number.
    """
    path = root / TRACING_FILE
    table = _read(path)
    if videos is not None:
        table = table[table["id"].isin({video.lower() for video in videos})]
    found = {}
    for video, own in table.groupby("id", sort=False):
        outlines = {
            int(str(frame)): _outline(rows, path, str(video)) for frame, rows in own.groupby("Frame", sort=True)
        }
        if len(outlines) < 2:
            continue
        sizes = {frame: area(outline) for frame, outline in outlines.items()}
        diastole, systole = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
        if diastole == systole:  # all of one size
            diastole, systole = sorted(sizes)[:2]
        found[str(video)] = Tracing((diastole, systole), (outlines[diastole], outlines[systole]))
    return found


def area(outline: Outline) -> float:
    """What a closed outline (N, 2) encloses, in square pixels."""
    return float(cv2.contourArea(outline.astype(np.float32)))


def fill(outline: Outline, picture: tuple[int, int], size: int) -> Mask:
    """The pixels whose centres an outline encloses, (size, size).

    Args:
        outline: (N, 2), column and row in the picture.
        picture: height and width of the picture that was traced; it is squashed to the square.
        size: side of the mask.
    """
    fine = max(1, FINE_SIDE // size)
    height, width = picture
    corners = (outline + 0.5) * (size * fine / width, size * fine / height) - 0.5
    large = np.zeros((size * fine, size * fine), np.uint8)
    cv2.fillPoly(large, [np.rint(corners * 16.0).astype(np.int32)], 1, shift=4)
    return large[fine // 2 :: fine, fine // 2 :: fine] > 0


def _read(path: Path) -> pd.DataFrame:
    """Rows with a frame number, by lower-case name; words such as "No Systolic" in place of a frame are left out."""
    table = read_list(path, COLUMNS)
    table["id"] = stems(table["FileName"]).str.lower()
    table["Frame"] = pd.to_numeric(table["Frame"], errors="coerce")
    return table[table["Frame"].notna() & (table["Frame"] >= 0)].astype({"Frame": int})


def _outline(rows: pd.DataFrame, path: Path, video: str) -> Outline:
    """Down the chords' one ends and up the others; the first row of a frame is the long axis and no chord."""
    points = rows[["X1", "Y1", "X2", "Y2"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)[1:]
    if len(points) < 2 or not np.isfinite(points).all() or np.abs(points).max() > 1e5:
        raise DataError(f"{path}: the tracing of {video:.80} is not a long axis and chords; get the file anew")
    outline: Outline = np.concatenate([points[:, :2], points[::-1, 2:]])
    return outline
