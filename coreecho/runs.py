"""A `Run` -> its record, training it first where it is missing: ancestors, data, locks, resume.

    from coreecho import runs
    records = runs.ensure(list(experiments.all_runs().values()), get_profile("demo"))

`ensure` is idempotent: a run whose record exists is not trained again, a killed one goes on after its last finished
epoch, and two processes that ask for the same run train it once. A run that starts from another run's encoder has that
one trained first; a committed record comes without weights, so they are made again where they are needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from coreecho import checkpoints, distributed
from coreecho.datasets import Dataset
from coreecho.errors import DataError
from coreecho.files import default_runs_dir, writable_folder
from coreecho.forecast import forecast
from coreecho.initial import initial_model
from coreecho.ledger import MODEL, check_inputs, find, folder_of, stored_weights
from coreecho.lineage import parent, with_ancestors
from coreecho.model import CoReEcho
from coreecho.optimisation import join_processes, make_accelerator
from coreecho.place import SYNTHETIC, Place, data_fps, load_data
from coreecho.plan import Plan
from coreecho.provenance import provenance
from coreecho.records import RECORD, Record, list_records, read_record, run_key, write_record
from coreecho.scoring import published_starts, score, summary
from coreecho.settings import Profile, Run
from coreecho.trainer import Trainer
from coreecho.trainstate import tensorboard_writer

log = logging.getLogger("coreecho")


def ensure(
    specs: Sequence[Run], profile: Profile, place: Place | None = None, *, tensorboard: bool = False
) -> list[Record]:
    """The records of ``specs``, in order; missing ones are trained, one after another.

    Args:
        specs: what is wanted.
        profile: at which scale.
        place: data, records, device; the project's own folders by default.
        tensorboard: also write each epoch's losses and errors as TensorBoard scalars into the run's folder.

    Raises:
        CoReEchoError: data or weights are missing (said before any training), or a run failed.
    """
    place = place or Place()
    join_processes(place.device)
    need = {spec: find(spec, profile, place) for spec in specs}
    missing = [spec for spec, record in need.items() if record is None]
    line = [
        spec
        for spec in with_ancestors(missing, profile)
        if spec in missing or stored_weights(spec, profile, place) is None
    ]
    if missing:
        check_inputs(line, profile, place)
        for spec in {(spec.dataset, spec.fold): spec for spec in missing if spec.fold is not None}.values():
            _refuse_one_class(spec, load_data(spec, profile, place)[0])
        writable_folder((place.runs_dir or default_runs_dir()) / profile.name)
        known = {place.runs_dir or default_runs_dir(), default_runs_dir()}
        log.info("%s", forecast(line, profile, [each for runs in known for each in list_records(runs, profile.name)]))
    for spec in tqdm(line, desc=f"{profile.name} runs", unit="run", disable=distributed.silent()):
        log.info("%s ...", spec.slug)
        record = train(spec, profile, place, tensorboard=tensorboard)
        log.info("%s: %d epochs in %.0f s", spec.slug, len(record.history), record.training_seconds)
        if spec in need:
            need[spec] = record
    return [record for record in (need[spec] for spec in specs) if record is not None]


def weights(run: Run, profile: Profile, place: Place) -> Path:
    """The checkpoint of a run; the run is trained, again if it must be, where it is not there.

    Raises:
        CoReEchoError: as `ensure`.
    """
    found = stored_weights(run, profile, place)
    if found is not None:
        return found
    check_inputs(with_ancestors([run], profile), profile, place)
    return train(run, profile, place).folder / MODEL


def train(run: Run, profile: Profile, place: Place, *, tensorboard: bool = False) -> Record:
    """Trains and scores one run under a lock, or returns the record that another process wrote meanwhile.

    A run with a record but without weights is trained again; its record stays as it is.
    """
    data, about = load_data(run, profile, place)
    _refuse_one_class(run, data)
    above = parent(run, profile)
    start = None if above is None else weights(above, profile, place)
    if start is not None:
        about["parent"] = checkpoints.read_info(start).provenance["key"]
    key = run_key(run, profile, about["fingerprint"], about.get("parent", ""))
    folder = folder_of(run, profile, place, key)
    writable_folder(folder)
    with _alone(folder):
        if not (folder / RECORD).exists() or not (folder / MODEL).exists():
            model = initial_model(run, profile, place, data, start)
            _train(model, data, about, _Job(run, profile, place, folder, key), tensorboard)
    return read_record(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One training of a run at a time; of several processes that share it, the first holds the lock for all."""
    with FileLock(folder / ".lock") if distributed.is_main() else nullcontext():
        distributed.barrier()
        yield
        distributed.barrier()


@dataclass(frozen=True)
class _Job:
    """One training and where its files go."""

    run: Run
    profile: Profile
    place: Place
    folder: Path
    key: str


def _train(model: CoReEcho, data: Dataset, about: dict[str, Any], job: _Job, tensorboard: bool) -> None:
    """Trains ``model`` and writes its checkpoint, and its record where there is none yet."""
    run, profile, place, folder = job.run, job.profile, job.place, job.folder
    real = profile.phantom_of(run) is None
    starts = published_starts(data, profile.clip_settings(run), place.data_root) if real else None
    if real and run.dataset == "echonet":
        about["starts"] = "published" if starts else "drawn"
    accelerator = make_accelerator(profile.recipe(run), place.device)
    plan = Plan(run=run, profile=profile, data=data)
    trainer = Trainer(
        model,
        plan,
        folder,
        key=job.key,
        accelerator=accelerator,
        machine=place.machine,
        on_epoch=tensorboard_writer(folder) if tensorboard else None,
    )
    history = trainer.fit()
    predictions = score(model, plan, accelerator.device, place.machine.workers, starts)
    origin = provenance(accelerator.device)
    if not distributed.is_main():
        return
    about_model = {
        "training_data": f"{about['label']}, {profile.name} profile",
        "fps": data_fps(run, profile),
        "padding": plan.recipe.padding,
        "licence": "Apache-2.0" if about["label"] in SYNTHETIC else "the terms of the training data apply",
        "provenance": {"run": run.slug, "key": job.key, **origin},
    }
    checkpoints.save(model, folder / MODEL, about_model)
    if not (folder / RECORD).exists():
        record = Record(folder, job.key, run, profile, about, history, summary(predictions, data.task), origin)
        write_record(record, predictions)


def _refuse_one_class(run: Run, data: Dataset) -> None:
    """No classifier can be trained, and no sensitivity or specificity taken, where all labels are equal."""
    data.split("test")  # an empty one is named now, not after hours of training
    for split in ("train", "test") if data.task == "mi" else ():
        labels = {study.label for study in data.studies if study.split == split}
        if len(labels) < 2:
            raise DataError(
                f"{run.slug}: all videos of split {split!r} have the label {labels}; a fold needs both classes: "
                "choose other folds (hmcqu.fold_seed)"
            )
