"""A still of the explorer, for the card that leads to it: one system's map, one video, and a frame of its clip."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from coreecho.explorer.points import View
from coreecho.figures.embeddings import PALETTE
from coreecho.figures.style import BLACK, GREY, STYLE, look


def picture(view: View) -> Figure:
    """The first system's map coloured by listed EF, with the video of median EF as it is seen beside the map."""
    system = view.systems[0]
    index = int(np.argsort(view.listed, kind="stable")[len(view.listed) // 2])
    x, y = system.places.T
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        places, clip = figure.subplots(1, 2, width_ratios=(1.5, 1))
        shown = places.scatter(
            x, y, c=view.listed, cmap=PALETTE, s=22, marker=look(system.name).marker, edgecolors=GREY, linewidths=0.3
        )
        places.scatter(x[index], y[index], s=110, facecolors="none", edgecolors=BLACK, linewidths=1.8)
        places.set(title=f"{system.name} ({view.label})", xticks=[], yticks=[])
        places.title.set_fontsize(8)
        places.spines[:].set(visible=True, color=GREY, linewidth=0.6)
        figure.colorbar(shown, ax=places, label="listed EF (%)", location="bottom", fraction=0.06, pad=0.03)
        clip.imshow(view.frames[index][0], cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
        clip.set(xticks=[], yticks=[])
        clip.spines[:].set(visible=False)
        told = f"listed EF {view.listed[index]:.1f} %\npredicted {system.predicted[index]:.1f} %"
        clip.set_xlabel(told, fontsize=8)
    return figure
