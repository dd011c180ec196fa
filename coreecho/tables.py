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

from coreecho.errors import RecordError
from coreecho.evaluation import Interval, average_clips, bootstrap, paired_bootstrap, regression_metrics, seed_summary
from coreecho.experiments import SEEDS, Row, published, table1
from coreecho.files import replace_file
from coreecho.profiles import get_profile
from coreecho.records import Record
from coreecho.runs import PHANTOM, Place, find

METRIC_NAMES = {"mae": "MAE", "rmse": "RMSE", "r2": "R2 (%)"}
NOT_RUN = "not yet run"
Array = npt.NDArray[np.float64]
Records = Mapping[str, Sequence[Record]]
"""Row name -> its records, one per seed, all of one profile."""


@dataclass(frozen=True)
class Table:
    """A table for readers and the same as numbers."""

    display: pd.DataFrame
    numbers: pd.DataFrame
    notes: tuple[str, ...] = ()

    def write(self, folder: Path, name: str) -> None:
        """Writes ``name.md`` (with notes), ``name.csv`` (numbers) and ``name.tex`` into ``folder``."""
        markdown = "\n".join([self.display.to_markdown(index=False), "", *(f"- {note}" for note in self.notes), ""])
        latex = self.display.to_latex(index=False, escape=True)
        replace_file(folder / f"{name}.md", lambda path: path.write_text(markdown, encoding="utf-8"))
        replace_file(folder / f"{name}.csv", lambda path: self.numbers.to_csv(path, index=False, lineterminator="\n"))
        replace_file(folder / f"{name}.tex", lambda path: path.write_text(latex, encoding="utf-8"))


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


def existing(rows: Sequence[Row], profile: str, place: Place, seeds: Sequence[int] = SEEDS) -> Records:
    """The records of a profile that exist already, by row name; nothing is trained."""
    scale = get_profile(profile)
    found = {row.name: [find(run, scale, place) for run in row.runs(seeds)] for row in rows}
    return {name: [record for record in own if record is not None] for name, own in found.items()}


def column_label(record: Record) -> str:
    """How a column of this record's profile and data is headed."""
    return f"{record.data['label']}, {record.profile.name} profile"


def comparison(records: Records, paper_records: Records | None = None) -> Table:
    """Table 1: every row of the paper, its published values, the paper profile's and this profile's.

    Args:
        records: of the profile shown, by row name; rows without records are printed as published only.
        paper_records: of the paper profile, where they exist and another profile is shown.
    """
    rows, numbers, notes = [], [], []
    if paper_records is not None:  # the paper profile may have been tried on a phantom's folder
        paper_records = {
            name: [each for each in own if each.data["label"] != PHANTOM] for name, own in paper_records.items()
        }
    shown = next((own[0] for own in records.values() if own), None)
    for row in table1():
        line: dict[str, str] = {"System": row.system, "Clips": row.clips}
        for metric, name in METRIC_NAMES.items():
            line[f"Published {name}"] = f"{row.published[metric]:g}"
            numbers.append(_number(row, "published", "EchoNet-Dynamic", metric, row.published[metric]))
        for own in (paper_records or {}, records):
            numbers += _row_numbers(row, own.get(row.name, ()))
        if paper_records is not None:
            line["Reproduced on EchoNet-Dynamic"] = _headline(row, paper_records.get(row.name, ()))
        if shown is not None:
            line |= _cells(row, records.get(row.name, ()), column_label(shown))
        rows.append(line)
        if row.note:
            notes.append(f"{row.system}, {row.clips}: {row.note}")
    for entry in published()["also_published"]:
        if entry["table"] == 1:
            values = ", ".join(f"{METRIC_NAMES[m]} {entry[m]:g}" for m in METRIC_NAMES if m in entry)
            notes.append(f"Also published: {entry['system']}, {entry['clips']}: {values} ({entry['where']}).")
    return Table(pd.DataFrame(rows), pd.DataFrame(numbers), tuple(notes))


def _cells(row: Row, records: Sequence[Record], label: str) -> dict[str, str]:
    """The formatted cells of one row and profile."""
    if not records:
        empty = NOT_RUN if row.run is not None else "published only"
        return {f"{label}: {name}": empty for name in METRIC_NAMES.values()} | {f"{label}: R2 by seed": ""}
    labels, predictions, _ = stack(records)
    intervals = bootstrap(labels, predictions)
    cells = {f"{label}: {name}": _interval(intervals[metric], metric) for metric, name in METRIC_NAMES.items()}
    seeds = seed_summary([regression_metrics(labels, each).r2 * 100 for each in predictions])
    spread = "" if seeds.n < 2 else f" (SD {seeds.sd:.2f})"
    return cells | {f"{label}: R2 by seed": ", ".join(f"{value:.1f}" for value in seeds.values) + spread}


def _headline(row: Row, records: Sequence[Record]) -> str:
    if not records:
        return NOT_RUN if row.run is not None else "published only"
    labels, predictions, _ = stack(records)
    intervals = bootstrap(labels, predictions)
    return "; ".join(f"{name} {_interval(intervals[metric], metric)}" for metric, name in METRIC_NAMES.items())


def _interval(interval: Interval, metric: str) -> str:
    scale = 100 if metric == "r2" else 1
    digits = 1 if metric == "r2" else 2
    low, high = interval.low * scale, interval.high * scale
    return f"{interval.estimate * scale:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _row_numbers(row: Row, records: Sequence[Record]) -> list[dict[str, object]]:
    """Point value, interval and every seed's value of each metric, as plain numbers."""
    if not records:
        return []
    labels, predictions, _ = stack(records)
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


def differences(records: Records, reference: str) -> pd.DataFrame:
    """Every other row's metrics minus those of ``reference``, with paired 95 % intervals over patients."""
    labels, theirs, _ = stack(records[reference])
    lines: list[dict[str, str]] = []
    for name, own in records.items():
        if name == reference or not own:
            continue
        gaps = paired_bootstrap(labels, theirs, stack(own)[1])
        against = own[0].run.method
        line = {"Difference": f"{records[reference][0].run.method} minus {against}"}
        lines.append(line | {METRIC_NAMES[metric]: _interval(gap, metric) for metric, gap in gaps.items()})
    return pd.DataFrame(lines)


def against_truth(records: Records) -> pd.DataFrame:
    """R2 and MAE against the reader's EF and against the phantom's true EF, per row, with the oracle.

    The oracle predicts the true EF: against the reader it is as far off as the reader, which no system can beat in
    expectation. No real data set can show this, since nobody knows its true EF.
    """
    lines: list[dict[str, str]] = []
    for name, own in records.items():
        labels, predictions, truth = stack(own)
        if truth is None:
            raise RecordError(f"{own[0].folder}: no true EF; only runs on the phantom have one")
        if not lines:
            oracle = regression_metrics(labels, truth)
            lines.append(_truth_line("oracle (the true EF)", [oracle.r2], [oracle.mae], [1.0], [0.0]))
        reader = [regression_metrics(labels, each) for each in predictions]
        true = [regression_metrics(truth, each) for each in predictions]
        lines.append(
            _truth_line(
                name.partition("/")[2],
                [each.r2 for each in reader],
                [each.mae for each in reader],
                [each.r2 for each in true],
                [each.mae for each in true],
            )
        )
    return pd.DataFrame(lines)


def _truth_line(
    system: str, r2_reader: list[float], mae_reader: list[float], r2_true: list[float], mae_true: list[float]
) -> dict[str, str]:
    def mean(values: list[float], scale: float, digits: int) -> str:
        return f"{scale * sum(values) / len(values):.{digits}f}"

    return {
        "System": system,
        "R2 against the reader (%)": mean(r2_reader, 100, 1),
        "MAE against the reader": mean(mae_reader, 1, 2),
        "R2 against the truth (%)": mean(r2_true, 100, 1),
        "MAE against the truth": mean(mae_true, 1, 2),
    }


def provenance_table(records: Records) -> pd.DataFrame:
    """The runs behind a table: key, seed, chosen epoch, training time and device."""
    return pd.DataFrame(
        {
            "Row": name.partition("/")[2],
            "Seed": record.run.seed,
            "Run": record.folder.name,
            "Epochs": len(record.history),
            "Training (s)": f"{sum(entry['seconds'] for entry in record.history):.0f}",
            "Device": record.provenance["device"],
            "Commit": (record.provenance["commit"] or "unknown")[:8],
        }
        for name, own in records.items()
        for record in own
    )
