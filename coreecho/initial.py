"""The network of a run before its first step: random weights from its seed, or published Kinetics-400 weights."""

from __future__ import annotations

from pathlib import Path

import torch

from coreecho import checkpoints
from coreecho.model import CoReEcho, R2Plus1D, build_model
from coreecho.place import Place
from coreecho.settings import Profile, Run

K400_FILE = {"uniformer": "uniformer_small_k400_16x8.pth", "r2plus1d": "r2plus1d_18-91a641e6.pth"}
"""Published Kinetics-400 weights under ``weights/`` of the paper profile's data root, by backbone."""


def k400_path(run: Run, profile: Profile, place: Place) -> Path | None:
    """The file of published Kinetics-400 weights that ``run`` starts from, or none where it starts from random ones."""
    if run.init != "k400" or profile.k400 == "none" or place.data_root is None:
        return None
    return place.data_root / "weights" / K400_FILE[profile.recipe(run).backbone]


def initial_model(run: Run, profile: Profile, place: Place, mean_label: float) -> CoReEcho:
    """The network of ``run`` before its first step: random weights from its seed, or K400 weights from their file."""
    torch.manual_seed(run.seed)
    recipe = profile.recipe(run)
    model = build_model(profile.encoder, recipe, mean_label, clip=profile.clip_settings(run))
    path = k400_path(run, profile, place)
    if path is not None:
        _load_kinetics(model, path)
    return model


def _load_kinetics(model: CoReEcho, path: Path) -> None:
    if isinstance(model.encoder, R2Plus1D):
        checkpoints.load_r2plus1d(model.encoder, path)
    else:
        checkpoints.load_k400(model.encoder, path)
