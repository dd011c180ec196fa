"""The test videos that a system misses by most, with what is known of them, as a table and as moving pictures.

The rule: the largest absolute differences of the predicted EF, averaged over seeds, from the listed one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coreecho import moving
from coreecho.clinical.scored import Scored

COUNT = 6
CAPTION = "font-size:.85em;color:inherit;font-weight:400;text-align:left;margin:0"


@dataclass(frozen=True)
class Case:
    """One test video and its EFs in percent."""

    video: str
    listed: float
    predicted: float
    """Mean over seeds."""
    by_seed: tuple[float, ...]
    true: float | None = None
    """Of a phantom."""

    def unnamed(self, number: int) -> Case:
        """The same under a number, for data sets whose file names are not for publication."""
        return dataclasses.replace(self, video=f"case {number}")

    @property
    def error(self) -> float:
        """Predicted minus listed EF in points."""
        return self.predicted - self.listed

    @property
    def reader_astray(self) -> bool:
        """Whether the prediction lies nearer to the true EF than the reader's does."""
        return self.true is not None and abs(self.predicted - self.true) < abs(self.listed - self.true)


def cases(scored: Scored, count: int = COUNT) -> list[Case]:
    """The ``count`` videos with the largest errors, largest first; of equal errors the first by name."""
    mean = scored.predictions.mean(axis=0)  # (N,)
    errors = np.abs(mean - scored.labels).round(9)  # rounding noise must not decide between equal ones
    order = np.argsort(-errors, kind="stable")[:count]
    return [
        Case(
            video=scored.videos[index],
            listed=float(scored.labels[index]),
            predicted=float(mean[index]),
            by_seed=tuple(float(value) for value in scored.predictions[:, index]),
            true=None if scored.truth is None else float(scored.truth[index]),
        )
        for index in order
    ]


def table(found: Sequence[Case]) -> pd.DataFrame:
    """One line per case: listed, predicted and, of a phantom, true EF."""
    lines = []
    for case in found:
        line = {"Video": case.video, "Listed EF (%)": f"{case.listed:.1f}"}
        if case.true is not None:
            line["True EF (%)"] = f"{case.true:.1f}"
        line |= {
            "Predicted EF (%), mean": f"{case.predicted:.1f}",
            "by seed": ", ".join(f"{value:.1f}" for value in case.by_seed),
            "Error": f"{case.error:+.1f}",
        }
        lines.append(line)
    return pd.DataFrame(lines)


def players(found: Sequence[Case], frames: Mapping[str, NDArray[np.uint8]], fps: float) -> str:
    """HTML of the cases as moving pictures side by side, each with its EFs under it.

    Args:
        found: the cases.
        frames: grey frames (T, S, S) of each of their videos.
        fps: frames shown in a second.

    Raises:
        RecordError: frames of the wrong shape.
    """
    figures = []
    for case in found:
        true = "" if case.true is None else f", true {case.true:.1f}"
        told = f"listed EF {case.listed:.1f}{true}, predicted {case.predicted:.1f} %"
        player = moving.element(frames[case.video], f"Test video {case.video}, {told}", fps=fps)
        caption = f"<strong>{escape(case.video)}</strong>: {told} ({case.error:+.1f})"
        figures.append(
            f'<figure style="margin:0;max-width:192px">{player}'
            f'<figcaption style="{CAPTION}">{caption}</figcaption></figure>'
        )
    return f'<div class="clinical-cases" style="display:flex;flex-wrap:wrap;gap:1.2rem">{"".join(figures)}</div>'
