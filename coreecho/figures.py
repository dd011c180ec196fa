"""Plots of the book: one function per figure, axes with units, colours that colour-blind readers can tell apart.

Every figure function returns a matplotlib `Figure`; `save` writes it as PNG and SVG without a time stamp, so that the
same data give the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from coreecho.clips import Frames
from coreecho.experiments import all_rows
from coreecho.explain import Saliency
from coreecho.files import replace_file
from coreecho.inference import Prediction
from coreecho.records import Record
from coreecho.tables import column_label, stack

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
SALIENCY = "viridis"
"""Colour map of Grad-CAM: even steps of lightness, told apart without red and green (the paper used JET)."""
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "coreecho"}


def predicted_against_listed(records: Mapping[str, Sequence[Record]]) -> Figure:
    """One panel per system: each test video's predicted EF (mean over seeds) against the listed one, in percent."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.9 * len(records), 3.7), layout="constrained")
        panels = figure.subplots(1, len(records), sharex=True, sharey=True, squeeze=False)[0]
        systems = {name: row.system for name, row in all_rows().items()}
        for panel, (name, own) in zip(panels, records.items(), strict=True):
            labels, predictions, _ = stack(own)
            panel.plot([0, 100], [0, 100], color=GREY, linewidth=1, label="equal")
            panel.scatter(labels, predictions.mean(axis=0), s=9, color=BLUE, alpha=0.6, linewidth=0, label="test video")
            panel.set(title=f"{systems.get(name, name)} ({len(own)} seeds)", xlabel="listed EF (%)", aspect="equal")
            panel.set(xlim=(0, 100), ylim=(0, 100))
        panels[0].set_ylabel("predicted EF (%)")
        panels[-1].legend(frameon=False, loc="lower right")
        figure.suptitle(column_label(next(iter(records.values()))[0]))
    return figure


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


def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes ``name.png`` and ``name.svg`` into ``folder``."""
    save_png(figure, folder / f"{name}.png")
    with mpl.rc_context(STYLE):  # its hash salt makes the ids inside an SVG the same each time
        replace_file(folder / f"{name}.svg", lambda path: figure.savefig(path, format="svg", metadata={"Date": None}))


def save_png(figure: Figure, path: Path) -> None:
    """Writes one PNG file, whatever the suffix of ``path``."""
    replace_file(path, lambda partial: figure.savefig(partial, format="png", dpi=150, metadata={"Software": None}))


def prediction(result: Prediction, shown: int = 8) -> Figure:
    """The first clip's frames as the network saw them, Grad-CAM over them where it was computed, each clip's EF."""
    chosen: list[int] = np.linspace(0, len(result.frames) - 1, shown).round().astype(int).tolist()
    explained = result.saliency is not None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5.0 if explained else 3.6), layout="constrained")
        grid = figure.add_gridspec(3 if explained else 2, 1, height_ratios=(1, 1.15, 1.4) if explained else (1, 1.4))
        for panel, index in zip(figure.add_subfigure(grid[0]).subplots(1, shown), chosen, strict=True):
            panel.imshow(result.frames[index])
            panel.set_title(f"frame {index + 1} of {len(result.frames)}", fontsize=7)
            panel.axis("off")
        if result.saliency is not None:
            _overlay(figure.add_subfigure(grid[1]), result.frames, result.saliency, chosen)
        _clip_efs(figure.add_subfigure(grid[-1]).subplots(), result)
        figure.suptitle(f"{result.file}: trained on {result.training_data}; not a medical device", fontsize=8)
    return figure


def _overlay(part: SubFigure, frames: Frames, saliency: Saliency, chosen: Sequence[int]) -> None:
    """Frames with their Grad-CAM map over them and a colour bar; an empty map is said, not drawn."""
    panels = part.subplots(1, len(chosen))
    for panel, index in zip(panels, chosen, strict=True):
        panel.imshow(frames[index])
        if not saliency.empty:
            image = panel.imshow(saliency.map[index], cmap=SALIENCY, vmin=0, vmax=1, alpha=0.45)
        panel.axis("off")
    if saliency.empty:
        part.suptitle(f"Grad-CAM is empty: nothing in this clip {saliency.label}", fontsize=7)
        return
    bar = part.colorbar(image, ax=panels, ticks=[0, 1], fraction=0.02, pad=0.01)
    bar.set_label(f"{saliency.label}\n(Grad-CAM, per clip)", fontsize=6)
    bar.ax.set_yticklabels(["none", "most"], fontsize=6)


def _clip_efs(axes: Axes, result: Prediction) -> None:
    timed = all(clip.start_seconds is not None for clip in result.clips)
    starts = [clip.start if clip.start_seconds is None else clip.start_seconds for clip in result.clips]
    axes.plot(starts, [clip.ef for clip in result.clips], "o", color=BLUE, label="clip")
    axes.axhline(result.ef, color=ORANGE, linewidth=1.2, label=f"mean {result.ef:.1f} %")
    axes.set(xlabel="start of the clip (s)" if timed else "start of the clip (frame)", ylabel="EF (%)", ylim=(0, 100))
    axes.legend(frameon=False)
