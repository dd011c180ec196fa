"""Groups by the picture: CAMUS's grades of quality, and what the phantom knows of how a video was taken.

CAMUS grades each study Good, Medium or Poor; every patient is predicted by the run that did not see them (gap D).
EchoNet-Dynamic has no grades. The phantom in its format knows each video's draw from `phantom.view.Acquisition`, so
that its test set can be cut into thirds by what makes a picture hard to read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coreecho.clinical.scored import Scored
from coreecho.datasets.camus_info import QUALITIES
from coreecho.errors import RecordError
from coreecho.phantom.case import sample_case
from coreecho.phantom_settings import PhantomSettings
from coreecho.place import PHANTOM
from coreecho.records import Record
from coreecho.resampling import Array
from coreecho.tables import Records, column_label
from coreecho.transfer.outoffold import GROUPINGS, Grouping, finished, pool

ROWS = {"table4/finetune-coreecho": "CoReEcho, fine-tuned", "table4/finetune-echocotr": "EchoCoTr, fine-tuned"}
"""The rows of Table 4 whose errors are split by grade, and how they are called."""
SETTINGS = {
    "foreshortening": ("foreshortened view", -1),
    "sway": ("drift of the heart", 1),
    "gain": ("dark picture", -1),
    "attenuation": ("loss with depth", 1),
    "noise": ("noise", 1),
    "haze": ("haze at the probe", 1),
    "blood": ("clutter in the cavity", 1),
    "shadow": ("rib shadow", 1),
    "dropout": ("drop-out of the lateral wall", 1),
    "heart_rate": ("fast heart", 1),
}
"""What the phantom draws for each video, what much of it is called, and the direction in which it disturbs."""
THIRDS = 3


@dataclass(frozen=True)
class Graded:
    """A system's out-of-fold predictions with the grade of each patient's picture."""

    scored: Scored
    grades: NDArray[np.str_]
    """(N,) of `QUALITIES`."""

    @property
    def members(self) -> Array:
        """(G, N) 1 for the patients of a grade, 0 for others; grades in the order of `QUALITIES`."""
        return np.stack([(self.grades == grade).astype(np.float64) for grade in QUALITIES])


def graded(records: Records, grouping: Grouping = "view") -> list[Graded]:
    """The rows of `ROWS` whose folds are all there.

    Args:
        records: of Table 4, by row name, one per seed and fold.
        grouping: by the quality of the four-chamber view, or by the worse one of the patient's two views.

    Raises:
        RecordError: the predictions hold no grade, or the folds do not fit each other.
    """
    column, found = GROUPINGS[grouping][0], []
    whole = finished({row: records.get(row, ()) for row in ROWS})
    for row, own in whole.items():
        if not own:
            continue
        pooled = pool(row, own)
        if column not in pooled.qualities:
            raise RecordError(f"{row}: the predictions have no column {column!r}; run it again on CAMUS's format")
        first = pd.concat([record.predictions() for record in own]).groupby("video").first()
        truth = first["truth"].loc[list(pooled.videos)].to_numpy(np.float64) if "truth" in first else None
        known = None if truth is None or not np.isfinite(truth).all() else truth
        scored = Scored(
            row=row,
            system=ROWS[row],
            data=f"{column_label(own[0])}, CAMUS format" if own[0].data["label"] == PHANTOM else column_label(own[0]),
            videos=pooled.videos,
            labels=pooled.labels,
            predictions=pooled.predictions,
            truth=known,
            seeds=pooled.seeds,
            runs=tuple(record.key for record in own),
        )
        found.append(Graded(scored, pooled.qualities[column]))
    return found


def settings(record: Record, scored: Scored) -> pd.DataFrame | None:
    """How each video of a phantom's test set was taken, one column for each of `SETTINGS`, in the order of the videos.

    A positive ``shadow`` or ``dropout`` is a loss in dB; negative draws mean none and are given as 0.

    Returns:
        The table, or nothing where the record is not of a phantom that its profile describes.

    Raises:
        RecordError: the phantom that the settings describe is not the one that the record was scored on.
    """
    phantom = record.profile.phantom_of(record.run)
    if record.data["label"] != PHANTOM or not isinstance(phantom, PhantomSettings) or scored.truth is None:
        return None
    first = phantom.train + phantom.val
    cases = {case.name: case for case, _ in (sample_case(phantom, first + index) for index in range(phantom.test))}
    drawn = [cases[video].heart.ejection_fraction if video in cases else np.nan for video in scored.videos]
    if not np.allclose(drawn, scored.truth, atol=1e-3):
        raise RecordError(f"{record.folder}: scored on another phantom than its profile describes; run it again")
    lines = []
    for video in scored.videos:
        case = cases[video]
        known = {name: getattr(case.beat if name == "heart_rate" else case.view, name) for name in SETTINGS}
        lines.append(known | {name: max(known[name], 0.0) for name in ("shadow", "dropout")})
    return pd.DataFrame(lines, index=list(scored.videos))


def thirds(values: Array, direction: int) -> tuple[Array, Array]:
    """Members (N,), 1 or 0, of the least and the most disturbed third by ``values`` (N,).

    Ties across a third's edge are resolved by the order of the videos.
    """
    order, count = np.argsort(direction * values, kind="stable"), len(values) // THIRDS
    least, most = np.zeros(len(values)), np.zeros(len(values))
    least[order[:count]], most[order[len(values) - count :]] = 1.0, 1.0
    return least, most
