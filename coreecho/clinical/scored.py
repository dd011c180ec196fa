"""One system's test predictions with what they are compared to: the reader's EF and, on the phantom, the true EF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coreecho.evaluation import average_clips
from coreecho.experiments import all_rows
from coreecho.records import Record
from coreecho.resampling import Array
from coreecho.tables import Records, column_label, stacked

ORACLE = "oracle (the true EF)"
"""Name of the reader's own limit: who knew the true EF would be as far from the listed one as the reader was."""


@dataclass(frozen=True)
class Scored:
    """A system on one test set."""

    row: str
    """Name of its row, such as table1/coreecho."""
    system: str
    data: str
    """Label of the data and the profile, as it heads a column."""
    videos: tuple[str, ...]
    """N names, in order."""
    labels: Array
    """(N,) the reader's EF in percent."""
    predictions: Array
    """(S, N) predicted EF in percent of S seeds, averaged over a video's clips."""
    truth: Array | None = None
    """(N,) true EF in percent, which only a phantom has."""
    seeds: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    """Keys of the records."""

    @property
    def against_truth(self) -> Scored | None:
        """The same predictions compared to the true EF in the place of the reader's."""
        return None if self.truth is None else replace(self, labels=self.truth, data=f"{self.data}; true EF")


def scored(records: Records) -> list[Scored]:
    """The systems that were run, in the order of their rows.

    Raises:
        RecordError: records of one row were scored on different videos.
    """
    return [_scored(row, own) for row, own in records.items() if own]


def _scored(row: str, own: Sequence[Record]) -> Scored:
    labels, predictions, truth = stacked(row, own)
    known = all_rows()[row]
    return Scored(
        row=row,
        system=known.title,
        data=column_label(own[0]),
        videos=tuple(average_clips(own[0].predictions(known.protocol))["video"]),
        labels=labels,
        predictions=predictions,
        truth=truth,
        seeds=tuple(record.run.seed for record in own),
        runs=tuple(record.key for record in own),
    )


def oracle(found: Sequence[Scored]) -> list[Scored]:
    """The true EF in the place of a prediction, one for each data set among ``found`` that knows it."""
    first = {each.data: each for each in found if each.truth is not None}
    return [
        replace(each, row="oracle", system=ORACLE, predictions=np.atleast_2d(each.truth), seeds=(), runs=())
        for each in first.values()
        if each.truth is not None
    ]
