"""Figure 3 and its supplements: Grad-CAM of systems side by side, one sample a row, frames from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from coreecho.errors import RecordError
from coreecho.explain import Sign
from coreecho.figures.style import SALIENCY, STYLE
from coreecho.focus.samples import Sample

OUTLINE = "white"
PANEL = 0.68
"""Side of one frame in inches."""
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
    rows, columns = len(next(iter(videos))), len(next(iter(systems.values()))[0].shown)
    wide, high = PANEL * columns * len(systems) + 1.7, (PANEL + 0.25) * rows + 0.8
    layout = ConstrainedLayoutEngine(hspace=0.2, wspace=0.02, h_pad=0.02, w_pad=0.02)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(wide, high), layout=layout)
        shares = [PANEL * columns + 0.3] * len(systems) + [0.6]
        *parts, last = figure.subfigures(1, len(systems) + 1, squeeze=False, width_ratios=shares)[0]
        for number, (part, (name, own)) in enumerate(zip(parts, systems.items(), strict=True)):
            _system(part, name, own, sign, task, first=number == 0)
        _bar(last, sign)
        figure.suptitle(title, fontsize=9)
        _settle(figure)
    return figure


def _settle(figure: Figure) -> None:
    """Fixes the places that the layout found; its solver's last digits differ from call to call, and would show."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((round(left, 3), round(bottom, 3), round(width, 3), round(height, 3)))


def _bar(part: SubFigure, sign: Sign) -> None:
    place = part.add_axes((0.15, 0.2, 0.2, 0.6))
    bar = part.colorbar(ScalarMappable(Normalize(0, 1), SALIENCY), cax=place, ticks=[0, 1])
    bar.ax.set_yticklabels(["none", "most"], fontsize=7)
    bar.set_label(f"{sign} the prediction (per clip)", fontsize=7, labelpad=-12)


def _system(part: SubFigure, name: str, samples: Sequence[Sample], sign: Sign, task: str, *, first: bool) -> None:
    part.suptitle(f"{name}\n", fontsize=9, fontweight="bold")  # the empty line is for the first row's words
    grid = part.subplots(len(samples), len(samples[0].shown), squeeze=False)
    for panels, sample in zip(grid, samples, strict=True):
        for index, panel in enumerate(panels):
            _frame(panel, sample, index, sign)
        text = _values(sample, task) + ("" if sample.maps[sign].any() else " (empty map)")
        # A title would take part in the layout and push the other panels aside.
        panels[0].text(0, 1.05, text, transform=panels[0].transAxes, fontsize=7).set_in_layout(False)
        if first:
            panels[0].set_ylabel(sample.video[-18:], fontsize=5)


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
            0.97, 0.97, sample.names[index], transform=panel.transAxes, ha="right", va="top", fontsize=6, color=OUTLINE
        )


def _values(sample: Sample, task: str) -> str:
    """True and predicted value in words."""
    if task == "mi":
        return f"{'infarction' if sample.label else 'no infarction'}, predicted {100 * sample.prediction:.0f} %"
    return f"EF {sample.label:.1f} %, predicted {sample.prediction:.1f} %"
