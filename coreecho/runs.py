"""A `Run` -> its record, training it first where it is missing: keys, data, locks, resume.

    from coreecho import runs
    records = runs.ensure(experiments.table1_runs(), get_profile("demo"))

`ensure` is idempotent: a run whose record exists is not trained again, a killed one goes on after its last finished
epoch, and two processes that ask for the same run train it once.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import torch
from filelock import FileLock
from tqdm import tqdm

from coreecho import checkpoints, phantom
from coreecho.errors import DataError, SettingsError
from coreecho.evaluation import average_clips, regression_metrics
from coreecho.files import default_runs_dir
from coreecho.forecast import forecast
from coreecho.initial import initial_model, k400_path
from coreecho.place import PAPER_FOLDERS, PHANTOM, Place, data_fps, load_data
from coreecho.provenance import provenance
from coreecho.records import RECORD, Record, list_records, read_record, run_key, write_record
from coreecho.scoring import published_starts, score
from coreecho.settings import Profile, Run
from coreecho.trainer import Trainer, make_accelerator
from coreecho.trainstate import tensorboard_writer

log = logging.getLogger("coreecho")

MODEL = "model.safetensors"


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
    need = {spec: find(spec, profile, place) for spec in specs}
    missing = [spec for spec, record in need.items() if record is None]
    if missing:
        check_inputs(missing, profile, place)
        known = {place.runs_dir or default_runs_dir(), default_runs_dir()}
        log.info(
            "%s", forecast(missing, profile, [each for runs in known for each in list_records(runs, profile.name)])
        )
    for spec in tqdm(missing, desc=f"{profile.name} runs", unit="run", disable=None):
        log.info("%s ...", spec.slug)
        need[spec] = record = train(spec, profile, place, tensorboard=tensorboard)
        log.info("%s: %d epochs in %.0f s", spec.slug, len(record.history), record.training_seconds)
    return [record for record in (need[spec] for spec in specs) if record is not None]


def find(run: Run, profile: Profile, place: Place) -> Record | None:
    """The record of ``run`` at exactly this profile, if it exists; no data is needed to look.

    Real data: any fingerprint will do, since the data may be elsewhere; several are refused.
    """
    runs_dir = place.runs_dir or default_runs_dir()
    if profile.phantom is not None:
        folder = runs_dir / profile.name / f"{run.slug}-{run_key(run, profile, phantom.fingerprint(profile.phantom))}"
        return read_record(folder) if (folder / RECORD).exists() else None
    found = [
        record
        for record in list_records(runs_dir, profile.name)
        if record.key == run_key(run, profile, record.data["fingerprint"])
    ]
    if len(found) > 1:
        raise SettingsError(
            f"{run.slug} was run on {len(found)} versions of its data; keep one of "
            + ", ".join(record.folder.name for record in found)
        )
    return found[0] if found else None


def check_inputs(specs: Sequence[Run], profile: Profile, place: Place) -> None:
    """Says before any training what the runs need and do not have.

    Raises:
        DataError: the data root, a data set's folder or a weight file is missing.
        SettingsError: the device asked for does not exist.
    """
    if place.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device auto or cpu")
    if profile.phantom is not None:
        return
    if place.data_root is None:
        raise DataError(f"profile {profile.name!r} trains on real data: give --data-root, the folder with echonet/")
    wanted = {place.data_root / PAPER_FOLDERS[spec.dataset] for spec in specs}
    wanted |= {path for spec in specs if (path := k400_path(spec, profile, place)) is not None}
    missing = sorted(str(path) for path in wanted if not path.exists())
    if missing:
        raise DataError(f"missing under {place.data_root}: {', '.join(missing)}; see 'Reproduce' in the book")


def train(run: Run, profile: Profile, place: Place, *, tensorboard: bool = False) -> Record:
    """Trains and scores one run under a lock, or returns the record that another process wrote meanwhile."""
    data, about = load_data(run, profile, place)
    key = run_key(run, profile, about["fingerprint"])
    folder = (place.runs_dir or default_runs_dir()) / profile.name / f"{run.slug}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if (folder / RECORD).exists():
            return read_record(folder)
        recipe, clip = profile.recipe(run), profile.clip_settings(run)
        data.split("test")  # an empty one is named now, not after hours of training
        starts = published_starts(data, clip, place.data_root) if profile.phantom is None else None
        if profile.phantom is None:
            about["starts"] = "published" if starts else "drawn"
        accelerator = make_accelerator(recipe, place.device)
        model = initial_model(run, profile, place, data.mean_label)
        trainer = Trainer(
            model,
            data.split("train"),
            data.split("val"),
            run,
            recipe,
            clip,
            folder,
            key=key,
            accelerator=accelerator,
            workers=place.workers,
            on_epoch=tensorboard_writer(folder) if tensorboard else None,
        )
        history = trainer.fit()
        predictions = score(model, data, run, profile, accelerator.device, place.workers, starts)
        metrics = {
            str(protocol): dataclasses.asdict(regression_metrics(means["label"], means["prediction"]))
            for protocol, table in predictions.groupby("protocol")
            for means in [average_clips(table)]
        }
        origin = provenance(accelerator.device)
        about_model = {
            "training_data": f"{about['label']}, {profile.name} profile",
            "fps": data_fps(profile),
            "licence": "Apache-2.0" if about["label"] == PHANTOM else "the terms of the training data apply",
            "provenance": {"run": run.slug, "key": key, **origin},
        }
        checkpoints.save(model, folder / MODEL, about_model)
        record = Record(folder, key, run, profile, about, history, metrics, origin)
        write_record(record, predictions)
    return read_record(folder)
