"""The network as a drawing made from the network itself (section 2.1; the right half of the paper's figure 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon

from coreecho.anatomy import Kind, Part, count, size, title
from coreecho.figures.style import AMBER, GREY, SKY, STYLE

WIDE, HIGH, DEEP = 0.052, 0.066, 0.05
"""Inches for the square root of a channel, of a pixel or grid side, and of a frame."""
SLANT = (0.75, 0.55)
"""Where the depth of a box goes on the page: time runs away from the reader."""
COLUMN, TEXT, PAGE = 0.85, 1.95, 4.6
"""Inches from the left to the boxes' middle, to the words, and to the right edge."""
GAP = 0.34
"""Inches between boxes, for the arrow."""
LEAST = 0.42
"""Inches that three lines of words need."""
COLOURS: dict[Kind, tuple[str, str]] = {
    "clip": ("#FFFFFF", ""),
    "convolution": (SKY, ""),
    "attention": (AMBER, "////"),
    "mean": ("#D9D9D9", ""),
    "head": ("#FFFFFF", ""),
}
"""Fill and hatching by kind, told apart in grey."""


def architecture(parts: Sequence[Part]) -> Figure:
    """The way of a clip from top to bottom, a box for what comes out of each part, to one scale in all drawings.

    A box is as wide as the square root of the channels, as high as that of the picture's or grid's side, and as deep as
    that of the frames.

    Args:
        parts: as `coreecho.anatomy.dissect` gives them.
    """
    heights = [max(_extent(part)[1], LEAST) for part in parts]
    total = sum(heights) + GAP * (len(parts) - 1) + 0.5
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, total))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, PAGE), ylim=(0, total))
        axes.axis("off")
        top = total - 0.05
        for index, (part, height) in enumerate(zip(parts, heights, strict=True)):
            _draw(axes, part, top - height / 2)
            _write(axes, part, top - height / 2)
            if index:
                tail, tip = (COLUMN, top + GAP - 0.06), (COLUMN, top + 0.05)
                axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 1.2})
            top -= height + GAP
        axes.text(0.1, 0.28, "box: channels wide, picture or grid high, frames deep,", fontsize=7.5, va="center")
        axes.text(0.1, 0.12, "each to the scale of its square root", fontsize=7.5, va="center")
    return figure


def _extent(part: Part) -> tuple[float, float]:
    """Width and height of a part's box with its depth, in inches."""
    width, height, depth = _sides(part)
    return width + SLANT[0] * depth, height + SLANT[1] * depth


def _sides(part: Part) -> tuple[float, float, float]:
    channels, frames, side, _ = (*part.shape, 1, 1, 1, 1)[:4]
    return WIDE * math.sqrt(channels), HIGH * math.sqrt(side), DEEP * math.sqrt(frames)


def _draw(axes: Axes, part: Part, middle: float) -> None:
    fill, hatch = COLOURS[part.kind]
    if not part.shape:
        axes.add_patch(Circle((COLUMN, middle), 0.16, facecolor=fill, edgecolor="black", linewidth=0.8))
        axes.text(COLUMN, middle, "EF", ha="center", va="center", fontsize=8)
        return
    width, height, depth = _sides(part)
    whole, tall = _extent(part)
    left, low, right, up = COLUMN - whole / 2, middle - tall / 2, SLANT[0] * depth, SLANT[1] * depth
    front = [(left, low), (left + width, low), (left + width, low + height), (left, low + height)]
    lid = [front[3], front[2], (front[2][0] + right, front[2][1] + up), (front[3][0] + right, front[3][1] + up)]
    flank = [front[1], front[2], lid[2], (front[1][0] + right, front[1][1] + up)]
    for corners, shade in ((front, 1.0), (lid, 0.85), (flank, 0.7)):
        colour = [shade * value for value in mpl.colors.to_rgb(fill)]
        pattern = hatch if shade == 1.0 else ""
        axes.add_patch(Polygon(corners, facecolor=colour, edgecolor="black", linewidth=0.7, hatch=pattern))


def _write(axes: Axes, part: Part, middle: float) -> None:
    lines = [size(part)]
    if part.parameters:
        operations = f", {count(part.multiply_adds)} multiply-adds" if part.multiply_adds else ""
        lines.append(f"{count(part.parameters)} parameters{operations}")
    step = 0.155
    top = middle + step * len(lines) / 2
    axes.text(TEXT, top, title(part), fontsize=9, fontweight="bold", va="center")
    for number, line in enumerate(lines, start=1):
        axes.text(TEXT, top - number * step, line, fontsize=8, va="center")
