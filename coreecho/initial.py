"""The network of a run before its first step: random weights from its seed, published ones, or another run's."""

from __future__ import annotations

from pathlib import Path

import torch

from coreecho import encoders
from coreecho.baselines import SYSTEMS, System
from coreecho.clips import Levels
from coreecho.datasets import MOTIONS, Dataset
from coreecho.loading import ClipDataset
from coreecho.model import CoReEcho, R2Plus1D, build_model
from coreecho.place import Place
from coreecho.plan import Plan
from coreecho.sequences import grey_levels
from coreecho.settings import ClipSettings, Profile, Run, Transfer
from coreecho.uniformer import UniFormer

K400_FILE = {"uniformer": "uniformer_small_k400_16x8.pth", "r2plus1d": "r2plus1d_18-91a641e6.pth"}
"""Published Kinetics-400 weights under ``weights/`` of the paper profile's data root, by backbone."""


def k400_path(run: Run, profile: Profile, place: Place) -> Path | None:
    """The file of published Kinetics-400 weights that ``run`` starts from, or none where it starts from random ones."""
    if run.init != "k400" or profile.k400 != "file" or place.data_root is None:
        return None
    system = SYSTEMS.get(run.method)
    if system is not None and system.network is not None:
        return None if system.kinetics is None else place.data_root / "weights" / system.kinetics[0]
    return place.data_root / "weights" / K400_FILE[profile.recipe(run).backbone]


def initial_model(
    run: Run, profile: Profile, place: Place, data: Dataset, parent_weights: Path | None = None
) -> CoReEcho:
    """The network of ``run`` before its first step: random from its seed, but for an encoder that starts elsewhere.

    Args:
        run: what will be trained.
        profile: at which scale.
        place: where published weights are.
        data: the run's data: the head's bias starts at the mean training label, and clips are normalised by the
            training videos' grey levels where the profile names none.
        parent_weights: checkpoint of the run whose encoder this one starts from, if any.
    """
    torch.manual_seed(run.seed)
    system, clip = SYSTEMS.get(run.method), profile.clip_settings(run)
    model = random_model(Plan(run=run, profile=profile, data=data))
    transfer = profile.transfer(run)
    if transfer is not None:
        model.levels = _levels(transfer, data, clip)
    path = k400_path(run, profile, place)
    if path is not None:
        _load_kinetics(model, system, path)
    elif parent_weights is not None:
        load = encoders.load_encoder if system is None or system.inherit is None else system.inherit
        load(model.encoder, parent_weights)
    return model


def random_model(plan: Plan) -> CoReEcho:
    """The network of a plan with random weights; without data, the head's bias starts at 0."""
    system, data = SYSTEMS.get(plan.run.method), plan.data
    if system is not None and system.network is not None:
        model = system.network(plan)
        model.clip = plan.clip
        return model
    task = "ef" if data is None else data.task
    return build_model(
        plan.profile.encoder,
        plan.recipe,
        data.mean_label if data is not None and task == "ef" else 0.0,
        task=task,
        clip=plan.clip,
        classes=len(MOTIONS) if task == "motion" else 1,
    )


def _levels(transfer: Transfer, data: Dataset, clip: ClipSettings) -> Levels:
    """What clips are normalised with: the profile's grey levels, or those of the training videos."""
    if transfer.normalisation is not None:
        mean, sd = (level / 255 for level in transfer.normalisation)
        return (mean, mean, mean), (sd, sd, sd)
    clips = ClipDataset(data.split("train"), clip, lambda video, frames, epoch: [0])
    return grey_levels(clips[index].clips.numpy() for index in range(len(clips)))


def _load_kinetics(model: CoReEcho, system: System | None, path: Path) -> None:
    if system is not None and system.kinetics is not None:
        system.kinetics[1](model, path)
    elif isinstance(model.encoder, R2Plus1D):
        encoders.load_r2plus1d(model.encoder, path)
    else:
        assert isinstance(model.encoder, UniFormer)
        encoders.load_k400(model.encoder, path)
