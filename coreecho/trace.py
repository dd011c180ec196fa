"""From a number back to what made it: which records stand behind which rows, and how each record came about.

The page "Provenance" lists every record once, under the first table that it fills; the pages of tables and figures link
to its line there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from coreecho.experiments import HEADINGS, SEEDS, TABLES, fills
from coreecho.ledger import find
from coreecho.lineage import with_ancestors
from coreecho.place import Place
from coreecho.records import Record
from coreecho.settings import Profile
from coreecho.tables import Records

PAGE = "provenance.html"
"""The page in the book that holds the lines that `link` points to."""
WEIGHTS = "initial weights"
"""Group of the records that fill no table and only lend their encoder to others."""
GROUPS = {name: f"Table {name.removeprefix('table')}" for name in TABLES} | HEADINGS | {WEIGHTS: "Initial weights"}
"""Headings of the groups of records, by the name that their cells' names begin with, in the book's order."""


@dataclass(frozen=True)
class Trace:
    """A record and what rests on it."""

    record: Record
    group: str
    """The first table that it fills, such as table1, or `WEIGHTS`."""
    fills: tuple[str, ...]
    """Names of all runs of tables that it is, such as table2/full/seed0."""


def traces(profile: Profile, place: Place, seeds: Sequence[int] = SEEDS) -> list[Trace]:
    """Every record of a profile that fills a table or that another one starts from; nothing is trained.

    Args:
        profile: at which scale.
        place: where the records are.
        seeds: which are looked for.
    """
    cells, found = fills(seeds), []
    for run in [*cells, *(run for run in with_ancestors(list(cells), profile) if run not in cells)]:
        record = find(run, profile, place)
        if record is not None:
            names = cells.get(run, ())
            found.append(Trace(record, names[0].partition("/")[0] if names else WEIGHTS, names))
    return found


def groups(found: Sequence[Trace]) -> dict[str, pd.DataFrame]:
    """The lines of the page: by table, one line per record, each with an anchor of its own."""
    known = {trace.record.key for trace in found}
    lines = {
        heading: [_line(trace, known) for trace in found if trace.group == name] for name, heading in GROUPS.items()
    }
    return {heading: pd.DataFrame(own) for heading, own in lines.items() if own}


def anchor(record: Record) -> str:
    """Name of the record's line on the page."""
    return f"run-{record.key}"


def link(record: Record, text: str = "") -> str:
    """Markdown that leads from a page beside the notebooks to the record's line; the text is its key by default."""
    return f"[{text or record.key}]({PAGE}#{anchor(record)})"


def behind(records: Records) -> pd.DataFrame:
    """The runs behind one table, one line per row and seed: folds together, each with a link to its own line.

    Args:
        records: by row name.
    """
    lines = []
    for name, own in records.items():
        for seed in sorted({record.run.seed for record in own}):
            runs = [record for record in own if record.run.seed == seed]
            lines.append(
                {
                    "Row": name,
                    "Seed": str(seed),
                    "Runs": ", ".join(link(record) for record in runs),
                    "Epochs": _each(str(len(record.history)) for record in runs),
                    "Training (min)": f"{sum(record.training_seconds for record in runs) / 60:.1f}",
                    "Device": _each(str(record.provenance["device"]) for record in runs),
                    "Commit": _each(commit(record) for record in runs),
                }
            )
    return pd.DataFrame(lines)


def commit(record: Record) -> str:
    """First 8 hex of the commit that a record was made at, and whether files differed from it."""
    name = record.provenance.get("commit")
    changed = " + changes" if record.provenance.get("uncommitted_changes") else ""
    return f"{str(name)[:8]}{changed}" if name else "unknown"


def _each(values: Iterable[str]) -> str:
    """Different values in order, once each."""
    return ", ".join(dict.fromkeys(values))


def _line(trace: Trace, known: set[str]) -> dict[str, str]:
    record, run = trace.record, trace.record.run
    above = str(record.data.get("parent", ""))
    start: str = "random" if run.init == "k400" and record.profile.k400 != "file" else run.init
    if above:
        source = "pretext" if run.init == "k400" else run.init
        start = f"{source} [{above}](#run-{above})" if above in known else f"{source} {above}"
    return {
        "Run": f'<span id="{anchor(record)}"></span>{record.folder.name}',
        "Fills": ", ".join(trace.fills) or "no row: others start from it",
        "Seed": str(run.seed),
        "Fold": "–" if run.fold is None else str(run.fold),
        "Starts from": start,
        "Data": f"{record.data['label']} ({run.dataset})",
        "Data fingerprint": str(record.data["fingerprint"])[:8],
        "Commit": commit(record),
        "Device": str(record.provenance["device"]),
        "Finished": str(record.provenance.get("finished", "unknown"))[:16].replace("T", " "),
        "Training (min)": f"{record.training_seconds / 60:.1f}",
    }
