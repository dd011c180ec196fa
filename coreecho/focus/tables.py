"""What stands under Figure 3: where two systems look, as a table, and what could not be measured (gaps G)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from coreecho.focus import MEASURES, Gap
from coreecho.records import Record

MAXIMA = ("point", "wall_point")
"""The measures of where a map's maximum lies."""


def grid(record: Record) -> int:
    """Cells along a side of a run's maps: what the strides of its UniFormer leave of the picture."""
    side = record.profile.clip_settings(record.run).size
    for stride in record.profile.encoder.strides:
        side //= stride
    return side


def cornered(side: int) -> bool:
    """Whether a map of ``side`` x ``side`` cells has its maximum in a corner of the picture, whatever it shows.

    Between the cells' centres a map is bilinear, beyond the outer ones flat: with two cells a side there are no others.
    """
    return 0 < side <= 2


def counts(table: pd.DataFrame) -> str:
    """A sentence on what was measured: videos, empty maps, clips that miss an outlined frame, sectors not found."""
    videos = table["video"].nunique()
    empty = ", ".join(
        f"{int(part['empty'].sum())} of {len(part)} maps of what {sign} the prediction are empty"
        for sign, part in table.groupby("sign", sort=False)
    )
    once = table.drop_duplicates("video")
    off = once["apart"][once["apart"] > 0]
    misses = f", by {int(off.max())} video frames at most" if len(off) else ""
    return (
        f"{videos} videos; {empty}; sector not found: {int(once['sector'].isna().sum())}; "
        f"clips off an outlined frame: {len(off)}{misses}."
    )


def sentence(gap: Gap, own: pd.DataFrame, theirs: pd.DataFrame, names: tuple[str, str]) -> str:
    """What the claim's comparison found: verdict, difference, both shares, and how many videos have both maps.

    Args:
        gap: of `coreecho.focus.claim`.
        own: from `coreecho.focus.measured`.
        theirs: the other system's.
        names: of the two systems.
    """
    parts = [table.loc[table["sign"] == gap.sign, "empty"] for table in (own, theirs)]
    empty = [
        f", {int(part.sum())} of {len(part)} maps of {name} are empty"
        for name, part in zip(names, parts, strict=True)
        if part.any()
    ]
    return (
        f"{names[0]} looks more at the ventricle than {names[1]}: **{gap.verdict}** (difference in mass inside of "
        f"{gap.interval} percentage points: {shares(gap, names)}; {gap.videos} of {own['video'].nunique()} videos have "
        f"both maps{''.join(empty)})."
    )


def shares(gap: Gap, names: tuple[str, str]) -> str:
    """Both systems' means beside what an even map would have, and on which side of it both lie, if on one."""
    sides = {value > gap.chance for value in (gap.own, gap.theirs)}
    both = f", and both lie {'above' if sides == {True} else 'below'} it" if len(sides) == 1 else ""
    own, theirs, chance = (f"{100 * value:.1f} %" for value in (gap.own, gap.theirs, gap.chance))
    return f"{own} of {names[0]} and {theirs} of {names[1]}, where an even map has {chance}{both}"


def corner_note(side: int) -> str:
    """Why the maximum is not shown, where it is not; else nothing."""
    if not cornered(side):
        return ""
    return (
        f"Where the maximum lies is not shown: on a grid of {side} x {side} cells it cannot be inside. Between the "
        "cells' centres a map is bilinear and beyond them flat, so its maximum lies in a corner of the picture, "
        "whatever the network looks at."
    )


def comparison(gaps: Sequence[Gap], own: str, theirs: str, side: int = 0) -> pd.DataFrame:
    """Comparisons as a table for readers, all values in percent.

    Args:
        gaps: of `coreecho.focus.compare`.
        own: the one system's name.
        theirs: the other's.
        side: `grid` of the maps; where they are `cornered` the measures of the maximum are left out. 0: all are shown.
    """
    left_out = MAXIMA if cornered(side) else ()
    return pd.DataFrame(
        {
            "Grad-CAM of what": f"{gap.sign} the prediction",
            "Share (%)": MEASURES[gap.measure],
            own: f"{100 * gap.own:.1f}",
            theirs: f"{100 * gap.theirs:.1f}",
            "Even map": f"{100 * gap.chance:.1f}",
            "Difference": gap.interval,
            "By seed": ", ".join(f"{100 * value:+.1f}" for value in gap.by_seed),
            "Videos": gap.videos,
        }
        for gap in gaps
        if gap.measure not in left_out
    )
