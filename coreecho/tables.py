"""Records -> the paper's tables: the published value beside every profile's, with intervals and seeds.

Each table comes twice: `Table.display` with formatted cells for readers, `Table.numbers` with one plain number per row
for machines. A number made on the phantom stands in a column that says so, and the real data's column says "not yet
run" until records of the paper profile exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from coreecho import table_notes
from coreecho.errors import RecordError
from coreecho.evaluation import average_clips, bootstrap, regression_metrics, seed_summary
from coreecho.experiments import SEEDS, all_rows, table1
from coreecho.files import replace_file
from coreecho.ledger import find
from coreecho.place import PHANTOM, Place
from coreecho.profiles import get_profile
from coreecho.protocols import in_words
from coreecho.records import Record
from coreecho.resampling import Interval
from coreecho.rows import Row
from coreecho.runs import ensure
from coreecho.settings import Profile

METRIC_NAMES = {"mae": "MAE", "rmse": "RMSE", "r2": "R2 (%)"}
NOT_RUN = "not yet run"
NOT_IN_PAPER = "not in the paper"
REPRODUCED = "EchoNet-Dynamic, run here"
Array = npt.NDArray[np.float64]
Records = Mapping[str, Sequence[Record]]
"""Row name -> its records, one per seed, all of one profile."""


@dataclass(frozen=True)
class Table:
    """A table for readers and the same as numbers."""

    display: pd.DataFrame
    numbers: pd.DataFrame
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The display table as Markdown, every cell as it stands."""
        return to_markdown(self.display)

    def write(self, folder: Path, name: str) -> None:
        """Writes ``name.md`` with notes, ``name.csv`` (numbers) and ``name.tex``, notes as comments, to ``folder``."""
        notes = "".join(f"- {note}\n" for note in self.notes)
        markdown = f"{self.markdown()}\n" + (f"\n{notes}" if notes else "")
        latex = self.display.to_latex(index=False, escape=True) + "".join(f"% {note}\n" for note in self.notes)
        replace_file(folder / f"{name}.md", lambda path: path.write_text(markdown, encoding="utf-8"))
        replace_file(folder / f"{name}.csv", lambda path: self.numbers.to_csv(path, index=False, lineterminator="\n"))
        replace_file(folder / f"{name}.tex", lambda path: path.write_text(latex, encoding="utf-8"))


def to_markdown(table: pd.DataFrame) -> str:
    """A table as Markdown without an index; numbers keep the digits that they were formatted with."""
    return str(table.to_markdown(index=False, disable_numparse=True))


def stack(records: Sequence[Record], protocol: str | None = None) -> tuple[Array, Array, Array | None]:
    """Labels (N,), predictions (S, N) averaged over clips, and the phantom's true EF (N,) or none.

    Raises:
        RecordError: the records were not scored on the same videos.
    """
    tables = [average_clips(record.predictions(protocol)) for record in records]
    first = tables[0]
    for record, table in zip(records, tables, strict=True):
        if list(table["video"]) != list(first["video"]) or not np.allclose(table["label"], first["label"]):
            raise RecordError(
                f"{record.folder}: scored on other videos than {records[0].folder}; run both on one data set"
            )
    truth = None
    clips = records[0].predictions(protocol)
    if "truth" in clips and clips["truth"].notna().all():
        truth = clips.groupby("video", sort=True)["truth"].first().to_numpy(dtype=np.float64)
    predictions = np.stack([table["prediction"].to_numpy(dtype=np.float64) for table in tables])
    return first["label"].to_numpy(dtype=np.float64), predictions, truth


def stacked(row: str, records: Sequence[Record]) -> tuple[Array, Array, Array | None]:
    """`stack` of a row's records, under the row's own protocol where it has one."""
    known = all_rows().get(row)
    return stack(records, None if known is None else known.protocol)


def filled(rows: Sequence[Row], profile: Profile, place: Place, seeds: Sequence[int] = SEEDS) -> Records:
    """The records of every row that is run here, by row name; missing ones are trained."""
    own = {row.name: row.runs(seeds) for row in rows}
    specs = list(dict.fromkeys(run for runs in own.values() for run in runs))
    found = dict(zip(specs, ensure(specs, profile, place), strict=True))
    return {name: [found[run] for run in runs] for name, runs in own.items()}


def existing(rows: Sequence[Row], profile: str, place: Place, seeds: Sequence[int] = SEEDS) -> Records:
    """The records of a profile that exist already, by row name; nothing is trained."""
    scale = get_profile(profile)
    found = {row.name: [find(run, scale, place) for run in row.runs(seeds)] for row in rows}
    return {name: [record for record in own if record is not None] for name, own in found.items()}


def on_hearts(records: Records | None) -> Records | None:
    """The records without those of phantoms, since the paper profile may have been tried on a phantom's folder."""
    if records is None:
        return None
    return {name: [each for each in own if each.data["label"] != PHANTOM] for name, own in records.items()}


def column_label(record: Record) -> str:
    """How a column of this record's profile and data is headed."""
    return f"{record.data['label']}, {record.profile.name}"


def made_on(records: Records) -> str:
    """On which data, at which profile, the numbers of some records were made: a line above a table without them."""
    labels = dict.fromkeys(column_label(record) for own in records.values() for record in own)
    return f"All numbers: {'; '.join(labels) or NOT_RUN}."


def comparison(records: Records, paper_records: Records | None = None) -> Table:
    """Table 1: every row of the paper, its published values, the paper profile's and this profile's.

    Args:
        records: of the profile shown, by row name; rows without records are printed as published only.
        paper_records: of the paper profile, where they exist and another profile is shown.
    """
    rows, numbers = [], []
    paper_records = on_hearts(paper_records)
    shown = next((own[0] for own in records.values() if own), None)
    for row in table1():
        line: dict[str, str] = {"System": f"{row.system}, {row.clips}"}
        for metric, name in METRIC_NAMES.items():
            line[f"Published {name}"] = f"{row.published[metric]:{'g' if metric == 'r2' else '.2f'}}"
            numbers.append(_number(row, "published", "EchoNet-Dynamic", metric, row.published[metric]))
        for own in (paper_records or {}, records):
            numbers += _row_numbers(row, own.get(row.name, ()))
        if paper_records is not None:
            line[REPRODUCED] = _headline(row, paper_records.get(row.name, ()))
        if shown is not None:
            line |= _cells(row, records.get(row.name, ()), column_label(shown))
        rows.append(line)
    return Table(pd.DataFrame(rows), pd.DataFrame(numbers), table_notes.notes(records, METRIC_NAMES))


def ablation(rows: Sequence[Row], records: Records, paper_records: Records | None = None) -> Table:
    """Tables of R2 over seeds (2 and 3): published mean and SD, and ours with every seed, three clips and one.

    Args:
        rows: of the table, whose published values are R2 and its standard deviation in percent.
        records: of the profile shown, by row name.
        paper_records: of the paper profile, where another one is shown.
    """
    lines, numbers = [], []
    paper_records = on_hearts(paper_records)
    for row in rows:
        line = {"Training": row.system, "Published R2 (%)": NOT_IN_PAPER}
        if row.published:
            line["Published R2 (%)"] = f"{row.published['r2']:.2f} ± {row.published['r2_sd']:.2f}"
            numbers.append(_number(row, "published", "EchoNet-Dynamic", "r2", row.published["r2"]))
        if paper_records is not None:
            line[REPRODUCED] = _headline(row, paper_records.get(row.name, ()))
        own = records.get(row.name, ())
        numbers += _row_numbers(row, paper_records.get(row.name, ()) if paper_records else ()) + _row_numbers(row, own)
        if own:
            label = column_label(own[0])
            for protocol in (own[0].profile.protocol, "first"):
                line[f"{label}: R2 (%), {in_words(protocol)}"] = _spread(own, protocol)
        lines.append(line)
    display = pd.DataFrame(lines).fillna(NOT_RUN)
    return Table(display, pd.DataFrame(numbers))


def _spread(records: Sequence[Record], protocol: str) -> str:
    """Mean and sample SD of R2 over seeds, and each seed's value, in percent."""
    labels, predictions, _ = stack(records, protocol)
    summary = seed_summary([100 * regression_metrics(labels, each).r2 for each in predictions])
    spread = "" if summary.n < 2 else f" ± {summary.sd:.2f}"
    return f"{summary.mean:.2f}{spread} ({', '.join(f'{value:.1f}' for value in summary.values)})"


def _cells(row: Row, records: Sequence[Record], label: str) -> dict[str, str]:
    """The formatted cells of one row and profile."""
    if not records:
        return {f"{label}: {name}": NOT_RUN for name in METRIC_NAMES.values()}
    labels, predictions, _ = stack(records, row.protocol)
    intervals = bootstrap(labels, predictions)
    return {f"{label}: {name}": format_interval(intervals[metric], metric) for metric, name in METRIC_NAMES.items()}


def _headline(row: Row, records: Sequence[Record]) -> str:
    if not records:
        return NOT_RUN
    labels, predictions, _ = stack(records, row.protocol)
    intervals = bootstrap(labels, predictions)
    return "; ".join(f"{name} {format_interval(intervals[metric], metric)}" for metric, name in METRIC_NAMES.items())


def format_interval(interval: Interval, metric: str) -> str:
    """Estimate and interval of a metric, R2 in percent, for a cell."""
    scale = 100 if metric == "r2" else 1
    digits = 1 if metric == "r2" else 2
    low, high = interval.low * scale, interval.high * scale
    return f"{interval.estimate * scale:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _row_numbers(row: Row, records: Sequence[Record]) -> list[dict[str, object]]:
    """Point value, interval and every seed's value of each metric, as plain numbers."""
    if not records:
        return []
    labels, predictions, _ = stack(records, row.protocol)
    intervals = bootstrap(labels, predictions)
    lines: list[dict[str, object]] = []
    for metric, interval in intervals.items():
        scale = 100 if metric == "r2" else 1
        by_seed = [getattr(regression_metrics(labels, each), metric) * scale for each in predictions]
        lines.append(
            _number(row, records[0].profile.name, str(records[0].data["label"]), metric, interval.estimate * scale)
            | {
                "low": round(interval.low * scale, 4),
                "high": round(interval.high * scale, 4),
                "seeds": " ".join(str(record.run.seed) for record in records),
                "by_seed": " ".join(f"{value:.4f}" for value in by_seed),
                "runs": " ".join(record.key for record in records),
            }
        )
    return lines


def _number(row: Row, source: str, data: str, metric: str, value: float) -> dict[str, object]:
    return {
        "row": row.name,
        "system": row.system,
        "source": source,
        "data": data,
        "metric": METRIC_NAMES[metric],
        "value": round(value, 4),
    }
