"""What the explorer shows: where each system's map puts every test video, what it predicts, and what raises that.

Maps, predictions and saliency are all of the first clip of each video, as in Figure 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from coreecho import appendix
from coreecho.errors import RecordError
from coreecho.experiments import all_rows
from coreecho.moving import Bytes, Grid, clip_fps, clip_frames, saliency_grids
from coreecho.place import Place
from coreecho.records import Record
from coreecho.tables import column_label

Array = npt.NDArray[np.float64]
ROWS = ("table1/coreecho", "table1/echocotr", "table1/adacon")
"""The systems whose maps are shown; the others are turned onto the first one's."""
QUARTERS = ("lowest", "second", "third", "highest")


@dataclass(frozen=True)
class System:
    """One system's answers to the N test videos, in the view's order."""

    name: str
    places: Array = field(repr=False)
    """Where its own layout puts them, (N, 2), without a unit."""
    turned: Array = field(repr=False)
    """The same in the plane that all systems share, (N, 2); see `turned`."""
    apart: float
    """Share of the spread that no turning takes away, 0 (the first system's layout again) to 1."""
    predicted: Array = field(repr=False)
    """EF of the first clip in percent, (N,)."""
    grids: tuple[Grid, ...] = field(repr=False)


@dataclass(frozen=True)
class View:
    """All that the explorer shows; N videos in order of their names."""

    label: str
    """Data, profile and seed."""
    videos: tuple[str, ...]
    listed: Array = field(repr=False)
    """EF in percent, (N,)."""
    truth: Array | None = field(repr=False)
    """The phantom's true EF in percent, (N,); none of hearts."""
    frames: tuple[Bytes, ...] = field(repr=False)
    """Clips (T, S, S)."""
    fps: float
    systems: tuple[System, ...]


def gather(records: Mapping[str, Record], place: Place) -> View:
    """Collects the view from what is kept beside the records, or makes it where weights and data are at hand.

    Args:
        records: row name -> record; the first one's layout stays as it is.
        place: where weights and data are, if they are needed.

    Raises:
        RecordError: the records differ in profile, data, seed or test videos.
        CoReEchoError: as `appendix.kept`.
    """
    labels = {f"{column_label(record)}, seed {record.run.seed}" for record in records.values()}
    if len(labels) != 1:
        raise RecordError(f"one map needs one profile, data set and seed; got {'; '.join(sorted(labels)) or 'none'}")
    tables = {name: record.predictions("first").sort_values("video") for name, record in records.items()}
    first, reference = next(iter(tables.values())), next(iter(records.values()))
    videos = [str(video) for video in first["video"]]
    systems: list[System] = []
    for name, record in records.items():
        layout = appendix.layout(record, place).set_index("video")
        grids = saliency_grids(record, place)
        if list(tables[name]["video"]) != videos or set(layout.index) != set(videos) or set(grids) != set(videos):
            raise RecordError(f"{record.folder}: of other videos than {reference.folder}; run both on one data set")
        places = layout.loc[videos, ["x", "y"]].to_numpy(dtype=np.float64)
        onto = systems[0].places if systems else places
        predicted = tables[name]["prediction"].to_numpy(dtype=np.float64)
        own = tuple(grids[video] for video in videos)
        systems.append(System(all_rows()[name].system, places, *turned(places, onto), predicted, own))
    truth = first["truth"].to_numpy(dtype=np.float64) if "truth" in first and first["truth"].notna().all() else None
    frames = clip_frames(reference, place)
    clips = tuple(frames[video] for video in videos)
    listed = first["label"].to_numpy(dtype=np.float64)
    return View(labels.pop(), tuple(videos), listed, truth, clips, clip_fps(reference), tuple(systems))


def turned(places: Array, onto: Array) -> tuple[Array, float]:
    """A layout moved, scaled to the same spread, and turned or mirrored to lie as near to another as it can.

    This is an orthogonal Procrustes analysis. No distance between two points changes relative to another one.

    Args:
        places: (N, 2).
        onto: (N, 2), the same videos in the same order.

    Returns:
        (N, 2), centred and of spread 1, as ``onto`` is when it is turned onto itself; and the share of the spread that
        stays apart even where a further scaling is allowed, 0 to 1.

    Raises:
        RecordError: other shapes, or all points in one place.
    """
    from scipy.linalg import orthogonal_procrustes

    if places.shape != onto.shape or places.ndim != 2:
        raise RecordError(f"layouts of shapes {places.shape} and {onto.shape} cannot be laid onto each other")
    centred = [array - array.mean(axis=0) for array in (places, onto)]
    spreads = [float(np.sqrt((array**2).sum() / len(array))) for array in centred]
    if not min(spreads) > 0:
        raise RecordError("a layout with all points in one place has no direction to be turned to")
    own, other = (array / spread for array, spread in zip(centred, spreads, strict=True))
    rotation, scale = orthogonal_procrustes(own, other)
    return np.asarray(own @ rotation, dtype=np.float64), float(max(0.0, 1 - (scale / len(own)) ** 2))


def quarters(view: View) -> pd.DataFrame:
    """The map in words: each system's errors in every quarter of the test videos by listed EF, for readers."""
    order = np.argsort(view.listed, kind="stable")
    lines = []
    for name, part in [*zip(QUARTERS, np.array_split(order, len(QUARTERS)), strict=True), ("all", order)]:
        listed = view.listed[part]
        line = {"Quarter by listed EF": name, "Videos": str(len(part))}
        line["Listed EF (%)"] = f"{listed.min():.1f} to {listed.max():.1f}"
        for system in view.systems:
            error = system.predicted[part] - listed
            line[f"{system.name} MAE"] = f"{np.abs(error).mean():.2f}"
            line[f"{system.name} bias"] = f"{error.mean():+.2f}"
        lines.append(line)
    return pd.DataFrame(lines)
