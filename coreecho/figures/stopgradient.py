"""Who moves the encoder, and what comes of it: the toy of `coreecho.stopgradient` drawn (section 2.2, equation 1)."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from coreecho.figures.ranking import PALETTE
from coreecho.figures.style import BLUE, GREY, ORANGE, STYLE
from coreecho.stopgradient import EF_RANGE, Trial

WINDOW = 20
"""Steps that a curve is averaged over."""


def pulled(stopped: Trial, let_through: Trial) -> Figure:
    """With the stop-gradient and without: the pull of each loss on the encoder, and where unseen clips come to lie."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 5.4), layout="constrained")
        top, bottom = figure.subplots(2, 2, height_ratios=(1, 1.25))
        columns = zip(top, bottom, (stopped, let_through), ("with stop-gradient", "without"), strict=True)
        highest = 1.1 * max(float(_smooth(norm).max()) for trial in (stopped, let_through) for norm in _norms(trial))
        for curve, plane, trial, title in columns:
            rnc, l1 = (_smooth(norm) for norm in _norms(trial))
            steps = np.arange(len(rnc)) + WINDOW
            curve.plot(steps, l1, color=ORANGE, linestyle="--", label="absolute error", clip_on=False, zorder=3)
            curve.plot(steps, rnc, color=BLUE, label="ranking loss")
            curve.set(xlabel="step", ylim=(0, highest), title=title)
            look: Any = {"s": 16, "cmap": PALETTE, "norm": Normalize(*EF_RANGE), "edgecolors": GREY, "linewidths": 0.3}
            shown = plane.scatter(*trial.points.T, c=trial.labels, **look)
            plane.set(xlabel="embedding, first number", aspect="equal")
            plane.set_adjustable("datalim")
        top[0].set_ylabel("length of the gradient\nat the encoder")
        bottom[0].set_ylabel("embedding, second number")
        top[0].legend(frameon=False, fontsize=8, title="sent by")
        figure.colorbar(shown, ax=list(bottom), label="EF (%)", fraction=0.05)
    return figure


def _norms(trial: Trial) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return trial.rnc_norm, trial.l1_norm


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.convolve(values, np.full(WINDOW, 1 / WINDOW), mode="valid")
