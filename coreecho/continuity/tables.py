"""The evidence under Figure 1: is CoReEcho's embedding more continuous in EF than the others' (section 3; gaps F)?

    measured = measure(records, place)  # row name -> records of several seeds
    table(measured).markdown(); verdicts(measured, "table1/coreecho", "table1/echocotr")

Every measure is taken in the encoder's own space, on the first clip of each test video, per seed, and then averaged
over seeds. One draw of patients serves all seeds and systems, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coreecho import appendix
from coreecho.continuity.measures import (
    RESAMPLES,
    interval,
    knn_predictions,
    probe_predictions,
    resampled_correlations,
)
from coreecho.errors import RecordError
from coreecho.evaluation import bootstrap, paired_bootstrap, regression_metrics
from coreecho.experiments import all_rows
from coreecho.place import PHANTOM, Place
from coreecho.records import Record
from coreecho.resampling import Array, Interval
from coreecho.tables import NOT_RUN, REPRODUCED, Records, Table, column_label
from coreecho.verdicts import Verdict, verdict_word


@dataclass(frozen=True)
class Measure:
    """How a measure is called and read."""

    title: str
    """For readers, with its unit."""
    unit: str
    """Unit of a difference."""
    sign: int
    """1 where more is better, -1 where less is."""
    digits: int
    """Decimals shown."""


MEASURES = {
    "correlation": Measure("Rank correlation of EF difference and distance", "of rank correlation", 1, 3),
    "neighbours": Measure("Error of the 5 nearest videos (EF points)", "EF points", -1, 2),
    "probe": Measure("Linear probe, R2 (%)", "percentage points", 1, 1),
}
DECISIVE = "correlation"
"""The measure that decides on the claim; the other two ask how well EF can be read off, continuous or not."""


@dataclass(frozen=True)
class Measured:
    """The embeddings of one data set's systems, measured."""

    records: Records
    """Row name -> its records; rows without any are kept."""
    labels: Array
    """EF in percent, (N,)."""
    correlations: Mapping[str, Array]
    """By row: the rank correlation on the test set and on each draw of patients, for every seed, (1 + R, S)."""
    predictions: Mapping[str, Mapping[str, Array]]
    """By measure (neighbours, probe) and row: EF in percent, (S, N)."""

    def by_seed(self, name: str, measure: str) -> list[float]:
        """One value a seed, in the measure's unit."""
        if measure == DECISIVE:
            return [float(value) for value in self.correlations[name][0]]
        scores = [regression_metrics(self.labels, each) for each in self.predictions[measure][name]]
        return [score.mae if measure == "neighbours" else 100 * score.r2 for score in scores]

    def mean(self, name: str, measure: str) -> Interval:
        """The mean over seeds with its 95 % interval over patients."""
        if measure == DECISIVE:
            return interval(self.correlations[name].mean(axis=1))
        return _scaled(bootstrap(self.labels, self.predictions[measure][name]), measure)

    def gain(self, own: str, other: str, measure: str) -> Interval:
        """By how much ``own`` is better than ``other``: positive in the claimed direction, with its paired interval."""
        if measure == DECISIVE:
            return interval(self.correlations[own].mean(axis=1) - self.correlations[other].mean(axis=1))
        values = self.predictions[measure]
        gap = _scaled(paired_bootstrap(self.labels, values[own], values[other]), measure)
        return gap.times(MEASURES[measure].sign)


def _scaled(intervals: Mapping[str, Interval], measure: str) -> Interval:
    return intervals["mae"] if measure == "neighbours" else intervals["r2"].times(100)


def measure(records: Records, place: Place, read: Callable[[Record, Place], pd.DataFrame] | None = None) -> Measured:
    """Measures the embeddings of every record.

    Args:
        records: by row name, of one profile; rows without records are passed over.
        place: where the data and weights lie; asked only for embeddings that are not kept beside their record yet.
        read: gives a record's embeddings as `appendix.embeddings` does, which is the default.

    Raises:
        RecordError: no records at all, or records of other test videos than the first's.
        DataError: too few videos, or embeddings that cannot be measured.
    """
    read = read or appendix.embeddings
    found = {name: [read(record, place) for record in own] for name, own in records.items() if own}
    if not found:
        raise RecordError("no records whose embeddings could be measured; train at least one run of Figure 1 first")
    arrays, labels = _arrays(records, found)
    flat = [each for name in arrays for each in arrays[name]]
    drawn = resampled_correlations(flat, labels, resamples=RESAMPLES)
    seeds = np.cumsum([len(own) for own in arrays.values()])[:-1]
    return Measured(
        records=records,
        labels=labels,
        correlations=dict(zip(arrays, np.split(drawn, seeds, axis=1), strict=True)),
        predictions={
            "neighbours": {name: np.stack([knn_predictions(each, labels) for each in arrays[name]]) for name in arrays},
            "probe": {name: np.stack([probe_predictions(each, labels) for each in arrays[name]]) for name in arrays},
        },
    )


def _arrays(records: Records, found: Mapping[str, Sequence[pd.DataFrame]]) -> tuple[dict[str, list[Array]], Array]:
    """Embeddings (N, D) by row and seed, and their labels (N,), all in the same order of videos."""
    first: pd.DataFrame | None = None
    arrays: dict[str, list[Array]] = {}
    for name, tables in found.items():
        for record, table in zip(records[name], tables, strict=True):
            ordered = table.sort_values("video", ignore_index=True)
            first = ordered if first is None else first
            if list(ordered["video"]) != list(first["video"]) or not np.allclose(ordered["label"], first["label"]):
                raise RecordError(f"{record.folder}: embeddings of other videos than the first record's; run both anew")
            arrays.setdefault(name, []).append(appendix.features(ordered).astype(np.float64))
    assert first is not None
    return arrays, first["label"].to_numpy(dtype=np.float64)


def table(measured: Measured, paper: Measured | None = None) -> Table:
    """Every system's three measures: mean over seeds, interval over patients, every seed's value.

    Args:
        measured: of the profile shown.
        paper: of the paper profile, where another one is shown and its records exist.
    """
    lines, numbers = [], []
    record = next(own[0] for own in measured.records.values() if own)
    on_hearts = paper if paper is not None and _hearts(paper) else None
    for key, kind in MEASURES.items():
        for name in measured.records:
            line = {"Measure": kind.title, "System": all_rows()[name].system}
            if record.profile.name != "paper":
                line[REPRODUCED] = _cell(on_hearts, name, key)
            lines.append(line | {column_label(record): _cell(measured, name, key)})
            shown = [each for each in (on_hearts, measured) if each is not None and name in each.correlations]
            numbers += [_number(each, name, key) for each in shown]
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers))


def _hearts(measured: Measured) -> bool:
    """Whether none of the records is of a phantom (the paper profile may have been tried on a phantom's folder)."""
    return all(record.data["label"] != PHANTOM for own in measured.records.values() for record in own)


def _cell(measured: Measured | None, name: str, key: str) -> str:
    if measured is None or name not in measured.correlations:
        return NOT_RUN
    digits, mean = MEASURES[key].digits, measured.mean(name, key)
    seeds = ", ".join(f"{value:.{digits}f}" for value in measured.by_seed(name, key))
    return f"{mean.estimate:.{digits}f} [{mean.low:.{digits}f}, {mean.high:.{digits}f}] ({seeds})"


def _number(measured: Measured, name: str, key: str) -> dict[str, object]:
    own, mean = measured.records[name], measured.mean(name, key)
    return {
        "row": name,
        "system": all_rows()[name].system,
        "source": own[0].profile.name,
        "data": own[0].data["label"],
        "metric": MEASURES[key].title,
        "value": round(mean.estimate, 4),
        "low": round(mean.low, 4),
        "high": round(mean.high, 4),
        "seeds": " ".join(str(record.run.seed) for record in own),
        "by_seed": " ".join(f"{value:.4f}" for value in measured.by_seed(name, key)),
        "runs": " ".join(record.key for record in own),
    }


def verdicts(measured: Measured, own: str, other: str) -> dict[str, Verdict]:
    """By measure, whether ``own`` is the more continuous; `DECISIVE` names the one that decides on the claim.

    Raises:
        RecordError: one of the rows has no record, or they were run in other seeds.
    """
    seeds = {name: [record.run.seed for record in measured.records.get(name, ())] for name in (own, other)}
    if not seeds[own] or seeds[own] != seeds[other]:
        raise RecordError(f"{own} has seeds {seeds[own]} and {other} {seeds[other]}; run both in the same seeds")
    found = {}
    for key, kind in MEASURES.items():
        pairs = zip(measured.by_seed(own, key), measured.by_seed(other, key), strict=True)
        gap = measured.gain(own, other, key)
        word = verdict_word(gap.low, gap.high, all(kind.sign * (mine - theirs) > 0 for mine, theirs in pairs))
        found[key] = Verdict(word=word, gap=gap, unit=kind.unit, seeds=len(seeds[own]))
    return found


def comparison(measured: Measured, own: str, other: str) -> pd.DataFrame:
    """By how much one system is better than another in each measure, and the verdict, for readers."""
    names = {name: all_rows()[name].system for name in (own, other)}
    return pd.DataFrame(
        {
            "Measure": MEASURES[key].title,
            f"{names[own]} better than {names[other]} by": _gap_text(verdict.gap, MEASURES[key].digits),
            "Verdict": verdict.word,
            "Seeds": str(verdict.seeds),
        }
        for key, verdict in verdicts(measured, own, other).items()
    )


def _gap_text(gap: Interval, digits: int) -> str:
    return f"{gap.estimate:.{digits}f} [{gap.low:.{digits}f}, {gap.high:.{digits}f}]"
