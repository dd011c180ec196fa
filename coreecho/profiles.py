"""The three profiles: ``demo`` (two CPU cores, minutes), ``gpu`` (one GPU), ``paper`` (real data).

The demo and gpu profiles train every row with one shared recipe, fixed on validation data, so that rows differ only in
what they are about (loss, views, initialisation). The paper profile gives each method its own published recipe and
offers the shared one as a second row.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from coreecho import rival_recipes
from coreecho.errors import SettingsError
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, MotionSettings, PhantomSettings
from coreecho.settings import ClipSettings, EncoderSettings, Profile, Recipe, Transfer

# A short one-cycle schedule with clipped gradients: without clipping at norm 1, Rank-N-Contrast stays at its chance
# value for most of so short a training.
_SHORT = Recipe(
    epochs=20,
    learning_rate=2e-3,
    schedule="onecycle",
    clip_norm=1.0,
    head_dropout=0.2,
    refine_epochs=5,
    refine_learning_rate=1e-4,
)

# The pretext task takes Kinetics-400's place: enough epochs to tell the motions apart.
_PRETEXT = dataclasses.replace(_SHORT, epochs=60, head="linear", selection="last")

# Transfer at the demo and gpu scale: the same short schedule for every row of a table.
_PROBE = dataclasses.replace(_SHORT, epochs=30, selection="mae", selection_clips=1)
_FINETUNE = dataclasses.replace(_PROBE, learning_rate=1e-3)
_AFFINE: dict[str, Any] = {"pad": 0, "stride": 1, "resample": True, "rotation": 20.0, "zoom": (0.8, 1.1), "shift": 0.1}


def _camus(size: int) -> Transfer:
    """Transfer to CAMUS at the demo and gpu scale."""
    return Transfer(clip=ClipSettings(frames=16, size=size, **_AFFINE), probe=_PROBE, finetune=_FINETUNE)


def _hmcqu(size: int) -> Transfer:
    """Transfer to HMC-QU at the demo and gpu scale; it has few training videos and no validation split."""
    probe, finetune = (
        dataclasses.replace(recipe, epochs=50, drop_last=False, selection="last") for recipe in (_PROBE, _FINETUNE)
    )
    clip = ClipSettings(frames=12, size=size, crop=0.8, **_AFFINE)
    return Transfer(clip=clip, probe=probe, finetune=finetune, folds="stratified")


DEMO = Profile(
    name="demo",
    summary="Phantoms at 32x32 and a narrow encoder: minutes on two CPU cores.",
    phantom=PhantomSettings(),
    phantom_camus=CamusPhantomSettings(),
    phantom_hmcqu=HmcquPhantomSettings(),
    phantom_motions=MotionSettings(),
    encoder=EncoderSettings(
        widths=(16, 32, 64, 128), depths=(1, 1, 2, 1), strides=(4, 2, 2, 1), head_width=32, dropout=0.0
    ),
    clip=ClipSettings(frames=16, stride=2, size=32, pad=2),
    shared=_SHORT,
    own={"pretext": _PRETEXT, **rival_recipes.short(_SHORT, _FINETUNE)},
    own_clips={
        "pretext": ClipSettings(frames=16, stride=1, size=32, pad=2),
        **rival_recipes.short_clips(32, 32, rotation=15.0, zoom=(0.9, 1.1), shift=0.05),
    },
    camus=_camus(32),
    hmcqu=_hmcqu(48),
    k400="pretext",
)

GPU = Profile(
    name="gpu",
    summary="Phantoms at 112x112 and UniFormer-S, for one GPU.",
    phantom=PhantomSettings(
        train=2000, val=300, test=300, size=112, min_frames=80, max_frames=220, fps=50.0, seed=2025
    ),
    phantom_camus=CamusPhantomSettings(size=112, max_frames=40),
    phantom_hmcqu=HmcquPhantomSettings(size=224),
    phantom_motions=MotionSettings(train=4800, size=112, frames=36, fps=12.5),
    encoder=EncoderSettings(dropout=0.0),
    shared=_SHORT,
    own={"pretext": _PRETEXT, **rival_recipes.short(_SHORT, _FINETUNE)},
    own_clips={
        "pretext": ClipSettings(frames=36, stride=1),
        **rival_recipes.short_clips(112, 128, **rival_recipes.WIDE_MOVES),
    },
    camus=_camus(112),
    hmcqu=_hmcqu(224),
    k400="pretext",
)

# Supplementary Table 2: AdamW on CAMUS with one step at 60 % of the epochs, MADGRAD at one constant rate on HMC-QU.
_CAMUS = Recipe(epochs=100, step_epochs=(60,), selection_clips=1)
_HMCQU = Recipe(
    optimizer="madgrad",
    epochs=50,
    learning_rate=1e-5,
    weight_decay=0.0,
    schedule="constant",
    drop_last=False,
    selection="last",
)

PAPER = Profile(
    name="paper",
    summary="EchoNet-Dynamic, CAMUS, HMC-QU and published K400 weights, given by the user: hours a run on one GPU.",
    own=rival_recipes.PUBLISHED,
    own_clips=rival_recipes.PUBLISHED_CLIPS,
    camus=Transfer(
        clip=ClipSettings(frames=16, **_AFFINE),
        probe=dataclasses.replace(_CAMUS, learning_rate=2e-4),
        finetune=dataclasses.replace(_CAMUS, batch_size=8),
        normalisation=(40.94405, 54.723774),
    ),
    hmcqu=Transfer(
        clip=ClipSettings(frames=12, size=224, crop=0.8, **_AFFINE),
        probe=_HMCQU,
        finetune=_HMCQU,
        folds="stratified",
    ),
    k400="file",
)

PROFILES = {profile.name: profile for profile in (DEMO, GPU, PAPER)}


def get_profile(name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        SettingsError: no such profile; the message lists those that exist.
    """
    if name not in PROFILES:
        raise SettingsError(f"there is no profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
