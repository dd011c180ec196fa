"""Figure 1: layouts of the test set's embeddings, one panel a system, coloured by listed EF (section 3; gaps F)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from coreecho import appendix
from coreecho.continuity.measures import layout_trustworthiness
from coreecho.errors import RecordError
from coreecho.experiments import all_rows
from coreecho.figures.style import GREY, STYLE
from coreecho.place import Place
from coreecho.records import Record
from coreecho.tables import column_label

PALETTE = "cividis"
"""Colour map of EF: even steps of lightness, the same for readers with and without colour vision."""


def embedding_panels(records: Mapping[str, Record], layouts: Mapping[str, pd.DataFrame]) -> Figure:
    """One panel a system with a point for each test video, under one scale of colours.

    Axes have neither ticks nor a common scale, since the coordinates of a layout have no unit and cannot be compared.

    Args:
        records: one a system, by row name, all of one profile and seed.
        layouts: by row name, the columns video, x and y.

    Raises:
        RecordError: a layout is not of its record's test videos, or the records differ in profile, data or seed.
    """
    points = {name: _with_labels(record, layouts[name]) for name, record in records.items()}
    title = _title(records)
    labels = np.concatenate([table["label"].to_numpy(dtype=np.float64) for table in points.values()])
    scale = Normalize(float(labels.min()), float(labels.max()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(points) + 0.9, 3.5), layout="constrained")
        panels = figure.subplots(1, len(points), squeeze=False)[0]
        for panel, (name, table) in zip(panels, points.items(), strict=True):
            # A thin edge keeps the lightest points visible on the white page.
            look: Any = {"s": 20, "cmap": PALETTE, "norm": scale, "edgecolors": GREY, "linewidths": 0.3}
            shown = panel.scatter(table["x"], table["y"], c=table["label"], **look)
            panel.set(title=all_rows()[name].system, xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color=GREY, linewidth=0.6)  # a frame keeps the panels apart
        figure.colorbar(shown, ax=list(panels), label="listed EF (%)", fraction=0.05, pad=0.02)
        figure.suptitle(title)
    return figure


def trusted(records: Mapping[str, Record], layouts: Mapping[str, pd.DataFrame], place: Place) -> pd.DataFrame:
    """How far neighbours in each layout are neighbours in the embedding that it pictures, by row name, for readers.

    Raises:
        RecordError: a layout is not of the record's test videos, or the embeddings cannot be read.
    """
    lines = []
    for name, record in records.items():
        vectors = appendix.embeddings(record, place).sort_values("video")
        points = _with_labels(record, layouts[name])  # in order of video too
        value = layout_trustworthiness(appendix.features(vectors), points[["x", "y"]].to_numpy())
        line = {"System": all_rows()[name].system, "Data": column_label(record), "Seed": str(record.run.seed)}
        lines.append(line | {"Trustworthiness": f"{value:.3f}"})
    return pd.DataFrame(lines)


def _with_labels(record: Record, layout: pd.DataFrame) -> pd.DataFrame:
    """A layout with each video's listed EF in percent, in order of video."""
    labels = record.predictions().groupby("video", sort=True, as_index=False)["label"].first()
    if sorted(layout["video"]) != list(labels["video"]):
        raise RecordError(f"{record.folder}: the layout is not of this record's test videos; compute it again")
    points: pd.DataFrame = labels.merge(layout, on="video", validate="one_to_one")
    return points


def _title(records: Mapping[str, Record]) -> str:
    """Profile, data and seed, which have to be the same in all panels."""
    titles = {f"{column_label(record)}, seed {record.run.seed}" for record in records.values()}
    if len(titles) != 1:
        raise RecordError(f"panels of one figure need one profile, data set and seed; got {'; '.join(sorted(titles))}")
    return titles.pop()
