"""The synthetic hearts: what they look like, and their labels."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from coreecho.figures.style import BLUE, GREY, ORANGE, STYLE


def contact_sheet(
    pairs: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]], titles: Sequence[str], columns: int = 4
) -> Figure:
    """End-diastole beside end-systole of several studies.

    Args:
        pairs: grey or RGB pictures (H, W[, 3]) at end-diastole and end-systole.
        titles: one per study.
        columns: studies in a row.
    """
    rows = -(-len(pairs) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.4 * columns, 1.5 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels:
            panel.axis("off")
        for panel, (diastole, systole), title in zip(panels, pairs, titles, strict=False):
            gap = np.full_like(diastole[:, : max(1, diastole.shape[1] // 32)], 255)
            panel.imshow(np.hstack([diastole, gap, systole]), cmap="gray", vmin=0, vmax=255)
            panel.set_title(title, fontsize=8)
        figure.supxlabel("each pair: end-diastole left, end-systole right", fontsize=8)
    return figure


def label_scatter(labels: pd.DataFrame) -> Figure:
    """The phantom's labels: the reader's EF against the true one, and the distribution of the former, in percent."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.2), layout="constrained")
        scatter, histogram = figure.subplots(1, 2)
        scatter.plot([0, 100], [0, 100], color=GREY, linewidth=1, label="equal")
        scatter.scatter(labels["true"], labels["listed"], s=5, color=BLUE, alpha=0.4, linewidth=0, label="video")
        scatter.set(xlabel="true EF (%)", ylabel="listed EF, the reader's (%)", xlim=(0, 100), ylim=(0, 100))
        scatter.legend(frameon=False, loc="upper left")
        histogram.hist(labels["listed"], bins=np.arange(0, 101, 4), color=BLUE)
        histogram.axvline(labels["listed"].mean(), color=ORANGE, label=f"mean {labels['listed'].mean():.1f} %")
        histogram.set(xlabel="listed EF (%)", ylabel="videos")
        histogram.legend(frameon=False, loc="upper left")
    return figure
