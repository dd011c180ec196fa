"""Embeddings of a frozen encoder, each distinct clip encoded once (stage two of section 2.2; probing, section 2.3).

Where a clip starts and how it is cropped is a function of (seed, epoch, video, view), so all clips of a stage are known
before it begins. Those of whole sequences (CAMUS, HMC-QU), of validation, and of training without crops come again;
with the paper's crops few do, and clips that a random rotation, scale or shift moved never. `FrozenClips` counts them:

    kept = FrozenClips(data, epochs, model, device)
    loader = make_loader(kept if kept.worth else data, batch_size, shuffle=True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from coreecho import distributed
from coreecho.batches import Item, joined
from coreecho.clips import normalise, shift_on_device
from coreecho.datasets import Study
from coreecho.errors import CoReEchoError, VideoError
from coreecho.loading import ClipDataset, single_threaded, stored_frames
from coreecho.memory import advice
from coreecho.model import CoReEcho
from coreecho.protocols import CHUNK, clip_table, predicted
from coreecho.settings import ClipSettings
from coreecho.study_video import packed_frames, read_study

WORTH = 0.1
"""Smallest share of draws that must repeat an earlier clip; below it the plain way costs about the same."""

Source = tuple[int, int, tuple[int, ...], tuple[int, ...]]
"""Epoch, index and starts of an item, and which of its views are encoded from it."""
Spot = tuple[int, int]
"""Number of a block, and row in it."""
Draw = tuple[tuple[int, ...], tuple[Spot, ...]]
"""Starts of one video's clips in one epoch, and where their embeddings are."""


@dataclass(frozen=True)
class Agenda:
    """All draws of some epochs, and what has to be encoded for them in which order."""

    draws: dict[tuple[int, int], Draw]
    """By (epoch, index)."""
    blocks: list[list[Source]]
    """Clips that go through the encoder together. They depend on the epochs asked for alone, so that a resumed run
    finds every clip in the company that it had before, and its embedding is the same to the last bit."""
    repeated: float
    """Share of draws whose clip was drawn before."""


class FrozenClips(TorchDataset[Item]):
    """Items of a data set with embeddings (V, C_E) for clips, indexed by (epoch, index) like the data set itself.

    An embedding of 512 numbers takes 2 KB in the host's memory: 1 MB for the 500 sequences of CAMUS, and 380 MB for 25
    epochs of EchoNet-Dynamic's 7,465 training videos if no clip came again. Use it in the trainer's own process (no
    loader workers), since it runs the encoder.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        epochs: range,
        model: CoReEcho,
        device: torch.device | str = "cpu",
        *,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
        workers: int = 0,
    ) -> None:
        """Freezes nothing and encodes nothing yet.

        Args:
            dataset: gives the clips.
            epochs: numbers of all epochs of the stage, also of those that a resumed run has behind it.
            model: its encoder has to stay as it is now.
            device: where the model is.
            autocast: precision of the encoder, as in the pass that this replaces.
            workers: loader processes that decode.
        """
        self.dataset, self.epochs, self.model, self.device = dataset, epochs, model, device
        self.autocast, self.workers, self.seed = autocast, workers, dataset.seed
        self._blocks: dict[int, Tensor] = {}  # number -> (clips, C_E)
        self._ready: set[int] = set()
        self._encoder = _checksum(model)

    @cached_property
    def agenda(self) -> Agenda:
        """What is drawn in the epochs, and in which order it is encoded."""
        return agenda(self.dataset, self.epochs)

    @property
    def worth(self) -> bool:
        """Whether enough draws repeat an earlier one; nothing is read where the augmentation already says no."""
        return repeats_at_most(self.dataset, len(self.epochs)) >= WORTH and self.agenda.repeated >= WORTH

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        if epoch not in self._ready:
            self.encode(epoch)
        starts, spots = self.agenda.draws[epoch, index]
        clips = torch.stack([self._blocks[block][row] for block, row in spots])  # (V, C_E)
        study = self.dataset.studies[index]
        return Item(clips=clips, label=study.label, video=study.id, starts=starts)

    def encode(self, epoch: int) -> None:
        """Encodes what this epoch shows and no epoch before it did; several processes share the work.

        An epoch that was not announced by this call is encoded at its first item. No random number is drawn.

        Raises:
            CoReEchoError: the encoder changed since this object was made; or memory ran out.
            VideoError: as `coreecho.loading.ClipDataset`.
        """
        if not torch.equal(_checksum(self.model), self._encoder):
            raise CoReEchoError(f"epoch {epoch}: the encoder changed since FrozenClips was made; make a new one")
        used = {block for index in range(len(self)) for block, _ in self.agenda.draws[epoch, index][1]}
        missing = sorted(used - self._blocks.keys())
        if missing:
            own = missing[distributed.rank() :: distributed.world()]
            for part in distributed.gather_objects(dict(zip(own, self._pass(own), strict=True))):
                self._blocks.update(part)
        self._ready.add(epoch)

    @torch.no_grad()
    def _pass(self, blocks: Sequence[int]) -> Iterator[Tensor]:
        loader = DataLoader(
            _Clips(self.dataset),
            batch_sampler=[self.agenda.blocks[block] for block in blocks],
            collate_fn=joined,
            generator=torch.Generator(),  # else the workers' seeds are drawn from the stream that dropout uses
            num_workers=self.workers,
            worker_init_fn=single_threaded,
        )
        encoder, training = self.model.encoder, self.model.encoder.training
        encoder.eval()
        for clips, windows in loader:  # (clips of the block, 3, T, H, W) uint8; (clips of the block, 3) or none
            what = f"encoding clips of shape {tuple(clips.shape)}"
            with advice(what, "stop other work on the device, or use another one (--device cpu)"), self.autocast():
                x = normalise(clips.to(self.device), self.model.levels, windows)
                z = self.model.embed(x.contiguous(memory_format=torch.channels_last_3d))
            yield z.cpu()
        encoder.train(training)

    @torch.no_grad()
    def predictions(self, epoch: int) -> pd.DataFrame:
        """The table that `coreecho.protocols.predict_clips` makes of the data set in this epoch, by the head alone."""
        items, head = [self[epoch, index] for index in range(len(self))], self.model.head
        training = head.training
        head.eval()
        z = torch.cat([item.clips for item in items]).to(self.device)  # (sum of V, C_E)
        output = torch.cat([head(part).squeeze(1) for part in z.split(CHUNK)])
        head.train(training)
        return clip_table(items, predicted(output.float(), self.model.task))


@dataclass(frozen=True)
class _Clips(TorchDataset[Item]):
    """Sources -> the bytes (clips, 3, T, H, W) that are encoded from them; in loader workers it holds no network."""

    dataset: ClipDataset

    def __getitem__(self, source: Source) -> Item:
        epoch, index, starts, views = source
        item = self.dataset[epoch, index]
        if item.starts != starts:
            found = f"its clips start at {item.starts}, by its header at {starts}"
            raise VideoError(f"{item.video}: {found}; it was cut or damaged: copy the video again")
        clips, rows = item.clips, list(views)
        if item.shifts:  # left to the device for speed; here the clip is made once, so it does not matter where
            clips = shift_on_device(clips[None], torch.tensor([item.shifts]), item.fill)[0]
        windows = tuple(item.windows[row] for row in rows) if item.windows else ()
        return replace(item, clips=clips[rows], windows=windows)


def agenda(dataset: ClipDataset, epochs: range) -> Agenda:
    """Looks up every clip that the data set will draw in these epochs; nothing is decoded where headers tell lengths.

    A clip is told by video, start and crop; one that a random rotation, scale or shift moves, by its epoch too.
    """
    lengths = [frames_of(study, dataset.clip) for study in dataset.studies]
    moved = dataset.augment and dataset.clip.moves
    known: dict[tuple[int, ...], Spot] = {}
    draws: dict[tuple[int, int], Draw] = {}
    blocks: list[list[Source]] = []
    for epoch in epochs:
        size = CHUNK  # clips in the last block: each epoch starts a new one, so that it can be encoded alone
        for index, (study, length) in enumerate(zip(dataset.studies, lengths, strict=True)):
            starts = tuple(dataset.starts(study.id, length, epoch))
            if dataset.same_clip:
                starts = (starts[0], starts[0])
            keys = [
                (index, start, *dataset.shift(epoch, study.id, view), epoch if moved else -1)
                for view, start in enumerate(starts)
            ]
            new = tuple(view for view, key in enumerate(keys) if key not in known and key not in keys[:view])
            if new:
                if size + len(new) > CHUNK:
                    blocks.append([])
                    size = 0
                known.update({keys[view]: (len(blocks) - 1, size + row) for row, view in enumerate(new)})
                blocks[-1].append((epoch, index, starts, new))
                size += len(new)
            draws[epoch, index] = starts, tuple(known[key] for key in keys)
    count = sum(len(spots) for _, spots in draws.values())
    return Agenda(draws, blocks, (count - len(known)) / max(count, 1))


def repeats_at_most(dataset: ClipDataset, epochs: int) -> float:
    """The share of draws that can be expected to repeat, from the augmentation alone: no video is looked at.

    A clip comes again only if its crop does, and each of the ``crops`` is as likely as any other.
    """
    clip = dataset.clip
    if not dataset.augment or not (clip.pad or clip.moves) or not dataset.studies:
        return 1.0
    if clip.moves:
        return 0.0
    crops = (2 * clip.pad + 1) ** 2
    draws = epochs * (2 if dataset.same_clip else len(dataset.starts(dataset.studies[0].id, clip.minimum_length, 0)))
    return 1 - crops * (1 - (1 - 1 / crops) ** draws) / draws


def frames_of(study: Study, clip: ClipSettings) -> int:
    """How many frames the data set finds in a study; decodes it only where neither list, pack nor header tells."""
    if clip.resample:
        return clip.frames
    if study.pack is not None:
        return len(packed_frames(study))
    if study.frames is not None:
        return study.frames[1] + 1 - study.frames[0]
    told = stored_frames(study.path)
    return len(read_study(study, min_frames=1)) if told is None else told


def _checksum(model: CoReEcho) -> Tensor:
    """One sum for each of the encoder's weights and statistics; it changes with any of them."""
    return torch.stack([value.sum(dtype=torch.float64) for value in model.encoder.state_dict().values()])
