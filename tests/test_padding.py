"""Grey padding is 0 after normalisation wherever a clip leaves its video, in training, validation and test alike.

The reference does as EchoCoTr's and AdaCon's code: it normalises a whole video, then pads it by 0, then cuts.
"""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import TINY
from torch import nn
from torch.nn import functional as F

from coreecho.clips import MEAN, SD, assemble, frames_shown, normalise, random_starts, within
from coreecho.feeding import Feed
from coreecho.initial import initial_model
from coreecho.loading import ClipDataset, make_loader
from coreecho.objectives import flatten_views
from coreecho.place import Place
from coreecho.plan import Plan
from coreecho.profiles import get_profile
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.scoring import score
from coreecho.settings import ClipSettings, Run
from coreecho.stage_data import measured_levels, validation_clips
from coreecho.study_video import read_study
from coreecho.trainer import Trainer

CLIP = ClipSettings(frames=24, stride=2, size=32, pad=4)
"""Longer than the phantom's videos of 36 to 44 frames."""


def reference(frames, start, shift, clip, levels=(MEAN, SD)):
    """One clip (3, T, H, W) of a video (F, H, W, 3): normalised, padded by 0 in time and space, cut."""
    x = normalise(torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None], levels)[0]
    x = F.pad(x, (clip.pad,) * 4 + (0, start + clip.span))
    top, left = clip.pad + shift[0], clip.pad + shift[1]
    height, width = frames.shape[1:3]
    return x[:, start : start + clip.span : clip.stride, top : top + height, left : left + width]


def test_the_window_is_where_the_video_is():
    rng = np.random.default_rng(0)
    clip = ClipSettings(frames=5, stride=3, size=6, pad=3)
    for frames in (1, 12, 13, 14, 40):
        video = rng.integers(0, 256, (frames, 6, 6, 3), dtype=np.uint8)
        starts = [0, 1, 2, 14]
        shifts = [(0, 0), (3, -3), (-1, 2), (-3, 3)]
        cut = torch.from_numpy(assemble(video, starts, shifts, clip, (33, 33, 33)))
        windows = torch.tensor([(frames_shown(frames, a, clip), *b) for a, b in zip(starts, shifts, strict=True)])
        expected = torch.stack([reference(video, a, b, clip) for a, b in zip(starts, shifts, strict=True)])
        assert torch.equal(normalise(cut, windows=windows), expected)
        assert torch.equal(within(windows, (5, 6, 6)).expand_as(expected), expected != 0)


def test_normalised_clips_stay_as_they_are():
    x = torch.rand(2, 1, 3, 4, 4, 4)
    assert torch.equal(flatten_views(x, torch.zeros(2))[0], x[:, 0])


@pytest.mark.parametrize("crop_on_device", [False, True])
def test_a_batch_is_padded_after_it_was_cropped(phantom_data, crop_on_device):
    studies, rule = phantom_data.split("train"), random_starts(CLIP, 2, 1)
    data = ClipDataset(studies, CLIP, rule, augment=True, padding="grey", seed=1, crop_on_device=crop_on_device)
    (batch,) = Feed(make_loader(data, 8), "cpu")
    padded = batch.padded((MEAN, SD))
    for row, study in enumerate(studies):
        frames = read_study(study).frames
        for view, start in enumerate(batch.starts[row]):
            expected = reference(frames, start, data.shift(0, study.id, view), CLIP)
            assert torch.equal(padded.clips[row, view], expected)
            assert (expected[:, -1] == 0).all()
    assert padded.padded(((0.0,) * 3, (1.0,) * 3)) is padded


def test_black_padding_is_left_to_the_network(phantom_data):
    (batch,) = make_loader(ClipDataset(phantom_data.split("train"), CLIP, random_starts(CLIP, 1, 0)), 8)
    assert batch.windows is None
    assert batch.padded((MEAN, SD)) is batch


class Last(nn.Module):
    """A network that tells the largest number in a clip's last frame."""

    def forward(self, x):
        return x[:, :, -1].abs().amax((1, 2, 3))


def test_test_clips_end_in_zeros(phantom_data):
    studies, rule = phantom_data.split("test"), protocol_starts("all", CLIP)
    assert (predict_clips(Last(), studies, CLIP, rule, padding="grey")["prediction"] == 0).all()
    assert (predict_clips(Last(), studies, CLIP, rule)["prediction"] > 0.6).all()


def plan_of(method, data, **recipe):
    """The paper profile's own recipe of a system, with a small network, short clips and few videos."""
    paper = get_profile("paper")
    own = dataclasses.replace(
        paper.own[method], backbone="uniformer", batch_size=4, epochs=1, step_epochs=(1,), level_videos=5, **recipe
    )
    profile = dataclasses.replace(
        paper, encoder=TINY.encoder, own={method: own}, own_clips={method: CLIP}, k400="none", protocol="even5"
    )
    return Plan(run=Run(method=method, views="same-clip" if method == "adacon" else "one"), profile=profile, data=data)


@pytest.mark.parametrize("method", ["adacon", "echocotr"])
def test_the_paper_profile_pads_as_the_original(phantom_data, tmp_path, method):
    paper = get_profile("paper")
    recipe, clip = paper.own[method], paper.own_clips[method]
    assert (recipe.padding, recipe.level_videos, recipe.selection, clip.pad) == ("grey", 128, "mse", 12)
    plan = plan_of(method, phantom_data)
    model = initial_model(plan.run, plan.profile, Place(), phantom_data)
    seen = {True: [], False: []}
    embed = model.encoder.embed

    def watched(x):
        seen[model.encoder.training].extend(x.clone())
        return embed(x)

    model.encoder.embed = watched
    Trainer(model, plan, tmp_path, key="0").fit()
    levels = measured_levels(plan)
    assert model.levels == levels
    videos = {study.id: read_study(study).frames for study in phantom_data.studies}

    def found(clips, expected):
        assert len(clips) == len(expected) > 0
        for each in expected:
            assert (each[:, -1] == 0).all()
            assert any(torch.equal(each, clip) for clip in clips)

    def uncropped(studies, rule):
        starts = {study.id: rule(study.id, len(videos[study.id]), 0) for study in studies}
        return [reference(videos[name], start, (0, 0), CLIP, levels) for name in starts for start in starts[name]]

    views = 2 if method == "adacon" else 1
    train = ClipDataset(plan.train, CLIP, random_starts(CLIP, 1, 0), augment=True, seed=0)
    found(
        seen[True],
        [
            reference(videos[study.id], train.starts(study.id, len(videos[study.id]), 0)[0], shift, CLIP, levels)
            for study in plan.train
            for shift in [train.shift(0, study.id, view) for view in range(views)]
        ],
    )
    found(seen[False], uncropped(plan.val, validation_clips(plan).starts))
    seen[False].clear()
    score(model, plan, torch.device("cpu"))
    test = phantom_data.split("test")
    rules = [protocol_starts(protocol, CLIP) for protocol in ("first", "even5")]
    found(seen[False], [clip for rule in rules for clip in uncropped(test, rule)])


def test_grey_levels_are_those_of_random_clips_of_training_videos(phantom_data):
    plan = plan_of("echocotr", phantom_data)
    whole = dataclasses.replace(plan, profile=dataclasses.replace(plan.profile, own={"echocotr": every(plan)}))
    shape = ClipSettings(frames=16, stride=2, size=32)
    data = ClipDataset(plan.train, shape, random_starts(shape, 1, 0))
    pixels = torch.stack([data[index].clips[0] for index in range(len(data))]).double() / 255
    mean, sd = measured_levels(whole)
    assert mean == pytest.approx(pixels.mean((0, 2, 3, 4)).tolist(), rel=1e-12)
    assert sd == pytest.approx(pixels.std((0, 2, 3, 4), unbiased=False).tolist(), rel=1e-12)
    some = measured_levels(plan)
    assert some == measured_levels(plan) != (mean, sd)
    assert some != measured_levels(dataclasses.replace(plan, run=dataclasses.replace(plan.run, seed=1)))


def every(plan):
    """The plan's recipe, with grey levels of all training videos, be there ever so few."""
    return dataclasses.replace(plan.recipe, level_videos=128)
