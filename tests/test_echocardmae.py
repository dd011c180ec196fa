"""EchoCardMAE-type pre-training: what is hidden, what is guessed, and published weights."""

import cv2
import numpy as np
import pytest
import torch
from helpers import TINY, tiny_place

from coreecho import checkpoints, runs
from coreecho.baselines import SYSTEMS
from coreecho.baselines.echocardmae import FULL, SYSTEM, MaskedClips, ScaledHead, find_sector, split
from coreecho.baselines.masked_video import MaskedViT, Sizes, axes, info_nce, load_pretrained, patches, sinusoids
from coreecho.baselines.median import denoised
from coreecho.batches import Batch
from coreecho.clips import generator
from coreecho.errors import CheckpointError
from coreecho.model import CoReEcho
from coreecho.plan import Plan
from coreecho.profiles import get_profile
from coreecho.settings import ClipSettings, Run

RUN = Run(method="echocardmae", init="scratch", views="one")
CLIP = ClipSettings(frames=4, stride=2, size=16)
SMALL = Sizes(encoder=(16, 2, 2), decoder=(8, 1, 1), patch=4)


@pytest.fixture
def plan(phantom_data):
    return Plan(run=RUN, profile=TINY, data=phantom_data)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return CoReEcho(MaskedViT(CLIP, SMALL), ScaledHead(16, 55.0, 100.0), clip=CLIP)


def published_names(depth, thin_depth):
    """The names in the published pre-training's state dict, with biases that its attention never adds."""
    inside = ["norm1.weight", "norm1.bias", "attn.q_bias", "attn.v_bias", "attn.qkv.weight", "attn.proj.weight"]
    inside += ["attn.proj.bias", "norm2.weight", "norm2.bias"]
    inside += [f"mlp.fc{number}.{kind}" for number in (1, 2) for kind in ("weight", "bias")]
    names = ["mask_token", "bg_mask_token", "encoder_to_decoder.weight"]
    names += [f"encoder.{part}.{kind}" for part in ("patch_embed.proj", "norm") for kind in ("weight", "bias")]
    names += [f"decoder.{part}.{kind}" for part in ("head", "norm") for kind in ("weight", "bias")]
    towers = (("encoder", depth), ("decoder", thin_depth))
    return names + [f"{name}.blocks.{n}.{each}" for name, count in towers for n in range(count) for each in inside]


def published(model, sizes):
    """A file's content in the published form, random but of this network's shapes."""
    own, state = model.encoder.state_dict(), {}
    for name in published_names(sizes.encoder[1], sizes.decoder[1]):
        width = sizes.encoder[0] if name.startswith("encoder") else sizes.decoder[0]
        state[name] = torch.randn(own[name].shape if name in own else width)
    return {"model": state, "epoch": 1599}


def test_the_full_size_network_has_the_published_weights_and_their_names():
    with torch.device("meta"):
        vit = MaskedViT(ClipSettings(frames=16), FULL)
        guess, features = vit.reconstruct(
            torch.empty(2, 3, 16, 112, 112), *(torch.empty(2, n, dtype=torch.long) for n in (312, 952))
        )
    assert (guess.shape, features.shape) == ((2, 952, 384), (2, 384))
    named = dict(vit.named_parameters())
    unused = [name for name in published_names(12, 4) if name.endswith(("q_bias", "v_bias"))]
    assert set(named) - {"fc_norm.weight", "fc_norm.bias"} == set(published_names(12, 4)) - set(unused)
    count = sum(each.numel() for each in vit.pretrained())
    assert count == 23_354_112
    # The published file has 93,523,615 bytes: four for each weight, and 64 KB of names.
    whole = count + sum(384 if name.startswith("encoder") else 192 for name in unused)
    assert 4 * whole == 93_459_456
    assert sum(each.numel() for each in vit.finetuned()) == 21_437_568 - 12 * 768


def test_three_quarters_of_the_sector_are_hidden_anew_at_each_time():
    sector = np.ones(196, dtype=bool)
    sector[:38] = False  # 158 patches, as in the published map
    seen, hidden = split(sector, 8, generator(0, 0, "a", 0))
    assert (len(seen), len(hidden)) == (8 * 39, 8 * 119)
    times = seen.reshape(8, 39) - 196 * np.arange(8)[:, None]
    assert times.min() >= 38
    assert len({tuple(each) for each in times.tolist()}) == 8
    assert np.array_equal(np.union1d(seen % 196, hidden % 196), np.flatnonzero(sector))
    assert not set(seen) & set(hidden)
    again, _ = split(sector, 8, generator(0, 0, "a", 0))
    other, _ = split(sector, 8, generator(0, 1, "a", 0))
    assert np.array_equal(seen, again)
    assert not np.array_equal(seen, other)


def test_the_sector_is_where_the_training_videos_are_lit(plan):
    sector = find_sector(plan.train, plan.clip, 4)
    assert sector.shape == (8, 8)
    assert sector[4:7, 2:6].all()
    assert not sector[0, [0, 1, 6, 7]].any()


def test_the_target_is_what_a_median_filter_leaves():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 9, 11), dtype=np.uint8)
    wanted = [cv2.medianBlur(frame, 3) for frame in frames.reshape(-1, 9, 11)]
    found = denoised(torch.from_numpy(frames).float()).numpy()
    assert np.array_equal(found.reshape(-1, 9, 11), np.stack(wanted))


def test_patches_and_tokens_have_the_same_order(small):
    x = torch.zeros(1, 3, 4, 16, 16)
    x[0, 1, 3, 6, 13] = 1.0  # second time, second row, fourth column; in it frame 1, row 2, column 1, colour 1
    number, inside = 16 + 4 + 3, (1 * 16 + 2 * 4 + 1) * 3 + 1
    assert patches(x, 4).nonzero().tolist() == [[0, number, inside]]
    change = (small.encoder.tokens(x) - small.encoder.tokens(torch.zeros_like(x))).abs().sum(-1)
    assert change.nonzero().tolist() == [[0, number]]


def test_places_are_sines_and_cosines():
    table = sinusoids(5, 6)
    assert table[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert table[3, 2].item() == pytest.approx(np.sin(3 / 10_000 ** (2 / 6)))
    assert table[3, 5].item() == pytest.approx(np.cos(3 / 10_000 ** (4 / 6)))


def test_a_twins_places_tell_time_row_and_column_apart():
    table = axes(2, 3, 16).reshape(2, 3, 3, 16)
    assert table.reshape(18, 16).unique(dim=0).shape == (18, 16)
    assert torch.equal(table[1, 0, 0, :8], sinusoids(2, 8)[1])
    for axis, columns in ((0, slice(0, 8)), (1, slice(8, 12)), (2, slice(12, 16))):
        moved = table - table.index_select(axis, torch.tensor([0]))
        assert (moved[..., columns] != 0).any()
        others = [column for column in range(16) if column not in range(16)[columns]]
        still = table[..., others]
        assert torch.equal(still, still.index_select(axis, torch.tensor([0])).expand_as(still))


@pytest.mark.parametrize("profile", ["demo", "gpu", "tiny"])
def test_the_twin_has_two_by_eight_by_eight_patches(profile):
    plan = Plan(run=RUN, profile=TINY if profile == "tiny" else get_profile(profile))
    with torch.device("meta"):
        vit = SYSTEM.network(plan).encoder
        x = torch.empty(1, 3, plan.clip.frames, plan.clip.size, plan.clip.size)
        assert vit.tokens(x).shape == (1, 2 * 8 * 8, 64)
        assert patches(x, vit.sizes.patch, vit.sizes.frames).shape[1] == 2 * 8 * 8


def test_what_is_hidden_is_not_seen(small):
    seen, hidden = torch.tensor([[0, 5, 20]]), torch.tensor([[1, 30]])
    x = torch.randn(1, 3, 4, 16, 16)
    guess, feature = small.encoder.reconstruct(x, seen, hidden)
    other = x.clone()
    other[..., 4:8] += 1.0  # column 1: patches 1, 5, ...; then one without the patch that is seen
    other[:, :, :2, 4:8, 4:8] = x[:, :, :2, 4:8, 4:8]
    again, same = small.encoder.reconstruct(other, seen, hidden)
    assert torch.equal(guess, again)
    assert torch.equal(feature, same)
    shown = small.encoder.reconstruct(x + 1, seen, hidden)[0]
    assert not torch.equal(guess, shown)


def test_partners_are_drawn_together():
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert info_nce(one, one, 0.1).item() == pytest.approx(np.log1p(np.exp(-10)), rel=1e-3)
    assert info_nce(one, one.flip(0), 0.1).item() == pytest.approx(10, rel=1e-3)


def test_the_head_answers_in_percent():
    head = ScaledHead(4, 55.0, 100.0)
    assert head(torch.randn(3, 4)).squeeze(1).tolist() == pytest.approx([55.0] * 3)
    torch.nn.init.constant_(head.weight, 0.01)
    assert head(torch.ones(1, 4)).item() == pytest.approx(59.0)
    assert ScaledHead(4, 55.0, 10.0, zero=False).weight.abs().min() > 0


def test_both_losses_fall_and_each_stage_moves_what_it_needs(plan):
    model = SYSTEM.network(plan)
    masked, tuned = SYSTEM.stages(plan)
    items = masked.items(plan)
    assert isinstance(items, MaskedClips)
    batch = Batch.collate([items[0, index] for index in range(len(items))])
    assert batch.clips.shape[:2] == (8, 2)
    for stage, extra, clips, rate in ((masked, batch.extra, batch.clips, 3e-3), (tuned, {}, batch.clips[:, :1], 1e-2)):
        objective = stage.objective(model)
        optimizer, course = torch.optim.AdamW(objective.groups()["all"], lr=rate), []
        for _ in range(12):
            losses = objective(clips, batch.labels, **extra)
            optimizer.zero_grad()
            sum(losses.values()).backward()
            assert all(each.grad is not None for each in objective.groups()["all"])
            optimizer.step()
            course.append({name: loss.item() for name, loss in losses.items()})
        assert set(course[0]) == ({"reconstruction", "alignment"} if stage is masked else {"error"})
        assert all(course[-1][name] < 0.9 * course[0][name] for name in course[0])


def test_the_validation_error_hides_the_same_patches_each_time(plan):
    model = SYSTEM.network(plan)
    validate = SYSTEM.stages(plan)[0].validate
    first, again = (validate(model, plan, torch.device("cpu"), epoch) for epoch in (0, 7))
    assert first == again
    assert 0 < first["val_mae"] ** 2 <= first["val_mse"]
    assert validate(model, Plan(run=RUN, profile=TINY), torch.device("cpu"), 0) == {}


def test_weights_of_videomae_and_of_echocardmae_fit(small, tmp_path):
    ours, theirs = published(small, SMALL), published(small, SMALL)
    torch.save(ours, tmp_path / "EchoCardMAE.pt")
    dropped = load_pretrained(small, tmp_path / "EchoCardMAE.pt")
    assert all(name.endswith(("q_bias", "v_bias")) for name in dropped)
    for name, weight in small.encoder.state_dict().items():
        assert torch.equal(weight, ours["model"].get(name, weight))
    before = {name: weight.clone() for name, weight in small.encoder.state_dict().items()}
    state = theirs["model"]  # as VideoMAE's: patches of 16 pixels, and no token for what is beyond the sector
    del state["bg_mask_token"]
    state["encoder.patch_embed.proj.weight"] = torch.ones(16, 3, 2, 16, 16)
    state["decoder.head.weight"], state["decoder.head.bias"] = torch.randn(1536, 8), torch.randn(1536)
    torch.save(theirs, tmp_path / "videomae_vit_s.pth")
    assert {"decoder.head.weight", "decoder.head.bias"} <= set(load_pretrained(small, tmp_path / "videomae_vit_s.pth"))
    after = small.encoder.state_dict()
    assert torch.equal(after["encoder.patch_embed.proj.weight"], torch.ones(16, 3, 2, 4, 4))
    assert torch.equal(after["decoder.head.weight"], before["decoder.head.weight"])
    assert torch.equal(after["encoder.blocks.1.attn.qkv.weight"], state["encoder.blocks.1.attn.qkv.weight"])
    del state["encoder.norm.weight"]
    torch.save(theirs, tmp_path / "short.pth")
    with pytest.raises(CheckpointError, match=r"encoder\.norm\.weight"):
        load_pretrained(small, tmp_path / "short.pth")


def test_a_run_is_trained_scored_by_five_even_clips_and_kept(phantom_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(SYSTEMS, "echocardmae", SYSTEM)
    place = tiny_place(phantom_folder, tmp_path)
    (record,) = runs.ensure([RUN], TINY, place)
    assert [entry["stage"] for entry in record.history] == ["masked", "masked", "finetune", "finetune"]
    assert all({"val_mae", "val_mse"} <= set(entry) for entry in record.history)
    assert set(record.metrics) == {"first", "fixed3", "even5"}
    even = record.predictions("even5")
    assert even.groupby("video")["start"].nunique().max() == 5
    assert checkpoints.read_info(runs.weights(RUN, TINY, place)).backbone == "own"
