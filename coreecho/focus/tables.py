"""What stands under Figure 3: where two systems look, as a table, and what could not be measured (gaps G)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from coreecho.focus import MEASURES, Gap


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


def comparison(gaps: Sequence[Gap], own: str, theirs: str) -> pd.DataFrame:
    """Comparisons as a table for readers, all values in percent; ``own`` and ``theirs`` are the systems' names."""
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
    )
