"""Training curves: what each row minimises and how its validation error falls, epoch by epoch, seeds side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from coreecho.curves import Curve, chance_level, curves, ef_stages, titles
from coreecho.errors import RecordError
from coreecho.figures.style import GREY, STYLE, Look, look
from coreecho.records import Record
from coreecho.tables import Records, column_label

WIDTH, LINE = 6.3, 1.25
"""Of the figure, and of one row, in inches."""
BOTTOM, TOP = 3.0, 12.0
"""Range of the validation errors shown, in EF points: one bad epoch must not flatten all others."""


def training_overview(records: Records) -> Figure:
    """Two panels for all rows: the Rank-N-Contrast losses on the left, the validation errors on the right.

    Lines are means over seeds, solid from Kinetics-400 weights or what stands in for them, dashed from random ones.
    Rows that differ in a later stage only have the same line, which is drawn once.

    Args:
        records: by row name; those of a row are of one kind.
    """
    names = titles(records)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        drawn: list[list[float]] = []
        for name, own in records.items():
            loss, error = _stage(own, 0)
            mean = np.mean([curve.values for curve in error], axis=0)
            if mean.tolist() in drawn:
                continue
            drawn.append(mean.tolist())
            shown = look(names[name])
            line = "-" if own[0].run.init == "k400" else "--"
            style: Any = {"color": shown.colour, "linestyle": line, "linewidth": 1.4, "marker": shown.marker}
            style |= {"markersize": 4, "markevery": 3}
            right.plot(error[0].epochs, mean, label=names[name], **style)
            if loss[0].name == "rnc":
                left.plot(loss[0].epochs, np.mean([curve.values for curve in loss], axis=0), **style)
                _chance(left, own, loss[0])
        left.set(xlabel="epoch", ylabel="Rank-N-Contrast loss")
        right.set(xlabel="epoch", ylabel="validation MAE (EF points)", ylim=(BOTTOM, TOP))
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.legend(frameon=False, fontsize=7.5, ncols=3, loc="outside lower center")
        figure.suptitle(column_label(next(iter(records.values()))[0]), fontsize=9)
    return figure


def training_curves(records: Records) -> Figure:
    """One line of panels per row: the training loss on the left, the validation error on the right.

    Shown is the stage that the encoder is trained to predict EF in; thin lines are seeds, the thick one is their mean,
    a ring marks the chosen epoch. Where the loss is Rank-N-Contrast, the level that it has by chance is drawn.

    Args:
        records: by row name; those of a row are of one kind.
    """
    names = titles(records)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + LINE * len(records)), layout="constrained")
        grid = figure.subplots(len(records), 2, sharex="row", squeeze=False)
        for (left, right), (name, own) in zip(grid, records.items(), strict=True):
            loss, error = _stage(own, 0)
            drawn = look(names[name])
            _seeds(left, loss, drawn)
            _seeds(right, error, drawn)
            _chance(left, own, loss[0])
            left.set_title(textwrap.fill(names[name], 46), fontsize=9, loc="left")
            left.set_ylabel(_broken(loss[0].label), fontsize=7.5)
            right.set_ylabel("validation MAE\n(EF points)", fontsize=7.5)
            right.set_ylim(BOTTOM, TOP)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        figure.suptitle(column_label(next(iter(records.values()))[0]), fontsize=9)
    return figure


def second_stages(records: Records) -> Figure:
    """The same for the second stage, in which the head alone moves; dashes mark what the first stage ended with.

    Raises:
        RecordError: no row has a second stage.
    """
    two: Records = {name: own for name, own in records.items() if own and len(ef_stages(own[0])) > 1}
    if not two:
        raise RecordError("none of these rows has a second stage; show one such as table1/coreecho")
    names = titles(two)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.8 + 1.1 * LINE * len(two)), layout="constrained")
        grid = figure.subplots(len(two), 2, sharex="row", squeeze=False)
        for (left, right), (name, own) in zip(grid, two.items(), strict=True):
            (loss, error), (_, before) = _stage(own, 1), _stage(own, 0)
            drawn = look(names[name])
            _seeds(left, loss, drawn)
            _seeds(right, error, drawn)
            ended = float(np.mean([curve.values[curve.chosen - 1] for curve in before]))
            right.axhline(ended, color=GREY, linestyle="--", linewidth=1)
            right.annotate("after stage one", (1, ended), (2, 2), textcoords="offset points", fontsize=7, color="0.35")
            left.set_title(f"{names[name]}: {loss[0].stage}", fontsize=9, loc="left")
            left.set_ylabel(_broken(loss[0].label), fontsize=7.5)
            right.set_ylabel("validation MAE\n(EF points)", fontsize=7.5)
        for axes in grid[-1]:
            axes.set_xlabel("epoch of the second stage")
        figure.suptitle(column_label(next(iter(two.values()))[0]), fontsize=9)
    return figure


def _stage(records: Sequence[Record], number: int) -> tuple[list[Curve], list[Curve]]:
    """First training loss and validation error of each record in one of its stages that predict EF."""
    losses, errors = [], []
    for record in records:
        own = [curve for curve in curves(record) if curve.stage == ef_stages(record)[number]]
        losses.append(next(curve for curve in own if curve.kind == "training"))
        errors.append(next(curve for curve in own if curve.name == "val_mae"))
    return losses, errors


def _broken(label: str) -> str:
    """A label for a narrow axis: lines of a few words, the unit on its own."""
    words, bracket, unit = label.partition(" (")
    return textwrap.fill(words, 19) + (f"\n({unit}" if bracket else "")


def _seeds(axes: Axes, own: Sequence[Curve], drawn: Look) -> None:
    """A thin line and a ring per seed, and their mean where there are several."""
    thin = 1.2 if len(own) == 1 else 0.7
    for curve in own:
        axes.plot(curve.epochs, curve.values, color=drawn.colour, linewidth=thin, alpha=1 if len(own) == 1 else 0.6)
        at = curve.chosen - 1
        axes.plot(curve.chosen, curve.values[at], "o", markersize=4, markerfacecolor="white", color=drawn.colour)
    if len(own) > 1:
        mean = np.mean([curve.values for curve in own], axis=0)
        axes.plot(own[0].epochs, mean, color=drawn.colour, linewidth=1.8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="y", color="0.92", linewidth=0.6)


def _chance(axes: Axes, own: Sequence[Record], loss: Curve) -> None:
    """The level of a Rank-N-Contrast loss whose embeddings say nothing, drawn once for all rows that share it."""
    if loss.name != "rnc":
        return
    level = chance_level(own[0].run, own[0].profile.recipe(own[0].run))
    label = f"chance {level:.2f}"
    if label in [text.get_text() for text in axes.texts]:
        return
    axes.axhline(level, color=GREY, linestyle=":", linewidth=1)
    end = (loss.epochs[-1], level)
    axes.annotate(label, end, (0, 2), textcoords="offset points", ha="right", fontsize=7, color="0.35")
