"""EchoNet-Dynamic's system: outlines from tracings, beats from areas, and the authors' files of weights."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import TINY
from torch.nn import functional as F
from torch.optim.lr_scheduler import StepLR

from coreecho.baselines import ouyang, r2plus1d, ventricle
from coreecho.baselines.ouyang import SYSTEM, load_kinetics, load_release, network, score, stages
from coreecho.baselines.ventricle import Outlining, TracedFrames, areas, beats, outline_errors, systoles
from coreecho.batches import Batch
from coreecho.clips import random_starts
from coreecho.errors import CheckpointError, DataError
from coreecho.loading import ClipDataset
from coreecho.plan import Plan
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.settings import ClipSettings, Recipe, Run
from coreecho.weightfiles import check_fit

RUN = Run(method="ouyang", views="one")
OWN = dataclasses.replace(TINY.shared, backbone="own", head="linear")
PUBLISHED = ClipSettings(frames=32, stride=2)
CPU = torch.device("cpu")


@pytest.fixture
def plan(phantom_data):
    return Plan(run=RUN, profile=dataclasses.replace(TINY, own={"ouyang": OWN}), data=phantom_data)


@pytest.fixture
def model(plan):
    torch.manual_seed(0)
    return network(plan)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def full_size():
    with torch.device("meta"):
        return ouyang.BeatEncoder(full_size=True)


def test_the_full_size_networks_are_the_published_ones():
    from torchvision.models.segmentation import deeplabv3_resnet50
    from torchvision.models.video import r2plus1d_18

    encoder = full_size()
    assert (count(encoder.segmenter), count(encoder.video), encoder.width) == (39_633_729, 31_300_125, 512)
    with torch.device("meta"):
        outlines = deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=False)
        outlines.classifier[-1] = torch.nn.Conv2d(256, 1, 1)  # as the authors make theirs
        clips = r2plus1d_18(num_classes=1)
    body, last = r2plus1d.split_last(clips.state_dict())
    check_fit(encoder.segmenter, outlines.state_dict(), "outlines")
    check_fit(encoder.video, body, "clips")
    assert {key: tuple(value.shape) for key, value in last.items()} == {"weight": (1, 512), "bias": (1,)}


def test_the_twin_has_the_structure_of_the_published_network():
    with torch.device("meta"):
        twin = r2plus1d.narrow_r2plus1d(r2plus1d.WIDTHS)
    shapes = [[tuple(value.shape) for value in net.state_dict().values()] for net in (twin, full_size().video)]
    assert shapes[0] == shapes[1]


def test_the_twins_give_embeddings_and_one_logit_a_pixel(model):
    assert (count(model.encoder.video), count(model.encoder.segmenter)) == (491_918, 82_001)
    assert model.embed(torch.zeros(2, 3, 8, 32, 32)).shape == (2, 64)
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2,)
    assert ventricle.outline(model, torch.zeros(3, 3, 32, 32)).shape == (3, 32, 32)


def test_the_regressor_starts_at_the_mean_training_label(model, phantom_data):
    assert model.head.bias.item() == pytest.approx(phantom_data.mean_label)


def test_traced_frames_show_the_ventricle_where_it_is_outlined(plan):
    items = TracedFrames(plan, plan.train)
    assert len(items) == len(plan.train)
    for index, study in enumerate(plan.train):
        item = items[3, index]
        inside = item.extra["ventricle"].bool()  # (2, 32, 32)
        assert item.video == study.id
        assert item.clips.shape == (2, 3, 1, 32, 32)
        assert item.starts == items.tracings[study.id.lower()].frames
        assert inside[0].sum() > inside[1].sum() > 20
        for frame, mask in zip(item.clips[:, :, 0].float().mean(1), inside, strict=True):
            edge = F.max_pool2d(mask[None].float(), 5, 1, 2)[0].bool() & ~mask
            assert frame[mask].mean() < frame[edge].mean()  # blood is darker than the wall
    assert items[0, 1] is items[9, 1]  # kept


def test_untraced_videos_are_left_out_and_wrong_frames_refused(plan):
    foreign = dataclasses.replace(plan.train[0], id="untraced")
    assert len(TracedFrames(plan, [foreign, plan.train[1]])) == 1
    with pytest.raises(DataError, match="no video of a split is traced"):
        TracedFrames(plan, [foreign])
    items = TracedFrames(plan, plan.train[:1])
    name = plan.train[0].id.lower()
    items.tracings = {name: dataclasses.replace(items.tracings[name], frames=(0, 400))}
    with pytest.raises(DataError, match="frame 400 is traced, the video has"):
        items[0, 0]


def batch_of(items, count=8):
    return Batch.collate([items[0, index] for index in range(min(count, len(items)))])


def train(objective, batch, steps, rate=3e-3):
    """The sums of losses over a few steps on one batch."""
    (moving,) = objective.groups().values()
    optimizer = torch.optim.AdamW(moving, lr=rate, weight_decay=0)
    sums = []
    for _ in range(steps):
        loss = sum(objective(batch.clips, batch.labels, **batch.extra).values())
        sums.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return sums


def test_outlining_sums_the_error_over_pixels_and_frames(plan, model):
    batch = batch_of(TracedFrames(plan, plan.train))
    model.eval()
    (loss,) = Outlining(model).eval()(batch.clips, batch.labels, **batch.extra).values()
    expected = 0.0
    for item in range(8):
        for phase in range(2):
            x = (batch.clips[item, phase].float() / 255 - torch.tensor(model.levels[0])[:, None, None, None]) / (
                torch.tensor(model.levels[1])[:, None, None, None]
            )
            chance = ventricle.outline(model, x.squeeze(1)[None])[0].double().sigmoid()
            inside = batch.extra["ventricle"][item, phase].bool()
            expected -= float(torch.where(inside, chance, 1 - chance).log().sum()) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_outlines_are_learnt_by_the_segmenter_alone(plan, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    items = TracedFrames(plan, plan.train)
    sums = train(Outlining(model).train(), batch_of(items), 25)
    assert sums[-1] < 0.4 * sums[0]
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("encoder.segmenter.") for name in moved)


def test_ef_is_learnt_by_video_network_and_head_alone(plan, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    clips = ClipDataset(plan.train, plan.clip, random_starts(plan.clip, 1, 0))
    sums = train(stages(plan)[1].objective(model).train(), batch_of(clips), 15)
    assert sums[-1] < 0.4 * sums[0]
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[1] for name in moved if name.startswith("encoder")} == {"video"}


def test_errors_of_outlines_are_means_over_a_videos_two_frames(plan, model):
    class Known(torch.nn.Module):
        def forward(self, x):
            return {"out": torch.where(x[:, :1] > 0, 2.0, -2.0)}

    model.encoder.segmenter = Known()
    items = TracedFrames(plan, plan.val)
    table = outline_errors(model, items, CPU).set_index("video")
    item = items[0, 1]
    dice, error = [], []
    for frame, inside in zip(item.clips[:, 0, 0].numpy(), item.extra["ventricle"].numpy() > 0, strict=True):
        found = frame / 255 > model.levels[0][0]
        dice.append(2 * (found & inside).sum() / (found.sum() + inside.sum()))
        error.append(np.log1p(np.exp(np.where(found == inside, -2, 2))).mean())
    assert table.loc[item.video].tolist() == pytest.approx([np.mean(error), np.mean(dice)], rel=1e-5)


def test_stage_one_is_chosen_by_cross_entropy_and_dice_of_validation_frames(plan, model):
    outlining, ejection = stages(plan)
    errors = outlining.validate(model, plan, CPU, 0)
    table = outline_errors(model, TracedFrames(plan, plan.val), CPU)
    assert errors == {"val_mae": 1 - table["dice"].mean(), "val_mse": table["error"].mean()}
    assert ejection.validate is None
    assert (outlining.epochs, outlining.learning_rate) == (plan.recipe.epochs, plan.recipe.learning_rate)


def test_outlines_have_their_published_schedule_where_the_recipe_is_the_published_one():
    recipe = Recipe(backbone="own", head="linear", optimizer="sgd", epochs=45, step_epochs=(15, 30))
    outlining, ejection = stages(Plan(run=RUN, profile=dataclasses.replace(TINY, own={"ouyang": recipe})))
    assert (outlining.epochs, outlining.learning_rate, outlining.schedule) == (50, 1e-5, "constant")
    assert (ejection.epochs, ejection.learning_rate, ejection.schedule) == (45, 1e-4, "step")


def beating(frames, period, first):
    """Areas of a heart that is smallest at ``first`` and every ``period`` frames from there."""
    return np.rint(1000 - 300 * np.cos(2 * np.pi * (np.arange(frames) - first) / period)).astype(np.int64)


def test_systoles_are_the_frames_of_least_area():
    assert systoles(beating(150, 50, 20)) == [20, 70, 120]
    assert systoles(beating(150, 50, 10)) == [60, 110]  # the video begins in the first one's fall, which is too short
    assert systoles(np.full(80, 500)) == []
    assert systoles(np.array([7])) == []


def test_systoles_are_far_apart_and_deep():
    area = beating(120, 60, 30)
    area[50] -= 100  # shallow: less than half of the range of 600
    assert systoles(area) == [30, 90]
    near = beating(120, 12, 6)
    assert np.diff(systoles(near)).min() >= 20
    assert systoles(near, distance=10) == list(range(6, 120, 12))


def test_the_published_range_leaves_out_the_largest_fifth():
    area = np.full(100, 400)
    area[np.arange(5, 100, 10)] = 300  # dips of 100 in ten frames
    area[:3] = 100  # of sorted areas place 1 holds 100, place 5 holds 300
    area[96:] = 420
    # power: places 1 and 79 hold 100 and 400, so a dip must be 150 deep; quantiles: 300 and 400, so 50
    assert systoles(area, 5, "power") == []
    assert systoles(area, 5, "quantile") == list(range(5, 96, 10))


def test_a_beat_is_the_clip_around_its_systole():
    assert beats(beating(200, 60, 20), PUBLISHED) == [(20, 0), (80, 48), (140, 108)]  # 200 frames have starts to 137
    assert beats(beating(160, 60, 20), PUBLISHED) == [(20, 0), (80, 48)]  # 140 is too late: 108 > 97
    assert beats(beating(64, 60, 45), PUBLISHED) == [(45, 1)]  # the last clip, since there is no other
    assert beats(np.full(100, 300), PUBLISHED) == []


def test_beats_scale_with_the_time_that_a_clip_spans():
    demo = ClipSettings(frames=16, stride=2)
    assert beats(beating(100, 12, 6), demo)[:3] == [(6, 0), (18, 2), (30, 14)]


def test_areas_count_the_pixels_of_every_frame(plan, model):
    class Bright(torch.nn.Module):
        def forward(self, x):
            return {"out": x[:, :1]}

    model.encoder.segmenter = Bright()
    found = areas(model, plan.val, 32, CPU)
    assert set(found) == {study.id for study in plan.val}
    clip = ClipSettings(frames=len(found[plan.val[0].id]), stride=1, size=32, pad=0)
    video = ClipDataset(plan.val[:1], clip, lambda *_: [0])[0].clips[0, 0]  # (T, H, W)
    expected = (video > 255 * model.levels[0][0]).sum((1, 2))
    assert found[plan.val[0].id].tolist() == expected.tolist()


def test_every_protocol_averages_clips_of_every_test_video(plan, model):
    table = score(model, plan, CPU)
    again = score(model, plan, CPU)
    assert table.equals(again)
    studies = plan.data.split("test")
    assert set(table["protocol"]) == {"first", "fixed3", "all", "beats"}
    for protocol in ("first", "fixed3", "all"):
        own = table[table["protocol"] == protocol].reset_index(drop=True)
        direct = predict_clips(model, studies, plan.clip, protocol_starts(protocol, plan.clip))
        assert own[["video", "clip", "start", "label"]].equals(direct[["video", "clip", "start", "label"]])
        assert np.allclose(own["prediction"], direct["prediction"], atol=1e-4)
        assert own["systole"].isna().all()
    assert table["dice"].between(0, 1).all()


def test_a_video_without_systole_keeps_its_first_clip_and_tells_so(plan, model, monkeypatch):
    studies = plan.data.split("test")
    known = {study.id: beating(44, 11, 5) for study in studies} | {studies[1].id: np.full(44, 9)}
    monkeypatch.setattr(ouyang, "areas", lambda *_: known)
    table = score(model, plan, CPU)
    own = table[table["protocol"] == "beats"]
    assert set(own["video"]) == {study.id for study in studies}
    lost = own[own["systole"].isna()]
    assert lost[["video", "clip", "start"]].to_numpy().tolist() == [[studies[1].id, 0, 0]]
    kept = own[own["video"] == studies[0].id]
    assert kept["start"].tolist() == [start for _, start in beats(known[studies[0].id], plan.clip)]
    assert kept["clip"].tolist() == list(range(len(kept)))
    every = table[table["protocol"] == "all"].set_index(["video", "start"])["prediction"]
    assert kept["prediction"].tolist() == [every[studies[0].id, start] for start in kept["start"]]


def release(path, module, last=None):
    """A file as the authors' training writes it (DataParallel, optimiser and schedule beside the weights)."""
    weights = {f"module.{name}": value for name, value in module.state_dict().items()}
    weights |= {f"module.fc.{name}": value for name, value in (last.state_dict() if last else {}).items()}
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    torch.save(
        {
            "epoch": 44,
            "state_dict": weights,
            "best_loss": np.float64(30.0),
            "loss": np.float64(31.0),
            "opt_dict": optimizer.state_dict(),
            "scheduler_dict": StepLR(optimizer, 15).state_dict(),
        },
        path,
    )
    return path


def test_published_files_are_read(plan, model, tmp_path):
    torch.manual_seed(1)
    theirs = network(plan)
    outlines = release(tmp_path / "deeplabv3_resnet50_random.pt", theirs.encoder.segmenter)
    clips = release(tmp_path / "r2plus1d_18_32_2_pretrained.pt", theirs.encoder.video, theirs.head)
    load_release(model, segmentation=outlines, video=clips)
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_file_of_the_other_network_is_refused_and_nothing_is_changed(plan, model, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    outlines = release(tmp_path / "a.pt", model.encoder.segmenter)
    headless = release(tmp_path / "b.pt", model.encoder.video)
    for name, path in (("video", outlines), ("segmentation", headless), ("video", headless)):
        with pytest.raises(CheckpointError, match=r"do not fit the network|is missing"):
            load_release(model, **{name: path})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_kinetics_weights_go_into_the_video_network(plan, model, tmp_path):
    torch.manual_seed(1)
    theirs, head = network(plan).encoder.video, torch.nn.Linear(64, 400)
    state = theirs.state_dict() | {f"fc.{name}": value for name, value in head.state_dict().items()}
    torch.save(state, tmp_path / ouyang.K400_FILE)
    load_kinetics(model, tmp_path / ouyang.K400_FILE)
    assert all(
        torch.equal(value, theirs.state_dict()[name]) for name, value in model.encoder.video.state_dict().items()
    )
    assert SYSTEM.kinetics == (ouyang.K400_FILE, load_kinetics)
