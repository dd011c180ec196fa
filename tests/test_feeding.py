"""Feeding: the loader's own batches, one ahead, cropped on the device, and nothing left behind."""

import random
import threading
import time

import numpy as np
import pytest
import torch

from coreecho.batches import Batch, Item
from coreecho.bench import feeding as bench
from coreecho.clips import random_starts
from coreecho.errors import VideoError
from coreecho.feeding import Feed
from coreecho.loading import ClipDataset, make_loader
from coreecho.settings import ClipSettings

CLIP = ClipSettings(frames=8, stride=2, size=32, pad=3)


def items(phantom_data, **options):
    return ClipDataset(
        phantom_data.split("train"), CLIP, random_starts(CLIP, 2, 0), augment=True, padding="grey", **options
    )


def pass_over(batches, epoch=1):
    """Everything a pass gives, in order."""
    loader = getattr(batches, "loader", batches)
    loader.batch_sampler.epoch = epoch
    return [(each.videos, each.starts, each.labels.tolist(), each.clips.numpy().tobytes()) for each in batches]


def feeding_threads():
    return [each for each in threading.enumerate() if each.name.startswith("feed")]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("crop_on_device", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_feed_gives_the_loaders_batches_epoch_after_epoch(phantom_data, workers, crop_on_device):
    plain = make_loader(items(phantom_data), 3, shuffle=True)
    fed = items(phantom_data, crop_on_device=crop_on_device)
    feed = Feed(make_loader(fed, 3, shuffle=True, workers=workers), "cpu")
    assert len(feed) == len(plain) == 3
    for epoch in (0, 1):
        assert pass_over(feed, epoch) == pass_over(plain, epoch)


def test_crops_left_for_the_device_are_made_once(phantom_data):
    loader = make_loader(items(phantom_data, crop_on_device=True), 8)
    (raw,), (fed,) = list(loader), list(Feed(loader, "cpu"))
    assert raw.shifts.shape == (8, 2, 2)
    assert not torch.equal(raw.clips, fed.clips)
    assert fed.shifts is None


def test_the_next_batch_is_fetched_while_one_is_used(phantom_data, monkeypatch):
    asked = threading.Semaphore(0)
    original = ClipDataset.__getitem__

    def counted(self, key):
        asked.release()
        return original(self, key)

    monkeypatch.setattr(ClipDataset, "__getitem__", counted)
    for _ in Feed(make_loader(items(phantom_data), 8), "cpu"):  # one batch
        assert all(asked.acquire(timeout=10) for _ in range(8))
    source = iter(Feed(make_loader(items(phantom_data), 2), "cpu"))
    next(source)
    assert all(asked.acquire(timeout=10) for _ in range(4))  # the second batch too, though nobody has asked for it
    source.close()


@pytest.mark.parametrize("taken", [1, 2, 4])
def test_a_consumer_that_stops_leaves_no_thread_and_can_start_again(phantom_data, taken):
    loader = make_loader(items(phantom_data), 2)
    expected, feed = pass_over(loader), Feed(loader, "cpu")
    for number, _ in enumerate(feed, 1):
        assert feeding_threads()
        if number == taken:
            break
    assert not feeding_threads()
    assert pass_over(feed) == expected


def test_a_consumer_that_fails_leaves_no_thread(phantom_data):
    def use():
        for _ in Feed(make_loader(items(phantom_data), 2), "cpu"):
            raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # bare on purpose
        use()
    del caught  # the traceback holds the loop's frame
    assert not feeding_threads()


def test_an_error_while_fetching_reaches_the_consumer(phantom_data, tmp_path, monkeypatch):
    def broken(self, key):
        if key[1] == 5:
            raise VideoError("SYN5.avi: damaged")
        return original(self, key)

    original = ClipDataset.__getitem__
    monkeypatch.setattr(ClipDataset, "__getitem__", broken)
    seen = []
    with pytest.raises(VideoError, match=r"SYN5\.avi") as caught:
        seen.extend(batch.videos for batch in Feed(make_loader(items(phantom_data), 2), "cpu"))
    assert len(seen) == 2
    del caught
    assert not feeding_threads()


def test_no_random_stream_of_the_process_is_touched(phantom_data):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert len(pass_over(Feed(make_loader(items(phantom_data, crop_on_device=True), 4, shuffle=True), "cpu"))) == 2
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


class Computed(torch.utils.data.Dataset):
    """Items that are made by whoever asks, which has to be the trainer's own thread."""

    seed = 0

    def __len__(self):
        return 5

    def __getitem__(self, key):
        assert threading.current_thread() is threading.main_thread()
        return Item(torch.full((2, 7), float(key[1]), dtype=torch.bfloat16), 50.0, f"v{key[1]}", (0, 4))


def test_items_that_are_computed_are_asked_for_by_the_consumer(phantom_data):
    batches = list(Feed(make_loader(Computed(), 2), "cpu"))
    assert [tuple(batch.clips.shape) for batch in batches] == [(2, 2, 7), (2, 2, 7), (1, 2, 7)]
    assert batches[1].clips.dtype == torch.bfloat16
    assert batches[1].clips[:, 0, 0].tolist() == [2.0, 3.0]


def test_only_the_time_that_the_consumer_waited_counts(phantom_data, monkeypatch):
    """The clock is the test's own: fetching takes 5, using a batch 100."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Slow(Computed):
        def __getitem__(self, key):
            now[0] += 5
            return super().__getitem__(key)

    feed = Feed(make_loader(Slow(), 2), "cpu")
    for _ in range(2):  # each pass is counted from nought
        for _ in feed:
            now[0] += 100
        assert feed.waited == 25


def test_a_batch_changes_all_its_tensors_alike():
    clips, extra = torch.zeros(1, 3, 2, 4, 4, dtype=torch.uint8), {"wall": torch.zeros(4, 4)}
    batch = Batch.collate([Item(clips, 1.0, "a", (0,), ((1, 2),), (9, 9, 9), extra, ((2, 1, 2),))])
    moved = batch.mapped(lambda x: x + 1)
    assert (moved.clips.unique().tolist(), moved.labels.tolist(), moved.shifts.tolist()) == ([1], [2.0], [[[2, 3]]])
    assert torch.equal(moved.extra["wall"], torch.ones(1, 4, 4))
    assert moved.windows.tolist() == [[[3, 2, 3]]]
    assert (moved.videos, moved.starts, moved.fill) == (("a",), ((0,),), (9, 9, 9))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("workers", [0, 2])
def test_on_a_gpu_batches_are_the_same_and_there(phantom_data, workers):
    plain = list(make_loader(items(phantom_data), 3, shuffle=True))
    fed = Feed(make_loader(items(phantom_data, crop_on_device=True), 3, shuffle=True, workers=workers), "cuda")
    for _ in range(2):
        found = []
        for batch in fed:
            assert batch.clips.is_cuda
            assert batch.labels.is_cuda
            found.append(batch.clips.clone())
            torch.cuda._sleep(10_000_000)  # the copies run ahead of the device's work
        assert all(torch.equal(a.clips, b.cpu()) for a, b in zip(plain, found, strict=True))


@pytest.mark.parametrize("each", [bench.bench_feeding, bench.bench_feeding_pack], ids=lambda each: each.name)
def test_the_benchmark_measures_a_share_and_reads_what_it_should(each):
    with each.prepare(videos=4) as sides:
        assert all(0 < share < 100 for share in (sides.literal(), sides.ours()))
