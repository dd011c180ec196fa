"""The left ventricle outlined frame by frame, and the beats that its area shows (Ouyang et al. 2020; Table 1).

A network learns from the two traced frames of each training video. A trained one gives the ventricle's area in every
frame of a video; where it is least there is a systole, and a clip centred on it is one beat.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.signal import find_peaks
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset as TorchDataset

from coreecho import distributed
from coreecho.batches import Batch, Item
from coreecho.clips import Frames, fit, legal_starts, normalise
from coreecho.datasets import Study
from coreecho.datasets.tracings import fill, read_tracings
from coreecho.distributed import gather
from coreecho.errors import DataError
from coreecho.loading import ClipDataset
from coreecho.model import CoReEcho
from coreecho.objectives import Losses, Objective, flatten_views
from coreecho.plan import Plan
from coreecho.settings import ClipSettings
from coreecho.study_video import packed_frames, read_study
from coreecho.video import read_video

Area = NDArray[np.int64]
Trim = Literal["power", "quantile"]

CHUNK = 64
"""Frames in one forward pass."""
DISTANCE = 20
"""Fewest frames from one systole to the next, where a clip spans `SPAN` of them."""
SPAN = 64
"""Frames that a published clip spans: 32 at stride 2."""
PROMINENCE = 0.5
"""Least depth of a systole as a share of the range of areas."""
TRIM: Trim = "power"
"""Which areas are the ends of that range. The published code takes those at the places n ** 0.05 and n ** 0.95 of n
sorted areas, where quantiles (0.05 n and 0.95 n) were probably meant: for 100 frames, places 1 and 79."""


class TracedFrames(TorchDataset[Item]):
    """The two traced frames of each video, end-diastole first, with the ventricle's outline; without augmentation.

    They are the same in every epoch, so they are decoded once and kept (75 kB a video at 112 x 112).
    """

    def __init__(self, plan: Plan, studies: Sequence[Study]) -> None:
        """Takes those of ``studies`` that have tracings.

        Raises:
            DataError: none has, or the file is missing or damaged.
        """
        assert plan.data is not None
        self.tracings = read_tracings(plan.data.root, [study.id for study in studies])
        traced = [study for study in studies if study.id.lower() in self.tracings]
        if not traced:
            raise DataError(f"{plan.data.root}: no video of a split is traced, and outlines are learnt from tracings")
        self.seed = plan.run.seed
        frame = ClipSettings(frames=1, stride=1, size=plan.clip.size, pad=0)
        self.frames = ClipDataset(traced, frame, self._starts, seed=self.seed, cache_bytes=0)
        self._kept: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Clips (2, 3, 1, H, W) and ``extra``: ``ventricle`` (2, H, W) uint8, 1 inside."""
        index = key[1]
        if index not in self._kept:
            study, size = self.frames.studies[index], self.frames.clip.size
            outlines = self.tracings[study.id.lower()].outlines
            inside = np.stack([fill(outline, _picture(study), size) for outline in outlines]).astype(np.uint8)
            item = self.frames[0, index]
            self._kept[index] = dataclasses.replace(item, extra={"ventricle": torch.from_numpy(inside)})
        return self._kept[index]

    def _starts(self, video: str, frames: int, epoch: int) -> tuple[int, int]:
        traced = self.tracings[video.lower()].frames
        if max(traced) >= frames:
            raise DataError(f"{video}: frame {max(traced)} is traced, the video has {frames}; get both files anew")
        return traced


def _picture(study: Study) -> tuple[int, int]:
    """Height and width of the picture that was traced."""
    frames = packed_frames(study) if study.pack is not None else read_video(study.path, last=0, min_frames=1).frames
    return frames.shape[1], frames.shape[2]


def outline(model: CoReEcho, frames: Tensor) -> Tensor:
    """Logits (N, H, W), above 0 where the ventricle is, of normalised frames (N, 3, H, W)."""
    segmenter = model.encoder.segmenter
    assert isinstance(segmenter, nn.Module)
    logits: Tensor = segmenter(frames)["out"][:, 0].float()
    return logits


class Outlining(Objective):
    """Binary cross-entropy of the outlines, summed over pixels and frames, mean of the two traced phases."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The segmenter alone."""
        segmenter = self.model.encoder.segmenter
        assert isinstance(segmenter, nn.Module)
        return {"segmenter": list(segmenter.parameters())}

    def forward(self, clips: Tensor, labels: Tensor, **extra: Tensor) -> Losses:
        """The summed loss; each phase has a forward pass, and so batch statistics, of its own, as published.

        Args:
            clips: (B, 2, 3, 1, H, W) uint8, end-diastole and end-systole.
            labels: (B,) not used.
            extra: ``ventricle`` (B, 2, H, W) uint8, 1 inside.
        """
        x = flatten_views(clips, labels, self.model.levels)[0].squeeze(2)  # (2 B, 3, H, W)
        phases = zip(x.chunk(2), extra["ventricle"].float().unbind(1), strict=True)
        errors = [_error(outline(self.model, frames), inside).sum((1, 2)) for frames, inside in phases]  # 2 of (B,)
        return {"outline": gather(torch.cat(errors)).sum() / 2}


def _error(logits: Tensor, inside: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, inside, reduction="none")


@torch.inference_mode()
def outline_errors(model: CoReEcho, items: TracedFrames, device: torch.device) -> pd.DataFrame:
    """How well a network outlines traced frames.

    Returns:
        One row a video: video, error (cross-entropy, mean over pixels) and dice, both means of its two frames.
    """
    training = model.training
    model.eval()
    parts = []
    for first in range(0, len(items), CHUNK // 2):
        chosen = range(first, min(first + CHUNK // 2, len(items)))
        batch = Batch.collate([items[0, index] for index in chosen])
        x = flatten_views(batch.clips.to(device), batch.labels.to(device), model.levels)[0].squeeze(2)
        inside = batch.extra["ventricle"].to(device).transpose(0, 1).flatten(0, 1).float()  # (2 B, H, W)
        logits = outline(model, x)
        found = (logits > 0).float()
        dice = 2 * (found * inside).sum((1, 2)) / (found + inside).sum((1, 2)).clamp(min=1)
        both = [each.unflatten(0, (2, -1)).mean(0).tolist() for each in (_error(logits, inside).mean((1, 2)), dice)]
        parts.append(pd.DataFrame({"video": batch.videos, "error": both[0], "dice": both[1]}))
    model.train(training)
    return pd.concat(parts, ignore_index=True)


@torch.inference_mode()
def areas(model: CoReEcho, studies: Sequence[Study], size: int, device: torch.device) -> Mapping[str, Area]:
    """The ventricle's area in pixels in every frame of each video; several processes share the videos.

    Args:
        model: whose segmenter is used, in evaluation mode; its mode is restored.
        studies: the videos.
        size: side of the square that frames are brought to.
        device: where the model is.
    """
    training = model.training
    model.eval()
    share = np.array_split(np.arange(len(studies)), distributed.world())[distributed.rank()]
    own = {studies[index].id: _area(model, studies[index], size, device) for index in share}
    model.train(training)
    return {video: area for part in distributed.gather_objects([own]) for each in part for video, area in each.items()}


def _area(model: CoReEcho, study: Study, size: int, device: torch.device) -> Area:
    frames: Frames = packed_frames(study) if study.pack is not None else read_study(study, min_frames=1).frames
    video = torch.from_numpy(fit(np.ascontiguousarray(frames), size)).permute(3, 0, 1, 2)[None]  # (1, 3, T, H, W)
    counts = []
    for part in video.split(CHUNK, dim=2):
        logits = outline(model, normalise(part.to(device), model.levels)[0].transpose(0, 1))
        counts.append((logits > 0).sum((1, 2)).cpu().numpy())
    return np.concatenate(counts).astype(np.int64)


def systoles(area: Area, distance: int = DISTANCE, trim: Trim = TRIM) -> list[int]:
    """The frames in which the ventricle is smallest, beat by beat.

    Args:
        area: (T,) pixels in each frame.
        distance: fewest frames from one to the next.
        trim: how the range of areas, of which a systole's depth is a share, leaves out extremes (`TRIM`).
    """
    ordered, last = np.sort(area), len(area) - 1
    if trim == "power":
        low, high = (ordered[min(round(len(area) ** share), last)] for share in (0.05, 0.95))
    else:
        low, high = np.quantile(ordered, (0.05, 0.95))
    return [int(peak) for peak in find_peaks(-area, distance=distance, prominence=PROMINENCE * (high - low))[0]]


def beats(area: Area, clip: ClipSettings, trim: Trim = TRIM) -> list[tuple[int, int]]:
    """Each systole of a video and the start of the clip that is centred on it, or begins with the video.

    Beats whose clip would end after the video are left out; where no other is found, the video's last clip stands for
    the first of them. The distance between systoles goes with the time that a clip spans: 20 frames where that is 64,
    as published (50 frames a second).
    """
    spanned = clip.minimum_length
    found = systoles(area, max(1, round(DISTANCE * spanned / SPAN)), trim)
    last = legal_starts(len(area), clip) - 1
    starts = [(frame, max(0, frame - spanned // 2)) for frame in found]
    return [(frame, start) for frame, start in starts if start <= last] or [(frame, last) for frame in found[:1]]
