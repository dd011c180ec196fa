"""Batches on the device, fetched while the one before is trained on, and how long the trainer waited for them.

While a step runs, the next batch is read, stacked and brought to the device by one thread; on a GPU the copy is made
from page-locked memory on a stream of its own, and random crops are cut there. The thread draws no random number, and
hands over the same batches in the same order as the loader alone.

    feed = Feed(loader, device)
    for batch in feed:
        ...
    feed.waited  # seconds
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from coreecho.batches import Batch
from coreecho.clips import shift_on_device
from coreecho.loading import ClipDataset

Fetched = tuple[Batch, torch.cuda.Event | None]
"""A batch, and what the device has to have done before it may be used."""


class Feed:
    """One pass after another over a loader, its batches on a device."""

    def __init__(self, loader: DataLoader[Batch], device: torch.device | str) -> None:
        """Fetches nothing yet."""
        self.loader, self.device = loader, torch.device(device)
        self.waited = 0.0
        """Seconds that the latest pass kept its consumer waiting."""
        dataset: object = loader.dataset
        # Items that are not read but computed, by a network that trains meanwhile or with other processes, are fetched
        # when they are asked for. Loader processes are ahead by themselves where there is no copy to a GPU.
        self._ahead = isinstance(dataset, ClipDataset) and (self._on_gpu or not loader.num_workers)

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        """One pass; if it is left early, what was begun is waited for and dropped."""
        self.waited = 0.0
        with closing(self._batches()) as batches:
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                self.waited += time.perf_counter() - began
                if batch is None:
                    return
                yield batch

    def _batches(self) -> Generator[Batch]:
        source = iter(self.loader)
        stream = torch.cuda.Stream(self.device) if self._on_gpu else None
        if not self._ahead:
            while (fetched := self._fetch(source, stream)) is not None:
                yield self._ready(*fetched)
            return
        with ThreadPoolExecutor(1, "feed") as thread:
            coming = thread.submit(self._fetch, source, stream)
            while (fetched := coming.result()) is not None:
                coming = thread.submit(self._fetch, source, stream)
                yield self._ready(*fetched)

    def _fetch(self, source: Iterator[Batch], stream: torch.cuda.Stream | None) -> Fetched | None:
        """The next batch on its way to the device."""
        batch = next(source, None)
        if batch is None:
            return None
        if stream is None:
            return _cropped(batch), None
        with torch.cuda.stream(stream):  # and on its GPU, which a thread has to be told
            pinned = batch if batch.clips.is_pinned() else batch.pin_memory()
            return _cropped(pinned.mapped(lambda x: x.to(self.device, non_blocking=True))), stream.record_event()

    def _ready(self, batch: Batch, copied: torch.cuda.Event | None) -> Batch:
        """The batch once it may be used by what the consumer starts on the device from now on."""
        if copied is None:
            return batch
        current = torch.cuda.current_stream(self.device)
        current.wait_event(copied)

        def mark(x: Tensor) -> Tensor:
            x.record_stream(current)  # else its memory could be given to the next copy while a kernel still reads it
            return x

        return batch.mapped(mark)


def _cropped(batch: Batch) -> Batch:
    """The batch with the random crops that were left for the device."""
    if batch.shifts is None:
        return batch
    return dataclasses.replace(batch, clips=shift_on_device(batch.clips, batch.shifts, batch.fill), shifts=None)
