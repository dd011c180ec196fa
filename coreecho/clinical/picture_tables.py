"""Errors by picture: a table by CAMUS's grades, and one by what the phantom's machine does to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from coreecho.clinical import agreement, bands
from coreecho.clinical.pictures import SETTINGS, Graded, thirds
from coreecho.clinical.scored import Scored, oracle
from coreecho.clinical.tables import AGREEMENT, ERRORS, cell, number
from coreecho.datasets.camus_info import QUALITIES
from coreecho.resampling import Difference, Interval
from coreecho.tables import NOT_RUN, Table

LIMITS = ("lower", "upper")
NOTHING = Interval(float("nan"), float("nan"), float("nan"))
"""Of a grade that no picture has."""


@dataclass(frozen=True)
class Effect:
    """How much larger the MAE is where a picture is disturbed most than where it is least."""

    name: str
    """What disturbs: a value of `SETTINGS`."""
    least: str
    """MAE of the least disturbed third with its interval."""
    most: str
    gap: Difference
    """MAE of the most disturbed third minus that of the least, in EF points."""

    @property
    def told_apart(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return self.gap.excludes()


def grades_table(found: Sequence[Graded]) -> Table:
    """MAE, bias and limits of agreement of each system by grade of the picture; on a phantom the oracle's too.

    Where no row of Table 4 has all its folds, a line says so.
    """
    if not found:
        return Table(pd.DataFrame([{"Data": "CAMUS", "System": NOT_RUN}]), pd.DataFrame(columns=["row", "data"]))
    lines, numbers = [], []
    limits = {metric: AGREEMENT[metric] for metric in LIMITS}
    for each in [*found, *_oracles(found)]:
        errors = bands.by_group(each.scored.labels, each.scored.predictions, each.members)
        for grade, own, members in zip(QUALITIES, errors, each.members, strict=True):
            inside = members > 0
            if inside.any():
                reach = agreement.bootstrap(each.scored.labels[inside], each.scored.predictions[:, inside])
            else:
                reach = dict.fromkeys(LIMITS, NOTHING)
            line = {"Data": each.scored.data, "System": each.scored.system, "Quality": grade}
            line |= {"Patients": f"{members.sum():.0f}"}
            line |= {form[0]: cell(own[metric], form) for metric, form in ERRORS.items()}
            lines.append(line | {form[0]: cell(reach[metric], form) for metric, form in limits.items()})
            about = [(metric, own[metric], form) for metric, form in ERRORS.items()]
            about += [(metric, reach[metric], form) for metric, form in limits.items()]
            numbers += [number(each.scored, *one) | {"group": grade} for one in about]
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers))


def effects(scored: Scored, drawn: pd.DataFrame) -> list[Effect]:
    """What each of `SETTINGS` does to a system's error.

    Args:
        scored: the system; against the true EF, since a phantom's reader sees no picture.
        drawn: how its videos were taken, by `pictures.settings`.
    """
    found = []
    for name, (title, direction) in SETTINGS.items():
        least, most = thirds(drawn[name].to_numpy(dtype=float), direction)
        errors = bands.by_group(scored.labels, scored.predictions, least[None])
        errors += bands.by_group(scored.labels, scored.predictions, most[None])
        told = [cell(own["mae"], ERRORS["mae"]) for own in errors]
        gap = bands.difference(scored.labels, scored.predictions, most, least)["mae"]
        found.append(Effect(title, told[0], told[1], gap))
    return found


def effects_table(scored: Scored, found: Sequence[Effect]) -> Table:
    """MAE in the least and the most disturbed third by each setting of the phantom, and the difference."""
    form = ("MAE, most minus least disturbed third", *ERRORS["mae"][1:])
    lines = [
        {
            "Disturbed by": each.name,
            "MAE, least disturbed third": each.least,
            "Most disturbed third": each.most,
            "Difference": cell(each.gap, form),
        }
        for each in found
    ]
    numbers = [number(scored, "mae", each.gap, form) | {"group": each.name} for each in found]
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers), (f"Data: {scored.data}; system: {scored.system}.",))


def _oracles(found: Sequence[Graded]) -> list[Graded]:
    """The reader's own limit, once for each data set."""
    known = {each.scored.data: each for each in found}
    return [Graded(own, each.grades) for each in known.values() for own in oracle([each.scored])]
