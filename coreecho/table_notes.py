"""What stands under Table 1: remarks on its rows, the clips and seeds behind them, and what else is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from coreecho.experiments import table1
from coreecho.records import Record
from coreecho.rows import Row, published

FULL = "full video"
"""How the paper words the protocol of a row that is to see the whole video."""


def notes(records: Mapping[str, Sequence[Record]], metrics: Mapping[str, str]) -> tuple[str, ...]:
    """All notes of Table 1, in order.

    Args:
        records: of the profile shown, by row name.
        metrics: names of the published metrics for readers.
    """
    rows = table1()
    remarks = [f"{row.system}, {row.clips}: {row.note}" for row in rows if row.note]
    clips = [clips_seen(row, records[row.name][0]) for row in rows if row.clips == FULL and records.get(row.name)]
    also = [
        f"Also published: {entry['system']}, {entry['clips']}: "
        + ", ".join(f"{name} {entry[metric]:g}" for metric, name in metrics.items() if metric in entry)
        + f" ({entry['where']})."
        for entry in published()["also_published"]
        if entry["table"] == 1
    ]
    return (*remarks, *clips, *seeds(rows, records), *also)


def clips_seen(row: Row, record: Record) -> str:
    """How many clips of a test video a row's own protocol scores, and where they lie, from the saved predictions."""
    table = record.predictions(row.protocol)
    mean = len(table) / table["video"].nunique()
    where = f"{row.title} ({record.data['label']}, {record.profile.name})"
    if mean == 1:
        place = ", the one from frame 0 on" if (table["start"] == 0).all() else ""
        return f"{where}: 1 clip a video{place}; nothing is averaged over a longer one."
    at_ends = _at_ends(table, record)
    ends = "" if at_ends is None else f"; {at_ends} of {len(table)} begin at the first or the last legal frame"
    return f"{where}: {mean:.3g} clips a video{ends}."


def _at_ends(table: pd.DataFrame, record: Record) -> int | None:
    """How many clips begin at a video's first or last legal frame; none where the record did not score every one."""
    if "all" not in record.metrics:
        return None
    legal = record.predictions("all").groupby("video")["start"]
    first, last = table["video"].map(legal.min()), table["video"].map(legal.max())
    return int(((table["start"] == first) | (table["start"] == last)).sum())


def seeds(rows: Sequence[Row], records: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    """The seeds of each system's rows, and what a row of one seed does not show; nothing without records."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        own = ", ".join(str(record.run.seed) for record in records.get(row.name, ()))
        if own:
            found.setdefault(own, {})[row.system] = None
    if found:
        alone = "; one seed shows no scatter over trainings" if any("," not in own for own in found) else ""
        yield "Seeds: " + "; ".join(f"{own} of {', '.join(systems)}" for own, systems in found.items()) + alone + "."
