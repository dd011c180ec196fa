"""Moving pictures for the book: the test clips of a run, what raises their predicted EF, and the HTML that plays them.

    from IPython.display import HTML
    from coreecho import moving
    frames, grids = moving.clip_frames(record, place), moving.saliency_grids(record, place)
    HTML(moving.element(frames[video], "Phantom video ...", fps=moving.clip_fps(record), saliency=grids[video]))

Frames and maps are kept beside the record as ``clips.parquet`` and ``saliency.parquet``, so that the book needs neither
weights nor data. With real data the frames are pictures of patients: that file may be shared on the data set's own
terms only. The player itself is ``book/_static/clips.js``; without it the page shows the frames side by side.
"""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass, field
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from coreecho.appendix import kept, trained
from coreecho.batches import joined
from coreecho.clips import normalise
from coreecho.errors import RecordError
from coreecho.explain import saliency
from coreecho.loading import ClipDataset
from coreecho.place import Place, data_fps, load_data
from coreecho.protocols import predicted, protocol_starts
from coreecho.records import Record
from coreecho.uniformer import UniFormer

Bytes = npt.NDArray[np.uint8]
KEPT_QUALITY, SHOWN_QUALITY = 90, 85
"""WebP qualities; of the phantom's clips they change a grey value by 1.4 and 2 of 255 in the mean."""
WIDEST = 16_383
"""Longest side of a WebP picture in pixels."""


@dataclass(frozen=True)
class Grid:
    """What raises the prediction of a clip, on the grid of the encoder's last feature map (gaps G)."""

    cells: npt.NDArray[np.float32] = field(repr=False)
    """(t, h, w), 0..1, scaled once over the clip; all zeros where nothing raises the prediction."""
    cell: float
    """Side of a cell in pixels of the clip; the first begins at the picture's left and upper edge."""
    prediction: float
    """EF in percent."""

    @property
    def empty(self) -> bool:
        """Whether no place of the clip raises the prediction."""
        return not self.cells.any()


def clip_frames(record: Record, place: Place) -> dict[str, Bytes]:
    """The first clip of every test video, as video name -> grey frames (T, S, S); kept as ``clips.parquet``.

    They are kept compressed, with a mean error of 1 to 2 grey values of 255, for readers and not for networks.

    Raises:
        CoReEchoError: as `appendix.kept`; or the data are missing.
    """
    table = kept(record, "clips", lambda: _make_clips(record, place))
    return {str(row["video"]): _unstrip(row["strip"], int(row["frames"])) for _, row in table.iterrows()}


def saliency_grids(record: Record, place: Place) -> dict[str, Grid]:
    """What raises the prediction of every test video's first clip (Grad-CAM); kept as ``saliency.parquet``.

    Raises:
        CoReEchoError: as `appendix.kept`; weights or data are missing, or the encoder is no UniFormer.
    """
    table = kept(record, "saliency", lambda: _make_grids(record, place))
    grids = {}
    for _, row in table.iterrows():
        levels = np.frombuffer(row["cells"], np.uint8).reshape(tuple(int(length) for length in row["shape"]))
        cells = levels.astype(np.float32) / np.float32(255)
        grids[str(row["video"])] = Grid(cells, float(row["cell"]), float(row["prediction"]))
    return grids


def clip_fps(record: Record) -> float:
    """Frames of a clip that make one second: the videos' rate by the clip's stride; 12 where no rate is known."""
    fps = data_fps(record.run, record.profile)
    return 12.0 if fps is None else fps / record.profile.clip_settings(record.run).stride


def strip(frames: Bytes, quality: int = SHOWN_QUALITY) -> bytes:
    """Frames (T, S, S) side by side as one WebP picture of T S by S pixels.

    Raises:
        RecordError: not grey frames, or too many of them for one picture.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise RecordError(f"a clip is (T, S, S) in uint8; got {frames.shape} in {frames.dtype}")
    if frames.shape[0] * frames.shape[2] > WIDEST:
        raise RecordError(f"{len(frames)} frames of {frames.shape[2]} pixels are wider than a WebP picture can be")
    return webp(np.hstack(list(frames)), quality)


def webp(picture: Bytes, quality: int) -> bytes:
    """A grey picture (H, W) as a WebP file, packed as well as the library can."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "WEBP", quality=quality, method=6)
    return data.getvalue()


def element(
    frames: Bytes,
    label: str,
    *,
    fps: float,
    saliency: Grid | npt.NDArray[np.floating] | None = None,
    cell: float | None = None,
    width: int = 192,
) -> str:
    """One player as HTML: plays, pauses and, where there is a map, shows and hides it; a still strip without script.

    Args:
        frames: grey (T, S, S).
        label: what the clip shows, for readers who cannot see it; also what the buttons are named after.
        fps: frames shown in a second.
        saliency: a `Grid`, or values 0..1 (t, h, w); each is held over T / t frames.
        cell: side of a cell of such an array in pixels; S / h if none. A `Grid` knows its own.
        width: of the player in CSS pixels; it shrinks on a narrower page.

    Raises:
        RecordError: the frames, or the map, have the wrong shape.
    """
    source = base64.b64encode(strip(frames)).decode()
    words = escape(label, quote=True)
    given = {"frames": str(len(frames)), "fps": f"{fps:g}", "width": str(width), "label": words}
    if saliency is not None:
        values = saliency.cells if isinstance(saliency, Grid) else np.asarray(saliency, dtype=np.float32)
        if values.ndim != 3 or not values.size or not np.isfinite(values).all():
            raise RecordError(f"a map is (t, h, w) and finite; got an array of shape {values.shape}")
        side = saliency.cell if isinstance(saliency, Grid) else cell or frames.shape[1] / values.shape[1]
        rounded = [[[round(float(value), 2) for value in row] for row in plane] for plane in values]
        given |= {"saliency": json.dumps(rounded, separators=(",", ":")), "cell": f"{side:g}"}
    attributes = " ".join(f'{name}="{value}"' for name, value in given.items())
    still = f'<img src="data:image/webp;base64,{source}" alt="{words}: {len(frames)} frames side by side">'
    return f"<echo-clip {attributes}>{still}</echo-clip>"


def _unstrip(data: bytes, count: int) -> Bytes:
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    return np.stack(np.hsplit(picture, count))


def _first_clips(record: Record, place: Place) -> ClipDataset:
    data, about = load_data(record.run, record.profile, place)
    if about["fingerprint"] != record.data["fingerprint"]:
        raise RecordError(f"{record.folder}: was run on other data than those found now; name their folder")
    clip, padding = record.profile.clip_settings(record.run), record.profile.recipe(record.run).padding
    return ClipDataset(data.split("test"), clip, protocol_starts("first", clip), padding=padding, cache_bytes=0)


def _make_clips(record: Record, place: Place) -> pd.DataFrame:
    dataset, rows = _first_clips(record, place), []
    for index in range(len(dataset)):
        item = dataset[index]
        frames = item.clips[0].float().mean(0).round().byte().numpy()  # (T, S, S)
        rows.append({"video": item.video, "frames": len(frames), "strip": strip(frames, KEPT_QUALITY)})
    return pd.DataFrame(rows)


def _make_grids(record: Record, place: Place) -> pd.DataFrame:
    model, _, device = trained(record, place)
    if not isinstance(model.encoder, UniFormer):
        raise RecordError(f"{record.folder}: only the cells of a UniFormer divide a clip evenly; choose another system")
    side = math.prod(model.encoder.settings.strides)
    dataset, rows = _first_clips(record, place), []
    for index in range(len(dataset)):
        item = dataset[index]
        clips, windows = joined([item])
        clip = normalise(clips.to(device), model.levels, windows)  # (1, 3, T, H, W)
        with torch.no_grad():
            prediction = float(predicted(model(clip).float(), model.task)[0])
        raises = np.maximum(saliency(model, clip, sign="raises").cells, 0)  # (t, h, w)
        levels = np.rint(255 * raises / (raises.max() or 1)).astype(np.uint8)
        known = {"video": item.video, "prediction": prediction, "cell": float(side)}
        rows.append({**known, "shape": list(levels.shape), "cells": levels.tobytes()})
    return pd.DataFrame(rows)
