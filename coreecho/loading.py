"""Studies -> batches of uint8 clips: one decode per item, an epoch-indexed sampler, a bounded memory cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from coreecho import distributed
from coreecho.batches import BLACK, Batch, Item
from coreecho.clips import (
    AFFINE_STREAM,
    CROP_STREAM,
    GREY,
    Frames,
    StartRule,
    assemble,
    crop_shift,
    fit,
    frames_shown,
    generator,
)
from coreecho.datasets import Study
from coreecho.errors import VideoError
from coreecho.sequences import random_affine, whole_clip
from coreecho.settings import ClipSettings
from coreecho.study_video import packed_frames, read_study
from coreecho.video import read_video
from coreecho.video.containers import inspect_avi
from coreecho.video.excerpt import read_pictures
from coreecho.video.read import kind_of

CACHE_BYTES = 2 * 1024**3
"""Decoded videos a data set keeps in memory, per loader process; beyond it they are read anew."""
SEQUENCES = 1024
"""Whole sequences (CAMUS, HMC-QU) kept in memory for all folds together."""


class ClipDataset(TorchDataset[Item]):
    """Studies -> items. Indexed by (epoch, index), so that loader workers need no state of their own.

    Each video is decoded once per item, however many clips are cut from it. It is kept whole while there is room in
    memory; beyond that only the frames that the clips show are decoded, where the file allows it (Motion-JPEG).
    """

    def __init__(
        self,
        studies: Sequence[Study],
        clip: ClipSettings,
        starts: StartRule,
        *,
        seed: int = 0,
        augment: bool = False,
        same_clip: bool = False,
        padding: Literal["black", "grey"] = "black",
        cache_bytes: int | None = None,
        crop_on_device: bool = False,
    ) -> None:
        """Cuts the clips that ``starts`` names; with ``same_clip`` the first one twice, cropped independently.

        With ``crop_on_device`` the items are not cropped but say how (`coreecho.feeding.Feed` does it where the network
        is). Random rotation, scale and shift (CAMUS, HMC-QU: a few hundred clips) stay on the processor.
        """
        self.studies, self.clip, self.starts = tuple(studies), clip, starts
        self.seed, self.augment, self.same_clip = seed, augment, same_clip
        self.cache_bytes = CACHE_BYTES if cache_bytes is None else cache_bytes
        self.crop_on_device = crop_on_device
        self.padding, self.fill = padding, BLACK if padding == "black" else GREY
        self._cache: dict[str, Frames] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        study, video = self.video(epoch, index)
        starts = tuple(self.starts(study.id, len(video), epoch))
        if self.same_clip:
            starts = (starts[0], starts[0])
        shifts = tuple(self.shift(epoch, study.id, view) for view in range(len(starts)))
        later = shifts if self.crop_on_device and self.augment and self.clip.pad else ()
        if self.augment and self.clip.moves:
            video = random_affine(video, self.clip, generator(self.seed, epoch, study.id, AFFINE_STREAM))
        now = [(0, 0)] * len(shifts) if later else shifts
        clips = assemble(video, starts, now, self.clip, self.fill)  # (V, 3, T, H, W)
        windows = tuple(
            (frames_shown(len(video), start, self.clip), *shift) for start, shift in zip(starts, shifts, strict=True)
        )
        item = Item(torch.from_numpy(clips), study.label, study.id, starts, later, self.fill)
        return item if self.padding == "black" else dataclasses.replace(item, windows=windows)

    def video(self, epoch: int, index: int) -> tuple[Study, Frames]:
        """A study and its frames (T, H, W, 3) uint8; where memory is short, only those this epoch shows are filled."""
        study = self.studies[index]
        kept = self._cache.get(study.id)
        return study, self._read(study, epoch) if kept is None else kept

    def shift(self, epoch: int, video: str, view: int) -> tuple[int, int]:
        """How far this view's random crop moves; nowhere without augmentation."""
        if not self.augment or not self.clip.pad:
            return 0, 0
        return crop_shift(self.clip.pad, generator(self.seed, epoch, video, CROP_STREAM + view))

    def _read(self, study: Study, epoch: int) -> Frames:
        if self.clip.resample:
            return _whole(dataclasses.replace(study, split="train"), self.clip)
        if study.pack is not None:
            return self._read_pack(study)
        if study.frames is not None or study.reverse:
            return self._keep(study, fit(read_study(study, min_frames=1).frames, self.clip.size))
        length = stored_frames(study.path)
        if length is not None and not self._has_room(length * 3 * self.clip.size**2):
            part = self._read_part(study, epoch, length)
            if part is not None:
                return part
        return self._keep(study, fit(read_video(study.path, min_frames=1).frames, self.clip.size))

    def _read_pack(self, study: Study) -> Frames:
        """The video from its pack: a view of the mapped file where its size is the clip's, which costs no memory."""
        frames = packed_frames(study)
        if frames.shape[1:3] == (self.clip.size, self.clip.size):
            return frames
        return self._keep(study, fit(np.ascontiguousarray(frames), self.clip.size))

    def _keep(self, study: Study, frames: Frames) -> Frames:
        if self._has_room(frames.nbytes):
            self._cache[study.id] = frames
            self._cached_bytes += frames.nbytes
        return frames

    def _read_part(self, study: Study, epoch: int, length: int) -> Frames | None:
        """The video with only the frames that this epoch's clips show, or nothing if the file has fewer of them."""
        offsets = self.clip.stride * np.arange(self.clip.frames)
        reached = {int(start + offset) for start in self.starts(study.id, length, epoch) for offset in offsets}
        wanted = sorted(index for index in reached if index < length)
        if not wanted:
            return np.zeros((length, self.clip.size, self.clip.size, 3), np.uint8)
        frames = read_pictures(study.path, wanted)
        if frames is None:
            try:
                frames = read_video(study.path, last=wanted[-1], only=frozenset(wanted), min_frames=1).frames
            except VideoError:  # said again, if it stands, by the whole decode that follows
                return None
        if len(frames) != len(wanted):
            return None
        video = np.zeros((length, self.clip.size, self.clip.size, 3), np.uint8)
        video[wanted] = fit(frames, self.clip.size)
        return video

    def _has_room(self, size: int) -> bool:
        return self._cached_bytes + size <= self.cache_bytes


@lru_cache(maxsize=SEQUENCES)
def _whole(study: Study, clip: ClipSettings) -> Frames:
    """A study's whole sequence as one clip, read-only, and kept for other folds, in which it has another split."""
    frames = packed_frames(study) if study.pack is not None else read_study(study, min_frames=1).frames
    made = whole_clip(frames, clip)
    made.flags.writeable = False
    return made


def stored_frames(path: Path) -> int | None:
    """The exact number of frames where a file's structure tells it, or none where only decoding can.

    It is told by a Motion-JPEG AVI whose header announces as many frames as it stores pictures (EchoNet-Dynamic).
    """
    if kind_of(path) != "avi":
        return None
    layout = inspect_avi(path)
    told = layout.intra and not layout.cut and layout.stored is not None and layout.stored == layout.announced
    return layout.stored if told else None


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) keys in an order that is a function of (seed, epoch).

    Where several processes train together, each gets its own share of every batch.
    """

    def __init__(self, length: int, batch_size: int, *, seed: int = 0, shuffle: bool, drop_last: bool) -> None:
        """Batches over ``length`` items; set ``epoch``, and ``first`` to leave out batches, before iterating."""
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.epoch = self.first = 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        whole, rest = divmod(self.length, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.arange(self.length)
        if self.shuffle:
            order = generator(self.seed, self.epoch, "batch order", 0).permutation(self.length)
        for number in range(self.first, len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            share = np.array_split(batch, distributed.world())[distributed.rank()]
            yield [(self.epoch, int(index)) for index in share]


class Items(Protocol):
    """What `make_loader` needs of a data set: items by (epoch, index)."""

    seed: int

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> Item: ...


def make_loader(
    dataset: Items, batch_size: int, *, shuffle: bool = False, drop_last: bool = False, workers: int = 0
) -> DataLoader[Batch]:
    """A loader of `Batch` objects; set ``loader.batch_sampler.epoch`` before each pass over it.

    Its ``workers`` processes stay for all passes, each two batches ahead; `coreecho.feeding.Feed` brings the batches to
    the device.
    """
    sampler = EpochSampler(len(dataset), batch_size, seed=dataset.seed, shuffle=shuffle, drop_last=drop_last)
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # its items are collated into batches
        batch_sampler=sampler,
        collate_fn=Batch.collate,
        generator=torch.Generator(),  # else the workers' seeds are drawn from the stream that dropout uses
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=workers > 0 and torch.cuda.is_available(),  # without workers, `Feed` does it
        worker_init_fn=single_threaded if workers else None,
    )


def single_threaded(_: int) -> None:
    """A loader process decodes and resizes in its one thread: OpenCV's others do not live on in a forked process."""
    cv2.setNumThreads(0)
