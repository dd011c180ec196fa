"""Recipes and clip shapes of the compared systems: their own as published, or a short schedule for narrow twins.

Sources are named on each system's page in the book; what was not published is a choice that its page states.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from coreecho.settings import ClipSettings, Recipe

_GRAPHS = ("echographs", "echographs-known")
_UVT = ("uvt", "uvt-mirror")


def short(recipe: Recipe, finetune: Recipe) -> dict[str, Recipe]:
    """The demo's and the gpu profile's: `recipe`, the shared one, with what a system needs changed.

    Args:
        recipe: the shared recipe on EchoNet-Dynamic.
        finetune: that of fine-tuning on CAMUS.
    """
    own = dataclasses.replace(recipe, backbone="own", head="linear")
    uvt = dataclasses.replace(own, epochs=12, selection="mse", selection_clips=1)
    graphs = dataclasses.replace(own, learning_rate=1e-3, selection_clips=1)
    wall = dataclasses.replace(own, batch_size=32, epochs=10, learning_rate=5e-3, weight_decay=0.0, selection="last")
    return {
        # A new linear head needs a far higher rate than the refinement of a trained one (fixed on validation data).
        "rnc-original": dataclasses.replace(recipe, head="linear", refine_learning_rate=3e-2),
        "ouyang": own,
        **dict.fromkeys(_UVT, uvt),
        **dict.fromkeys(_GRAPHS, graphs),
        "clas": dataclasses.replace(finetune, backbone="own", epochs=20),
        "degerli": wall,
        "nguyen": dataclasses.replace(wall, epochs=6),
        "echocardmae": dataclasses.replace(
            own,
            batch_size=32,
            epochs=60,
            learning_rate=3e-3,
            refine_epochs=100,
            refine_learning_rate=3e-3,
            padding="grey",
        ),
    }


def short_clips(size: int, span: int, **moves: Any) -> dict[str, ClipSettings]:
    """Clip shapes for pictures of a size: ``span`` frames for UVT, random ``moves`` for EchoGraphs."""
    graphs = ClipSettings(frames=16, stride=2, size=size, pad=0, **moves)
    uvt = ClipSettings(frames=span, stride=1, size=size, pad=0)
    return dict.fromkeys(_UVT, uvt) | dict.fromkeys(_GRAPHS, graphs)


WIDE_MOVES: dict[str, Any] = {"rotation": 45.0, "zoom": (0.7, 1.3), "shift": 0.15}
"""EchoGraphs' augmentation at the published size."""
_STEPS = Recipe(
    head="linear",
    epochs=45,
    step_epochs=(15, 30),
    padding="grey",
    selection="mse",
    selection_clips=1,
)
_OUYANG = dataclasses.replace(_STEPS, backbone="r2plus1d", optimizer="sgd", batch_size=20)
_OWN = Recipe(backbone="own", head="linear", selection_clips=1)
_WALL = dataclasses.replace(
    _OWN,
    batch_size=32,
    epochs=50,
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    selection="last",
)
PUBLISHED: dict[str, Recipe] = {
    "echocotr": dataclasses.replace(_STEPS, batch_size=25, level_videos=128),
    "adacon": dataclasses.replace(_OUYANG, level_videos=128),
    "ouyang": dataclasses.replace(_OUYANG, backbone="own", level_videos=128),
    # Rates scaled from batches of 256 and 64; 400 and 100 epochs in the same proportion.
    "rnc-original": Recipe(
        head="linear",
        optimizer="sgd",
        learning_rate=0.03,
        schedule="onecycle",
        warmup=0.0,
        temperature=2.0,
        refine_epochs=6,
        refine_learning_rate=0.0125,
    ),
    **dict.fromkeys(
        _UVT,
        dataclasses.replace(
            _OWN, batch_size=2, epochs=5, learning_rate=1e-5, weight_decay=0.01, step_epochs=(3,), selection="mse"
        ),
    ),
    **dict.fromkeys(_GRAPHS, dataclasses.replace(_OWN, batch_size=4, epochs=45, weight_decay=0.0, schedule="constant")),
    "clas": Recipe(backbone="own", batch_size=4, epochs=30, step_epochs=(25,), weight_decay=5e-4, selection_clips=1),
    "degerli": _WALL,
    "nguyen": _WALL,
    "echocardmae": dataclasses.replace(
        _OWN, epochs=1600, schedule="constant", refine_epochs=100, refine_learning_rate=1e-5, padding="grey"
    ),
}
"""By method: the paper profile's."""
_DENSE = ClipSettings(frames=32, stride=2, pad=12)
PUBLISHED_CLIPS: dict[str, ClipSettings] = {
    "echocotr": ClipSettings(pad=12),
    "adacon": _DENSE,
    "ouyang": _DENSE,
    "clas": ClipSettings(frames=10, stride=1, size=256, pad=0, resample=True),
    "echocardmae": ClipSettings(frames=16, pad=12),
    **short_clips(112, 128, **WIDE_MOVES),
}
"""By method: the paper profile's."""
