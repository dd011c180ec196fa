"""EchoGraphs: which frames a clip shows, key points that move with the picture, the published sizes, and its losses."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import TINY
from test_tracings import box, write
from torchvision.models.video import R3D_18_Weights, r3d_18

from coreecho import checkpoints
from coreecho.baselines.echographs import KINETICS, SYSTEMS, GraphLoss, load_kinetics
from coreecho.baselines.echographs_graph import (
    KNOWN,
    NARROW,
    UNKNOWN,
    WIDTH,
    GraphDecoder,
    GraphEncoder,
    Spiral,
    every_node,
    own_frame,
)
from coreecho.baselines.echographs_items import (
    GraphClips,
    all_windows,
    changed,
    complete,
    first_window,
    known_beat,
    phases,
    random_window,
    tracings,
    window,
)
from coreecho.datasets import Study
from coreecho.errors import CheckpointError, DataError
from coreecho.loading import make_loader
from coreecho.model import CoReEcho
from coreecho.plan import Plan
from coreecho.profiles import PAPER
from coreecho.settings import ClipSettings, Run

CLIP = ClipSettings(frames=16, stride=2, size=32, pad=2)
BY_METHOD = {system.method: system for system in SYSTEMS}
METHODS = sorted(BY_METHOD)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def plan_of(method, data, **run):
    return Plan(run=Run(method=method, views="one", init="scratch", **run), profile=TINY, data=data)


def study(path, name="0XA"):
    return Study(id=name, path=path / f"{name}.avi", label=50.0, split="train")


def test_a_window_takes_every_other_frame_and_plays_a_short_video_back_and_forth():
    assert window(3, 40, CLIP).tolist() == list(range(3, 35, 2))
    assert window(1, 6, CLIP).tolist() == [1, 3, 5, 3, 1, 1, 3, 5, 3, 1, 1, 3, 5, 3, 1, 1]
    assert window(1, 1, CLIP).tolist() == [0] * 16


def test_windows_lie_side_by_side_and_a_rest_is_left_out():
    rule = all_windows(CLIP)
    assert [shown[0] for shown in rule("a", 96 + 31, 0)] == [0, 32, 64]
    assert [len(rule("a", frames, 0)) for frames in (5, 32, 63, 64)] == [1, 1, 1, 2]
    assert [shown.tolist() for shown in first_window(CLIP)("a", 100, 0)] == [list(range(0, 32, 2))]


def test_random_windows_reach_every_start_and_change_with_the_epoch_alone():
    rule = random_window(CLIP, seed=3)
    drawn = [int(rule("a", 36, epoch)[0][0]) for epoch in range(60)]
    assert set(drawn) == set(range(6))
    assert [int(rule("a", 36, epoch)[0][0]) for epoch in range(60)] == drawn


def test_a_known_beat_runs_evenly_from_diastole_to_systole_also_backwards(tmp_path):
    write(
        tmp_path,
        box("0XA", 8, 24, 8, 40, 10) + box("0XA", 10, 20, 10, 30, 40),
        box("0XB", 8, 24, 8, 40, 35) + box("0XB", 10, 20, 10, 30, 5),
    )
    rule = known_beat([study(tmp_path), study(tmp_path, "0XB")], tmp_path, CLIP)
    assert rule("0XA", 99, 0)[0].tolist() == list(range(10, 41, 2))
    assert rule("0XB", 99, 7)[0].tolist() == list(range(35, 4, -2))


def test_a_video_that_is_not_traced_is_refused_where_its_frames_must_be_known(tmp_path):
    write(tmp_path, box("0XA", 8, 24, 8, 40, 10))
    with pytest.raises(DataError, match="0XA is not traced on two frames"):
        known_beat([study(tmp_path)], tmp_path, CLIP)


def test_only_twenty_chords_on_both_frames_are_learned_from(tmp_path):
    small = box("0XB", 10, 20, 10, 30, 40, chords=19)
    write(
        tmp_path,
        box("0XA", 8, 24, 8, 40, 10) + box("0XA", 10, 20, 10, 30, 40),
        box("0XB", 8, 24, 8, 40, 10) + small,
    )
    studies = [study(tmp_path), study(tmp_path, "0XB"), study(tmp_path, "0XC")]
    assert [each.id for each in complete(studies, tmp_path)] == ["0XA"]


def test_a_phase_is_at_the_nearest_frame_or_nowhere():
    shown = window(4, 100, CLIP)  # 4, 6, ..., 34
    assert phases(shown, (4, 34), 1).tolist() == [0, 15]
    assert phases(shown, (3, 35), 1).tolist() == [0, 15]
    assert phases(shown, (2, 36), 1).tolist() == [16, 16]
    assert phases(shown, (13, 90), 1).tolist() == [4, 16]


def test_too_few_complete_tracings_are_told_before_any_training(tmp_path, phantom_data):
    write(tmp_path, box("0XA", 8, 24, 8, 40, 10) + box("0XA", 10, 20, 10, 30, 40))
    data = dataclasses.replace(phantom_data, root=tmp_path)
    with pytest.raises(DataError, match="0 training videos are traced with 20 chords"):
        GraphClips.training(plan_of("echographs", data), known=False)


@pytest.mark.parametrize("seed", range(6))
def test_key_points_stay_on_what_they_mark(seed):
    settings = dataclasses.replace(CLIP, rotation=30.0, zoom=(0.8, 1.2), shift=0.1, pad=0)
    column = np.array([[20, 27], [40, 35]])  # a left and a right spot, in two frames
    clip = np.zeros((3, 2, 64, 64), np.uint8)
    points = np.full((2, 40, 2), 0.5)
    for frame in range(2):
        for at, point in ((column[0, frame], 0), (column[1, frame], 39)):
            clip[:, frame, 29:32, at - 1 : at + 2] = 120 if point else 250  # the left spot is brighter
            points[frame, point] = np.array([at, 30]) / 64
    moved, places = changed(clip, points, settings, np.random.default_rng(seed))
    assert moved.shape == clip.shape
    for frame in range(2):
        spots = []
        for point in (0, 39):
            x, y = np.rint(64 * places[frame, point]).astype(int)
            assert moved[0, frame, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() > 60
            spots.append(moved[0, frame, y, x])
        turned = places[frame, 0, 0] > places[frame, 39, 0]
        assert not turned  # the first point is the left one, mirrored or not
        assert spots[0] != spots[1]


def test_half_of_the_changed_clips_are_mirrored_and_some_stay_as_they_are():
    still = dataclasses.replace(CLIP, pad=0)
    clip = np.zeros((3, 2, 32, 32), np.uint8)
    clip[..., :16] = 100
    points = np.random.default_rng(0).random((2, 40, 2))
    same = mirrored = 0
    for seed in range(200):
        moved, places = changed(clip, points, still, np.random.default_rng(seed))
        flipped = np.array([31 / 32, 0]) + points[:, ::-1] * (-1, 1)
        same += bool(moved is clip)
        mirrored += bool(np.allclose(places, flipped))
        assert np.allclose(places, points) or (np.allclose(places, flipped) and moved[0, 0, 0, 31] > moved[0, 0, 0, 0])
    assert 8 <= same <= 35
    assert 65 <= mirrored <= 115


def test_items_have_ordered_key_points_on_the_cavity_and_depend_on_seed_and_epoch_alone(phantom_data):
    plan = plan_of("echographs-known", phantom_data, augment=False)
    plain = GraphClips.training(plan, known=True)
    item = plain[(0, 0)]
    tracing = tracings(phantom_data.root)[item.video.lower()]
    assert item.clips.shape == (1, 3, 8, 32, 32)
    assert item.clips.dtype == torch.uint8
    assert item.starts == (tracing.frames[0],)
    assert item.extra["phases"].tolist() == [0, 7]
    np.testing.assert_allclose(32 * item.extra["points"].numpy(), np.stack(tracing.outlines), rtol=1e-5)
    clips = GraphClips.training(plan_of("echographs", phantom_data), known=False)
    again = GraphClips.training(plan_of("echographs", phantom_data), known=False)
    again[(0, 1)]
    assert torch.equal(clips[(1, 2)].clips, again[(1, 2)].clips)
    assert torch.equal(clips[(1, 2)].extra["points"], again[(1, 2)].extra["points"])
    assert not torch.equal(clips[(1, 2)].clips, clips[(2, 2)].clips)


def test_frames_of_a_clip_are_those_of_the_video_also_when_read_one_by_one(phantom_data):
    from coreecho.video import read_video

    one = phantom_data.split("test")[0]
    clips = GraphClips([one], TINY.clip, all_windows(TINY.clip))
    video = read_video(one.path).frames
    clips.cache_bytes = 0  # no room: only the wanted frames are decoded
    item = clips[0]
    assert item.clips.shape[0] == len(video) // 16
    assert item.starts == tuple(range(0, len(video) - 15, 16))
    for number, start in enumerate(item.starts):
        np.testing.assert_array_equal(item.clips[number].numpy(), video[start : start + 16 : 2].transpose(3, 0, 1, 2))


def test_the_full_network_has_the_published_sizes():
    with torch.device("meta"):
        known, unknown = GraphEncoder(WIDTH, True), GraphEncoder(WIDTH, False)
        theirs = r3d_18(weights=None)
    assert count(known.video) == count(theirs) - count(theirs.fc) == 33_371_472 - 513 * 400
    assert R3D_18_Weights.KINETICS400_V1.meta["num_params"] == 33_371_472
    assert [tuple(layer.weight.shape[::-1]) for layer in known.ef if hasattr(layer, "weight")] == [
        (512, 48),
        (48, 48),
        (48, 32),
        (32, 32),
        (32, 16),
    ]
    assert count(known.ef) + 17 == 30_145
    assert count(known.decoder) == 513 * 320 + (320 * 3 + 3) + (240 * 2 + 2) + (160 * 2 + 2) == 165_927
    assert count(unknown.decoder) == (512 + 34 + 1) * 80 * 48 + 63_008 + 42_016 + 21_008 + 1_314
    assert count(unknown.phases) == 513 * 256 + 2 * 256 + 257 * 128 + 2 * 128 + 129 * 34


def test_published_kinetics_weights_make_torchvisions_features(tmp_path):
    torch.manual_seed(0)
    theirs = r3d_18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / KINETICS)
    assert R3D_18_Weights.KINETICS400_V1.url.endswith(KINETICS)
    plan = Plan(run=Run(method="echographs"), profile=PAPER)
    model = BY_METHOD["echographs"].network(plan)
    load_kinetics(model, tmp_path / KINETICS)
    assert set(model.encoder.video.state_dict()) == {key for key in theirs.state_dict() if not key.startswith("fc.")}
    theirs.fc = torch.nn.Identity()
    x = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model.encoder.video.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-6)
    narrow = CoReEcho(GraphEncoder(NARROW, True), model.head)
    with pytest.raises(CheckpointError):
        load_kinetics(narrow, tmp_path / KINETICS)


def test_neighbours_are_counted_round_from_each_node():
    assert every_node()[78].tolist() == [78, 79, *range(78)]
    assert own_frame().shape == (80, 41)
    assert own_frame()[38].tolist() == [38, 39, *range(38), 78]
    assert own_frame()[41].tolist() == [*range(41, 80), 40, 1]


def test_a_graph_layer_is_one_map_of_the_neighbours_in_turn():
    torch.manual_seed(1)
    layer = Spiral(own_frame(), 3, 2)
    x = torch.randn(2, 80, 3)
    literal = torch.stack([layer.linear(torch.cat([x[:, other] for other in row], dim=1)) for row in own_frame()], 1)
    torch.testing.assert_close(layer(x), literal, rtol=1e-5, atol=1e-6)
    for channels, neighbours in ((KNOWN, every_node()), (UNKNOWN, own_frame())):
        assert GraphDecoder(6, neighbours, channels)(torch.randn(3, 6)).shape == (3, 80, 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_gives_percent_and_is_kept_whole(method, tmp_path):
    torch.manual_seed(0)
    model = BY_METHOD[method].network(plan_of(method, None)).eval()
    x = torch.randn(2, 3, 8, 32, 32)
    embedding, points, logits = model.encoder.everything(x)
    torch.testing.assert_close(model(x), 100 * torch.nn.functional.linear(embedding, *model.head.parameters())[:, 0])
    assert points.shape == (2, 2, 40, 2)
    assert logits is None if method == "echographs-known" else logits.shape == (2, 2, 9)
    checkpoints.save(model, tmp_path / "model.safetensors", {"training_data": "none"})
    info, state = checkpoints.read_own(tmp_path / "model.safetensors", weights=True)
    assert info.backbone == "own"
    assert set(state) == set(model.state_dict())


def test_the_loss_is_that_of_a_worked_example_and_unseen_frames_do_not_count():
    torch.manual_seed(0)
    model = BY_METHOD["echographs"].network(plan_of("echographs", None)).eval()
    loss = GraphLoss(model).eval()
    clips = torch.randint(0, 256, (3, 1, 3, 8, 32, 32), dtype=torch.uint8)
    labels, points = torch.tensor([30.0, 50.0, 70.0]), torch.rand(3, 2, 40, 2)
    places = torch.tensor([[2, 8], [8, 8], [7, 0]])
    found = loss(clips, labels, points=points, phases=places)
    x = (clips[:, 0].float() / 255 - torch.tensor(model.levels[0]).view(1, 3, 1, 1, 1)) / torch.tensor(
        model.levels[1]
    ).view(1, 3, 1, 1, 1)
    _, guess, logits = model.encoder.everything(x)
    square = (guess - points).square().mean(dim=(2, 3))
    entropy = -logits.log_softmax(-1).gather(2, places[..., None]).mean()
    torch.testing.assert_close(found["error"], ((model(x) - labels) / 100).square().mean())
    torch.testing.assert_close(found["points"], (square[0, 0] + square[2, 0] + square[2, 1]) / 3)
    torch.testing.assert_close(found["phases"], entropy)
    apart = GraphLoss(model, apart=True).eval()(clips, labels, points=points, phases=places)
    torch.testing.assert_close(apart["points"], (square[0, 0] + square[2, 0]) / 2 + square[2, 1])
    nothing = loss(clips, labels, points=points, phases=torch.full((3, 2), 8))
    assert float(nothing["points"].detach()) == 0
    sum(nothing.values()).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_its_losses_fall_and_its_predictions_name_their_protocols(method, phantom_data):
    system, plan = BY_METHOD[method], plan_of(method, phantom_data)
    torch.manual_seed(0)
    model = system.network(plan)
    (stage,) = system.stages(plan)
    objective = stage.objective(model)
    items = stage.items(plan)
    items.changes = False
    loader = make_loader(items, 8)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=5e-4)
    losses = []
    for _ in range(25):
        (batch,) = loader
        each = objective(batch.clips, batch.labels, **batch.extra)
        sum(each.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append({name: float(value.detach()) for name, value in each.items()})
    assert objective.weight == 0.05  # of the narrow twin
    assert all(losses[-1][name] < 0.5 * losses[0][name] for name in ("error", "points"))
    assert losses[-1].get("phases", 0) < losses[0].get("phases", 1)
    errors = stage.validate(model, plan, torch.device("cpu"), 0)
    assert errors["val_mae"] ** 2 <= errors["val_mse"]
    table = system.score(model, plan, torch.device("cpu"))
    assert {"video", "clip", "start", "label", "prediction", "protocol"} <= set(table)
    own = "oracle" if method == "echographs-known" else "windows"
    assert set(table["protocol"]) == {"first", own}
    for _, part in table.groupby("protocol"):
        assert set(part["video"]) == {each.id for each in phantom_data.split("test")}
    assert (table.loc[table["protocol"] == "first", "start"] == 0).all()
    if own == "oracle":
        told = table[table["protocol"] == own].set_index("video")["start"]
        assert all(start == tracings(phantom_data.root)[video.lower()].frames[0] for video, start in told.items())


def test_the_full_network_takes_the_plain_sum_of_its_losses():
    plan = Plan(run=Run(method="echographs", views="one"), profile=PAPER)
    (stage,) = BY_METHOD["echographs"].stages(plan)
    objective = stage.objective(torch.nn.Identity())
    assert (objective.weight, objective.apart) == (1, True)


def test_one_mean_is_taken_over_both_frames_key_points_in_the_twin_and_with_known_frames():
    for method in METHODS:
        (stage,) = BY_METHOD[method].stages(plan_of(method, None))
        assert not stage.objective(torch.nn.Identity()).apart
    plan = Plan(run=Run(method="echographs-known", views="one"), profile=PAPER)
    (stage,) = BY_METHOD["echographs-known"].stages(plan)
    assert not stage.objective(torch.nn.Identity()).apart


def test_one_system_alone_says_that_it_is_an_oracle():
    assert "are given at test" in BY_METHOD["echographs-known"].differs
    assert "are given at test" not in BY_METHOD["echographs"].differs
