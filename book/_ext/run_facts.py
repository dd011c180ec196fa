"""What a run's page says, as plain values: rows, scores, predictions, provenance; `run_settings` has the settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from coreecho.baselines import SYSTEMS
from coreecho.curves import stage_names
from coreecho.evaluation import average_clips, bootstrap
from coreecho.experiments import all_rows, fills
from coreecho.lineage import PRETEXT
from coreecho.place import SYNTHETIC
from coreecho.profiles import PROFILES
from coreecho.protocols import in_words
from coreecho.records import PREDICTIONS, RECORD, Record, list_records, run_key
from coreecho.resampling import Draws, interval_of
from coreecho.tables import METRIC_NAMES, format_interval
from coreecho.trace import GROUPS as TRACED
from coreecho.trace import WEIGHTS, commit
from coreecho.transfer import classification, correlation
from coreecho.transfer.scores import HMCQU, cell

OTHERS = "Runs that no row uses"
GROUPS = TRACED | {OTHERS: OTHERS}
"""Headings of the tables, by the name that their rows begin with."""


@dataclass(frozen=True)
class Made:
    """A record and what rests on it."""

    record: Record
    fills: tuple[str, ...]
    """Names of the table cells that it fills, such as table1/coreecho/seed0."""

    @property
    def page(self) -> str:
        """Name of its page in the book."""
        return f"runs/{self.record.profile.name}/{self.record.folder.name}"

    @property
    def group(self) -> str:
        """Key of `GROUPS` that it is listed under."""
        if self.fills:
            return self.fills[0].partition("/")[0]
        return WEIGHTS if self.record.run == PRETEXT else OTHERS

    @property
    def label(self) -> str:
        """What its data are: phantom, moving shapes, or a data set's name."""
        return str(self.record.data["label"])

    @property
    def synthetic(self) -> bool:
        """Whether its data are made by the package, so that its videos may be named."""
        return self.label in SYNTHETIC


def read(runs_dir: Path) -> list[Made]:
    """All records below a folder, those of a profile after another; a damaged one is an error."""
    cells = fills()
    folders = sorted(path.name for path in runs_dir.iterdir() if path.is_dir()) if runs_dir.is_dir() else []
    ordered = [name for name in PROFILES if name in folders] + [name for name in folders if name not in PROFILES]
    return [
        Made(record, cells.get(record.run, ()) if _current(record) else ())
        for profile in ordered
        for record in list_records(runs_dir, profile)
    ]


def _current(record: Record) -> bool:
    """Whether a record was made with its profile's settings of today; else it fills no row."""
    profile = PROFILES.get(record.profile.name)
    parent = str(record.data.get("parent", ""))
    return profile is not None and run_key(record.run, profile, record.data["fingerprint"], parent) == record.key


def task(record: Record) -> str:
    """What is predicted: ef, mi (infarction or none) or motion."""
    return {"hmcqu": "mi", "motions": "motion"}.get(record.run.dataset, "ef")


@lru_cache(maxsize=4)
def predictions(folder: Path) -> pd.DataFrame:
    """All predictions of a record as they are saved, one row per clip and protocol."""
    return pd.read_parquet(folder / PREDICTIONS)


def protocols(made: Made) -> list[str]:
    """The protocols that a record was scored by; first that of the row that it fills first, or its profile's."""
    found = [str(name) for name in predictions(made.record.folder)["protocol"].unique()]
    row = all_rows().get("/".join(made.fills[0].split("/")[:2])) if made.fills else None
    wanted = [row.protocol if row else None, made.record.profile.protocol_of(made.record.run)]
    return sorted(found, key=lambda name: wanted.index(name) if name in wanted else len(wanted))


def clips(made: Made) -> pd.DataFrame:
    """All predictions of a record; videos of real data are numbered, since their names are not for publication."""
    table = predictions(made.record.folder)
    if not made.synthetic:
        numbers = {name: number for number, name in enumerate(sorted(table["video"].unique()), start=1)}
        table = table.assign(video=[f"video {numbers[name]}" for name in table["video"]]).drop(columns="start")
    first = ["protocol", "video", "clip"]
    return table[first + [name for name in table.columns if name not in first]]


def videos(made: Made, protocol: str = "") -> pd.DataFrame:
    """Listed value and mean prediction of each test video, by the first of `protocols` where none is given."""
    table = predictions(made.record.folder)
    return average_clips(table[table["protocol"] == (protocol or protocols(made)[0])])


def scores(made: Made) -> tuple[list[str], list[list[str]]]:
    """Column heads, and a line per protocol: each metric with its 95 % interval over patients."""
    lines = []
    whole = made.record.profile.clip_settings(made.record.run).resample
    for protocol in protocols(made):
        table = videos(made, protocol)
        told = f"{in_words(protocol, whole)} ({protocol})"
        lines.append([told, str(len(table)), *_scored(made.record, table)])
    return ["Test clips", "Videos", *_metric_names(made.record)], lines


def untrained(made: Made) -> list[str]:
    """A sentence on each protocol whose clips are of another kind than those that the system was trained on."""
    system = SYSTEMS.get(made.record.run.method)
    known = {} if system is None else system.untrained
    return [
        f"{in_words(protocol)} ({protocol}): clips of a kind that this system was not trained for; {known[protocol]}"
        for protocol in protocols(made)
        if protocol in known
    ]


def _metric_names(record: Record) -> list[str]:
    if task(record) == "motion":
        return ["Accuracy (%)"]
    if task(record) == "mi":
        return [f"{name} (%)" for name in HMCQU.values()]
    if record.run.dataset == "camus":
        return ["Correlation", "MAE (EF points)"]
    return [name if name.endswith(")") else f"{name} (EF points)" for name in METRIC_NAMES.values()]


def _scored(record: Record, table: pd.DataFrame) -> list[str]:
    labels, predictions = (table[name].to_numpy(dtype=np.float64) for name in ("label", "prediction"))
    if task(record) == "motion":
        right = (labels == predictions).astype(np.float64)
        share = lambda counts: (counts @ right / counts.sum(axis=1))[:, None, None]  # noqa: E731
        return [cell(interval_of(("acc",), share, len(right), Draws())["acc"].times(100), "acc")]
    if task(record) == "mi":
        found = classification.bootstrap(labels, predictions, np.zeros(len(labels), dtype=int))
        return [cell(found[name].times(100), name) for name in HMCQU]
    if record.run.dataset == "camus":
        return [cell(own, name) for name, own in correlation.bootstrap(labels, predictions).items()]
    return [format_interval(own, name) for name, own in bootstrap(labels, predictions).items()]


def provenance(record: Record) -> list[tuple[str, str]]:
    """Where a record comes from: name and value."""
    origin, data = record.provenance, record.data
    counts = ", ".join(f"{count} {split}" for split, count in data.get("counts", {}).items())
    dropped = ", ".join(f"{count} ({reason})" for reason, count in data.get("dropped", {}).items())
    versions = ", ".join(f"{name} {version}" for name, version in origin.get("versions", {}).items())
    epochs = [sum(entry["stage"] == stage for entry in record.history) for stage in stage_names(record)]
    return [
        ("Key", record.key),
        ("Data", f"{data['label']}, {data.get('name', record.run.dataset)}"),
        ("Videos", f"{counts}{f'; left out: {dropped}' if dropped else ''}"),
        ("Data fingerprint", str(data["fingerprint"])),
        ("Files' fingerprint", str(data.get("files", "unknown"))),
        ("Commit", commit(record)),
        ("Finished", str(origin.get("finished", "unknown")).replace("T", " ").replace("+00:00", " UTC")),
        ("Epochs", " + ".join(str(each) for each in epochs)),
        ("Training", f"{record.training_seconds / 60:.1f} min, validation included"),
        ("Device", str(origin.get("device", "unknown"))),
        ("Platform", str(origin.get("platform", "unknown"))),
        ("Processes, threads", f"{origin.get('processes', 1)}, {origin.get('threads', 'unknown')}"),
        ("Python", str(origin.get("python", "unknown"))),
        ("Libraries", versions or "unknown"),
    ]


def headline(made: Made) -> str:
    """The main metric by the first of `protocols`, as the record lists it."""
    own = made.record.metrics.get(protocols(made)[0], {})
    if "mae" in own:
        return f"MAE {own['mae']:.2f}"
    return f"accuracy {100 * own['accuracy']:.0f} %" if "accuracy" in own else "–"


def row_of(name: str) -> str:
    """Title of the row that a run's name such as table1/coreecho/seed0 belongs to."""
    row = all_rows().get("/".join(name.split("/")[:2]))
    return "" if row is None else row.title


def content_of(record: Record) -> bytes:
    """The record as it is written on disk, which vouches for all that a page shows of it."""
    return (record.folder / RECORD).read_bytes()
