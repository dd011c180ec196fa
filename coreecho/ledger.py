"""Which runs have a record, under which key and in which folder; nothing is trained here.

On phantoms a key is known before any data are read, so a clone with committed records finds them at once. On real data
it holds the data's fingerprint, so records are recognised by recomputing their key from what they say of their data.
A table asks for hundreds of runs and for what each of them starts from, so a file is read again only when it changes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from coreecho import phantom
from coreecho.errors import DataError, RecordError, SettingsError
from coreecho.files import default_runs_dir
from coreecho.fixed import refuse_changed
from coreecho.initial import k400_path
from coreecho.lineage import parent
from coreecho.place import PAPER_FOLDERS, Place, compute_device
from coreecho.records import PREDICTIONS, RECORD, Record, read_record, run_key
from coreecho.settings import Profile, Run

MODEL = "model.safetensors"
_Stamp = tuple[int, int, int] | None
"""Time of change, size and number of a file, which tell one content from the next; none where there is no file."""


def known_key(run: Run, profile: Profile) -> str | None:
    """The key of a run on phantoms; none on real data, where it depends on the data."""
    settings, above = profile.phantom_of(run), parent(run, profile)
    above_key = "" if above is None else known_key(above, profile)
    if settings is None or above_key is None:
        return None
    return run_key(run, profile, phantom.fingerprint(settings), above_key)


def folder_of(run: Run, profile: Profile, place: Place, key: str) -> Path:
    """Where the record and the checkpoints of a run with this key lie."""
    return (place.runs_dir or default_runs_dir()) / profile.name / f"{run.slug}-{key}"


def find(run: Run, profile: Profile, place: Place) -> Record | None:
    """The record of ``run`` at exactly this profile, if it exists; no data is needed to look.

    Real data: any fingerprint will do, since the data may be elsewhere; several are refused. Looked at are the folders
    that are named as `folder_of` names this run's. The record is the caller's own: what is done to it reaches no other.

    Raises:
        RecordError: the record is damaged, edited, or another run's or profile's.
        SettingsError: there are records of several versions of the data.
    """
    return copy.deepcopy(_find(run, profile, place))


def _find(run: Run, profile: Profile, place: Place) -> Record | None:
    """`find`, but the record is shared by all who ask for it."""
    key = known_key(run, profile)
    if key is not None:
        folder = folder_of(run, profile, place, key)
        return _own(_read(folder), run, profile, key) if (folder / RECORD).exists() else None
    like_ours = folder_of(run, profile, place, "*")
    found = [
        record
        for record in (_read(path.parent) for path in sorted(like_ours.parent.glob(f"{like_ours.name}/{RECORD}")))
        if record.run == run and record.key == _expected(record, profile, place)
    ]
    if len(found) > 1:
        raise SettingsError(
            f"{run.slug} was run on {len(found)} versions of its data; keep one of "
            + ", ".join(record.folder.name for record in found)
        )
    return found[0] if found else None


def _read(folder: Path) -> Record:
    """The record in ``folder`` as it is now; do not change it.

    Raises:
        RecordError: as `read_record`.
    """
    return _unchanged(folder, _stamp(folder / RECORD), _stamp(folder / PREDICTIONS))


@lru_cache(maxsize=512)
def _unchanged(folder: Path, record: _Stamp, predictions: _Stamp) -> Record:
    """The record of files with these stamps; all tables of a profile fit."""
    return read_record(folder)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:  # `read_record` says what is missing
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _own(record: Record, run: Run, profile: Profile, key: str) -> Record:
    """The record, if it is what its folder's name says.

    Raises:
        RecordError: it is another run's or another profile's, put here by hand.
    """
    if (record.key, record.run, record.profile.name) != (key, run, profile.name):
        raise RecordError(
            f"{record.folder}: holds the record {record.run.slug}-{record.key} of profile {record.profile.name!r}; "
            "put it back where it belongs, or remove it and run this one again"
        )
    return record


def _expected(record: Record, profile: Profile, place: Place) -> str:
    """The key that a record on real data must have at this profile, its parent being the run found here, if any."""
    above = parent(record.run, profile)
    started = str(record.data.get("parent", ""))
    if above is not None and (found := _find(above, profile, place)) is not None:
        started = found.key
    return run_key(record.run, profile, record.data["fingerprint"], started)


def stored_weights(run: Run, profile: Profile, place: Place) -> Path | None:
    """The checkpoint of a finished run, here or among the project's own runs, if it is there."""
    for each in (place, Place()):
        record = find(run, profile, each)
        if record is not None and (record.folder / MODEL).exists():
            return record.folder / MODEL
    return None


def check_inputs(specs: Sequence[Run], profile: Profile, place: Place) -> None:
    """Says before any training what the runs need and do not have.

    Raises:
        DataError: the data root, a data set's folder or a weight file is missing.
        SettingsError: the device asked for does not exist, or a setting was changed that a run's method sets itself.
    """
    compute_device(place.device)
    refuse_changed(specs, profile)
    real = [spec for spec in specs if profile.phantom_of(spec) is None]
    if not real:
        return
    if any(spec.dataset == "motions" for spec in real):
        raise SettingsError(f"profile {profile.name!r} has no moving shapes; the pretext task is demo's and gpu's")
    if place.data_root is None:
        folders = " ".join(sorted({f"{PAPER_FOLDERS[spec.dataset]}/" for spec in real}))
        raise DataError(f"profile {profile.name!r} trains on real data: give --data-root, the folder with {folders}")
    wanted = {place.data_root / PAPER_FOLDERS[spec.dataset] for spec in real}
    wanted |= {path for spec in real if (path := k400_path(spec, profile, place)) is not None}
    missing = sorted(str(path) for path in wanted if not path.exists())
    if missing:
        raise DataError(f"missing under {place.data_root}: {', '.join(missing)}; see 'Reproduce' in the book")
