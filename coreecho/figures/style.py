"""What all figures share: palette, type, and saving without a time stamp, so that the same data give the same file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from coreecho.files import replace_file

# Okabe and Ito's palette, without its yellow, which is too light for a line on white.
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
)
GREY = "#777777"
SALIENCY = "viridis"
"""Colour map of Grad-CAM: even steps of lightness, told apart without red and green (the paper used JET)."""
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "coreecho"}


@dataclass(frozen=True)
class Look:
    """How one system is drawn in every figure: by colour, and in grey by marker and line."""

    colour: str
    marker: str
    line: str


LOOKS = {
    "CoReEcho": Look(BLUE, "o", "-"),
    "L1 + L_1st": Look(BLUE, "o", "-"),
    "EchoCoTr": Look(ORANGE, "s", "--"),
    "AdaCon": Look(GREEN, "^", "-."),
    "EchoNet-Dynamic": Look(PURPLE, "D", ":"),
    "UVT": Look(SKY, "v", "--"),
    "EchoGraphs": Look(AMBER, "P", "-."),
    "L1 end to end": Look(BLACK, "X", ":"),
    "Rank-N-Contrast": Look(SKY, "<", "-"),
    "SupReMix": Look(PURPLE, ">", "--"),
    "ConR": Look(AMBER, "d", "-."),
    "RankSim": Look(GREEN, "p", ":"),
    "Ordinal Entropy": Look(ORANGE, "h", "-"),
    "EchoCardMAE": Look(BLACK, "*", "--"),
}
"""By name: a system's protocols and recipes look alike, and so does what starts from its encoder."""
OTHER = Look(GREY, "o", "-")


def look(system: str) -> Look:
    """How a system is drawn, given its name, the title of one of its rows, or of a row that starts from it."""
    for name, known in LOOKS.items():
        if re.match(rf"{re.escape(name)}(,|$)|.* from {re.escape(name)}$", system):
            return known
    return OTHER


def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes ``name.png`` and ``name.svg`` into ``folder``."""
    save_png(figure, folder / f"{name}.png")
    with mpl.rc_context(STYLE):  # its hash salt makes the ids inside an SVG the same each time
        replace_file(folder / f"{name}.svg", lambda path: figure.savefig(path, format="svg", metadata={"Date": None}))


def save_png(figure: Figure, path: Path) -> None:
    """Writes one PNG file, whatever the suffix of ``path``."""
    replace_file(path, lambda partial: figure.savefig(partial, format="png", dpi=150, metadata={"Software": None}))


def shown(figure: Figure, folder: Path, name: str) -> Any:
    """Saves a figure as `save` does and returns its SVG as a cell's output, an ``IPython.display.SVG``."""
    from IPython.display import SVG

    save(figure, folder, name)
    return SVG(folder / f"{name}.svg")


def shown_png(figure: Figure, path: Path) -> Any:
    """Saves a figure as `save_png` does and returns it as a cell's output, an ``IPython.display.Image``."""
    from IPython.display import Image

    save_png(figure, path)
    return Image(path)
