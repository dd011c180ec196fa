"""Cross-validation records -> one prediction per patient and seed, each by the run that did not see it (gaps D, E).

Nothing is averaged over fewer folds than the row has: a missing fold is named, as is one that cannot be scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coreecho.errors import RecordError
from coreecho.evaluation import average_clips
from coreecho.experiments import all_rows, run_name
from coreecho.records import Record
from coreecho.resampling import Array
from coreecho.tables import Records
from coreecho.transfer.correlation import LEAST

Grouping = Literal["view", "patient"]
GROUPINGS: Mapping[Grouping, tuple[str, str]] = {
    "view": ("quality", "quality of the four-chamber view"),
    "patient": ("quality_patient", "the worse quality of a patient's two views"),
}
"""Column that patients are grouped by, and what it is."""
GROUPS = {"gm": ("Good", "Medium"), "p": ("Poor",)}
GROUP_NAMES = {"gm": "Good & Medium", "p": "Poor"}


@dataclass(frozen=True)
class OutOfFold:
    """The test predictions of all folds of one row, patients in order of name."""

    row: str
    seeds: tuple[int, ...]
    videos: tuple[str, ...]
    labels: Array
    """(N,) EF in percent, or 1 for an infarction and 0 for none."""
    predictions: Array
    """(S, N) of each seed."""
    folds: NDArray[np.int64]
    """(N,) fold whose run predicted the patient."""
    qualities: Mapping[str, NDArray[np.str_]]
    """(N,) by column of `GROUPINGS`; empty where the data set has none."""

    def choose(self, chosen: NDArray[np.bool_]) -> OutOfFold:
        """The same for the patients where ``chosen`` (N,) is true."""
        return replace(
            self,
            videos=tuple(np.asarray(self.videos)[chosen]),
            labels=self.labels[chosen],
            predictions=self.predictions[:, chosen],
            folds=self.folds[chosen],
            qualities={name: own[chosen] for name, own in self.qualities.items()},
        )


def finished(records: Records) -> Records:
    """The records of those seeds of each row that have all their folds; what a grid has half filled is left out."""
    rows = all_rows()
    return {name: [each for own in _by_seed(all_).values() if len(own) == rows[name].folds for each in own]
            for name, all_ in records.items()}  # fmt: skip


def pool(row: str, records: Sequence[Record]) -> OutOfFold:
    """All folds' test predictions of one row.

    Args:
        row: such as ``table4/scratch``.
        records: one per seed and fold, in any order.

    Raises:
        RecordError: a fold is missing or there twice, a patient is in two folds' test sets, a fold of a classification
            has one class only, or seeds differ in patients, labels or folds.
    """
    if not records:
        raise RecordError(f"{row}: no records; `coreecho train {row}/seed0/fold0` makes the first")
    by_seed = {seed: _one_seed(row, own) for seed, own in sorted(_by_seed(records).items())}
    tables = list(by_seed.values())
    first = tables[0]
    for seed, table in by_seed.items():
        if not table[_FACTS].equals(first[_FACTS]):
            raise RecordError(f"{row}/seed{seed}: other patients, labels or folds than seed {next(iter(by_seed))}")
    return OutOfFold(
        row=row,
        seeds=tuple(by_seed),
        videos=tuple(first["video"]),
        labels=first["label"].to_numpy(dtype=np.float64),
        predictions=np.stack([table["prediction"].to_numpy(dtype=np.float64) for table in tables]),
        folds=first["fold"].to_numpy(dtype=np.int64),
        qualities={name: first[name].to_numpy(dtype=str) for name, _ in GROUPINGS.values() if name in first},
    )


_FACTS = ["video", "label", "fold"]


def groups(pooled: OutOfFold, grouping: Grouping) -> dict[str, OutOfFold]:
    """The patients of each of `GROUPS`.

    Raises:
        RecordError: the records hold no quality, or a group has too few patients for a correlation.
    """
    column, what = GROUPINGS[grouping]
    if column not in pooled.qualities:
        raise RecordError(f"{pooled.row}: the predictions have no column {column!r}; run it again on CAMUS's format")
    found = {}
    for name, qualities in GROUPS.items():
        found[name] = pooled.choose(np.isin(pooled.qualities[column], qualities))
        n = len(found[name].videos)
        if n < LEAST:
            raise RecordError(
                f"{pooled.row}: {n} patients in the quality group {GROUP_NAMES[name]} ({what}); the table needs at "
                f"least {LEAST}: use more patients"
            )
    return found


def check_pairs(a: OutOfFold, b: OutOfFold) -> None:
    """Refuses to compare rows patient by patient that do not rest on the same patients, folds and seeds.

    Raises:
        RecordError: they do not.
    """
    same = a.videos == b.videos and np.array_equal(a.labels, b.labels) and np.array_equal(a.folds, b.folds)
    if not same:
        raise RecordError(f"{a.row} and {b.row} were scored on other patients or folds; run both on one data set")
    if a.seeds != b.seeds:
        raise RecordError(f"{a.row} has seeds {a.seeds} and {b.row} {b.seeds}; run the same seeds of both")


def _by_seed(records: Sequence[Record]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.run.seed, []).append(record)
    return found


def _one_seed(row: str, records: Sequence[Record]) -> pd.DataFrame:
    """One line per patient, in order of name: video, label, prediction, fold and the qualities that there are."""
    _check_folds(row, records)
    table = pd.concat([_one_fold(row, record) for record in records], ignore_index=True)
    twice = table[table["video"].duplicated(keep=False)].sort_values(["video", "fold"])
    if len(twice):
        name, where = twice["video"].iloc[0], twice["fold"].iloc[:2].tolist()
        raise RecordError(
            f"{row}/seed{records[0].run.seed}: {name} is in the test sets of folds {where[0]} and {where[1]}; "
            "run both folds on one list"
        )
    return table.sort_values("video", ignore_index=True)


def _check_folds(row: str, records: Sequence[Record]) -> None:
    expected = all_rows()[row].folds
    folds = [record.run.fold for record in records]
    seed = f"{row}/seed{records[0].run.seed}"
    missing = [f"fold{fold}" for fold in range(expected) if fold not in folds]
    if missing:
        raise RecordError(
            f"{seed}: {len(set(folds))} of {expected} folds, without {', '.join(missing)}; "
            f"`coreecho train {seed}/{missing[0]}` adds {'it' if len(missing) == 1 else 'the first'}"
        )
    if len(folds) != expected:
        raise RecordError(f"{seed}: {len(folds)} records for {expected} folds; keep one record of each fold")


def _one_fold(row: str, record: Record) -> pd.DataFrame:
    predictions = record.predictions()
    table = average_clips(predictions).assign(fold=record.run.fold)
    if record.run.dataset == "hmcqu" and table["label"].nunique() < 2:
        what = "infarctions" if table["label"].iloc[0] else "without an infarction"
        raise RecordError(
            f"{run_name(row, record.run)}: all {len(table)} test cases are {what}; sensitivity and specificity need "
            "both classes: choose another hmcqu.fold_seed or more cases"
        )
    for name, _ in GROUPINGS.values():
        if name in predictions:
            table[name] = table["video"].map(predictions.groupby("video")[name].first())
    return table
