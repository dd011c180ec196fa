"""Run records: what was run, on what, with which result, as ``record.json`` beside ``predictions.parquet``.

A record is written last and at once, and carries a digest of itself and of the predictions, so that a damaged or edited
one is refused. Tables read predictions, never metrics, so a record cannot claim a score that its predictions do not
give.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from coreecho.errors import CoReEchoError, RecordError
from coreecho.files import replace_file
from coreecho.settings import Profile, Run
from coreecho.settings_text import from_dict, to_dict

SCHEMA = 1
"""Bumped by hand when training or the record's layout changes so that older records no longer stand for it."""
RECORD, PREDICTIONS = "record.json", "predictions.parquet"
_PARTS = {"key": str, "data": dict, "history": list, "metrics": dict, "provenance": dict}
COLUMNS = ("protocol", "video", "clip", "start", "label", "prediction")


def run_key(run: Run, profile: Profile, fingerprint: str, parent: str = "") -> str:
    """First 8 hex digits of the SHA-256 over what decides this run's numbers; code and machine are provenance.

    Of the profile only what the run uses counts, so that editing one recipe reruns only the runs that depend on it.
    Only what differs from the settings' defaults is hashed, so that a field added later, whose default means "as
    before", leaves the keys of older records as they are; a changed default calls for another `SCHEMA`.

    Args:
        run: what is trained.
        profile: at which scale.
        fingerprint: of the data.
        parent: key of the run whose weights this one starts from, if any.
    """
    essence = {
        "run": _essence(run),
        "profile": profile.name,
        "encoder": _essence(profile.encoder),
        "recipe": _essence(profile.recipe(run)),
        "clip": _essence(profile.clip_settings(run)),
        "protocol": profile.protocol_of(run),
        "k400": profile.k400 if run.init == "k400" else "none",
        "data": fingerprint,
        "schema": SCHEMA,
    }
    transfer = profile.transfer(run)
    if transfer is not None:
        essence["transfer"] = [transfer.folds, transfer.fold_seed, transfer.normalisation]
    if parent:
        essence["parent"] = parent
    return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()[:8]


def _essence(value: Any) -> Any:
    """Settings as JSON-ready data without the fields that have their default value."""
    if isinstance(value, Mapping):
        return {name: _essence(inner) for name, inner in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    named = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {field.name: _essence(inner) for field, inner in named.items() if inner != _default(field)}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@dataclass(frozen=True)
class Record:
    """A finished run."""

    folder: Path
    key: str
    run: Run
    profile: Profile
    data: Mapping[str, Any]
    """Name, label for readers (phantom or data set), fingerprint and counts of the data."""
    history: list[dict[str, Any]]
    """One entry per epoch."""
    metrics: Mapping[str, Mapping[str, float]]
    """By protocol; for listing only, tables compute theirs from the predictions."""
    provenance: Mapping[str, Any]
    """Commit, device, versions, times."""

    @property
    def training_seconds(self) -> float:
        """Wall time of all epochs, validation included."""
        return float(sum(entry["seconds"] for entry in self.history))

    def predictions(self, protocol: str | None = None) -> pd.DataFrame:
        """Test predictions per clip of one protocol (the run's own by default).

        Raises:
            RecordError: the record has no such protocol; the message lists those it has. Or the table is damaged.
        """
        try:
            table = pd.read_parquet(self.folder / PREDICTIONS)
            table[list(COLUMNS)]
        except Exception as error:  # the library raises nearly any type on a damaged file
            raise RecordError(
                f"{self.folder / PREDICTIONS}: damaged ({type(error).__name__}); restore it or run it again"
            ) from None
        protocol = protocol or self.profile.protocol_of(self.run)
        chosen = table[table["protocol"] == protocol]
        if chosen.empty:
            has = ", ".join(sorted({str(name) for name in table["protocol"]}))
            raise RecordError(f"{self.folder}: no predictions of protocol {protocol!r}; the record has {has}")
        return chosen.drop(columns="protocol").reset_index(drop=True)


def write_record(record: Record, predictions: pd.DataFrame) -> None:
    """Writes the predictions, then the record that vouches for them, each at once."""
    replace_file(record.folder / PREDICTIONS, lambda path: predictions.to_parquet(path, index=False))
    content = {
        "schema": SCHEMA,
        "key": record.key,
        "run": to_dict(record.run),
        "profile": to_dict(record.profile),
        "data": dict(record.data),
        "metrics": {name: _defined(values) for name, values in record.metrics.items()},
        "history": record.history,
        "provenance": dict(record.provenance),
        "predictions_sha256": hashlib.sha256((record.folder / PREDICTIONS).read_bytes()).hexdigest(),
    }
    content["digest"] = digest_of(content)
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    replace_file(record.folder / RECORD, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def read_record(folder: Path) -> Record:
    """The record in ``folder``, checked against its own digest and its predictions.

    Raises:
        RecordError: it is missing, cut short, edited, of another schema, or does not belong to its predictions.
    """
    path = folder / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest, schema = content.pop("digest"), content["schema"]
    except FileNotFoundError:
        raise RecordError(f"{path}: no such record; `coreecho runs list` shows those that exist") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise RecordError(f"{path}: not a complete record; remove its folder and run it again") from None
    if schema != SCHEMA:
        raise RecordError(f"{path}: schema {schema}, this version reads {SCHEMA}; run it again")
    if digest != digest_of(content):
        raise RecordError(f"{path}: edited after it was written (its digest differs); restore it or run it again")
    try:
        found = hashlib.sha256((folder / PREDICTIONS).read_bytes()).hexdigest()
    except OSError:
        raise RecordError(f"{folder / PREDICTIONS}: missing beside its record; restore it or run it again") from None
    lacking = [name for name, kind in _PARTS.items() if not isinstance(content.get(name), kind)]
    if lacking:
        raise RecordError(f"{path}: not a complete record (no {lacking[0]}); remove its folder and run it again")
    if found != content.get("predictions_sha256"):
        raise RecordError(f"{folder / PREDICTIONS}: not the predictions that its record vouches for; run it again")
    try:
        run, profile = from_dict(Run, content.get("run")), from_dict(Profile, content.get("profile"))
    except CoReEchoError as error:
        raise RecordError(f"{path}: {error}") from None
    return Record(
        folder=folder,
        key=content["key"],
        run=run,
        profile=profile,
        data=content["data"],
        history=content["history"],
        metrics=content["metrics"],
        provenance=content["provenance"],
    )


def list_records(runs_dir: Path, profile: str) -> list[Record]:
    """All records of a profile, by folder name; folders without a record (unfinished runs) are passed over."""
    folder = runs_dir / profile
    return [read_record(path.parent) for path in sorted(folder.glob(f"*/{RECORD}"))]


def _defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that have a value: equal predictions have no correlation."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over JSON-ready data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
