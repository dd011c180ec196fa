"""CLAS-type regression: ten frames, six levels, one number."""

import numpy as np
import pytest
import torch

from coreecho import phantom
from coreecho.baselines.clas import NARROW, SYSTEM, WIDTHS, SpaceTimeEncoder
from coreecho.batches import Batch
from coreecho.datasets import read_camus
from coreecho.loading import ClipDataset
from coreecho.model import MLPHead
from coreecho.phantom_settings import CamusPhantomSettings
from coreecho.plan import Plan
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run
from coreecho.settings_text import override

RUN = Run(dataset="camus", method="clas", init="scratch", views="one", fold=0)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camus") / "phantom"
    phantom.write_camus(folder, CamusPhantomSettings(patients=20), workers=1, progress=False)
    profile = override(DEMO, ["phantom_camus.patients=20", "camus.clip.frames=8"])
    return Plan(run=RUN, profile=profile, data=read_camus(folder, fold=0))


def weights(module):
    return sum(each.numel() for each in module.parameters())


def test_the_full_size_network_has_the_stated_weights_and_keeps_time():
    with torch.device("meta"):
        model = SYSTEM.network(Plan(run=RUN, profile=PAPER))
        x, shapes = torch.empty(2, 3, 10, 256, 256), []
        for level in model.encoder.levels:
            level.register_forward_hook(lambda module, given, out: shapes.append(tuple(out.shape[1:])))
        assert model(x).shape == (2,)
    sides = [256, 128, 64, 32, 16, 8]
    assert shapes == [(width, 10, side, side) for width, side in zip(WIDTHS, sides, strict=True)]
    # Each level: two 3 x 3 x 3 convolutions with bias, each followed by scale and shift.
    each = [27 * b * (a + b) + 6 * b for a, b in zip((1, *WIDTHS), WIDTHS, strict=False)]
    assert weights(model.encoder) == sum(each) == 10_596_000
    assert isinstance(model.head, MLPHead)


def test_the_narrow_twin_has_the_same_structure(plan):
    model = SYSTEM.network(plan)
    assert len(NARROW) == len(WIDTHS)
    assert all(8 * narrow == wide for narrow, wide in zip(NARROW, WIDTHS, strict=True))
    assert model.encoder.width == 32
    assert model.encoder.embed(torch.rand(2, 3, 8, 32, 32)).shape == (2, 32)
    assert model.head[-1].bias.item() == pytest.approx(plan.data.mean_label)
    assert model.task == "ef"


def test_only_grey_counts_and_frames_in_their_order():
    torch.manual_seed(0)
    encoder = SpaceTimeEncoder(NARROW)  # by the batch's own statistics: random weights let a clip fade else
    x = torch.rand(2, 3, 10, 32, 32)
    grey = x.mean(1, keepdim=True).expand(-1, 3, -1, -1, -1)
    assert torch.allclose(encoder.embed(x), encoder.embed(grey), atol=1e-4)
    assert not torch.allclose(encoder.embed(x), encoder.embed(x.flip(2)), atol=1e-2)


def test_its_loss_falls_the_same_way_each_time(plan):
    (stage,) = SYSTEM.stages(plan)
    assert (stage.name, stage.views) == ("regression", "one")
    clips = ClipDataset(plan.train, plan.clip, lambda video, frames, epoch: [0])
    batch = Batch.collate([clips[0, index] for index in range(8)])
    courses = []
    for steps in (12, 3):
        torch.manual_seed(0)
        objective = stage.objective(SYSTEM.network(plan))
        assert set(objective.groups()) == {"all"}
        optimizer, course = torch.optim.AdamW(objective.groups()["all"], lr=1e-2), []
        for _ in range(steps):
            (loss,) = objective(batch.clips, batch.labels).values()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.append(loss.item())
        courses.append(course)
    assert courses[0][:3] == courses[1]
    assert np.mean(courses[0][-3:]) < 0.8 * np.mean(courses[0][:3])
