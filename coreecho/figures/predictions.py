"""Each test video's predicted EF against the listed one (Table 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from coreecho.experiments import all_rows
from coreecho.figures.style import BLUE, GREY, STYLE
from coreecho.records import Record
from coreecho.tables import column_label, stacked


def predicted_against_listed(records: Mapping[str, Sequence[Record]]) -> Figure:
    """One panel per system: each test video's predicted EF (mean over seeds) against the listed one, in percent."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.9 * len(records), 3.7), layout="constrained")
        panels = figure.subplots(1, len(records), sharex=True, sharey=True, squeeze=False)[0]
        systems = {name: row.title for name, row in all_rows().items()}
        for panel, (name, own) in zip(panels, records.items(), strict=True):
            labels, predictions, _ = stacked(name, own)
            panel.plot([0, 100], [0, 100], color=GREY, linewidth=1, label="equal")
            panel.scatter(labels, predictions.mean(axis=0), s=9, color=BLUE, alpha=0.6, linewidth=0, label="test video")
            panel.set(title=f"{systems.get(name, name)} ({len(own)} seeds)", xlabel="listed EF (%)", aspect="equal")
            panel.set(xlim=(0, 100), ylim=(0, 100))
        panels[0].set_ylabel("predicted EF (%)")
        panels[-1].legend(frameon=False, loc="lower right")
        figure.suptitle(column_label(next(iter(records.values()))[0]))
    return figure
