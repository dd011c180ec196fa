"""The test videos that Figure 3 and its supplements show, chosen by a rule, with their Grad-CAM maps (gaps G).

Of each quarter of the test set by EF the video in the middle is shown; where labels are classes, the first two by name
of each. The pictures are kept beside the record as ``samples.parquet``, so that the page needs neither weights nor
data. With real data they are pictures of patients: that file may be shared on the data set's own terms only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from coreecho.appendix import kept, trained
from coreecho.datasets import Study
from coreecho.explain import Sign
from coreecho.focus.maps import explained
from coreecho.focus.outlined import Mask, Outlined
from coreecho.place import Place
from coreecho.records import Record

QUARTERS = 4
EACH_CLASS = 2
MOST_SHOWN = 9
"""Most frames of a clip that are shown: as in the paper, 9 of 36, 8 of 16, 6 of 12."""
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One video's shown frames: K of them, S x S pixels."""

    video: str
    label: float
    """EF in percent, or 1 for an infarction."""
    prediction: float
    """EF in percent, or the probability of an infarction."""
    shown: tuple[int, ...]
    """Their numbers in the clip, counted from 0."""
    names: tuple[str, ...]
    """ED, ES or nothing for each."""
    frames: Bytes = field(repr=False)
    """(K, S, S), grey."""
    maps: dict[Sign, Bytes] = field(repr=False)
    """(K, S, S) by sign, 255 for the clip's highest value."""
    ventricle: Mask = field(repr=False)
    """(K, S, S); nothing in frames without an outline."""


def samples(record: Record, place: Place) -> list[Sample]:
    """The samples of a run, in order of their label.

    Raises:
        CoReEchoError: as `appendix.kept`; weights, data or outlines are missing.
    """
    return [_unpacked(row) for _, row in kept(record, "samples", lambda: _make(record, place)).iterrows()]


def choose(studies: Sequence[Study], task: str) -> list[str]:
    """The names of the studies that are shown; which network explains them plays no part."""
    if task == "ef":
        order = sorted(studies, key=lambda study: (study.label, study.id))
        quarters = [part for part in np.array_split(np.arange(len(order)), QUARTERS) if len(part)]
        return [order[int(part[(len(part) - 1) // 2])].id for part in quarters]
    named = sorted(studies, key=lambda study: study.id)
    return [study.id for label in (0.0, 1.0) for study in [one for one in named if one.label == label][:EACH_CLASS]]


def shown_frames(seen: Outlined) -> tuple[int, ...]:
    """Every second frame of a clip, or every fourth of a long one; of two outlined frames each takes the next place."""
    count = len(seen.frames)
    step = 2 if count <= 2 * MOST_SHOWN else -(-count // MOST_SHOWN)
    shown = list(range(0, count, step))
    if len(seen.measured) <= len(shown) // 2:
        taken: set[int] = set()
        for frame in seen.measured:
            free = [place for place in range(len(shown)) if place not in taken]
            place = min(free, key=lambda place: abs(shown[place] - frame))
            shown[place] = frame
            taken.add(place)
    return tuple(sorted(set(shown)))


def _make(record: Record, place: Place) -> pd.DataFrame:
    model, data, _ = trained(record, place)
    wanted = choose(data.split("test"), data.task)
    rows: dict[str, dict[str, object]] = {}
    for seen, prediction, maps in explained(record, model, data, wanted):
        shown = list(shown_frames(seen))
        outlines = np.zeros(seen.frames.shape[:3], np.bool_)  # (T, S, S)
        outlines[list(seen.measured)] = seen.ventricle
        moments = {seen.measured[index]: name.upper() for name, index in seen.moments.items()}
        shown_maps = {sign: np.rint(255 * each.map[shown]).astype(np.uint8).tobytes() for sign, each in maps.items()}
        rows[seen.study.id] = {
            "video": seen.study.id,
            "label": seen.study.label,
            "prediction": prediction,
            "side": seen.frames.shape[1],
            "shown": shown,
            "names": [moments.get(frame, "") for frame in shown],
            "frames": seen.frames[shown].mean(axis=-1).round().astype(np.uint8).tobytes(),
            "raises": shown_maps["raises"],
            "lowers": shown_maps["lowers"],
            "ventricle": np.packbits(outlines[shown]).tobytes(),
        }
    return pd.DataFrame([rows[video] for video in wanted if video in rows])


def _unpacked(row: pd.Series) -> Sample:
    shown = tuple(int(number) for number in row["shown"])
    shape = (len(shown), int(row["side"]), int(row["side"]))
    pictures = {name: np.frombuffer(row[name], np.uint8).reshape(shape) for name in ("frames", "raises", "lowers")}
    bits = np.unpackbits(np.frombuffer(row["ventricle"], np.uint8), count=int(np.prod(shape)))
    return Sample(
        video=str(row["video"]),
        label=float(row["label"]),
        prediction=float(row["prediction"]),
        shown=shown,
        names=tuple(str(name) for name in row["names"]),
        frames=pictures["frames"],
        maps={"raises": pictures["raises"], "lowers": pictures["lowers"]},
        ventricle=bits.reshape(shape) > 0,
    )
