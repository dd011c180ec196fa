"""Test-time protocols: which clips of a video are scored, and the pass that scores them (section 3; gaps B).

Predictions are kept per clip; whoever reads them averages over a video's clips before any metric is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from coreecho import distributed
from coreecho.batches import Item, joined
from coreecho.clips import MEAN, SD, StartRule, generator, legal_starts, normalise
from coreecho.datasets import Study
from coreecho.errors import DataError
from coreecho.loading import ClipDataset
from coreecho.memory import advice
from coreecho.settings import ClipSettings, Protocol

PROTOCOL_SEED = 0
"""Seed of the fixed clips: the same for all systems, so that they are scored on the same frames."""
PROTOCOL_STREAM = 2000
CHUNK = 32
"""Clips in one forward pass."""
WORDS = {
    "first": "first clip",
    "fixed3": "three fixed clips",
    "even5": "five evenly spaced clips",
    "all": "every clip",
    "beats": "one clip a detected beat",
    "beat": "the beat that the traced frames choose",
    "whole": "the whole video in one pass",
    "windows": "clips side by side over the whole video",
    "oracle": "traced ED and ES given",
}
"""Each protocol for readers, those of single systems included; see `in_words`."""


def in_words(protocol: str, resample: bool = False) -> str:
    """A protocol for readers; its own name where `WORDS` lacks it, as for a system that is added.

    Args:
        protocol: as saved with the predictions.
        resample: whether the whole sequence becomes one clip (`ClipSettings.resample`), which "first" is then.
    """
    return "the whole sequence as one clip" if resample and protocol == "first" else WORDS.get(protocol, protocol)


def protocol_starts(
    protocol: Protocol, clip: ClipSettings, official: Mapping[str, Sequence[int]] | None = None
) -> StartRule:
    """The start frames that a protocol names for a video.

    ``first``: frame 0. ``fixed3``: three distinct starts, drawn once from a fixed seed, or the ``official`` ones where
    given. ``even5``: five evenly spaced starts. ``all``: every legal start. A video with fewer legal starts than a
    protocol asks for gives all it has.
    """

    def starts(video: str, frames: int, epoch: int) -> Sequence[int]:
        legal = legal_starts(frames, clip)
        if protocol == "first":
            return [0]
        if protocol == "all":
            return range(legal)
        if protocol == "even5":
            return sorted({round(start) for start in np.linspace(0, legal - 1, 5)})
        if official is not None:
            if max(official[video]) >= legal:
                raise DataError(
                    f"{video}: start {max(official[video])} is past its last clip ({legal - 1}); other data?"
                )
            return official[video]
        chosen = generator(PROTOCOL_SEED, 0, video, PROTOCOL_STREAM).choice(legal, min(3, legal), replace=False)
        return [int(start) for start in chosen]

    return starts


def predict_clips(
    model: nn.Module,
    studies: Sequence[Study],
    clip: ClipSettings,
    starts: StartRule,
    *,
    device: torch.device | str = "cpu",
    padding: Literal["black", "grey"] = "black",
    epoch: int = 0,
    dataset: ClipDataset | None = None,
    workers: int = 0,
) -> pd.DataFrame:
    """Predictions of every clip that ``starts`` names; several processes share the videos and all get the whole table.

    Args:
        model: (B, 3, T, H, W) normalised clips -> (B,) EF in percent (or logits, see `predicted`); used in evaluation
            mode, its mode is restored.
        studies: the videos.
        clip: shape of a clip.
        starts: which clips of each video.
        device: where the model is.
        padding: of frames past the end of a video: black before, or grey (0) after normalisation.
        epoch: handed to ``starts``.
        dataset: an already made data set over the same studies, to reuse its decoded videos.
        workers: loader processes.

    Returns:
        One row per clip: video, clip (0, 1, ...), start, label and prediction (EF in percent, or as `predicted` says).
    """
    dataset = dataset or ClipDataset(studies, clip, starts, padding=padding)
    share = np.array_split(np.arange(len(dataset)), distributed.world())[distributed.rank()]
    keys = [(epoch, int(index)) for index in share]
    loader = DataLoader(dataset, sampler=keys, batch_size=8, collate_fn=list, num_workers=workers)
    training = model.training
    model.eval()
    tables = []
    for items in tqdm(loader, "scoring", unit="batch", leave=False, disable=distributed.silent()):
        tables.append(clip_table(items, _scored(model, items, device)))
    model.train(training)
    shares = distributed.gather_objects(tables)
    return pd.concat([table for share in shares for table in share], ignore_index=True)


def clip_table(items: Sequence[Item], predictions: torch.Tensor) -> pd.DataFrame:
    """One row per clip of the items, in order: video, clip (0, 1, ...), start, label and prediction (sum of V,)."""
    rows = [(item.video, view, at, item.label) for item in items for view, at in enumerate(item.starts)]
    table = pd.DataFrame(rows, columns=["video", "clip", "start", "label"])
    return table.assign(prediction=predictions.cpu().double().numpy())


def _scored(model: nn.Module, items: Sequence[Item], device: torch.device | str) -> torch.Tensor:
    """Predictions (sum of V,) of the items' clips, `CHUNK` of them at a time."""
    clips, windows = joined(items)  # (sum of V, 3, T, H, W)
    parts = [slice(at, at + CHUNK) for at in range(0, len(clips), CHUNK)]
    return torch.cat(
        [forward(model, clips[part].to(device), None if windows is None else windows[part]) for part in parts]
    )


@torch.inference_mode()
def forward(model: nn.Module, clips: torch.Tensor, windows: torch.Tensor | None = None) -> torch.Tensor:
    """One pass of a network over clips, without gradient.

    Args:
        model: as for `predict_clips`, in evaluation mode; its ``levels`` and ``task`` are taken where it has them.
        clips: (B, 3, T, H, W) uint8, where the model is; floating-point ones are normalised already.
        windows: (B, 3) a `coreecho.clips.Window` of each clip where padding is grey; none where it is black.

    Returns:
        (B,) float32, on the same device: EF in percent, or as `predicted` says.

    Raises:
        CoReEchoError: the pass does not fit into memory.
    """
    levels = getattr(model, "levels", (MEAN, SD))
    remedy = "stop other work on the device, or score on another one (--device cpu)"
    with advice(f"a pass over {len(clips)} clips of shape {tuple(clips.shape[1:])} on {clips.device}", remedy):
        x = normalise(clips, levels, windows)
        output: torch.Tensor = model(x.contiguous(memory_format=torch.channels_last_3d))
    return predicted(output.float(), getattr(model, "task", "ef"))


def predicted(output: torch.Tensor, task: str) -> torch.Tensor:
    """A network's output as what is saved: EF in percent, probability of an infarction, or number of the motion."""
    if task == "mi":
        return output.sigmoid()
    return output.argmax(dim=1).float() if task == "motion" else output
