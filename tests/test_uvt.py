"""UVT: published sizes, BERT's layers against a literal form, clips and targets of a beat, events, training, scores."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import TINY
from torch import nn

from coreecho import checkpoints
from coreecho.baselines import uvt
from coreecho.baselines.uvt import PhaseAndEF, average_frame_distance, beats, validation_errors, whole_videos
from coreecho.baselines.uvt_events import frame_distance, phase_events
from coreecho.baselines.uvt_items import BeatDataset, mirrored, phase_curve, surrounded
from coreecho.baselines.uvt_network import PUBLISHED, TWIN, UVT, Size, UVTEncoder, bert_layer
from coreecho.baselines.uvt_weights import load_published
from coreecho.batches import Batch
from coreecho.errors import CheckpointError, DataError
from coreecho.loading import ClipDataset
from coreecho.plan import Plan
from coreecho.profiles import get_profile
from coreecho.settings import ClipSettings, Recipe, Run

SYSTEMS = {system.method: system for system in uvt.SYSTEMS}
CLIP = ClipSettings(frames=16, stride=1, size=32, pad=0)
SMALL = Size(channels=2, levels=2, blocks=1, features=4, width=16, layers=2, heads=2, hidden=32, dropout=0.0, pad=0)
CPU = torch.device("cpu")


def plan(data=None, method="uvt", profile=TINY, seed=0, clip=CLIP):
    recipe = Recipe(backbone="own", head="linear", batch_size=4, epochs=1, selection="mse")
    profile = dataclasses.replace(profile, own={method: recipe}, own_clips={method: clip})
    return Plan(run=Run(method=method, views="one", seed=seed), profile=profile, data=data)


def network(size=SMALL, clip=CLIP, seed=0):
    torch.manual_seed(seed)
    return UVT(size, clip)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def rng(seed=0):
    return np.random.default_rng(seed)


def test_published_network_has_the_published_parameters():
    with torch.device("meta"):
        encoder = UVTEncoder(PUBLISHED, 112)
        x = torch.zeros(1, 3, 2, 112, 112)
        assert encoder.eval().embed(x).shape == (1, 512)
    assert count(encoder.layers) == 335_822_848  # 16 BERT layers of 1024 with 8192 hidden units
    assert count(encoder.frame.flat) == 128 * 8 * 8 * 1024 + 1024
    assert encoder.frame.pad == (8, 8)  # 112 becomes 128
    assert [len(blocks) for blocks in encoder.frame.blocks] == [8, 8, 8, 8]
    assert [skip[0].kernel_size[0] for skip in encoder.frame.skip] == [16, 8, 4, 2]
    residual = sum(8 * 2 * (9 * c * c + c + 2 * c) for c in (8, 16, 32, 64))
    assert count(encoder.frame.blocks) == residual
    assert count(encoder.cycle) == 1024 * 512 + 3 * 512 + 512 * 256 + 3 * 256 + 256 + 1


def test_twin_is_small_and_takes_any_side_and_length():
    model = network(TWIN, ClipSettings(frames=32, stride=1, size=30, pad=0)).eval()
    assert count(model) < 200_000
    assert model.encoder.frame.pad == (0, 2)  # 30 becomes 32, which three levels halve
    for frames in (3, 9):
        ef, phase = model.predictions(torch.rand(2, 3, frames, 30, 30))
        assert ef.shape == (2,)
        assert phase.shape == (2, frames)


def test_layer_is_berts():
    torch.manual_seed(0)
    size = Size(width=8, heads=2, hidden=12, dropout=0.1)
    layer = bert_layer(size).double()
    attention = layer.self_attn
    nn.init.normal_(attention.in_proj_bias)
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    layer.eval()
    query, key, value = (
        (x @ weight.T + bias).unflatten(-1, (2, 4)).transpose(1, 2)  # (B, heads, T, 4)
        for weight, bias in zip(
            layer.self_attn.in_proj_weight.chunk(3), layer.self_attn.in_proj_bias.chunk(3), strict=True
        )
    )
    weights = (query @ key.transpose(-1, -2) / 2).softmax(-1)
    mixed = attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    middle = layer.norm1(x + mixed)
    inner = middle @ layer.linear1.weight.T + layer.linear1.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    expected = layer.norm2(middle + layer.linear2(inner))
    torch.testing.assert_close(layer(x), expected)
    assert layer.norm1.eps == layer.norm2.eps == 1e-12
    rates = [attention.dropout, layer.dropout.p, layer.dropout1.p, layer.dropout2.p]
    assert rates == [0.1, 0.0, 0.1, 0.1]


def test_output_is_the_mean_of_all_hidden_states_and_the_frames_are_a_set():
    model = network().double().eval()
    x = torch.rand(2, 3, 6, 32, 32, dtype=torch.float64)
    encoder = model.encoder
    hidden = [torch.stack([encoder.frame(clip.transpose(0, 1)) for clip in x])]
    for layer in encoder.layers:
        hidden.append(layer(hidden[-1]))
    states = torch.stack(hidden).mean(0)
    torch.testing.assert_close(encoder.states(x), states)
    each = model.head(encoder.ef(states)).squeeze(-1)  # (B, T): the original's order, head before mean
    torch.testing.assert_close(model(x), 100 * each.mean(1).sigmoid())
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model(x[:, :, order]), model(x))
    torch.testing.assert_close(encoder.phase(x[:, :, order]), encoder.phase(x)[:, order])


def test_mirrored_beat_goes_forth_and_back():
    sample = mirrored((10, 14), 40, rng())
    assert sample.known.all()
    assert set(sample.frames) == set(range(10, 15))
    assert set(np.abs(np.diff(sample.frames))) == {1}
    assert set(sample.phase[sample.frames == 10]) == {1.0}
    assert set(sample.phase[sample.frames == 14]) == {-1.0}
    assert np.allclose(sample.phase[sample.frames == 11], 0.125)
    assert {int(mirrored((10, 14), 40, rng(seed)).frames[0]) for seed in range(40)} == set(range(10, 15))


def test_mirrored_beat_is_thinned_where_it_is_longer_than_half_a_clip():
    sample = mirrored((31, 10), 40, rng())  # a filling of 21 frames
    assert {10, 31} <= set(sample.frames)
    assert len(set(sample.frames)) == 11
    assert set(np.abs(np.diff(sample.frames))) <= {2, 3}
    assert set(sample.phase[sample.frames == 31]) == {1.0}


@pytest.mark.parametrize("beat", [(20, 30), (30, 20)])
def test_surrounded_beat_is_whole_has_margins_and_black_frames_without_phase(beat):
    for seed in range(20):
        sample = surrounded(beat, 60, 32, rng(seed))
        shown = sample.frames[sample.known]
        assert (np.diff(shown) == 1).all()
        assert 20 - 5 <= shown[0] <= 20 - 1
        assert 30 + 1 <= shown[-1] <= 30 + 5
        assert (np.diff(np.flatnonzero(sample.known)) == 1).all()
        assert (sample.phase[~sample.known] == 0).all()
        assert sample.phase[sample.frames == beat[0]] == 1
        assert sample.phase[sample.frames == beat[1]] == -1


def test_surrounded_beat_stays_within_the_video_and_is_thinned_to_fit():
    assert surrounded((0, 9), 10, 16, rng()).known.sum() == 10
    sample = surrounded((5, 45), 60, 16, rng())
    assert 12 <= sample.known.sum() <= 16
    assert set(np.diff(sample.frames[sample.known])) <= {3, 4}


def test_phase_curve_is_the_published_one():
    at = np.array([0, 5, 10, 15, 20, 25, 30])
    contraction = phase_curve(at, (10, 20))
    np.testing.assert_allclose(contraction, [-1, 0.75, 1, -0.75, -1, 0.75, 1])
    filling = phase_curve(at, (20, 10))
    np.testing.assert_allclose(filling, [1, -0.75, -1, 2 * 0.5 ** (1 / 3) - 1, 1, -0.75, -1])


def test_events_are_the_strongest_frames_between_crossings():
    time = np.arange(100)
    curve = np.cos(2 * np.pi * time / 24)  # ED at 0, 24, 48, ..., ES between; the first and the last are cut off
    assert phase_events(curve) == ([24, 48, 72], [12, 36, 60, 84])
    noisy = curve.copy()
    noisy[52:58] *= -1  # a short dip around a crossing moves it, and makes no further event
    assert [len(each) for each in phase_events(noisy)] == [3, 4]
    assert phase_events(np.ones(50)) == ([], [])


def test_frame_distance_is_that_of_the_nearest_event_and_leaves_out_what_has_none():
    curve = np.cos(2 * np.pi * np.arange(100) / 24)
    found = frame_distance([(curve, (26, 12)), (curve, (47, 40)), (np.ones(50), (1, 9))])
    assert (found.diastole, found.systole, found.n) == (1.5, 2.0, 2)
    assert frame_distance([(np.ones(50), (1, 9))]).n == 0


def test_items_are_the_frames_of_the_video_with_their_phase(phantom_data):
    run = plan(phantom_data)
    traced = beats(run, training=False)
    items = BeatDataset(phantom_data.studies, CLIP, traced, "surrounded", seed=3)
    assert len(items) == len(phantom_data.studies)
    item = items[2, 0]
    sample = items.sample(item.video, 36, 2)
    video = whole_frames(phantom_data, item.video)
    assert item.clips.shape == (1, 3, 16, 32, 32)
    for number, frame in enumerate(sample.frames):
        expected = video[frame] if frame >= 0 else np.zeros_like(video[0])
        assert np.array_equal(item.clips[0, :, number].permute(1, 2, 0).numpy(), expected)
    np.testing.assert_allclose(item.extra["phase"], sample.phase, rtol=1e-6)
    assert item.extra["known"].tolist() == sample.known.astype(float).tolist()


def whole_frames(data, video):
    from coreecho.study_video import read_study

    return read_study(next(study for study in data.studies if study.id == video)).frames


def test_items_are_a_function_of_seed_and_epoch_and_do_not_depend_on_the_cache(phantom_data):
    traced = beats(plan(phantom_data), training=False)
    items = BeatDataset(phantom_data.studies[:3], CLIP, traced, "mirrored", seed=1)
    partly = BeatDataset(phantom_data.studies[:3], CLIP, traced, "mirrored", seed=1)
    partly.cache_bytes = 0  # only the frames shown are decoded
    for key in ((0, 0), (1, 0), (0, 2)):
        assert torch.equal(items[key].clips, partly[key].clips)
    assert not torch.equal(items[0, 0].clips, items[1, 0].clips)
    assert not partly._cache


def test_videos_are_opened_by_the_method_that_all_clips_share(phantom_data, monkeypatch):
    opened = []

    def counted(self, epoch, index):
        opened.append((epoch, index))
        return original(self, epoch, index)

    original = ClipDataset.video
    monkeypatch.setattr(ClipDataset, "video", counted)
    studies = phantom_data.studies[:2]
    beat = BeatDataset(studies, CLIP, beats(plan(phantom_data), training=False), "mirrored")
    for data in (beat, ClipDataset(studies, CLIP, lambda *_: (0,))):
        assert data[1, 0].video == data[0].video == studies[0].id
        study, video = data.video(0, 0)
        assert study == studies[0]
        assert video is data.video(5, 0)[1], "it is decoded once"
    assert opened == [(1, 0), (0, 0), (0, 0), (5, 0)] * 2


def test_training_leaves_out_pairs_of_the_wrong_distance(phantom_data):
    run = plan(phantom_data)
    gaps = {video: abs(ed - es) for video, (ed, es) in beats(run, training=False).items()}
    assert set(gaps) == {study.id.lower() for study in phantom_data.studies}
    assert set(beats(run, training=True)) == {video for video, gap in gaps.items() if 5 < gap <= 20}  # at 25 a second
    real = dataclasses.replace(run, profile=dataclasses.replace(run.profile, phantom=None))
    assert set(beats(real, training=True)) == {video for video, gap in gaps.items() if gap > 10}


def test_untraced_videos_and_damaged_tracings_are_named(phantom_data):
    with pytest.raises(DataError, match="VolumeTracings"):
        BeatDataset(phantom_data.studies, CLIP, {}, "mirrored")
    study = phantom_data.studies[0]
    with pytest.raises(DataError, match="frame 400 is traced"):
        BeatDataset([study], CLIP, {study.id.lower(): (1, 400)}, "mirrored")[0]


def test_losses_are_five_times_the_ef_error_and_the_phase_error_of_known_frames():
    model = network().eval()
    objective = PhaseAndEF(model)
    clips = torch.randint(0, 256, (3, 1, 3, 16, 32, 32), dtype=torch.uint8)
    labels, phase = torch.tensor([40.0, 55.0, 70.0]), torch.rand(3, 16) * 2 - 1
    known = torch.zeros(3, 16)
    known[0, 2:9] = known[2, :4] = 1
    losses = objective(clips, labels, phase=phase, known=known)
    ef, curve = model.predictions(clips[:, 0] / 255)
    torch.testing.assert_close(losses["error"], 5 * (ef / 100 - labels / 100).square().mean())
    chosen = known.bool()
    torch.testing.assert_close(losses["phase"], (curve[chosen] - phase[chosen]).square().mean())


@pytest.mark.parametrize("method", ["uvt", "uvt-mirror"])
def test_loss_falls_and_the_systems_validate_and_score(phantom_data, method, tmp_path):
    run = plan(phantom_data, method)
    system = SYSTEMS[method]
    (stage,) = system.stages(run)
    model = network()
    objective = stage.objective(model)
    items = stage.items(run)
    batch = Batch.collate([items[0, index] for index in range(min(4, len(items)))])
    optimizer = torch.optim.AdamW(objective.parameters(), lr=5e-3)
    totals = []
    for _ in range(20):
        loss = sum(objective(batch.clips, batch.labels, **batch.extra).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    assert totals[-1] < 0.8 * totals[0]

    errors = stage.validate(model, run, CPU, 0)
    assert errors["val_mse"] >= 2000 * errors["val_phase"] >= 0
    assert model.training
    table = system.score(model, run, CPU)
    tests = {study.id for study in phantom_data.split("test")}
    for protocol in ("first", "beat", "whole"):
        rows = table[table["protocol"] == protocol]
        assert set(rows["video"]) == tests
        assert len(rows) == len(tests)
    assert table["prediction"].between(0, 100).all()
    assert table.equals(system.score(model, run, CPU))
    assert checkpoints.save(model, tmp_path / "model.safetensors", {"training_data": "phantom"}).backbone == "own"
    assert average_frame_distance(model, run, CPU).n <= len(tests)


def test_validation_is_what_training_minimises(phantom_data):
    run = plan(phantom_data)
    clips = BeatDataset(phantom_data.studies[:5], CLIP, beats(run, training=False), "surrounded", seed=4)
    model = network()
    errors = validation_errors(model, clips, CPU, 3)
    batch = Batch.collate([clips[3, index] for index in range(5)])
    losses = PhaseAndEF(model).eval()(batch.clips, batch.labels, **batch.extra)
    assert errors["val_mse"] == pytest.approx(2000 * sum(losses.values()).item(), rel=1e-4)
    assert errors["val_phase"] == pytest.approx(losses["phase"].item(), rel=1e-4)


def test_whole_videos_are_passed_at_once(phantom_data):
    model = network()
    studies = phantom_data.split("test")[:2]
    for study, ef, phase in whole_videos(model, studies, 32, CPU):
        frames = torch.from_numpy(whole_frames(phantom_data, study.id)).permute(3, 0, 1, 2)[None] / 255
        expected, curve = model.eval().predictions(frames)
        assert ef == pytest.approx(expected.item(), rel=1e-5)
        np.testing.assert_allclose(phase, curve[0].detach(), atol=1e-5)


def test_network_is_the_same_for_a_seed_and_full_size_only_on_real_data():
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(SYSTEMS["uvt"].network(plan()).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    with torch.device("meta"):
        clip = dataclasses.replace(CLIP, size=112)
        assert count(SYSTEMS["uvt"].network(plan(profile=get_profile("paper"), clip=clip))) == 346_871_234


def authors_names(size):
    """(name in the authors' file, ours without kind) of every module with weights, but queries, keys and values."""
    yield from ((f"AE.encoder.input_conv.{part}", f"encoder.frame.first.{part}") for part in (0, 1))
    for level in range(size.levels):
        for block in range(size.blocks):
            for theirs, ours in ((0, "0.0"), (1, "0.1"), (3, "1.0"), (4, "1.1")):
                where = f"encoder.frame.blocks.{level}.{block}.body.{ours}"
                yield f"AE.encoder.res_blk_list.{level}.{block}.residual_block.{theirs}", where
        for part in (0, 1):
            yield f"AE.encoder.conv_list.{level}.{part}", f"encoder.frame.down.{level}.{part}"
            yield f"AE.encoder.multi_res_skip_list.{level}.{part}", f"encoder.frame.skip.{level}.{part}"
    yield from ((f"AE.encoder.output_conv.{part}", f"encoder.frame.last.{part}") for part in (0, 1))
    yield "AE.fc1", "encoder.frame.flat"
    parts = {
        "attention.output.dense": "self_attn.out_proj",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "linear1",
        "output.dense": "linear2",
        "output.LayerNorm": "norm2",
    }
    for layer in range(size.layers):
        yield from ((f"T.layer.{layer}.{theirs}", f"encoder.layers.{layer}.{ours}") for theirs, ours in parts.items())
    yield from ((f"extremas.{part}", f"encoder.cycle.{part}") for part in (0, 1, 3, 4, 6))
    yield from ((f"ejection.{part}", f"encoder.ef.{part}") for part in (0, 1))
    yield "ejection.3", "head"


def authors_file(model, size, path):
    """A model's weights as the authors' training leaves them."""
    state, theirs = model.state_dict(), {}
    for name, ours in authors_names(size):
        for key in [key for key in state if key.rpartition(".")[0] == ours]:
            theirs[f"module.{name}.{key.rpartition('.')[2]}"] = state.pop(key)
    for layer in range(size.layers):
        for kind in ("weight", "bias"):
            joined = state.pop(f"encoder.layers.{layer}.self_attn.in_proj_{kind}").chunk(3)
            for name, part in zip(("query", "key", "value"), joined, strict=True):
                theirs[f"module.T.layer.{layer}.attention.self.{name}.{kind}"] = part.clone()
    assert not state
    torch.save({"epoch": 4, "best_loss": 0.1, "state_dict": theirs}, path)


def test_authors_weights_are_loaded_whole_and_anything_else_is_refused(tmp_path):
    size = dataclasses.replace(SMALL, blocks=2)
    path = tmp_path / "best.pt"
    source, model = network(size, seed=1), network(size, seed=2)
    authors_file(source, size, path)
    load_published(model, path)
    expected = source.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    with pytest.raises(CheckpointError, match="do not fit"):
        load_published(network(), path)
