"""A table as a picture: one line a row, what was published beside what was found here, each on a scale of its own."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coreecho.errors import RecordError
from coreecho.experiments import all_rows
from coreecho.figures.style import GREY, STYLE, look

UNITS = {"MAE": "MAE (EF points)", "RMSE": "RMSE (EF points)"}
"""Metrics whose name does not say their unit."""
PERCENT = {"Sensitivity", "Specificity", "Precision", "F1", "Accuracy"}
WIDTH, LINE = 6.3, 0.32
"""Of the figure, and of one row, in inches."""


def table_intervals(numbers: pd.DataFrame, metric: str) -> Figure:
    """One metric of a table: a point for every row, with its 95 % interval and its seeds where it was run here.

    Published values and each profile's own stand in panels apart, since they were measured on different data and have
    no scale in common.

    Args:
        numbers: `coreecho.tables.Table.numbers`.
        metric: as named there.

    Raises:
        RecordError: the table has no such metric.
    """
    chosen = numbers[numbers["metric"] == metric]
    if chosen.empty:
        raise RecordError(f"the table has no {metric!r}; it has {', '.join(numbers['metric'].unique())}")
    titles = _titles(chosen)
    panels = list(dict.fromkeys(zip(chosen["source"], chosen["data"], strict=True)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.75 + LINE * len(titles)), layout="constrained")
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (source, data) in zip(grid, panels, strict=True):
            part = chosen[(chosen["source"] == source) & (chosen["data"] == data)].set_index("row")
            for place, (row, title) in enumerate(titles.items()):
                if row in part.index:
                    _point(axes, place, title, part.loc[row])
            published = source == "published"
            axes.set_title(f"published, {data}" if published else f"run here, {data}, {source}", fontsize=9)
            axes.set_xlabel(UNITS.get(metric, f"{metric} (%)" if metric in PERCENT else metric))
            axes.grid(axis="x", color="0.9", linewidth=0.6)
            axes.tick_params(axis="y", length=0)
            axes.margins(x=0.08)
        names = [textwrap.fill(title, 34, break_on_hyphens=False) for title in titles.values()]
        grid[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    return figure


def _titles(numbers: pd.DataFrame) -> dict[str, str]:
    """How each row is called, what stands in for Kinetics-400 weights included, and its protocol if it has its own."""
    known = all_rows()
    names = dict(zip(numbers["row"], numbers["system"], strict=True))  # those of what was run here come last
    clips = {name: f", {row.clips}" for name, row in known.items() if row.protocol is not None}
    return {row: name.replace("*", "") + clips.get(row, "") for row, name in names.items()}


def _point(axes: Axes, place: int, title: str, line: pd.Series) -> None:
    """One row's value; hollow where it is only printed, with interval and seeds where it was run."""
    drawn, here = look(title), pd.notna(line.get("low"))
    if here:
        axes.plot([line["low"], line["high"]], [place, place], color=drawn.colour, linewidth=1.6, solid_capstyle="butt")
        seeds = [float(value) for value in str(line["by_seed"]).split()]
        if len(seeds) > 1:
            axes.plot(seeds, [place + 0.24] * len(seeds), "|", color=GREY, markersize=4, markeredgewidth=0.8)
    face = drawn.colour if here else "white"
    axes.plot(line["value"], place, drawn.marker, markersize=6, markerfacecolor=face, markeredgecolor=drawn.colour)
