"""Rank-N-Contrast drawn: one anchor's ranking, its forces, points that put themselves in order (section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from coreecho import ranking
from coreecho.figures.style import BLACK, BLUE, GREY, ORANGE, STYLE

Floats = npt.NDArray[np.float64]
PALETTE = "cividis"
"""Colour map of EF, as in the pictures of embeddings."""
MARKERS = "osD^vP"
"""By the order of EF: what colour tells, the mark tells in grey."""
WRONG: Any = {"color": ORANGE, "marker": "x", "markersize": 9, "markeredgewidth": 2.2, "linestyle": "none"}


def ranked(embeddings: npt.ArrayLike, labels: Sequence[float], anchor: int) -> Figure:
    """One anchor: its distances in the plane, and below them the order by EF against the order by distance.

    Two lines that cross below are a pair in the wrong order.
    """
    z = np.asarray(embeddings, np.float64)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 5.6), layout="constrained")  # narrow, so that a phone shows it large
        plane, ladder = figure.subplots(2, 1, height_ratios=(1.3, 1))
        for m in ranking.others(ranking.label_gaps(labels), anchor):
            plane.plot(*z[[anchor, m]].T, color=GREY, linewidth=1, zorder=1)
            middle, length = z[[anchor, m]].mean(0), np.linalg.norm(z[m] - z[anchor])
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            plane.text(*middle, f"{length:.2f}", fontsize=8, ha="center", va="center", bbox=box)
        _points(plane, z, labels)
        plane.plot(*z[anchor], "o", markersize=17, markerfacecolor="none", markeredgecolor=BLACK, markeredgewidth=1.3)
        _plane(plane, z, f"distances from the anchor, EF {labels[anchor]:g} %")
        _ladder(ladder, z, labels, anchor)
    return figure


def _points(axes: Axes, z: Floats, labels: Sequence[float], left: npt.ArrayLike = False) -> None:
    """Points (M, 2), coloured and marked by their EF, which stands to the right of each, or to the left."""
    low, high = min(labels), max(labels)
    order = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
    sides = np.broadcast_to(left, len(z))
    for place, label, rank, is_left in zip(z, labels, order, sides, strict=True):
        colour = mpl.colormaps[PALETTE]((label - low) / ((high - low) or 1))
        mark = MARKERS[int(rank) % len(MARKERS)]
        look: Any = {"markersize": 8, "markeredgecolor": BLACK, "markeredgewidth": 0.6}
        axes.plot(*place, mark, color=colour, zorder=3, **look)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        away: Any = {"xytext": (-9 if is_left else 9, 7), "ha": "right" if is_left else "left"}
        axes.annotate(f"{label:g} %", place, textcoords="offset points", fontsize=8, bbox=box, zorder=4, **away)


def _plane(axes: Axes, z: Floats, title: str) -> None:
    """A plane whose axes have one scale and no unit, with room around all points."""
    low, high = z.min(0), z.max(0)
    room = 0.2 * float((high - low).max())
    axes.set(xlim=(low[0] - 1.3 * room, high[0] + 1.6 * room), ylim=(low[1] - room, high[1] + room), aspect="equal")
    axes.set(xlabel="embedding, first number", ylabel="embedding, second number")
    axes.set_title(title, fontsize=9)


def _ladder(axes: Axes, z: Floats, labels: Sequence[float], anchor: int) -> None:
    gaps = ranking.label_gaps(labels)
    wanted = ranking.others(gaps, anchor)
    distances = np.linalg.norm(z - z[anchor], axis=1)
    found = sorted(wanted, key=lambda m: float(distances[m]))
    ends = {m: (wanted.index(m), found.index(m)) for m in wanted}
    for m, (left, right) in ends.items():
        axes.plot((0, 1), (left, right), color=GREY, linewidth=1.5, zorder=1)
        gap = f"{labels[m]:g} %: {abs(labels[m] - labels[anchor]):g} points"
        axes.text(-0.06, left, gap, ha="right", va="center", fontsize=8)
        axes.text(1.06, right, f"{labels[m]:g} %: {distances[m]:.2f}", ha="left", va="center", fontsize=8)
    for m, other in ranking.wrong_pairs(z, labels, anchor):
        (a, b), (c, d) = ends[m], ends[other]
        across = (c - a) / ((c - a) - (d - b))  # where the two lines meet
        axes.plot(across, a + across * (b - a), zorder=3, **WRONG)
    axes.plot([], [], label="pair in the wrong order", **WRONG)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), frameon=False, fontsize=8)
    axes.set(xlim=(-0.95, 1.7), ylim=(len(wanted) - 0.5, -0.9))
    axes.text(-0.06, -0.6, "nearest first\nby EF (wanted)", ha="right", va="center", fontsize=8, fontweight="bold")
    axes.text(1.06, -0.6, "nearest first by\ndistance (found)", ha="left", va="center", fontsize=8, fontweight="bold")
    axes.axis("off")


def forces(embeddings: npt.ArrayLike, labels: Sequence[float], temperature: float = 1.0) -> Figure:
    """An arrow at each point against the gradient of the loss, to one scale."""
    z = np.asarray(embeddings, np.float64)
    arrows = ranking.downhill(z, labels, temperature)
    scale = 0.35 * float(np.ptp(z, axis=0).max()) / float(np.linalg.norm(arrows, axis=1).max())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for place, arrow in zip(z, arrows, strict=True):
            look = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xytext=tuple(place), xy=tuple(place + scale * arrow), arrowprops=look, zorder=2)
        _points(axes, z, labels, left=arrows[:, 0] > 0)
        _plane(axes, np.concatenate([z, z + scale * arrows]), "where each point is sent")
    return figure


def arranging(descent: ranking.Descent, labels: Sequence[float]) -> Figure:
    """The paths of the points under gradient descent; below them the loss and the wrong pairs against the step."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 4.8), layout="constrained")
        plane, curve = figure.subplots(2, 1, height_ratios=(1, 1.1))
        for way in descent.path.transpose(1, 0, 2):
            plane.plot(*way.T, color=GREY, linewidth=1, zorder=1)
            plane.plot(*way[0], "o", markersize=4, color="white", markeredgecolor=GREY, zorder=2)
        plane.plot(*descent.path[-1][np.argsort(labels)].T, color=BLUE, linewidth=1, linestyle="--", zorder=1)
        _points(plane, descent.path[-1], labels)
        _plane(plane, descent.path.reshape(-1, 2), f"start (white) to step {len(descent.path) - 1}")
        steps = np.arange(len(descent.losses))
        (first,) = curve.plot(steps, descent.losses, color=BLUE, label="loss (left axis)")
        right = curve.twinx()
        right.spines["right"].set_visible(True)
        (second,) = right.step(steps, descent.wrong, color=ORANGE, linestyle="--", where="post", label="wrong pairs")
        curve.set(xlabel="step", ylabel="loss", ylim=(0, None))
        right.set(ylabel="pairs in the wrong order", ylim=(0, None))
        curve.legend(handles=[first, second], frameon=False, fontsize=8)
    return figure


def ranks(batches: dict[str, tuple[Sequence[float], Sequence[str]]]) -> Figure:
    """Who is how near to whom by EF: one matrix a batch, a row for each anchor.

    Args:
        batches: labels in percent and names of the clips, by title; clips of one video have one label.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 3.5), layout="constrained")
        panels = figure.subplots(1, len(batches), squeeze=False)[0]
        most = max(int(ranking.label_ranks(labels).max()) for labels, _ in batches.values())
        for panel, (title, (labels, names)) in zip(panels, batches.items(), strict=True):
            found = ranking.label_ranks(labels)
            shown = panel.imshow(np.ma.masked_less(found, 0), cmap="viridis_r", vmin=0, vmax=most)
            for (row, column), rank in np.ndenumerate(found):
                colour = "white" if rank > most / 2 else "black"
                panel.text(
                    column, row, "–" if rank < 0 else str(rank), ha="center", va="center", fontsize=7, color=colour
                )
                if row != column and labels[row] == labels[column]:
                    frame: Any = {"fill": False, "edgecolor": ORANGE, "linewidth": 2}
                    panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
            ticks = range(len(names))
            panel.set(
                xticks=ticks, yticks=ticks, xticklabels=names, yticklabels=names, xlabel="other clip", ylabel="anchor"
            )
            panel.tick_params(labelsize=7, length=0)
            panel.tick_params(axis="x", labelrotation=90)
            panel.set_title(title, fontsize=9)
            panel.spines[:].set_visible(False)
        figure.colorbar(shown, ax=list(panels), label="rank by EF (0: nearest)", ticks=range(most + 1), shrink=0.8)
    return figure
