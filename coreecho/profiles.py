"""The three profiles: ``demo`` (two CPU cores, minutes), ``gpu`` (one GPU, about an hour), ``paper`` (real data).

The demo and gpu profiles train every row with one shared recipe, fixed on validation data, so that rows differ only in
what they are about (loss, views, initialisation). The paper profile gives each method its own published recipe and
offers the shared one as a second row.
"""

from __future__ import annotations

from coreecho.errors import SettingsError
from coreecho.settings import ClipSettings, EncoderSettings, PhantomSettings, Profile, Recipe

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

DEMO = Profile(
    name="demo",
    summary="Phantom at 32x32 and a narrow encoder: minutes on two CPU cores.",
    phantom=PhantomSettings(),
    encoder=EncoderSettings(
        widths=(16, 32, 64, 128), depths=(1, 1, 2, 1), strides=(4, 2, 2, 1), head_width=32, dropout=0.0
    ),
    clip=ClipSettings(frames=16, stride=2, size=32, pad=2),
    shared=_SHORT,
)

GPU = Profile(
    name="gpu",
    summary="Phantom at 112x112 and UniFormer-S: about an hour on one GPU.",
    phantom=PhantomSettings(
        train=2000, val=300, test=300, size=112, min_frames=80, max_frames=220, fps=50.0, seed=2025
    ),
    encoder=EncoderSettings(dropout=0.0),
    shared=_SHORT,
)

PAPER = Profile(
    name="paper",
    summary="EchoNet-Dynamic and the published K400 weights, given by the user: hours per run on one GPU.",
    own={
        "echocotr": Recipe(
            head="linear",
            batch_size=25,
            epochs=45,
            step_epochs=(15, 30),
            padding="grey",
            selection="mse",
            selection_clips=1,
        ),
        "adacon": Recipe(
            backbone="r2plus1d",
            head="linear",
            optimizer="sgd",
            batch_size=20,
            epochs=45,
            step_epochs=(15, 30),
            padding="grey",
            selection="mse",
            selection_clips=1,
        ),
    },
    own_clips={"echocotr": ClipSettings(pad=12), "adacon": ClipSettings(frames=32, stride=2, pad=12)},
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
