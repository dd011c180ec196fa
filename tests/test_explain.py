"""Grad-CAM: maps lie where the cells lie, keep their sign, and an empty one is not stretched."""

import numpy as np
import pytest
import torch
from helpers import tiny_model
from torch import nn

from coreecho import explain
from coreecho.errors import CoReEchoError, SettingsError
from coreecho.explain import Axis, last_layer, saliency
from coreecho.model import CoReEcho, LinearHead, MLPHead, R2Plus1D
from coreecho.uniformer import UniFormer, uniformer_small


class Point(nn.Module):
    """Answers with the sum of what an identity convolution lets through, as (embedding, prediction) or alone."""

    def __init__(self, weight=1.0, pair=True):
        super().__init__()
        self.conv = nn.Conv3d(1, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)
        self.weight, self.pair = weight, pair

    def forward(self, x):
        embedding = self.conv(x).mean(dim=(2, 3, 4))
        prediction = self.weight * embedding.sum(dim=1)
        return (embedding, prediction) if self.pair else prediction


def point_clip():
    clip = torch.zeros(1, 1, 12, 32, 48)
    clip[0, 0, 2, 5, 40] = 1
    return clip


@pytest.mark.parametrize("pair", [True, False])
def test_a_point_is_found_where_it_is(pair):
    model = Point(pair=pair)
    result = saliency(model, point_clip(), layer=model.conv)
    assert result.map.shape == (12, 32, 48)
    assert np.unravel_index(result.map.argmax(), result.map.shape) == (2, 5, 40)
    assert result.map.max() == 1
    assert not result.empty
    assert result.sign == "raises"
    assert "raises" in result.label


def test_what_raises_and_what_lowers_are_two_maps_and_an_empty_one_stays_empty():
    up, down = Point(2.0), Point(-2.0)
    for model, full, empty in ((up, "raises", "lowers"), (down, "lowers", "raises")):
        assert saliency(model, point_clip(), layer=model.conv, sign=full).map.sum() == pytest.approx(1)
        nothing = saliency(model, point_clip(), layer=model.conv, sign=empty)
        assert nothing.empty
        assert not nothing.map.any()
        assert nothing.sign == empty
    silent = Point(0.0)
    assert saliency(silent, point_clip(), layer=silent.conv).empty


def test_without_relu_the_map_keeps_what_works_against_the_sign():
    model = Point(-1.0)
    result = saliency(model, point_clip(), layer=model.conv, relu=False)
    assert result.map[2, 5, 40] == 0
    assert result.map[0, 0, 0] == 1


class Corner(nn.Module):
    """A CoReEcho-like model of the paper's size that reads one channel of one cell of the encoder's last map."""

    def __init__(self, token, row, column):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = uniformer_small(0, widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), head_width=8, dropout=0.0)
        self.place = token, row, column
        self.encoder.norm.register_forward_hook(self.light)

    def light(self, module, inputs, output):
        """Only this cell is lit, whatever the clip shows."""
        mask = torch.zeros_like(output)
        mask[0, :, self.place[0], self.place[1], self.place[2]] = 1
        return output * 0 + mask

    def forward(self, x):
        return self.encoder.embed(x).sum(dim=1)


def test_cells_are_drawn_at_their_true_centres_and_tokens_over_their_two_frames():
    clip = torch.zeros(1, 3, 16, 112, 112)
    for token, row, column in ((0, 0, 0), (3, 1, 2), (7, 2, 1)):
        model = Corner(token, row, column)
        result = saliency(model, clip)
        assert result.cells.shape == (8, 3, 3)
        frames = np.flatnonzero(result.map.sum(axis=(1, 2)) > 0)
        assert frames.tolist() == [2 * token, 2 * token + 1]
        place = result.map[2 * token]
        for axis, cell in ((1, row), (0, column)):
            profile = place.max(axis=axis)
            peak = np.flatnonzero(profile == profile.max())
            if cell < 2:  # 16 and 48: between two pixels, or down to the edge
                assert peak.max() in (32 * cell + 15, 32 * cell + 16)
            else:  # 80; from there on the cell goes on to the edge
                assert peak.min() in (79, 80)
        naive = saliency(model, clip, naive=True).map
        centre = np.array(
            [np.average(np.arange(112) + 0.5, weights=each.sum(axis=(0, 2))) for each in (result.map, naive)]
        )
        if row == 1:
            assert centre == pytest.approx([48, 56], abs=0.5)


def test_a_model_that_looks_at_one_corner_has_its_mass_there():
    result = saliency(Corner(2, 0, 0), torch.zeros(1, 3, 16, 112, 112))
    assert result.map[:, :32, :32].sum() / result.map.sum() > 0.7
    assert result.map[:, 48:].sum() == 0
    assert result.map[:, :, 48:].sum() == 0


def test_the_channel_weights_are_the_mean_gradients():
    model = tiny_model().eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    result = saliency(model, clip, relu=False)
    features = model.encoder.features(clip).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.head(features.mean(dim=(2, 3, 4))).sum(), features)
    expected = (gradient.mean(dim=(2, 3, 4), keepdim=True) * features).sum(dim=1)[0]
    np.testing.assert_allclose(result.cells, expected.detach().numpy(), rtol=1e-4, atol=1e-6)
    opposite = saliency(model, clip, sign="lowers")
    np.testing.assert_allclose(opposite.cells, -result.cells, rtol=1e-4, atol=1e-6)


def test_the_model_is_left_as_it_was():
    model = tiny_model()
    model.encoder.requires_grad_(False)  # a frozen encoder, as in probing
    model.train()
    model.encoder.norm.eval()
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode(False):
        assert saliency(model, torch.randn(1, 3, 8, 32, 32)).map.shape == (8, 32, 32)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.encoder.norm._forward_hooks


def test_the_demo_network_has_more_than_one_cell():
    from coreecho.profiles import DEMO

    _, height, width = UniFormer(DEMO.encoder).grid(DEMO.clip)
    assert min(height, width) >= 2


def test_the_rival_encoder_has_a_map_too():
    model = CoReEcho(R2Plus1D(), LinearHead(512))
    assert last_layer(model) is model.encoder.net.layer4
    result = saliency(model, torch.randn(1, 3, 8, 32, 32))
    assert result.cells.shape == (1, 2, 2)
    assert result.map.shape == (8, 32, 32)


def test_weights_blend_between_centres_and_sum_to_one():
    weights = Axis(16, 32).weights(3, 112)
    assert weights.sum(axis=1) == pytest.approx(np.ones(112))
    assert weights[31] == pytest.approx([0.515625, 0.484375, 0])
    assert weights[100] == pytest.approx([0, 0, 1])
    assert Axis(1, 2, nearest=True).weights(2, 4).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_wrong_use_is_named():
    model = tiny_model()
    with pytest.raises(SettingsError, match="one clip"):
        saliency(model, torch.zeros(2, 3, 8, 32, 32))
    with pytest.raises(SettingsError, match="'up'"):
        saliency(model, torch.zeros(1, 3, 8, 32, 32), sign="up")
    with pytest.raises(SettingsError, match="Point has no encoder"):
        saliency(Point(), point_clip())
    with pytest.raises(SettingsError, match="gives no map"):
        saliency(model, torch.zeros(1, 3, 8, 32, 32), layer=model.head)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(explain.importlib.util, "find_spec", lambda name: None)
    assert not explain.available()
    with pytest.raises(CoReEchoError, match="pip install"):
        saliency(tiny_model(), torch.zeros(1, 3, 8, 32, 32))


def test_the_paper_head_is_reached_through_its_batch_norms():
    model = CoReEcho(uniformer_small(0, widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), head_width=8), MLPHead(16))
    assert saliency(model, torch.randn(1, 3, 4, 64, 64)).map.max() <= 1
