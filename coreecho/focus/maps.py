"""Does the network look at the ventricle? Grad-CAM over all test videos, measured (Figure 3's claim; gaps G).

    from coreecho import focus
    own, theirs = focus.measured(coreecho_records, place), focus.measured(echocotr_records, place)
    focus.compare(own, theirs)  # mean differences, paired by video, with intervals

The paper shows samples. Here the share of a map's mass that lies inside the outlined ventricle, the pointing game and
the mass outside the ultrasound sector are taken of every test video, both for what raises the prediction and for what
lowers it. The measures of a run are kept beside its record as ``focus.parquet``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from coreecho.appendix import kept, trained
from coreecho.batches import BLACK
from coreecho.clips import GREY, Frames, Levels, Window, normalise
from coreecho.datasets import Dataset
from coreecho.errors import RecordError
from coreecho.explain import Saliency, Sign, saliency
from coreecho.focus.outlined import Mask, Outlined, outlined_studies
from coreecho.model import CoReEcho
from coreecho.place import Place
from coreecho.protocols import predicted
from coreecho.records import Record
from coreecho.resampling import Draws, interval_of
from coreecho.verdicts import Word, verdict_word

SIGNS: tuple[Sign, ...] = ("raises", "lowers")
MEASURES: Mapping[str, str] = {
    "share": "mass inside the ventricle",
    "share_ed": "mass inside the ventricle, end-diastole",
    "share_es": "mass inside the ventricle, end-systole",
    "point": "maximum inside the ventricle",
    "wall": "mass inside the wall",
    "wall_point": "maximum inside the wall",
    "outside": "mass outside the sector",
}
"""Columns that two systems are compared by, in words; all are shares between 0 and 1."""
AREAS = {
    "share": "area", "share_ed": "area_ed", "share_es": "area_es", "point": "area", "wall": "wall_area",
    "wall_point": "wall_area", "outside": "sector",
}  # fmt: skip
"""The column with the share of the picture that each measure's region covers (outside: that it does not)."""
CLAIM = "share"
"""The measure that decides the claim, fixed beforehand: over both outlined moments, of what raises the prediction."""
RESAMPLES = 10_000


def focus(record: Record, place: Place) -> pd.DataFrame:
    """The measures of one run, one row a test video and sign; kept as ``focus.parquet``.

    Returns:
        video, label, prediction (EF in percent, or the probability of an infarction), sign, start, apart (`Outlined`),
        empty (no place moves the prediction this way), the columns of `MEASURES` and those of `AREAS`: what a map
        without any preference would have. What does not apply, and every share of nothing, is NaN.

    Raises:
        CoReEchoError: as `appendix.kept`; weights, data or outlines are missing.
    """
    return kept(record, "focus", lambda: _measure_all(record, place))


def measured(records: Sequence[Record], place: Place) -> pd.DataFrame:
    """The measures of a system's runs, with the columns seed and fold (-1 where there are none)."""
    tables = [
        focus(record, place).assign(seed=record.run.seed, fold=-1 if record.run.fold is None else record.run.fold)
        for record in records
    ]
    return pd.concat(tables, ignore_index=True)


def explain(
    model: nn.Module, levels: Levels, frames: Frames, task: str, window: Window | None = None
) -> tuple[float, dict[Sign, Saliency]]:
    """The prediction of a clip (T, S, S, 3), and its maps by sign; of an infarction the map explains the logit.

    With a ``window`` the clip's padding is grey, as in `coreecho.clips.normalise`.
    """
    device = next(model.parameters()).device
    clip: Tensor = torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))[None].to(device)
    clip = normalise(clip, levels, None if window is None else torch.tensor([window]))  # (1, 3, T, S, S)
    with torch.no_grad():
        output = predicted(model(clip).float(), task)
    return float(output[0]), {sign: saliency(model, clip, sign=sign) for sign in SIGNS}


def measure(result: Saliency, seen: Outlined) -> dict[str, float]:
    """The measures of one map; see `focus`."""
    frames = list(seen.measured)
    maps = result.map[frames].astype(np.float64)  # (M, S, S)
    row = {"share": _share(maps, seen.ventricle), "point": _pointing(maps, seen.ventricle)}
    for name in ("ed", "es"):
        at = seen.moments.get(name)
        row[f"share_{name}"] = np.nan if at is None else _share(maps[at], seen.ventricle[at])
        row[f"area_{name}"] = np.nan if at is None else float(seen.ventricle[at].mean())
    wall = seen.wall
    row["wall"] = np.nan if wall is None else _share(maps, wall)
    row["wall_point"] = np.nan if wall is None else _pointing(maps, wall)
    beyond = None if seen.sector is None else np.broadcast_to(~seen.sector, result.map.shape)
    row["outside"] = np.nan if beyond is None else _share(result.map.astype(np.float64), beyond)
    row["area"] = float(seen.ventricle.mean())
    row["wall_area"] = np.nan if wall is None else float(wall.mean())
    row["sector"] = np.nan if seen.sector is None else float(seen.sector.mean())
    return row


def _share(maps: npt.NDArray[np.float64], inside: Mask) -> float:
    total = float(maps.sum())
    return float(maps[inside].sum()) / total if total > 0 else float("nan")


def _pointing(maps: npt.NDArray[np.float64], inside: Mask) -> float:
    """Share of the frames whose maximum lies inside; where several pixels share the maximum, each counts its part."""
    hits = [float(mask[one == one.max()].mean()) for one, mask in zip(maps, inside, strict=True) if one.max() > 0]
    return float(np.mean(hits)) if hits else float("nan")


def explained(
    record: Record, model: CoReEcho, data: Dataset, only: Sequence[str] | None = None
) -> Iterator[tuple[Outlined, float, dict[Sign, Saliency]]]:
    """Each outlined clip with what `explain` says of it, its padding being what the run was trained with.

    Args:
        record: the run.
        model: its network.
        data: its data.
        only: names of the studies that are wanted; all if none.

    Raises:
        DataError: as `outlined_studies`.
    """
    grey = record.profile.recipe(record.run).padding == "grey"
    for seen in outlined_studies(data, record.profile.clip_settings(record.run), GREY if grey else BLACK, only):
        window = (seen.inside, 0, 0) if grey else None
        yield seen, *explain(model, model.levels, seen.frames, model.task, window)


def _measure_all(record: Record, place: Place) -> pd.DataFrame:
    model, data, _ = trained(record, place)
    rows = []
    for seen, prediction, maps in explained(record, model, data):
        known = {"video": seen.study.id, "label": seen.study.label, "prediction": prediction}
        for sign, result in maps.items():
            facts = {"sign": sign, "start": seen.start, "apart": seen.apart, "empty": result.empty}
            rows.append({**known, **facts, **measure(result, seen)})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Gap:
    """A measure of two systems, paired by video: means over videos, and their difference with its 95 % interval."""

    measure: str
    sign: Sign
    own: float
    theirs: float
    chance: float
    """What a map without any preference would have."""
    difference: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    """The difference in each seed that both systems have."""
    videos: int
    """Videos in which both systems have the measure."""

    @property
    def verdict(self) -> Word:
        """Whether ``own`` is higher, by `coreecho.verdicts.RULE`."""
        agree = bool(self.by_seed) and all(gap > 0 for gap in self.by_seed)
        return verdict_word(self.low, self.high, agree)

    @property
    def interval(self) -> str:
        """The difference and its interval in percentage points."""
        return f"{100 * self.difference:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def compare(own: pd.DataFrame, theirs: pd.DataFrame, sign: Sign = "raises") -> list[Gap]:
    """Two systems' measures side by side, averaged over seeds for each video and then over videos.

    Args:
        own: from `measured`.
        theirs: the other system's, of the same videos.
        sign: which of the maps.

    Returns:
        One entry for each of `MEASURES` that the data have; the bootstrap resamples videos.

    Raises:
        RecordError: the systems were not measured on the same videos.
    """
    parts = [table[table["sign"] == sign] for table in (own, theirs)]
    if set(parts[0]["video"]) != set(parts[1]["video"]):
        raise RecordError("the two systems' maps are of different videos; run both on one data set")
    gaps = [_gap(parts[0], parts[1], name, sign) for name in MEASURES]
    return [gap for gap in gaps if gap is not None]


def _gap(own: pd.DataFrame, theirs: pd.DataFrame, name: str, sign: Sign) -> Gap | None:
    tables = [part.pivot(index="video", columns="seed", values=name).sort_index() for part in (own, theirs)]
    averaged = [table.mean(axis=1) for table in tables]  # over seeds; NaN only where no seed has a value
    both = averaged[0].notna() & averaged[1].notna()
    if not both.any():
        return None
    a, b = (mean[both].to_numpy(dtype=np.float64) for mean in averaged)
    seeds = [seed for seed in tables[0].columns if seed in tables[1].columns]
    by_seed = [float((tables[0][seed] - tables[1][seed]).mean()) for seed in seeds]
    paired = (a - b) / len(a)
    gap = interval_of((name,), lambda counts: (counts @ paired)[:, None, None], len(a), Draws(RESAMPLES))[name]
    chance = float(own[AREAS[name]].mean())
    return Gap(
        measure=name,
        sign=sign,
        own=float(a.mean()),
        theirs=float(b.mean()),
        chance=1 - chance if name == "outside" else chance,
        difference=gap.estimate,
        low=gap.low,
        high=gap.high,
        by_seed=tuple(by_seed),
        videos=len(a),
    )


def claim(own: pd.DataFrame, theirs: pd.DataFrame) -> Gap:
    """The comparison that decides whether ``own`` looks more at the ventricle than ``theirs``; see `CLAIM`.

    Raises:
        RecordError: as `compare`; or no video has a map in both systems.
    """
    found = [gap for gap in compare(own, theirs) if gap.measure == CLAIM]
    if not found:
        raise RecordError("no test video has a map of both systems; nothing can be said of where they look")
    return found[0]
