"""The encoder is the published one: same names, same numbers to 1e-9, at any scale."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._dynamo.testing
import torch.nn.functional as F
from helpers import fill_by_formula, formula, formula_clip

from coreecho.errors import SettingsError
from coreecho.layers import Depthwise, DepthwiseFunction, Dropout, Linear, Pointwise
from coreecho.settings import ClipSettings, EncoderSettings
from coreecho.uniformer import UniFormer, uniformer_small

PARITY = Path(__file__).parent / "fixtures" / "parity"
CLIPS = {"a_8x56x56": (8, 56, 56), "b_16x112x112": (16, 112, 112), "c_36x112x112": (36, 112, 112)}
NARROW = {"widths": (8, 16, 32, 64), "depths": (1, 1, 2, 1), "head_width": 16}


@pytest.fixture(scope="module")
def published():
    with np.load(PARITY / "uniformer_small.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def filled():
    net = uniformer_small()
    fill_by_formula(net)
    return net.eval()


@pytest.fixture
def net(filled):
    return copy.deepcopy(filled).double()


def test_the_number_formula_gives_its_check_values():
    assert formula(0, np.arange(3)).tolist() == [0.7869509038368512, -0.5055341968568958, -0.9567625354559095]
    assert formula(5, np.array([1000]))[0] == 0.5141722494498695
    assert formula(100000, np.array([12345]))[0] == -0.4535033793757255


def test_state_dict_has_the_published_keys_order_and_shapes():
    listed = json.loads((PARITY / "uniformer_small.json").read_text())
    state = uniformer_small().state_dict()
    assert [(key, list(value.shape), str(value.dtype)) for key, value in state.items()] == [
        (entry["key"], entry["shape"], f"torch.{entry['dtype']}") for entry in listed["keys"]
    ]
    assert sum(p.numel() for p in uniformer_small(0).parameters()) == 21_195_200


@pytest.mark.parametrize("name", CLIPS)
def test_embedding_logits_and_every_stage_equal_the_official_ones(net, published, name):
    clip = formula_clip(*CLIPS[name]).double()
    assert clip.sum().item() == pytest.approx(float(published[f"{name}__input_sum_f64"]), abs=1e-9)
    stages = {}
    for stage in map(str, published[f"{name}__stage_names"]):
        net.get_submodule(stage).register_forward_hook(lambda _m, _i, out, stage=stage: stages.update({stage: out}))
    with torch.no_grad():
        embedding = net.embed(clip)
        logits = net.head(embedding)
    np.testing.assert_allclose(embedding[0], published[f"{name}__embedding_f64"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(logits[0, :16], published[f"{name}__logits_first16_f64"], rtol=0, atol=1e-9)
    for i, (stage, out) in enumerate(stages.items()):
        assert tuple(out.shape) == tuple(published[f"{name}__stage_shapes"][i]), stage
        first8 = published[f"{name}__stage_first8_f64"][i]
        np.testing.assert_allclose(out.flatten()[:8], first8, rtol=0, atol=1e-9, err_msg=stage)
        assert out.mean().item() == pytest.approx(published[f"{name}__stage_mean_f64"][i], abs=1e-9), stage
        assert out.std(correction=0).item() == pytest.approx(published[f"{name}__stage_std_f64"][i], abs=1e-9), stage
    assert len(stages) == 23


def test_float32_and_channels_last_are_within_rounding(net, published):
    net = net.float()
    clip = formula_clip(*CLIPS["b_16x112x112"])
    with torch.no_grad():
        plain = net.embed(clip)
        last = net.to(memory_format=torch.channels_last_3d).embed(clip.to(memory_format=torch.channels_last_3d))
    for embedding in (plain, last):
        np.testing.assert_allclose(embedding[0], published["b_16x112x112__embedding_f64"], rtol=0, atol=5e-5)


def test_gradients_equal_the_official_ones(net, published):
    clip = formula_clip(8, 56, 56).double().requires_grad_()
    embedding = net.embed(clip)
    loss = embedding.square().mean() + net.head(embedding).square().mean()
    loss.backward()
    assert loss.item() == pytest.approx(float(published["grad_a__loss_f64"]), abs=1e-9)
    parameters = dict(net.named_parameters())
    assert list(parameters) == published["grad_a__param_names"].tolist()
    norms = np.array([p.grad.norm().item() for p in parameters.values()])
    np.testing.assert_allclose(norms, published["grad_a__param_grad_l2_f64"], rtol=1e-9, atol=1e-9)
    assert clip.grad.norm().item() == pytest.approx(float(published["grad_a__input_grad_l2_f64"]), abs=1e-9)
    np.testing.assert_allclose(clip.grad.flatten()[:16], published["grad_a__input_grad_first16_f64"], atol=1e-9)


def test_training_mode_normalises_by_the_batch_as_the_official_code_does(net, published):
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    clips = torch.cat([formula_clip(8, 56, 56), formula_clip(8, 56, 56, (200000, 200001))]).double()
    with torch.no_grad():
        embedding = net.embed(clips)
    np.testing.assert_allclose(embedding, published["train_a2__embedding_f64"], rtol=0, atol=1e-9)
    for name in ("blocks1.0.norm1", "norm"):
        norm = net.get_submodule(name)
        np.testing.assert_allclose(norm.running_mean, published[f"train_a2__{name}.running_mean_after_f64"], atol=1e-9)
        np.testing.assert_allclose(norm.running_var, published[f"train_a2__{name}.running_var_after_f64"], atol=1e-9)
        assert norm.num_batches_tracked.item() == 1


def test_dropout_sits_in_thirty_places():
    """After the stem, on 11 attention outputs, twice in each of 18 MLPs (one module each)."""
    rates = [m.p for m in uniformer_small().modules() if isinstance(m, torch.nn.Dropout)]
    assert rates == [0.1] * 30


@pytest.mark.parametrize(
    ("strides", "frames", "side", "grid"),
    [((4, 2, 2, 1), 16, 32, (8, 2, 2)), ((4, 2, 1, 1), 15, 35, (8, 4, 4)), ((1, 2, 2, 2), 1, 8, (1, 1, 1))],
)
def test_narrow_encoders_take_any_strides_and_predict_their_grid(strides, frames, side, grid):
    net = uniformer_small(0, strides=strides, **NARROW).eval()
    clip = torch.randn(2, 3, frames, side, side)
    assert net.grid(ClipSettings(frames=frames, size=side)) == grid
    assert net.features(clip).shape == (2, 64, *grid)
    assert torch.equal(net(clip), net.embed(clip))


def test_the_papers_grid():
    assert uniformer_small(0).grid(ClipSettings()) == (18, 3, 3)


def test_linear_layers_start_small_and_norms_neutral():
    net = uniformer_small(1)
    weight = net.blocks4[0].mlp.fc1.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not net.blocks3[0].attn.qkv.bias.any()
    assert net.head.weight.shape == (1, 512)
    assert torch.equal(net.blocks4[0].norm1.weight, torch.ones(512))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"head_width": 48}, "head_width"),
        ({"depths": (1, 1, 0, 1)}, "depths"),
        ({"strides": (4, 2, 2)}, "strides"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_impossible_settings_are_named(settings, named):
    with pytest.raises(SettingsError, match=named):
        UniFormer(EncoderSettings(**settings))


def test_unknown_settings_and_wrong_inputs_are_named():
    with pytest.raises(SettingsError, match="width"):
        uniformer_small(width=3)
    net = uniformer_small(0, **NARROW)
    with pytest.raises(SettingsError, match="32 pixels"):
        net(torch.zeros(1, 3, 4, 31, 64))
    with pytest.raises(SettingsError, match=r"\(1, 1, 4, 32, 32\)"):
        net(torch.zeros(1, 1, 4, 32, 32))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_gradients_of_depthwise_convolutions_are_right_to_the_last_digit(kernel):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(DepthwiseFunction.apply, (x, weight, bias))
    assert torch.autograd.gradcheck(lambda clips: DepthwiseFunction.apply(clips, weight.detach(), None), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_depthwise_convolutions_in_float32_are_those_of_pytorch(layout):
    torch.manual_seed(0)
    layer = Depthwise(16, 5)
    x = torch.randn(2, 16, 6, 9, 7).contiguous(memory_format=layout).requires_grad_()
    exact = [each.detach().double().requires_grad_() for each in (x, layer.weight, layer.bias)]
    upstream = torch.randn(2, 16, 6, 9, 7)
    layer(x).backward(upstream)
    F.conv3d(*exact, padding=2, groups=16).backward(upstream.double())
    for value, expected in zip((x, layer.weight, layer.bias), exact, strict=True):
        torch.testing.assert_close(value.grad.double(), expected.grad, rtol=0, atol=1e-4)


@pytest.mark.parametrize("layer", [Linear, Pointwise])
@pytest.mark.parametrize("clips", [1, 3])
def test_channels_are_mixed_as_by_a_linear_layer(layer, clips):
    """By convolution on a processor if there is enough to do, else by matrix product."""
    torch.manual_seed(0)
    own = layer(64, 48)
    for side in (4, 16):
        x = torch.randn(clips, 4, side, side, 64)
        torch.testing.assert_close(own(x), F.linear(x, own.weight.flatten(1), own.bias), rtol=0, atol=1e-5)


def test_dropout_drops_its_share_scales_the_rest_and_passes_the_same_gradient_back():
    torch.manual_seed(0)
    drop, x = Dropout(0.1), torch.ones(3, 41, 999, requires_grad=True)
    out = drop(x)
    out.sum().backward()
    assert torch.equal(x.grad, out)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.9])
    share = (out == 0).double().mean(dim=(0, 2))
    assert share.mean().item() == pytest.approx(0.1, abs=0.005)
    assert share.std().item() == pytest.approx((0.1 * 0.9 / (3 * 999)) ** 0.5, rel=0.5)
    again = drop(x)
    assert 0.15 < ((out == 0) != (again == 0)).double().mean().item() < 0.21


def test_dropout_that_drops_nothing_draws_nothing():
    x, state = torch.randn(2, 5), torch.get_rng_state()
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("training", [True, False])
def test_checkpointing_changes_no_bit(training):
    """Neither gradients nor dropout nor running statistics, which count a batch once though blocks compute it twice."""
    torch.manual_seed(0)
    clips = torch.randn(2, 3, 8, 32, 32)
    plain = uniformer_small(0, dropout=0.3, **NARROW).train(training)
    saving = copy.deepcopy(plain)
    assert not saving.checkpointing
    saving.checkpointing = True
    calls = []
    saving.blocks4.register_forward_hook(lambda *_: calls.append("stage"))
    saving.blocks4[0].attn.register_forward_hook(lambda *_: calls.append("inside"))
    found = []
    for net in (plain, saving):
        torch.manual_seed(1)
        for _ in range(2):  # gradients add up, statistics go on
            net.features(clips).square().sum().backward()
        found.append([*(p.grad for p in net.parameters()), *net.buffers(), torch.get_rng_state()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert plain.norm.num_batches_tracked.item() == saving.blocks1[0].norm1.num_batches_tracked.item() == 2 * training
    assert calls.count("stage") == 2
    assert calls.count("inside") == 4
    assert list(saving.state_dict()) == list(plain.state_dict())


def test_the_compiler_takes_the_encoder_whole():
    net = uniformer_small(0, dropout=0.0, **NARROW).train()
    clips = torch.randn(2, 3, 4, 32, 32)
    compiled = torch.compile(net.features, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(clips), copy.deepcopy(net).features(clips))


@pytest.mark.parametrize("saving", [False, True], ids=["plain", "checkpointing"])
def test_a_compiled_encoder_learns_as_the_plain_one_does(saving):
    """Checkpointed blocks run outside of the compiler's graph, and a second batch compiles nothing anew."""
    torch.manual_seed(0)
    plain = uniformer_small(0, dropout=0.0, **NARROW).train()
    net, clips = copy.deepcopy(plain), torch.randn(2, 3, 4, 32, 32)
    net.checkpointing = saving
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled, counts = torch.compile(net.features, backend=counter), []
    for _ in range(3):
        compiled(clips).square().sum().backward()
        plain.features(clips).square().sum().backward()
        counts.append(counter.frame_count)
    for (name, weight), expected in zip(net.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, expected.grad, rtol=1e-4, atol=1e-4, msg=name)
    torch.testing.assert_close(list(net.buffers()), list(plain.buffers()))
    assert counts[0] == counts[-1] > 0
    assert (counts[0] == 1) == (not saving)


def test_half_precision_is_near_full_precision():
    torch.manual_seed(0)
    net = uniformer_small(0, dropout=0.0, **NARROW).train()
    clips = torch.randn(2, 3, 8, 64, 64)
    full = net.features(clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = net.features(clips)
    half.float().square().sum().backward()
    assert (half.float() - full).abs().mean().item() < 0.05
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_half_precision_on_a_processor_gives_the_same_gradients_each_time():
    torch.manual_seed(0)
    net = UniFormer(EncoderSettings(**NARROW, dropout=0.0), num_classes=0).train()
    x = torch.randn(4, 3, 8, 64, 64)
    found = []
    for _ in range(4):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = net.features(x)
        out.float().square().mean().backward()
        found.append([parameter.grad.clone() for parameter in net.parameters()])
    assert all(torch.equal(a, b) for again in found[1:] for a, b in zip(found[0], again, strict=True))
    net.zero_grad()
    net.features(x).square().mean().backward()
    for half, parameter in zip(found[0], net.parameters(), strict=True):
        assert (half - parameter.grad).norm() <= 0.1 * parameter.grad.norm() + 1e-3
