"""Figure 3 and its supplements: Grad-CAM of systems under each other, sample by sample, frames from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from coreecho.errors import RecordError
from coreecho.explain import Sign
from coreecho.figures.style import SALIENCY, STYLE
from coreecho.focus.samples import Sample

OUTLINE = "white"
WIDE = 6.3
"""Of the page, in inches; the frames share what the names on the left and the colour bar on the right leave."""
LEFT, RIGHT, ABOVE, WORDS, BELOW = 0.25, 0.65, 0.3, 0.16, 0.06
"""Margins, and the line of words over each row, in inches."""
GAP = 0.02
"""Between frames, in inches."""
VALUES = 0.85
"""Where the values begin, right of the system's name, in inches."""
OPACITY = 0.5
"""Of the map over its frame (half, as in the paper)."""


def saliency_grid(
    systems: Mapping[str, Sequence[Sample]], title: str, *, sign: Sign = "raises", task: str = "ef"
) -> Figure:
    """Each system's maps over the same frames, with true and predicted values, ventricle outlined, and a colour bar.

    Args:
        systems: name of a system -> its samples; every system must show the same videos.
        title: data and profile.
        sign: maps of what raises, or of what lowers the prediction.
        task: "ef", or "mi" for infarctions.

    Raises:
        RecordError: the systems show different videos, or none.
    """
    videos = {tuple(sample.video for sample in own) for own in systems.values()}
    if len(videos) != 1 or not next(iter(videos)):
        raise RecordError(f"the systems {', '.join(systems)} do not show the same videos; run all on one data set")
    count, columns = len(next(iter(videos))), len(next(iter(systems.values()))[0].shown)
    side = (WIDE - LEFT - RIGHT) / columns
    row = side + WORDS
    high = ABOVE + count * (len(systems) * row + BELOW) + BELOW
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDE, high))
        top = high - ABOVE
        for samples in zip(*systems.values(), strict=True):
            for name, sample in zip(systems, samples, strict=True):
                top -= row
                _row(figure, name, sample, sign, task, (LEFT, top, side))
            middle = (top + len(systems) * row / 2) / high
            figure.text(0.05 / WIDE, middle, samples[0].video[-18:], fontsize=7, rotation=90, va="center")
            top -= BELOW
        _bar(figure, sign)
        figure.text(0.5, 1 - 0.05 / high, title, fontsize=9, ha="center", va="top")
    return figure


def _bar(figure: Figure, sign: Sign) -> None:
    high = figure.get_figheight()
    length = min(2.5, high - ABOVE - WORDS - BELOW)
    place = figure.add_axes((1 - 0.55 / WIDE, (high - ABOVE - WORDS - length) / high, 0.12 / WIDE, length / high))
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), SALIENCY), cax=place, ticks=[0, 1])
    bar.ax.set_yticklabels(["none", "most"], fontsize=7)
    bar.set_label(f"{sign} the prediction (per clip)", fontsize=7, labelpad=-12)


def _row(figure: Figure, name: str, sample: Sample, sign: Sign, task: str, place: tuple[float, float, float]) -> None:
    """One system's maps over one sample, under its name and its values; place: left, bottom and side in inches."""
    left, bottom, side = place
    high = figure.get_figheight()
    for index in range(len(sample.shown)):
        box = ((left + index * side) / WIDE, bottom / high, (side - GAP) / WIDE, (side - GAP) / high)
        _frame(figure.add_axes(box), sample, index, sign)
    line = (bottom + side + 0.02) / high
    figure.text(left / WIDE, line, name, fontsize=8, fontweight="bold")
    text = _values(sample, task) + ("" if sample.maps[sign].any() else " (empty map)")
    figure.text((left + VALUES) / WIDE, line, text, fontsize=7)


def _frame(panel: Axes, sample: Sample, index: int, sign: Sign) -> None:
    """One frame under its map, the outline drawn where there is one; ED and ES are named where they are known."""
    panel.set(xticks=[], yticks=[])
    for side in panel.spines.values():
        side.set_visible(False)
    panel.imshow(sample.frames[index], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if sample.maps[sign].any():
        panel.imshow(sample.maps[sign][index], cmap=SALIENCY, vmin=0, vmax=255, alpha=OPACITY, interpolation="nearest")
    outline = sample.ventricle[index]
    if outline.any() and not outline.all():
        panel.contour(outline.astype(float), levels=[0.5], colors=OUTLINE, linewidths=0.8)
    if sample.names[index]:
        panel.text(
            0.97, 0.97, sample.names[index], transform=panel.transAxes, ha="right", va="top", fontsize=7, color=OUTLINE
        )


def _values(sample: Sample, task: str) -> str:
    """True and predicted value in words."""
    if task == "mi":
        return f"{'infarction' if sample.label else 'no infarction'}, predicted {100 * sample.prediction:.0f} %"
    return f"EF {sample.label:.1f} %, predicted {sample.prediction:.1f} %"
