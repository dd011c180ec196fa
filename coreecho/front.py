"""What the book opens with: the paper's own comparison in three lines, and one clip of the phantom with its EF.

    from coreecho import front
    front.headline(place)  # published and run here, of the systems that the paper trained
    front.clip(place)      # HTML: a test clip moving, with listed and predicted EF and what raises the prediction

Both are read from the committed records while the book is built, so that its first page cannot drift from the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from coreecho import evidence, moving, tables
from coreecho.errors import RecordError
from coreecho.experiments import table1
from coreecho.place import PHANTOM, Place
from coreecho.tables import NOT_RUN, REPRODUCED, Records, column_label

SHOWN = ("R2 (%)", "MAE")
SYSTEM, RIVAL = "table1/coreecho", "table1/echocotr"
WIDTH = 224
"""Of the clip in CSS pixels."""


def headline(place: Place, profile: str = "demo") -> pd.DataFrame:
    """R2 and MAE, published, run here on EchoNet-Dynamic if it was, and run here by ``profile``, for readers."""
    rows = [row for row in table1() if not row.single]
    records = tables.existing(rows, profile, place)
    paper = tables.on_hearts(tables.existing(rows, "paper", place)) or {}
    numbers = tables.comparison(records, paper).numbers
    label = next((column_label(own[0]) for own in records.values() if own), f"{profile} profile")
    lines = []
    for row in rows:
        own = numbers[numbers["row"] == row.name]
        line = {"System": row.system, "Published, EchoNet-Dynamic": _cell(own[own["source"] == "published"])}
        line[REPRODUCED] = _cell(own[own["source"] == "paper"])
        line[f"{label}, run here"] = _cell(own[own["source"] == profile])
        lines.append(line)
    return pd.DataFrame(lines)


def finding(place: Place, profile: str = "demo") -> str:
    """One sentence: whether CoReEcho's R2 is ahead of EchoCoTr's in this profile, by the book's rule."""
    records = tables.existing([row for row in table1() if row.name in (SYSTEM, RIVAL)], profile, place)
    return f"On the {profile} profile's data, CoReEcho ahead of EchoCoTr: {evidence.verdict(records, SYSTEM, RIVAL)}."


def tally(numbers: pd.DataFrame) -> list[str]:
    """How many of the paper's claims hold: a line for each profile that has verdicts, and for patients' data.

    Args:
        numbers: of `coreecho.claims.table`, as in figures/claims.csv.
    """
    lines = []
    for profile, own in numbers.groupby("profile", sort=False):
        counts = own["verdict"].value_counts()
        told = [f"{word} {counts[word]}" for word in ("holds", "does not hold", "undecided", NOT_RUN) if word in counts]
        hearts = "Paper profile (patients' data, but for timing)"
        place = hearts if profile == "paper" else f"Phantom ({profile} profile)"
        if set(counts.index) != {NOT_RUN} or profile == "paper":
            lines.append(f"{place}, {len(own)} claims: {', '.join(told)}.")
    return lines


def _cell(numbers: pd.DataFrame) -> str:
    """R2 and MAE with their intervals, if they have any."""
    values = numbers.set_index("metric")
    if not set(SHOWN) <= set(values.index):
        return NOT_RUN
    parts = []
    for metric, digits in zip(SHOWN, (1, 2), strict=True):
        line = values.loc[metric]
        value = f"{line['value']:.{digits}f}"
        spread = f" [{line['low']:.{digits}f}, {line['high']:.{digits}f}]" if pd.notna(line.get("low")) else ""
        # A published R2 has the digits that its paper prints.
        value = value if spread or digits == 2 else f"{line['value']:g}"
        parts.append(f"{metric.removesuffix(' (%)')} {value}{spread}")
    return "; ".join(parts)


def typical(records: Records) -> str:
    """The test video whose absolute error, in the mean over seeds, is the median of all: neither a success nor a slip.

    Args:
        records: CoReEcho's, under its row of Table 1.
    """
    labels, predictions, _ = tables.stacked(SYSTEM, records[SYSTEM])
    names = sorted(records[SYSTEM][0].predictions("first")["video"].unique())
    order = np.argsort(np.abs(predictions.mean(axis=0) - labels), kind="stable")
    return str(names[order[(len(order) - 1) // 2]])


def clip(place: Place, profile: str = "demo") -> str:
    """HTML of the typical video's first clip in motion: listed and predicted EF, and what raises the prediction.

    Raises:
        RecordError: CoReEcho was not run, or not on the phantom, or its clips are neither kept nor to be made.
    """
    records = tables.existing([row for row in table1() if row.name == SYSTEM], profile, place)
    if not records[SYSTEM]:
        raise RecordError(f"{SYSTEM} has no record of profile {profile!r}; `coreecho train {SYSTEM}/seed0` makes one")
    first, video = records[SYSTEM][0], typical(records)
    if first.data["label"] != PHANTOM:
        raise RecordError(f"{first.folder}: pictures of patients have no place on the first page; show a phantom's run")
    grid = moving.saliency_grids(first, place)[video]
    listed = first.predictions("first").groupby("video")["label"].first()[video]
    told = f"listed EF {listed:.0f}\N{NO-BREAK SPACE}%, CoReEcho says {grid.prediction:.0f}\N{NO-BREAK SPACE}%"
    player = moving.element(
        moving.clip_frames(first, place)[video],
        f"Synthetic four-chamber view, {told}",
        fps=moving.clip_fps(first),
        saliency=grid,
        width=WIDTH,
    )
    caption = f"A <em>phantom</em> (synthetic heart): {told}. In colour, on a coarse grid: what raises the prediction."
    return f'<figure class="front-clip">{player}<figcaption>{caption}</figcaption></figure>'
