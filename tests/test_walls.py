"""Walls of the left ventricle: their inner boundary, its displacements, and the networks that outline them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY

from coreecho import phantom
from coreecho.baselines.arches import FEATURES, POINTS, dice, displacements, heights, inner_sides
from coreecho.baselines.degerli import NARROW, UNet, on_boundary
from coreecho.baselines.walls import MASK_SIDE, Fold, Outlining, WallEncoder, WallFrames, cycle
from coreecho.batches import Batch
from coreecho.datasets import read_hmcqu
from coreecho.errors import DataError
from coreecho.model import CoReEcho, LinearHead
from coreecho.phantom_settings import HmcquPhantomSettings
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.settings_text import override
from coreecho.study_video import read_mask

PROFILE = override(TINY, ["phantom_hmcqu.echos=20", "hmcqu.clip.size=32"])


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hmcqu") / "phantom"
    phantom.write_hmcqu(folder, HmcquPhantomSettings(echos=20), workers=1, progress=False)
    return Plan(run=Run(dataset="hmcqu", method="degerli", fold=0), profile=PROFILE, data=read_hmcqu(folder, fold=0))


def arch(left=60, right=140, top=40, foot=200, thick=12):
    """A wall of straight sides (MASK_SIDE square): its cavity has columns left..right and rows top..foot."""
    wall = np.zeros((MASK_SIDE, MASK_SIDE), bool)
    wall[top - thick : foot + 1, left - thick : right + thick + 1] = True
    wall[top : foot + 1, left : right + 1] = False
    return wall


def test_the_inner_boundary_runs_from_each_foot_up_to_the_apex():
    left, right = inner_sides(arch())
    assert tuple(left[0]) == (59, 200)
    assert tuple(right[0]) == (141, 200)
    assert (left[-1] == right[-1]).all()
    assert left[-1, 1] == 39
    assert set(left[:150, 0]) == {59}
    assert set(right[:150, 0]) == {141}


def test_the_inner_boundary_does_not_depend_on_where_the_outline_begins():
    for turns in (0, 1):  # the arch and its mirror image: the sides change places
        left, right = inner_sides(np.flip(arch(left=70), axis=1) if turns else arch(left=70))
        expected = (82, 154) if turns else (69, 141)
        assert (left[0, 0], right[0, 0]) == expected


def test_what_is_no_arch_has_no_sides():
    disc = np.hypot(*np.mgrid[-112:112, -112:112]) < 50
    for wall in (
        np.zeros((224, 224), bool),
        np.ones((224, 224), bool),
        disc,
        disc & ~(np.hypot(*np.mgrid[-112:112, -112:112]) < 30),
    ):
        assert inner_sides(wall) is None
    speck = np.zeros((224, 224), bool)
    speck[4:9, 4], speck[4:9, 7], speck[4, 4:8] = True, True, True
    assert inner_sides(speck) is None


def test_ragged_walls_are_measured_or_passed_over_but_never_break():
    rng = np.random.default_rng(0)
    smooth = torch.from_numpy(rng.normal(size=(60, 1, 224, 224)))
    noise = torch.nn.functional.avg_pool2d(smooth, 15, 1, 7)[:, 0].numpy() * 15
    found = [inner_sides(arch() ^ (layer > limit)) for layer, limit in zip(noise, np.linspace(0, 4, 60), strict=True)]
    assert found[-1] is not None
    for sides in filter(None, found):
        assert (sides[0][-1] == sides[1][-1]).all()
        assert np.isfinite(np.array([on_boundary(side) for side in sides])).all()


def test_segments_lie_at_sevenths_of_the_height_and_leave_the_apex_out():
    rows = heights(np.array([[0.0, 700.0], [10.0, 0.0]]))
    assert rows.shape == (3, POINTS)
    assert rows[:, 0].tolist() == pytest.approx([680, 480, 290])
    assert rows[:, -1].tolist() == pytest.approx([520, 320, 210])


def test_displacement_is_the_largest_of_the_cycle_over_the_inner_width():
    walls = np.stack([arch(), arch(left=68), arch(left=76), arch(left=64)])
    moved = displacements(walls, on_boundary, "mean")
    assert moved[:3].tolist() == pytest.approx([16 / 82] * 3)
    assert moved[3:].tolist() == pytest.approx([0] * 3)


def test_the_least_width_is_that_of_the_narrowest_place():
    wall = arch()
    wall[150:164, 60:81] = True
    assert not displacements(np.stack([wall, wall]), on_boundary, "least").any()
    moved = displacements(np.stack([wall, np.roll(wall, 5, axis=1)]), on_boundary, "least")
    assert moved.tolist() == pytest.approx([5 / 61] * FEATURES)


def test_frames_without_an_arch_are_passed_over():
    walls = np.stack([arch(), np.zeros_like(arch()), arch(left=68)])
    assert displacements(walls, on_boundary, "mean")[:3].tolist() == pytest.approx([8 / 82] * 3)
    assert np.isnan(displacements(walls[:2], on_boundary, "mean")).all()


def test_dice_is_one_for_equal_walls_and_the_mean_over_frames():
    wall = np.stack([arch(), arch()])
    assert dice(wall, wall) == 1
    assert dice(np.stack([arch(), np.zeros_like(arch())]), wall) == 0.5


@pytest.mark.parametrize(("counts", "folds"), [((72, 37), 5), ((9, 4), 4), ((9, 1), 2)])
def test_inner_folds_are_five_unless_a_class_is_smaller(counts, folds):
    nothing = np.zeros((0, FEATURES))
    assert Fold(nothing, np.repeat([1, 0], counts), nothing, pd.DataFrame()).inner == folds


def test_every_frame_of_the_training_cycles_is_an_item_with_its_wall(plan):
    items = WallFrames(plan)
    masks = [read_mask(study) for study in plan.train]
    assert len(items) == sum(map(len, masks))
    assert {place[0].split for place in items.places} == {"train"}
    item = items[3, len(masks[0]) + 2]  # of the second study, in whatever epoch
    assert item.video == plan.train[1].id
    assert item.clips.shape == (1, 3, 1, 32, 32)
    share = item.extra["wall"].float().mean() / 255
    assert float(share) == pytest.approx(masks[1][2].mean(), abs=2e-3)
    batch = Batch.collate([items[0, 0], items[0, 1]])
    assert batch.extra["wall"].shape == (2, 32, 32)


def test_picture_and_wall_fit_each_other(plan):
    for study in plan.train:
        frames, walls = cycle(study, MASK_SIDE)
        inside = frames.mean(axis=-1)[walls == 255].mean()
        cavity = frames.mean(axis=-1)[np.stack([_cavity(wall) for wall in walls == 255])].mean()
        assert inside > 1.4 * cavity


def _cavity(wall):
    left, right = (side.astype(int) for side in inner_sides(wall))
    inside = np.zeros_like(wall)
    for row in range(left[-1, 1] + 20, min(left[0, 1], right[0, 1]) - 20):
        inside[row, left[left[:, 1] == row][-1, 0] + 3 : right[right[:, 1] == row][-1, 0] - 3] = True
    return inside


def test_an_echo_without_an_outline_is_refused_by_name(plan):
    bare = dataclasses.replace(plan.train[0], mask=None)
    with pytest.raises(DataError, match=f"{bare.id}: no outline"):
        cycle(bare, 32)


def test_the_encoder_measures_cycles_and_fills_in_what_it_cannot_see():
    class Bright(torch.nn.Module):
        def forward(self, x):
            return x[:, 0]

    encoder = WallEncoder({"one": Bright(), "two": Bright()}, on_boundary, "mean")
    encoder.typical.copy_(torch.arange(12.0))
    walls = np.stack([arch(), arch(left=76)]).astype(np.float32) * 2 - 1
    seen = torch.from_numpy(walls)[None].expand(3, -1, -1, -1)  # (3, T, H, W)
    out = encoder.embed(torch.stack([seen, torch.full_like(seen, -1)]))
    assert out.shape == (2, 2 * FEATURES)
    assert out[0].tolist() == pytest.approx(2 * ([16 / 82] * 3 + [0] * 3))
    assert out[1].tolist() == list(range(12))


def test_the_loss_falls_and_only_the_segmenter_moves(plan):
    torch.manual_seed(0)
    model = CoReEcho(WallEncoder({"unet": UNet(NARROW)}, on_boundary, "mean"), LinearHead(FEATURES, 0.0), task="mi")
    objective = Outlining(model)
    assert set(objective.groups()) == {"unet"}
    assert {id(p) for p in objective.groups()["unet"]} == {id(p) for p in model.encoder.parameters()}
    items = WallFrames(plan)
    batch = Batch.collate([items[0, index] for index in range(0, 64, 4)])
    optimizer = torch.optim.AdamW(objective.groups()["unet"], lr=1e-2, weight_decay=0)
    losses = []
    for _ in range(25):
        (loss,) = objective(batch.clips, batch.labels, **batch.extra).values()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.4 * losses[0]
