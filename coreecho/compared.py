"""What the rows of a table have in common and what they differ in, from the settings that they are trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from coreecho.clips import legal_starts
from coreecho.phantom_settings import PhantomSettings
from coreecho.plan import Plan
from coreecho.rows import Row
from coreecho.settings import Profile, Run
from coreecho.stages import stages

VIEWS = {"one": "one clip", "same-clip": "one clip, cropped twice", "two-clips": "two clips"}
HEADS = {"mlp": "MLP", "linear": "linear"}


def trainings(rows: Sequence[Row], profile: Profile) -> pd.DataFrame:
    """How each row is trained at a profile: the views of a video, the head, and the stages with epochs and rate."""
    lines = []
    for row in rows:
        plan = Plan(run=row.run, profile=profile)
        told = [f"{each.name} ({each.epochs} epochs, {each.schedule}, {each.learning_rate:g})" for each in stages(plan)]
        line = {"System": row.title, "Views of a video": VIEWS[row.run.views], "Head": HEADS[plan.recipe.head]}
        lines.append(line | {"Stages (epochs, schedule, rate)": ", then ".join(told)})
    return pd.DataFrame(lines)


def shared(rows: Sequence[Row], profile: Profile) -> str:
    """What all rows have alike at a profile, in a sentence; and which of them have a recipe of their own."""
    recipes = [profile.recipe(row.run) for row in rows]
    used: dict[str, set[Any]] = {
        "encoder": {recipe.backbone for recipe in recipes},
        "clip": {profile.clip_settings(row.run) for row in rows},
        "initial weights": {row.run.init for row in rows},
    }
    alike = [what for what, found in used.items() if len(found) == 1]
    own = [row.title for row, recipe in zip(rows, recipes, strict=True) if recipe != profile.shared]
    but = f" but {', '.join(own)}" if own else ""
    return f"Alike in all rows ({profile.name} profile): {', '.join(alike)}. The shared recipe trains all of them{but}."


def views_apart(profile: Profile) -> str:
    """How far apart two independent clips of a video start, in a sentence: what "two clips" can mean at a profile.

    On real data it depends on the length of each video, and nothing is computed.
    """
    run = Run()
    clip, phantom = profile.clip_settings(run), profile.phantom_of(run)
    if not isinstance(phantom, PhantomSettings):
        return f"In the {profile.name} profile it depends on each video's length how far two clips lie apart."
    lengths = range(phantom.min_frames, phantom.max_frames + 1)  # each as likely
    legal = np.array([legal_starts(length, clip) for length in lengths])
    coincide, mean = np.mean(1 / legal), np.mean((legal**2 - 1) / (3 * legal))  # of two uniform draws
    shown = [f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}" for values in (lengths, legal)]
    return (
        f"In the {profile.name} profile a clip spans {clip.span} frames of a video of {shown[0]}, which leaves "
        f"{shown[1]} start frames: two views coincide in 1 of {1 / coincide:.0f} draws, and start {mean:.1f} frames "
        f"apart on average and {legal.max() - 1} at most."
    )
