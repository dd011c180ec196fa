"""What all figures share: palette, type, and saving without a time stamp, so that the same data give the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from coreecho.files import replace_file

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
SALIENCY = "viridis"
"""Colour map of Grad-CAM: even steps of lightness, told apart without red and green (the paper used JET)."""
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "coreecho"}


def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes ``name.png`` and ``name.svg`` into ``folder``."""
    save_png(figure, folder / f"{name}.png")
    with mpl.rc_context(STYLE):  # its hash salt makes the ids inside an SVG the same each time
        replace_file(folder / f"{name}.svg", lambda path: figure.savefig(path, format="svg", metadata={"Date": None}))


def save_png(figure: Figure, path: Path) -> None:
    """Writes one PNG file, whatever the suffix of ``path``."""
    replace_file(path, lambda partial: figure.savefig(partial, format="png", dpi=150, metadata={"Software": None}))
