"""A frozen encoder sees each distinct clip once, and training and validation come out as if it saw all of them."""

import copy
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, sector_frames, tiny_model, write_avi
from torch.nn import functional as F

from coreecho import distributed, frozen
from coreecho.bench.frozen import bench_frozen, bench_frozen_moved
from coreecho.clips import legal_starts, normalise, random_starts
from coreecho.datasets import Study
from coreecho.errors import CoReEchoError, VideoError
from coreecho.feeding import Feed
from coreecho.frozen import FrozenClips, frames_of
from coreecho.loading import ClipDataset, make_loader
from coreecho.objectives import HeadOnly
from coreecho.protocols import predict_clips
from coreecho.study_video import read_study

EPOCHS = range(1000, 1004)
CLIP = dataclasses.replace(TINY.clip, pad=1)
WHOLE = dataclasses.replace(TINY.clip, pad=0, resample=True)
MOVED = dataclasses.replace(WHOLE, rotation=20.0, shift=0.1)


def one_of_three(video, frames, epoch):
    return [(epoch + len(video)) % 3]


def two_random(clip=CLIP):
    return random_starts(clip, 2, 0)


KINDS = {
    "no crops": lambda studies: ClipDataset(studies, CLIP, one_of_three),
    "crops": lambda studies: ClipDataset(studies, CLIP, one_of_three, augment=True),
    "crops on the device": lambda studies: ClipDataset(
        studies, CLIP, two_random(), augment=True, padding="grey", crop_on_device=True
    ),
    "two clips": lambda studies: ClipDataset(studies, CLIP, two_random(), padding="grey"),
    "one clip twice": lambda studies: ClipDataset(studies, CLIP, two_random(), same_clip=True),
    "whole sequences": lambda studies: ClipDataset(studies, WHOLE, one_of_three),
    "moved sequences": lambda studies: ClipDataset(studies, MOVED, one_of_three, augment=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def network(dtype=torch.float32, seed=0):
    """A tiny network in this precision whose encoder writes down which clips it was given."""
    model = tiny_model(seed).to(dtype)
    encoder, seen = model.encoder, []
    embed = encoder.embed

    def counted(x):
        seen.extend(digest(clip) for clip in x)
        return embed(x.to(dtype))

    encoder.embed = counted
    return model, seen


def digest(clip):
    return hashlib.sha256(clip.contiguous().numpy().tobytes()).hexdigest()


def cropped(dataset):
    """The same data set, with its crops made at once."""
    twin = copy.copy(dataset)
    twin.crop_on_device = False
    return twin


def normalised(item):
    """An item's clips as the encoder sees them."""
    return normalise(item.clips, windows=torch.tensor(item.windows) if item.windows else None)


def distinct(dataset, epochs):
    """Digests of all clips that a data set gives, each once, as the encoder sees them."""
    items = [cropped(dataset)[epoch, index] for epoch in epochs for index in range(len(dataset))]
    return sorted({digest(clip) for item in items for clip in normalised(item)})


def refine(train, val, dtype, cached):
    """Losses, head and validation predictions of a few epochs of stage two, with or without kept embeddings."""
    model, _ = network(dtype)
    objective = HeadOnly(model, F.l1_loss)
    kept = [FrozenClips(data, EPOCHS, model) for data in (train, val)] if cached else [train, val]
    optimizer = torch.optim.SGD(objective.groups()["head"], lr=0.01, momentum=0.9)
    loader = make_loader(kept[0], 4, shuffle=True)
    losses, tables = [], []
    for epoch in EPOCHS:
        loader.batch_sampler.epoch = epoch
        torch.manual_seed(epoch)
        objective.train()
        for batch in Feed(loader, "cpu"):
            batch = batch.padded(model.levels)
            loss = objective(batch.clips, batch.labels)["error"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        tables.append(kept[1].predictions(epoch) if cached else plain_table(model, val, epoch))
    return losses, dict(model.head.state_dict()), tables


def plain_table(model, data, epoch):
    return predict_clips(model, data.studies, data.clip, data.starts, epoch=epoch, dataset=data)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@every_kind
def test_kept_embeddings_change_nothing(phantom_data, kind, dtype, tolerance):
    train = KINDS[kind](phantom_data.split("train"))
    val = ClipDataset(phantom_data.split("val"), train.clip, random_starts(train.clip, 3, 7), padding="grey")
    (losses, head, tables), (own_losses, own_head, own_tables) = (
        refine(train, val, dtype, cached) for cached in (False, True)
    )
    assert own_losses == pytest.approx(losses, rel=tolerance, abs=tolerance)
    assert len(set(losses)) == len(losses), "nothing moved"
    for name, value in head.items():
        torch.testing.assert_close(own_head[name], value, rtol=tolerance, atol=tolerance)
    for own, table in zip(own_tables, tables, strict=True):
        assert own.drop(columns="prediction").equals(table.drop(columns="prediction"))
        # The table's predictions are single-precision numbers in any case.
        np.testing.assert_allclose(own["prediction"], table["prediction"], rtol=max(tolerance, 2e-7))


@every_kind
def test_each_distinct_clip_is_encoded_once(phantom_data, kind):
    data = KINDS[kind](phantom_data.split("train"))
    model, seen = network()
    kept = FrozenClips(data, EPOCHS, model)
    assert not seen
    for epoch in EPOCHS:
        for index in range(len(kept)):
            kept[epoch, index]
        assert sorted(seen) == distinct(data, range(EPOCHS.start, epoch + 1))
    for epoch in EPOCHS:
        kept.predictions(epoch)
    draws = sum(len(data[epoch, index].starts) for epoch in EPOCHS for index in range(len(data)))
    assert len(seen) == len(set(seen)) == round((1 - kept.agenda.repeated) * draws)


@every_kind
def test_items_are_the_data_sets_own_but_for_the_clips(phantom_data, kind):
    data = KINDS[kind](phantom_data.split("train"))
    model, _ = network()
    kept = FrozenClips(data, EPOCHS, model)
    model.eval()
    assert len(kept) == len(data)
    for key in [(1001, 2), (1003, 7), (1003, 2)]:
        item, expected = kept[key], cropped(data)[key]
        assert (item.label, item.video, item.starts) == (expected.label, expected.video, expected.starts)
        with torch.no_grad():
            torch.testing.assert_close(item.clips, model.embed(normalised(expected)), rtol=1e-5, atol=1e-5)
        assert not item.clips.is_inference()
        assert not item.clips.requires_grad


def untouched(count=3):
    """Studies whose files do not exist, so that whoever opens one fails."""
    return [Study(id=f"SYN{i}", path=Path(f"/nowhere/{i}.avi"), label=50.0, split="train") for i in range(count)]


def test_the_augmentation_alone_tells_when_nothing_repeats():
    model, _ = network()
    moved = ClipDataset(untouched(), MOVED, one_of_three, augment=True)
    wide = dataclasses.replace(CLIP, pad=6)
    cropped = ClipDataset(untouched(), wide, random_starts(wide, 1, 0), augment=True)
    assert not FrozenClips(moved, range(100), model).worth
    assert not FrozenClips(cropped, range(25), model).worth
    with pytest.raises(VideoError):
        FrozenClips(cropped, range(250), model).worth  # noqa: B018  # many crops repeat, so the videos decide


def test_it_is_worth_while_when_a_tenth_of_the_draws_repeats(phantom_data):
    studies = phantom_data.split("train")
    model, seen = network()
    whole, free = (ClipDataset(studies, clip, random_starts(clip, 1, 0)) for clip in (WHOLE, CLIP))
    assert FrozenClips(whole, range(2), model).worth
    assert not FrozenClips(whole, range(1), model).worth
    assert not FrozenClips(free, range(1), model).worth
    assert FrozenClips(free, range(60), model).worth  # at most 30 starts in a video of 44 frames
    assert FrozenClips(KINDS["crops"](studies), range(60), model).worth  # 27 clips of each video
    assert not FrozenClips(ClipDataset([], WHOLE, one_of_three), range(9), model).worth
    assert not seen


@every_kind
def test_a_resumed_run_finds_the_same_embeddings_to_the_last_bit(phantom_data, kind):
    studies = phantom_data.split("train")
    model, seen = network()
    whole = FrozenClips(KINDS[kind](studies), EPOCHS, model)
    first = {(epoch, index): whole[epoch, index].clips for epoch in EPOCHS for index in range(len(whole))}
    in_all = len(seen)
    seen.clear()
    resumed = FrozenClips(KINDS[kind](studies), EPOCHS, model)
    for epoch in list(EPOCHS)[:1:-1]:
        for index in range(len(resumed)):
            assert torch.equal(resumed[epoch, index].clips, first[epoch, index])
    assert len(seen) <= in_all


def test_another_encoder_needs_another_object(phantom_data):
    model, _ = network()
    data = KINDS["whole sequences"](phantom_data.split("train"))
    kept = FrozenClips(data, EPOCHS, model)
    before = kept[1000, 0].clips
    with torch.no_grad():
        model.head[2].weight.mul_(2)
    kept.encode(1001)
    with torch.no_grad():
        next(model.encoder.parameters()).mul_(2)
    with pytest.raises(CoReEchoError, match="epoch 1002: the encoder changed"):
        kept.encode(1002)
    assert not torch.allclose(FrozenClips(data, EPOCHS, model)[1000, 0].clips, before)


def test_a_changed_batch_statistic_counts_as_another_encoder(phantom_data):
    model, _ = network()
    kept = FrozenClips(KINDS["whole sequences"](phantom_data.split("train")), EPOCHS, model)
    name = next(name for name, _ in model.encoder.named_buffers() if name.endswith("running_mean"))
    model.encoder.get_buffer(name).add_(0.1)
    with pytest.raises(CoReEchoError, match="make a new one"):
        kept[1000, 0]


def test_encoding_draws_no_random_number_and_leaves_the_modes(phantom_data):
    model, _ = network()
    kept = FrozenClips(KINDS["two clips"](phantom_data.split("train")), EPOCHS, model)
    state = torch.get_rng_state()
    model.train()
    kept.encode(1000)
    kept.predictions(1000)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    model.eval()
    kept.encode(1001)
    assert not model.encoder.training


def test_loader_workers_decode_the_same_clips(phantom_data):
    model, _ = network()
    data = KINDS["two clips"](phantom_data.split("train")[:3])
    alone, helped = (FrozenClips(data, range(2), model, workers=workers) for workers in (0, 1))
    assert all(torch.equal(alone[1, index].clips, helped[1, index].clips) for index in range(3))


def test_embeddings_have_the_precision_of_the_pass_they_replace(phantom_data):
    model, _ = network()
    data = KINDS["whole sequences"](phantom_data.split("train"))

    def autocast():
        return torch.autocast("cpu", torch.bfloat16)

    found = FrozenClips(data, EPOCHS, model, autocast=autocast)[1000, 0].clips
    model.eval()
    with torch.no_grad(), autocast():
        expected = model.embed(normalise(data[1000, 0].clips))
    full = FrozenClips(data, EPOCHS, model)[1000, 0].clips
    assert found.dtype == expected.dtype
    assert (found - expected).abs().max() < 0.5 * (found - full).abs().max()


def test_processes_share_the_work_and_get_the_same_values(phantom_data, monkeypatch):
    data = ClipDataset(phantom_data.split("train"), CLIP, lambda *_: range(9))  # 72 clips: more than one block
    model, seen = network()
    alone = FrozenClips(data, range(1), model)
    expected = [alone[0, index].clips for index in range(8)]
    seen.clear()
    shares = []
    monkeypatch.setattr(distributed, "world", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "gather_objects", lambda share: shares.append(share) or [share])
        FrozenClips(data, range(1), model).encode(0)
    assert len(seen) == 72
    assert all(shares)
    monkeypatch.setattr(distributed, "gather_objects", lambda share: shares[:2])
    monkeypatch.setattr(FrozenClips, "_pass", lambda self, blocks: [torch.empty(0)] * len(blocks))
    joined = FrozenClips(data, range(1), model)
    assert all(torch.equal(joined[0, index].clips, expected[index]) for index in range(8))


def test_a_video_shorter_than_its_header_says_is_named(phantom_data, monkeypatch):
    data = ClipDataset(phantom_data.split("train"), CLIP, lambda video, frames, epoch: [legal_starts(frames, CLIP) - 1])
    monkeypatch.setattr(frozen, "frames_of", lambda study, clip: 1000)
    with pytest.raises(VideoError, match=f"{data.studies[0].id}: .* header"):
        FrozenClips(data, range(1), network()[0])[0, 0]


@pytest.mark.parametrize("name", ["video.avi", "video.mp4"])
@pytest.mark.parametrize("part", [{}, {"frames": (1, 7)}, {"frames": (1, 7), "reverse": True}, {"reverse": True}])
def test_lengths_are_those_that_decoding_finds(tmp_path, name, part):
    path = write_avi(tmp_path / name, sector_frames(12, 32, 32)[0], codec="MJPG" if name.endswith("avi") else "mp4v")
    study = Study(id="SYN", path=path, label=50.0, split="train", **part)
    assert frames_of(study, CLIP) == len(read_study(study)) == (7 if "frames" in part else 12)
    assert frames_of(study, WHOLE) == WHOLE.frames == len(ClipDataset([study], WHOLE, one_of_three)[0].clips[0][0])


@pytest.mark.parametrize("which", [bench_frozen, bench_frozen_moved], ids=lambda which: which.name)
def test_both_sides_of_the_benchmark_train_the_same_head(which):
    with which.prepare(train=16, val=3, epochs=2) as sides:
        (losses, table), (own_losses, own_table) = sides.literal(), sides.ours()
    assert own_losses == pytest.approx(losses, rel=1e-5)
    np.testing.assert_allclose(own_table["prediction"], table["prediction"], rtol=1e-5)
    assert len(set(losses)) == 2
