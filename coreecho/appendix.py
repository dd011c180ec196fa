"""Tables computed from a finished run's network, kept beside its record: embeddings, their layout, saliency.

    from coreecho import appendix
    table = appendix.kept(record, "embeddings", lambda: ...)  # reads embeddings.parquet, or makes and writes it

The book is built from these files, so that it needs neither weights nor data (Figures 1 and 3). Each carries the digest
of the record that it was made for and checksums of its content: one that was damaged, or that belongs to another
training, is refused and never quietly made anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from coreecho.batches import joined
from coreecho.clips import normalise
from coreecho.datasets import Dataset
from coreecho.embedding import umap_layout
from coreecho.errors import RecordError
from coreecho.files import replace_file
from coreecho.loading import ClipDataset
from coreecho.model import CoReEcho
from coreecho.place import Place, compute_device, load_data
from coreecho.protocols import CHUNK, predicted, protocol_starts
from coreecho.records import RECORD, Record
from coreecho.runs import weights

OWNER = b"coreecho.record"
"""Entry of a file's metadata that holds its record's digest."""
SEAL = b"coreecho.seal"
"""Entry that holds a digest of what the checksums of the file's pages leave out."""


def kept(record: Record, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table ``name`` that belongs to a record, from its file, or made and written where there is none.

    Args:
        record: the finished run.
        name: what the table is: lower-case letters, digits and hyphens.
        make: computes the table; called only where the file does not exist.

    Returns:
        The table, as read from its file both times.

    Raises:
        RecordError: the file is damaged or belongs to another record.
        CoReEchoError: it could not be written, or ``make`` failed.
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise RecordError(f"{name!r} cannot name a table beside a record; use lower-case letters, digits and hyphens")
    path, digest = record.folder / f"{name}.parquet", _digest(record)
    if not path.exists():
        _write(path, make(), digest)
    return _read(path, digest, record)


def embeddings(record: Record, place: Place) -> pd.DataFrame:
    """The embedding of every test video's first clip (gaps F): video, label, prediction and e0, e1, ... (float32).

    The prediction is the EF in percent, or the probability of an infarction. Kept as ``embeddings.parquet``.

    Raises:
        CoReEchoError: as `kept`; or there are neither weights nor data to compute them from.
    """
    return kept(record, "embeddings", lambda: _embed(record, place))


def layout(record: Record, place: Place, seed: int = 0) -> pd.DataFrame:
    """Where UMAP puts those embeddings, as video, x and y, without a unit; kept, so that the page is always the same.

    Raises:
        CoReEchoError: as `embeddings`; or there are fewer embeddings than UMAP needs.
    """

    def make() -> pd.DataFrame:
        table = embeddings(record, place)
        places = umap_layout(features(table), seed=seed)
        return pd.DataFrame({"video": table["video"], "x": places[:, 0], "y": places[:, 1]})

    return kept(record, "layout" if seed == 0 else f"layout-seed{seed}", make)


def features(table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """The embeddings in such a table as one array (N, D), float32."""
    columns = [name for name in table.columns if re.fullmatch(r"e\d+", name)]
    return table[columns].to_numpy(dtype=np.float32)


def trained(record: Record, place: Place) -> tuple[CoReEcho, Dataset, torch.device]:
    """A record's network in evaluation mode, its data, and the device that the network is on.

    Raises:
        CoReEchoError: the data are missing; the weights are too and cannot be made again.
    """
    device = compute_device(place.device)
    model = CoReEcho.from_checkpoint(weights(record.run, record.profile, place))
    data, about = load_data(record.run, record.profile, place)
    if about["fingerprint"] != record.data["fingerprint"]:
        raise RecordError(f"{record.folder}: was run on other data than those found now; name their folder")
    return model.to(device).eval(), data, device


@torch.inference_mode()
def _embed(record: Record, place: Place) -> pd.DataFrame:
    model, data, device = trained(record, place)
    clip, padding = record.profile.clip_settings(record.run), record.profile.recipe(record.run).padding
    dataset = ClipDataset(data.split("test"), clip, protocol_starts("first", clip), padding=padding, cache_bytes=0)
    tables = []
    for first in range(0, len(dataset), CHUNK):
        items = [dataset[index] for index in range(first, min(first + CHUNK, len(dataset)))]
        clips, windows = joined(items)
        inputs = normalise(clips.to(device), model.levels, windows)  # (B, 3, T, H, W)
        vectors = model.embed(inputs.contiguous(memory_format=torch.channels_last_3d))
        answers = predicted(model.head(vectors).squeeze(1).float(), model.task).cpu().double().numpy()
        known = {"video": [item.video for item in items], "label": [item.label for item in items]}
        values = vectors.float().cpu().numpy()  # (B, D)
        columns = pd.DataFrame(values, columns=[f"e{number}" for number in range(values.shape[1])])
        tables.append(pd.concat([pd.DataFrame({**known, "prediction": answers}), columns], axis=1))
    return pd.concat(tables, ignore_index=True)


def _digest(record: Record) -> str:
    try:
        return str(json.loads((record.folder / RECORD).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RecordError(f"{record.folder / RECORD}: not a complete record; restore it or run it again") from None


def _write(path: Path, table: pd.DataFrame, digest: str) -> None:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    owned = {OWNER: digest.encode(), SEAL: _seal(arrow).encode()}
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **owned})
    replace_file(path, lambda part: pq.write_table(arrow, part, compression="zstd", write_page_checksum=True))


def _read(path: Path, digest: str, record: Record) -> pd.DataFrame:
    try:
        arrow = pq.read_table(path, page_checksum_verification=True)
        facts = arrow.schema.metadata or {}
        if OWNER in facts and facts.get(SEAL) != _seal(arrow).encode():
            raise ValueError("another seal")
        table: pd.DataFrame = arrow.to_pandas()
    except Exception as error:  # the library raises nearly any type on a damaged file
        raise RecordError(f"{path}: damaged ({type(error).__name__}); restore it, or remove it to compute it") from None
    owner = facts.get(OWNER, b"").decode(errors="replace")
    if owner != digest:
        told = "another record's" if owner else "not written by this package"
        raise RecordError(f"{path}: {told}, not that of {record.key}; restore it, or remove it to compute it")
    return table


def _seal(arrow: pa.Table) -> str:
    """SHA-256 (hex) over the columns' names, the number of rows and how pandas reads them."""
    told = (arrow.schema.metadata or {}).get(b"pandas", b"")
    return hashlib.sha256(repr((arrow.column_names, arrow.num_rows, told)).encode()).hexdigest()
