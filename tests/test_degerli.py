"""Degerli 2021: the wall outlined, six displacements, a support vector machine."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY

from coreecho import checkpoints, phantom
from coreecho.baselines import walls
from coreecho.baselines.degerli import NARROW, SYSTEM, WIDTHS, UNet, on_boundary, score
from coreecho.batches import Batch
from coreecho.datasets import read_hmcqu
from coreecho.errors import CheckpointError
from coreecho.phantom_settings import HmcquPhantomSettings
from coreecho.plan import Plan
from coreecho.profiles import PAPER
from coreecho.settings import Run
from coreecho.settings_text import override

RUN = Run(dataset="hmcqu", method="degerli", init="scratch", views="one", fold=0)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hmcqu") / "phantom"
    phantom.write_hmcqu(folder, HmcquPhantomSettings(echos=40), workers=1, progress=False)
    profile = override(TINY, ["phantom_hmcqu.echos=40", "hmcqu.clip.size=32"])
    return Plan(run=RUN, profile=profile, data=read_hmcqu(folder, fold=0))


def weights(module):
    return sum(each.numel() for each in module.parameters())


def test_the_full_size_network_has_the_stated_weights():
    with torch.device("meta"):
        model = SYSTEM.network(Plan(run=RUN, profile=PAPER))
        assert model.encoder.segmenters["unet"](torch.empty(2, 3, 224, 224)).shape == (2, 224, 224)
    # Each level: two 3 x 3 convolutions with scale and shift; each rise: a 2 x 2 transposed convolution with bias.
    down = sum(9 * b * (a + b) + 4 * b for a, b in zip((3, *WIDTHS), WIDTHS, strict=False))
    up = sum(4 * a * b + b + 9 * b * (2 * b + b) + 4 * b for a, b in zip(WIDTHS[1:], WIDTHS, strict=False))
    assert weights(model.encoder) == down + up + WIDTHS[0] + 1 == 7_763_041


def test_the_narrow_twin_has_the_same_structure(plan):
    model = SYSTEM.network(plan)
    assert weights(model.encoder) == 486_553
    assert model.task == "mi"
    assert model.encoder.width == 6
    unet = UNet(NARROW)
    x = torch.rand(2, 3, 48, 48)
    assert unet(x).shape == (2, 48, 48)
    assert [len(unet.down), len(unet.up)] == [len(WIDTHS), len(WIDTHS) - 1]


def test_points_lie_on_the_outline():
    side = np.stack([100 + 20 * np.sin(np.arange(200) / 60), np.arange(200.0)[::-1]], axis=1)
    points = on_boundary(side)
    assert points.shape == (3, 5, 2)
    rows = points[..., 1]
    assert np.allclose(points[..., 0], 100 + 20 * np.sin((199 - rows) / 60), atol=0.01)


def told(plan, seen):
    """`measure_fold` with the numbers that ``seen`` gives for a label, in place of networks and pictures."""

    def measure(model, _, device):
        test = plan.data.split("test")
        table = pd.DataFrame([(each.id, 0, 0, each.label, 1.0) for each in test])
        table.columns = ["video", "clip", "start", "label", "dice"]
        train, unseen = (np.stack([seen(each.label) for each in studies]) for studies in (plan.train, test))
        return walls.Fold(train=train, labels=np.array(plan.labels, dtype=int), test=unseen, table=table)

    return measure


def test_the_machine_tells_walls_that_move_from_those_that_do_not(plan, monkeypatch):
    rng = np.random.default_rng(0)
    ring = lambda label: rng.normal(0.3, 0.01, 6) + (0.2 * rng.choice([-1, 1]) if label else 0)  # noqa: E731
    monkeypatch.setattr("coreecho.baselines.degerli.measure_fold", told(plan, ring))
    table = score(None, plan, torch.device("cpu"))
    assert ((table["prediction"] >= 0.5) == (table["label"] == 1)).all()  # no line would part them
    assert table["prediction"].between(0, 1).all()


def test_a_run_learns_is_scored_and_kept(plan, tmp_path):
    torch.manual_seed(0)
    model = SYSTEM.network(plan)
    (stage,) = SYSTEM.stages(plan)
    items, objective = stage.items(plan), stage.objective(model)
    optimizer = torch.optim.AdamW(objective.groups()["unet"], lr=1e-2, weight_decay=0)
    for step in range(30):
        batch = Batch.collate([items[0, index] for index in range(step % 13, len(items), 29)])
        (loss,) = objective(batch.clips, batch.labels, **batch.extra).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    first, again = (SYSTEM.score(model, plan, torch.device("cpu")) for _ in range(2))
    assert first.equals(again)
    assert list(first["video"]) == [study.id for study in plan.data.split("test")]
    assert set(first["protocol"]) == {"first"}
    assert first["dice"].mean() > 0.5
    assert not model.encoder.typical.eq(0).any()  # medians of what was measured
    info = checkpoints.save(model, tmp_path / "model.safetensors", {"training_data": "phantom"})
    assert info.backbone == "own"
    with pytest.raises(CheckpointError, match="only its runs"):
        checkpoints.load(tmp_path / "model.safetensors")
