"""Heads and the whole network: parity with the official head, shapes, and what a recipe asks for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import fill_by_formula, formula

from coreecho.model import CoReEcho, LinearHead, MLPHead, R2Plus1D, build_model
from coreecho.settings import ClipSettings, EncoderSettings, Recipe
from coreecho.uniformer import UniFormer

HEAD = Path(__file__).parent / "fixtures" / "parity" / "head.npz"
NARROW = EncoderSettings(widths=(8, 16, 32, 64), depths=(1, 1, 1, 1), head_width=16)


@pytest.fixture(scope="module")
def official():
    with np.load(HEAD, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture
def head():
    head = MLPHead(512)
    fill_by_formula(head, first_stream=5000)
    torch.nn.init.constant_(head[6].bias, 55.6)
    return head.double().eval()


def test_head_has_the_published_keys_and_shapes(official):
    state = MLPHead(512).state_dict()
    assert list(state) == official["keys"].tolist()
    assert sum(p.numel() for p in MLPHead(512).parameters()) == 265_217


def test_head_equals_the_official_one(head, official):
    embeddings = torch.tensor(official["input"])
    assert np.array_equal(official["input"], (2 * formula(6000, np.arange(4 * 512))).astype("f4").reshape(4, 512))
    with torch.no_grad():
        np.testing.assert_allclose(head(embeddings.double()), official["output_f64"], rtol=0, atol=1e-10)
        for layer in (0, 2, 3, 4):
            out = torch.nn.Sequential(*list(head)[: layer + 1])(embeddings.double())
            np.testing.assert_allclose(out, official[f"after_layer{layer}_f64"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(head.float()(embeddings), official["output_f64"], rtol=0, atol=3e-5)


def test_head_trains_as_the_official_one(head, official):
    head.train()
    head[1].p = head[5].p = 0.0
    out = head(torch.tensor(official["input"]).double())
    loss = (out - torch.tensor(official["train_labels"])).abs().mean()
    loss.backward()
    np.testing.assert_allclose(out.detach(), official["train_output_f64"], rtol=0, atol=1e-10)
    assert loss.item() == pytest.approx(float(official["train_l1_f64"]), abs=1e-10)
    for name in ("0.running_mean", "0.running_var", "3.running_mean", "3.running_var"):
        np.testing.assert_allclose(head.state_dict()[name], official[f"train_after__{name}_f64"], rtol=0, atol=1e-10)
    for name, parameter in head.named_parameters():
        assert parameter.grad.norm().item() == pytest.approx(float(official[f"train_grad_l2__{name}"]), abs=1e-10), name


def test_heads_start_at_the_given_mean():
    assert MLPHead(8)[6].bias.item() == pytest.approx(55.6)
    assert MLPHead(8, bias=47.0, hidden=4)[6].bias.item() == pytest.approx(47.0)
    assert LinearHead(8, 47.0).bias.item() == pytest.approx(47.0)
    assert [m.p for m in MLPHead(8, 0.2) if isinstance(m, torch.nn.Dropout)] == [0.2, 0.2]


@pytest.mark.parametrize(("kind", "head"), [("mlp", MLPHead), ("linear", LinearHead)])
def test_a_recipe_gets_its_head_and_predicts_one_number_a_clip(kind, head):
    recipe = Recipe(head=kind, head_dropout=0.25)
    model = build_model(NARROW, recipe, 51.5, clip=ClipSettings(frames=4, size=32)).eval()
    clips = torch.randn(3, 3, 4, 32, 32)
    assert isinstance(model.encoder, UniFormer)
    assert isinstance(model.head, head)
    assert isinstance(model.encoder.head, torch.nn.Identity)
    assert model.clip == ClipSettings(frames=4, size=32)
    with torch.no_grad():
        assert model(clips).shape == (3,)
        assert model.embed(clips).shape == (3, 64)
        torch.testing.assert_close(model(clips), model.head(model.embed(clips))[:, 0])
        assert (model(clips) - 51.5).abs().max() < 15


def test_adacons_recipe_gets_torchvisions_encoder():
    model = build_model(NARROW, Recipe(backbone="r2plus1d", head="linear"), 55.6, task="mi").eval()
    assert isinstance(model.encoder, R2Plus1D)
    assert model.task == "mi"
    with torch.no_grad():
        clips = torch.randn(2, 3, 4, 16, 16)
        assert model.embed(clips).shape == (2, 512)
        assert model(clips).shape == (2,)


def test_stopping_the_gradient_at_the_embedding_leaves_the_encoder_alone():
    model = build_model(NARROW, Recipe(), 55.6)
    model.head(model.embed(torch.randn(2, 3, 4, 32, 32)).detach()).sum().backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert model.head[6].weight.grad.any()


def test_from_checkpoint_gives_back_what_was_saved(tmp_path):
    from coreecho.checkpoints import save

    model = build_model(NARROW, Recipe(), 55.6).eval()
    save(model, tmp_path / "model.safetensors", {"training_data": "phantom demo"})
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(CoReEcho.from_checkpoint(tmp_path / "model.safetensors")(clips), model(clips))
