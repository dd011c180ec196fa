"""Supplementary Tables 1 and 2 from the settings that runs are trained with, beside what the paper prints (gaps H).

The values come from a `Profile` through the same calls that training makes (`Profile.clip_settings`, `Profile.recipe`,
`coreecho.stages`), so a changed setting changes the table. `deviations` names every value that differs from print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from coreecho.clips import MEAN, SD
from coreecho.plan import Plan
from coreecho.rows import published
from coreecho.settings import ClipSettings, Profile, Recipe, Run, Transfer
from coreecho.stages import stages

_ONE_VIEW: dict[str, Any] = {"fold": 0, "init": "coreecho", "views": "one"}
INPUTS = {
    "echonet": ("EchoNet-Dynamic", Run()),
    "camus": ("CAMUS", Run(dataset="camus", method="finetune", **_ONE_VIEW)),
    "hmcqu": ("HMC-QU", Run(dataset="hmcqu", method="finetune", **_ONE_VIEW)),
}
"""Columns of supplementary Table 1: heading, and a run that is trained so."""
TRAINING = {
    "echonet stage one": ("EchoNet-Dynamic, stage one", Run(), 0),
    "echonet stage two": ("EchoNet-Dynamic, stage two", Run(), 1),
    "camus probe": ("CAMUS, MLP probing", Run(dataset="camus", method="probe", **_ONE_VIEW), 0),
    "camus finetune": ("CAMUS, fine-tuning", Run(dataset="camus", method="finetune", **_ONE_VIEW), 0),
    "hmcqu probe": ("HMC-QU, MLP probing", Run(dataset="hmcqu", method="probe", **_ONE_VIEW), 0),
    "hmcqu finetune": ("HMC-QU, fine-tuning", Run(dataset="hmcqu", method="finetune", **_ONE_VIEW), 0),
}
"""Columns of supplementary Table 2: heading, a run that is trained so, and the number of its stage."""
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD", "madgrad": "MADGRAD"}
MOMENTUM = {"adamw": [0.9, 0.999], "sgd": [0.9], "madgrad": [0.9]}
"""What the trainer's optimisers use: AdamW's two betas, or the one momentum."""
NOT_PRINTED = "not printed"
KNOWN = {
    ("echonet stage two", "schedule"): "The paper prints Step LR once for both stages; the released code has no "
    "scheduler in stage two, and five epochs are fewer than the 15 before stage one's step.",
}
"""Values of the paper profile that differ from print on purpose, by column and field."""


@dataclass(frozen=True)
class Deviation:
    """One value that is not as printed."""

    column: str
    field: str
    printed: object
    here: object
    reason: str
    """Why, for those that are meant; empty for a change that nobody has explained."""


def inputs(profile: Profile) -> dict[str, dict[str, Any]]:
    """Supplementary Table 1 as this profile has it: by data set, the fields that `published.json` names, and more."""
    return {name: _input(profile, run) for name, (_, run) in INPUTS.items()}


def training(profile: Profile) -> dict[str, dict[str, Any]]:
    """Supplementary Table 2 as this profile has it: by data set and stage."""
    return {name: _training(profile, run, stage) for name, (_, run, stage) in TRAINING.items()}


def deviations(profile: Profile) -> list[Deviation]:
    """Every printed value that this profile does not have."""
    printed = published()["supplement"]
    pairs = [(printed["inputs"], inputs(profile)), (printed["training"], training(profile))]
    found = [
        Deviation(column, field, value, own[column][field], KNOWN.get((column, field), ""))
        for paper, own in pairs
        for column, values in paper.items()
        for field, value in values.items()
        if field not in ("preprocessing", "augmentation") and own[column][field] != value
    ]
    for name in ("embedding", "head_dropout"):
        for column, values in inputs(profile).items():
            if values[name] != printed[name]:
                found.append(Deviation(column, name, printed[name], values[name], KNOWN.get((column, name), "")))
    return found


def deviation_table(profile: Profile) -> pd.DataFrame:
    """`deviations` for readers."""
    return pd.DataFrame(
        {
            "Where": (INPUTS | TRAINING)[each.column][0],
            "Setting": each.field.replace("_", " "),
            "Printed": str(each.printed),
            f"Here, {profile.name} profile": str(each.here),
            "Why": each.reason,
        }
        for each in deviations(profile)
    )


def inputs_table(profiles: Sequence[Profile]) -> pd.DataFrame:
    """Supplementary Table 1: each setting as printed and as each profile has it, one column per data set."""
    printed = published()["supplement"]
    paper = {name: values | {key: printed[key] for key in _SHARED} for name, values in printed["inputs"].items()}
    headings = {name: heading for name, (heading, _) in INPUTS.items()}
    return _table(_INPUT_LINES, headings, {"printed": paper} | {_source(each): inputs(each) for each in profiles})


def training_table(profiles: Sequence[Profile]) -> pd.DataFrame:
    """Supplementary Table 2: each setting as printed and as each profile has it, one column per data set and stage."""
    headings = {name: heading for name, (heading, *_) in TRAINING.items()}
    paper = published()["supplement"]["training"]
    return _table(_TRAINING_LINES, headings, {"printed": paper} | {_source(each): training(each) for each in profiles})


_SHARED = ("embedding", "head_dropout")
Line = Callable[[dict[str, Any]], str]
_INPUT_LINES: dict[str, Line] = {
    "Model input size": lambda of: f"{of['frames']} × {of['size']} × {of['size']}",
    "Preprocessing": lambda of: str(of["preprocessing"]),
    "Augmentation": lambda of: str(of["augmentation"]),
    "Normalisation": lambda of: str(of.get("normalisation", NOT_PRINTED)),
    "Embedding size": lambda of: str(of["embedding"]),
    "Dropout in the head": lambda of: f"{of['head_dropout']:g}",
    "Dropout in the encoder": lambda of: f"{of['dropout']:g}" if "dropout" in of else NOT_PRINTED,
}
_TRAINING_LINES: dict[str, Line] = {
    "Optimiser": lambda of: str(of["optimizer"]),
    "Batch size": lambda of: str(of["batch_size"]),
    "Epochs": lambda of: str(of["epochs"]),
    "Base learning rate": lambda of: _decimal(of["learning_rate"]),
    "Momentum": lambda of: ", ".join(f"{value:g}" for value in of["momentum"]),
    "Weight decay": lambda of: _decimal(of["weight_decay"]),
    "Schedule": lambda of: str(of.get("schedule_text", {"step": "Step LR", "constant": "–"}.get(of["schedule"]))),
    "Gradient norm": lambda of: str(of.get("clip_norm", NOT_PRINTED)),
    "Chosen epoch": lambda of: str(of.get("selection", NOT_PRINTED)),
}


def _table(lines: dict[str, Line], headings: dict[str, str], sources: dict[str, dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"Setting": title, "Source": source} | {headings[name]: line(values[name]) for name in headings}
        for title, line in lines.items()
        for source, values in sources.items()
    )


def _decimal(value: float) -> str:
    """A small number without an exponent."""
    return f"{value:.8f}".rstrip("0").rstrip(".")


def _source(profile: Profile) -> str:
    """Name of a profile's lines; on phantoms the columns name the data set that a phantom stands for."""
    return f"{profile.name} profile" + (", phantom" if profile.phantom_of(Run()) is not None else "")


def _input(profile: Profile, run: Run) -> dict[str, Any]:
    clip, recipe, transfer = profile.clip_settings(run), profile.recipe(run), profile.transfer(run)
    return {
        "frames": clip.frames,
        "size": clip.size,
        "resample": clip.resample,
        "crop": clip.crop != 1.0,
        "padded_size": clip.size + 2 * clip.pad,
        "rotation": clip.rotation,
        "zoom": list(clip.zoom),
        "shift": clip.shift,
        "preprocessing": _preprocessing(clip),
        "augmentation": _augmentation(clip, recipe),
        "normalisation": _normalisation(transfer, recipe),
        "embedding": profile.encoder.widths[-1],
        "head_dropout": recipe.head_dropout,
        "dropout": profile.encoder.dropout,
    }


def _training(profile: Profile, run: Run, number: int) -> dict[str, Any]:
    recipe = profile.recipe(run)
    stage = stages(Plan(run=run, profile=profile))[number]
    return {
        "optimizer": OPTIMIZERS[recipe.optimizer],
        "batch_size": recipe.batch_size,
        "epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "momentum": MOMENTUM[recipe.optimizer],
        "weight_decay": recipe.weight_decay,
        "schedule": stage.schedule,
        "schedule_text": _schedule(stage.schedule, recipe),
        "clip_norm": "not limited" if recipe.clip_norm is None else f"at most {recipe.clip_norm:g}",
        "selection": "last" if recipe.selection == "last" else f"lowest validation {recipe.selection.upper()}",
    }


def _preprocessing(clip: ClipSettings) -> str:
    if not clip.resample:
        return f"{clip.frames} frames, one in {clip.stride}"
    crop = f"central square of {clip.crop:.0%} of the shorter side; " if clip.crop != 1.0 else ""
    return f"{crop}resizing to {clip.size}×{clip.size}; cubic spline along time into {clip.frames} frames"


def _augmentation(clip: ClipSettings, recipe: Recipe) -> str:
    parts = []
    if clip.pad:
        padded = clip.size + 2 * clip.pad
        parts.append(f"{recipe.padding} padding to {padded}×{padded}, then a random crop")
    if clip.rotation:
        parts.append(f"rotation up to ±{clip.rotation:g}°")
    if clip.zoom != (1.0, 1.0):
        parts.append(f"scaling {clip.zoom[0]:g} to {clip.zoom[1]:g}")
    if clip.shift:
        parts.append(f"translation up to {clip.shift:.0%}")
    return "; ".join(parts) or "none"


def _normalisation(transfer: Transfer | None, recipe: Recipe) -> str:
    if recipe.level_videos:
        return f"mean and SD per channel of one clip of each of {recipe.level_videos} training videos"
    if transfer is None:
        levels = (f"{255 * mean:.1f} ± {255 * sd:.1f}" for mean, sd in zip(MEAN, SD, strict=True))
        return f"fixed mean and SD per channel: {', '.join(levels)}"
    if transfer.normalisation is None:
        return "mean and SD of each training fold"
    return "fixed mean and SD: {:.1f} ± {:.1f}".format(*transfer.normalisation)


def _schedule(schedule: str, recipe: Recipe) -> str:
    if schedule == "step":
        return "Step LR: ×0.1 from epoch " + " and ".join(str(epoch) for epoch in recipe.step_epochs) + " (from 0)"
    return f"one cycle, {recipe.warmup:.0%} warm-up" if schedule == "onecycle" else "none"
