"""Saeed and Yaqub's system: the video network of another run, a new head, infarctions."""

import dataclasses

import pytest
import torch
from helpers import TINY
from torch.nn import functional as F

from coreecho import checkpoints
from coreecho.baselines import ouyang
from coreecho.baselines.r2plus1d import VideoEncoder
from coreecho.baselines.saeed import SYSTEM, inherit, network
from coreecho.errors import CheckpointError
from coreecho.plan import Plan
from coreecho.profiles import get_profile
from coreecho.settings import Run

PLAN = Plan(run=Run(dataset="hmcqu", method="saeed", init="ouyang", fold=0, views="one"), profile=TINY)
ABOUT = {"training_data": "phantom, tiny profile"}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return network(PLAN)


def test_the_full_size_network_is_the_published_one_with_one_logit():
    with torch.device("meta"):
        full = network(dataclasses.replace(PLAN, profile=get_profile("paper")))
    assert sum(weight.numel() for weight in full.parameters()) == 31_300_125 + 513
    assert (full.task, full.clip.frames, full.clip.size, full.clip.crop) == ("mi", 12, 224, 0.8)


def test_it_starts_from_the_video_network_of_an_ouyang_run(model, tmp_path):
    torch.manual_seed(1)
    parent = ouyang.network(Plan(run=Run(method="ouyang"), profile=TINY))
    path = tmp_path / "model.safetensors"
    checkpoints.save(parent, path, ABOUT)
    head = model.head.weight.clone()
    assert inherit(model.encoder, path).backbone == "own"
    inherited = model.encoder.video.state_dict()
    assert all(torch.equal(value, inherited[name]) for name, value in parent.encoder.video.state_dict().items())
    assert torch.equal(model.head.weight, head)
    assert SYSTEM.inherit is inherit


def test_another_systems_weights_are_refused(model, checkpoint):
    with pytest.raises(CheckpointError, match="do not fit the network"):
        inherit(model.encoder, checkpoint)


def test_a_checkpoint_keeps_all_of_it(model, tmp_path):
    path = tmp_path / "model.safetensors"
    assert checkpoints.save(model, path, ABOUT).task == "mi"
    state = checkpoints.read_own(path, weights=True)[1]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_infarctions_are_learnt_end_to_end(model):
    (stage,) = SYSTEM.stages(PLAN)
    objective = stage.objective(model).train()
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (8, 1, 3, 12, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(8).remainder(2).float()
    first = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.AdamW(objective.groups()["all"], lr=2e-3)
    losses = []
    for _ in range(12):
        (loss,) = objective(clips, labels).values()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    assert all(not torch.equal(weight, first[name]) for name, weight in model.named_parameters())
    model.eval()
    x = torch.zeros(2, 3, 12, 32, 32)
    assert isinstance(model.encoder, VideoEncoder)
    assert torch.equal(model(x), F.linear(model.embed(x), model.head.weight, model.head.bias).squeeze(1))
