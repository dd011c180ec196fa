"""A record's history as curves: losses, validation error and learning rate of every epoch, named and with units.

The Rank-N-Contrast loss has a value that it takes when nothing has been learned (`chance_level`); a short training may
stay there for a while, and `left_chance` says when it does not any longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from coreecho.errors import RecordError
from coreecho.experiments import all_rows
from coreecho.ranking import collapsed
from coreecho.records import Record
from coreecho.settings import Recipe, Run
from coreecho.tables import Records, column_label

POINTS = " (EF points)"
LOSSES = {
    "rnc": "Rank-N-Contrast loss",
    "supremix": "SupReMix loss",
    "error": "error of the prediction",
    "contrast": "adaptive contrastive loss, weighted",
    "conr": "ConR loss, weighted",
    "ranksim": "RankSim loss, weighted",
    "entropy": "ordinal entropy loss",
    "reconstruction": "squared error of hidden pixels, weighted",
    "alignment": "alignment loss, weighted",
    "outline": "cross-entropy of the outline, summed over pixels",
    "unet": "cross-entropy of the U-Net's outline",
    "deeplab": "cross-entropy of DeepLab's outline",
    "phase": "squared error of the phase",
    "points": "squared error of the key points",
    "phases": "cross-entropy of the phases, weighted",
    "l1": f"absolute error of the head{POINTS}",
}
"""What the fields of an epoch hold, in the order in which they are shown; what ``error`` is depends on the method."""
ERRORS = {
    "echocotr": "squared error (EF points²)",
    "adacon": "squared error (EF points²)",
    "clas": "squared error (EF points²)",
    "ouyang": "squared error (EF points²)",
    "probe": "squared error (EF points²)",
    "finetune": "squared error (EF points²)",
    "echographs": "squared error of EF / 100",
    "echographs-known": "squared error of EF / 100",
    "uvt": "5 times the squared error of EF / 100",
    "uvt-mirror": "5 times the squared error of EF / 100",
}
"""What ``error`` is by method; the absolute error for all others."""
VALIDATED = {
    ("ouyang", "outlining"): "validation: 1 - Dice of the outline",
    ("echocardmae", "masked"): "validation loss",
}
"""What ``val_mae`` is in stages that do not predict EF, by method and stage."""
MARGIN = 0.05
"""How far below its chance level the Rank-N-Contrast loss must stay to have left it."""


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs of one stage."""

    stage: str
    name: str
    """Field of the history."""
    kind: Literal["training", "validation", "rate"]
    label: str
    """What it is, with its unit where it has one."""
    epochs: tuple[int, ...]
    """Counted from 1 within the stage."""
    values: tuple[float, ...]
    chosen: int
    """The epoch that the stage's weights were taken from."""


def stage_names(record: Record) -> list[str]:
    """The stages of a record's history, in order."""
    return list(dict.fromkeys(str(entry["stage"]) for entry in record.history))


def curves(record: Record) -> list[Curve]:
    """All curves of a record: by stage the losses, the validation error, the learning rate."""
    return [curve for stage in stage_names(record) for curve in _of_stage(record, stage)]


def _of_stage(record: Record, stage: str) -> list[Curve]:
    entries = [entry for entry in record.history if entry["stage"] == stage]
    known = list(LOSSES)
    losses = [name for name in entries[0] if _is_loss(name, entries[0])]
    losses.sort(key=lambda name: known.index(name) if name in known else len(known))
    validation = [f"val_{record.profile.recipe(record.run).selection}", "val_mae"]
    shown = [name for name in dict.fromkeys(validation) if name in entries[0]]
    found = [_curve(entries, name, "training", loss_label(record.run, name)) for name in losses]
    found += [_curve(entries, name, "validation", validation_label(record.run, stage, name)) for name in shown]
    return [*found, _curve(entries, "learning_rate", "rate", "learning rate")]


def _is_loss(name: str, entry: dict[str, Any]) -> bool:
    """Whether a field of an epoch is a training loss."""
    others = name in ("stage", "epoch", "chosen", "learning_rate")
    return not (others or name.startswith("val_") or name.endswith("seconds")) and isinstance(entry[name], float)


def _curve(
    entries: Sequence[dict[str, Any]], name: str, kind: Literal["training", "validation", "rate"], label: str
) -> Curve:
    last = entries[-1]
    return Curve(
        stage=str(last["stage"]),
        name=name,
        kind=kind,
        label=label,
        epochs=tuple(int(entry["epoch"]) + 1 for entry in entries),
        values=tuple(float(entry[name]) for entry in entries),
        chosen=int(last["chosen"]) + 1,
    )


def loss_label(run: Run, name: str) -> str:
    """What a training loss is, with its unit where it has one."""
    if name != "error":
        return LOSSES.get(name, name)
    if run.dataset in ("hmcqu", "motions"):
        return "binary cross-entropy" if run.dataset == "hmcqu" else "cross-entropy"
    return ERRORS.get(run.method, f"absolute error{POINTS}")


def validation_label(run: Run, stage: str, name: str) -> str:
    """What a validation error is, with its unit where it has one."""
    if (run.method, stage) in VALIDATED:
        return VALIDATED[run.method, stage]
    return f"validation MAE{POINTS}" if name == "val_mae" else "validation loss (EF points²)"


def chance_level(run: Run, recipe: Recipe) -> float:
    """The Rank-N-Contrast loss of a batch whose embeddings all lie equally far apart: 2.58 for 16 videos twice.

    Each pair then costs the logarithm of the number of clips whose EF is at least as far away; the EF of the batch's
    videos are taken to differ (equation 1).
    """
    views = 1 if run.views == "one" else 2
    labels = np.arange(float(recipe.batch_size)) ** 3  # of cubes no two are equally far from a third
    return collapsed(np.repeat(labels, views))


def left_chance(record: Record) -> int | None:
    """The epoch, from 1, from which on the Rank-N-Contrast loss stays `MARGIN` below its chance level.

    None where it never does, or where the record has no such loss.
    """
    level = chance_level(record.run, record.profile.recipe(record.run)) - MARGIN
    losses = [entry["rnc"] for entry in record.history if "rnc" in entry]
    above = [number for number, loss in enumerate(losses, start=1) if loss >= level]
    first = above[-1] + 1 if above else 1
    return first if losses and first <= len(losses) else None


def chosen(record: Record, stage: str) -> dict[str, Any]:
    """The entry of the epoch that a stage's weights were taken from."""
    entries = [entry for entry in record.history if entry["stage"] == stage]
    return next(entry for entry in entries if entry["epoch"] == entries[-1]["chosen"])


def ef_stages(record: Record) -> list[str]:
    """The stages that are validated on the predicted EF; a `RecordError` where the run predicts none."""
    known = {str(entry["stage"]) for entry in record.history if "val_mae" in entry}
    found = [name for name in stage_names(record) if name in known and (record.run.method, name) not in VALIDATED]
    if not found:
        raise RecordError(f"{record.folder}: none of its stages predicts an EF; choose a row of Tables 1 to 4")
    return found


def distinct(records: Records) -> Records:
    """The rows that have records, each training once: rows that differ in their test clips alone share theirs."""
    kept: dict[str, Sequence[Record]] = {}
    for name, own in records.items():
        keys = [record.key for record in own]
        if own and keys not in [[record.key for record in other] for other in kept.values()]:
            kept[name] = own
    return kept


def titles(records: Records) -> dict[str, str]:
    """How rows are called here: by their system, with the test clips where a system has several rows."""
    rows = {name: row for name, row in all_rows().items() if name in records}
    systems = [row.system for row in rows.values()]
    return {name: row.title if systems.count(row.system) > 1 else row.system for name, row in rows.items()}


def summary(records: Records) -> pd.DataFrame:
    """What the curves of each row come to, all seeds in order: the numbers beside the figures."""
    names, lines = titles(records), []
    for name, own in records.items():
        stages = [ef_stages(record) for record in own]
        first = [chosen(record, each[0]) for record, each in zip(own, stages, strict=True)]
        second = [chosen(record, each[-1]) for record, each in zip(own, stages, strict=True) if len(each) > 1]
        lines.append(
            {
                "Row": names[name],
                "Seeds": str(len(own)),
                "Leaves chance in epoch": ", ".join(_departures(own)) or "–",
                "Chosen epoch": ", ".join(str(entry["epoch"] + 1) for entry in first),
                "Validation MAE there (EF points)": ", ".join(f"{entry['val_mae']:.2f}" for entry in first),
                "After stage two": ", ".join(f"{entry['val_mae']:.2f}" for entry in second) or "–",
            }
        )
    return pd.DataFrame(lines)


def plateau_sentence(records: Records) -> str:
    """When the Rank-N-Contrast loss of each row that has one leaves its chance level, told from the records."""
    names = titles(records)
    found = {names[name]: _departures(own) for name, own in records.items()}
    parts = [
        f"{name} in epoch{'s' * (len(epochs) > 1)} {', '.join(epochs)}" for name, epochs in found.items() if epochs
    ]
    if not parts:
        return "None of these rows has a Rank-N-Contrast loss."
    where = column_label(next(own[0] for own in records.values() if own))
    return (
        f"The Rank-N-Contrast loss leaves its chance level for good, {MARGIN:g} below it ({where}): {'; '.join(parts)}."
    )


def _departures(records: Sequence[Record]) -> list[str]:
    """When each record that has a Rank-N-Contrast loss leaves its chance level."""
    ranked = [record for record in records if any("rnc" in entry for entry in record.history)]
    return [str(left_chance(record) or "never") for record in ranked]


def second_stage_sentence(records: Records) -> str:
    """What the second stage does to the validation error of each seed, told from the records."""
    names, parts = titles(records), []
    for name, own in records.items():
        two = [(record, ef_stages(record)) for record in own if len(ef_stages(record)) > 1]
        ends = [[chosen(record, stage)["val_mae"] for stage in (each[0], each[-1])] for record, each in two]
        if ends:
            told = ", ".join(f"{before:.2f} to {after:.2f}" for before, after in ends)
            better = sum(after < before for before, after in ends)
            parts.append(f"{names[name]}, from {told} EF points, lower in {better} of {len(ends)} seeds")
    if not parts:
        return "None of these rows has a second stage."
    where = column_label(next(own[0] for own in records.values() if own))
    return f"The second stage takes the validation MAE ({where}) of {'; '.join(parts)}."
