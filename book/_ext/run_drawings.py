"""The pictures of a run's page as small SVG inside the page: matplotlib draws, the theme's colours are put in.

Text keeps the page's own font and colour, so that both modes are legible; every picture has a title and a description.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from coreecho.curves import Curve, chance_level, curves
from coreecho.figures.style import BLUE, GREEN, GREY, ORANGE, STYLE
from coreecho.records import Record

COLOURS = {"training": BLUE, "validation": ORANGE, "rate": GREEN}
SIZES = {"curve": (2.5, 1.55), "square": (2.7, 2.5)}
"""Of the pictures in inches."""
PAGE_STYLE = STYLE | {"svg.fonttype": "none", "font.size": 8}


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """A figure as an element of a page.

    Args:
        figure: what is drawn; black becomes the colour of the page's text.
        name: unique on the page, for its anchors.
        title: short, for those who do not see it.
        description: what there is to see.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r" (?:xmlns:xlink|xmlns|version|width|height)=\"[^\"]*\"", "", text, count=5)
    text = re.sub(r"font-family: [^;\"]*;?|stroke-linejoin: round;?| transform=\"rotate\(-0 [^\"]*\"", "", text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
    used = set(re.findall(r"(?:href=\"#|url\(#)([\w.]+)", text))
    text = re.sub(r" id=\"([\w.]+)\"", lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r"(href=\"#|url\(#)([\w.]+)", rf"\g<1>{name}-\g<2>", text)
    text = text.replace("xlink:href", "href").replace("#000000", "currentColor")
    text = re.sub(r"\s*\n\s*", "\n", text).replace(">\n<", "><")
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-text"'
        f'><title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(description)}</desc>'
    )
    opening, _, rest = text.partition(">")
    return Markup(head.replace("<svg ", f"{opening} ", 1) + rest)


@cache
def _panel(kind: str) -> tuple[Figure, Axes]:
    """A figure and its axes, made once: axes and ticks cost more than what is drawn on them."""
    figure = Figure(figsize=SIZES[kind])
    axes = figure.add_axes((0.18, 0.25, 0.79, 0.64) if kind == "curve" else (0.21, 0.16, 0.76, 0.81))
    return figure, axes


def empty(kind: str) -> tuple[Figure, Axes]:
    """The figure of a kind of `SIZES` with nothing on it; what was drawn there before is gone."""
    figure, axes = _panel(kind)
    for line in list(axes.lines):
        line.remove()
    axes.relim()
    axes.autoscale(enable=True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.ticklabel_format(axis="y", scilimits=(-2, 4))
    axes.set_xlabel("epoch" if kind == "curve" else "", labelpad=1)
    return figure, axes


def told(curve: Curve) -> str:
    """A curve in words."""
    first, last, lowest = curve.values[0], curve.values[-1], min(curve.values)
    at = curve.epochs[curve.values.index(lowest)]
    words = f"{len(curve.epochs)} epochs, from {first:.3g} to {last:.3g}"
    if curve.kind == "rate":
        return f"{words}; highest {max(curve.values):.3g}."
    return f"{words}; lowest {lowest:.3g} in epoch {at}. The weights are those of epoch {curve.chosen}."


def drawn_curves(record: Record) -> Iterator[tuple[str, str, Markup]]:
    """Stage, caption and picture of every curve of a record."""
    with mpl.rc_context(PAGE_STYLE):
        for number, curve in enumerate(curves(record)):
            figure, axes = empty("curve")
            axes.plot(curve.epochs, curve.values, color=COLOURS[curve.kind], linewidth=1.4)
            axes.axvline(curve.chosen, color=GREY, linewidth=0.8, linestyle=":")
            axes.plot(curve.chosen, curve.values[curve.chosen - 1], "o", markersize=4, color=COLOURS[curve.kind])
            words = told(curve)
            if curve.kind == "rate":
                axes.set_ylim(bottom=0)
            if curve.name == "rnc":
                level = chance_level(record.run, record.profile.recipe(record.run))
                axes.axhline(level, color=GREY, linewidth=0.8, linestyle="--")
                words += f" Dashes: {level:.2f}, the loss of embeddings that say nothing."
            yield curve.stage, curve.label, inline(figure, f"curve{number}", f"{curve.stage}: {curve.label}", words)


def scatter(videos: pd.DataFrame) -> Markup:
    """Predicted against listed EF of the test videos, with the diagonal of equal values."""
    labels, predictions = videos["label"].to_numpy(float), videos["prediction"].to_numpy(float)
    low, high = min(labels.min(), predictions.min()) - 2, max(labels.max(), predictions.max()) + 2
    with mpl.rc_context(PAGE_STYLE):
        figure, axes = empty("square")
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        axes.plot(labels, predictions, "o", color=BLUE, markersize=2.6, markeredgewidth=0, alpha=0.65)
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.set_xlabel("listed EF (%)", labelpad=1)
        axes.set_ylabel("predicted EF (%)", labelpad=2)
        bias = float((predictions - labels).mean())
        words = (
            f"{len(videos)} test videos; listed EF from {labels.min():.0f} to {labels.max():.0f} %, predicted from "
            f"{predictions.min():.0f} to {predictions.max():.0f} %; correlation "
            f"{np.corrcoef(labels, predictions)[0, 1]:.2f}, mean difference {bias:+.1f} EF points."
        )
        return inline(figure, "scatter", "Predicted against listed EF", words)


def probabilities(videos: pd.DataFrame) -> Markup:
    """Predicted probability of an infarction of the test videos, by class, with the threshold of 0.5."""
    with mpl.rc_context(PAGE_STYLE):
        figure, axes = empty("square")
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle="--")
        parts = []
        for place, (name, colour) in enumerate((("no infarction", BLUE), ("infarction", ORANGE))):
            own = videos.loc[videos["label"] == place, "prediction"].to_numpy(float)
            spread = 0.24 * (np.arange(len(own)) % 5 - 2) / 2
            axes.plot(place + spread, own, "os"[place], color=colour, markersize=3.4, markeredgewidth=0, alpha=0.75)
            parts.append(f"{(own >= 0.5).sum()} of {len(own)} with {name}")
        axes.set(xlim=(-0.6, 1.6), ylim=(0, 1), xticks=[0, 1], xticklabels=["no infarction", "infarction"])
        axes.set_ylabel("predicted probability", labelpad=2)
        words = f"Test videos told an infarction (probability at least 0.5): {', '.join(parts)}."
        return inline(figure, "scatter", "Predicted probability of an infarction by class", words)
