"""Each test video's predicted EF against the listed one (Table 1)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from coreecho.experiments import all_rows
from coreecho.figures.style import GREY, STYLE, look
from coreecho.records import Record
from coreecho.tables import column_label, stacked

COLUMNS = 3
"""Panels side by side."""


def predicted_against_listed(records: Mapping[str, Sequence[Record]]) -> Figure:
    """One panel per system: each test video's predicted EF (mean over seeds) against the listed one, in percent."""
    with mpl.rc_context(STYLE):
        columns = min(len(records), COLUMNS)
        lines = -(-len(records) // columns)
        figure = Figure(figsize=(2.9 * columns, 0.5 + 3.2 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        systems = {name: row.title for name, row in all_rows().items()}
        for panel, (name, own) in zip(panels.flat, records.items(), strict=False):
            labels, predictions, _ = stacked(name, own)
            panel.plot([0, 100], [0, 100], color=GREY, linewidth=1, label="equal")
            title = systems.get(name, name)
            drawn = look(title)
            panel.scatter(
                labels, predictions.mean(axis=0), s=9, color=drawn.colour, marker=drawn.marker, alpha=0.6, linewidth=0
            )
            seeds = f"({len(own)}\N{NO-BREAK SPACE}seed{'s' if len(own) > 1 else ''})"
            title = textwrap.fill(f"{title} {seeds}", 32, break_on_hyphens=False)
            panel.set(title=title, xlabel="listed EF (%)", aspect="equal")
            panel.set(xlim=(0, 100), ylim=(0, 100))
        for panel in panels[:, 0]:
            panel.set_ylabel("predicted EF (%)")
        for panel in panels.flat[len(records) :]:
            panel.set_axis_off()
        panels.flat[len(records) - 1].plot([], [], "o", color=GREY, label="test video")
        panels.flat[len(records) - 1].legend(frameon=False, loc="lower right")
        figure.suptitle(column_label(next(iter(records.values()))[0]))
    return figure
