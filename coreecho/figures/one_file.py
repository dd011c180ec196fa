"""One file's prediction: its first clip, Grad-CAM over it, and every clip's EF."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from coreecho.clips import Frames
from coreecho.explain import Saliency
from coreecho.figures.style import BLUE, ORANGE, SALIENCY, STYLE
from coreecho.inference import Prediction


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
