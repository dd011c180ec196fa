"""A trained network's test predictions under the protocols of its profile, with the published starts where given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from coreecho import phantom
from coreecho.datasets import Dataset
from coreecho.datasets.starts import find_starts, read_starts, starts_for
from coreecho.model import CoReEcho
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.settings import ClipSettings, Profile, Run


def published_starts(data: Dataset, clip: ClipSettings, data_root: Path | None) -> Mapping[str, Sequence[int]] | None:
    """The published test starts from ``lists/`` under the data root, if the user has put them there.

    They belong to clips of 36 frames at stride 4; for any other clip, and for phantoms, starts are drawn.

    Raises:
        DataError: the file is not such a list, or lacks some of the test videos.
    """
    path = None if data_root is None else find_starts(data_root / "lists")
    fits = data.name == "echonet" and clip.span == ClipSettings().span and not (data.root / "phantom.json").exists()
    if path is None or not fits:
        return None
    return starts_for((study.id for study in data.split("test")), read_starts(path), path)


def score(
    model: CoReEcho,
    data: Dataset,
    run: Run,
    profile: Profile,
    device: torch.device,
    workers: int = 0,
    official: Mapping[str, Sequence[int]] | None = None,
) -> pd.DataFrame:
    """Test predictions per clip under the one-clip protocol and the profile's own, with the phantom's true EF."""
    clip, studies = profile.clip_settings(run), data.split("test")
    tables = []
    for protocol in dict.fromkeys(("first", profile.protocol)):
        rule = protocol_starts(protocol, clip, official)
        table = predict_clips(
            model, studies, clip, rule, device=device, padding=profile.recipe(run).padding, workers=workers
        )
        tables.append(table.assign(protocol=protocol))
    predictions = pd.concat(tables, ignore_index=True)
    if profile.phantom is not None:
        predictions["truth"] = predictions["video"].map(phantom.true_ef(data.root))
    return predictions
