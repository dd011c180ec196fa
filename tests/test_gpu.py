"""What a GPU does differently: bf16, compiled encoders, batches that are there already; much of it shows on a CPU too.

Tests that need CUDA are skipped, with the reason, where there is none.
"""

import dataclasses
import shutil

import pytest
import torch
from helpers import TINY, tiny_model
from torch.nn.attention import SDPBackend, sdpa_kernel

from coreecho import losses
from coreecho.batches import Batch
from coreecho.bench import gpu
from coreecho.clips import random_starts
from coreecho.feeding import Feed
from coreecho.loading import ClipDataset, make_loader
from coreecho.machine import Machine
from coreecho.objectives import RankNContrast
from coreecho.optimisation import Optimisation, make_accelerator
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.trainer import Trainer

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; there is none here")
compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler; there is none here")
on_both = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=cuda)])
STILL = dataclasses.replace(TINY.encoder, dropout=0.0)


def batch(device="cpu", videos=4):
    shape = (videos, 2, 3, TINY.clip.frames, TINY.clip.size, TINY.clip.size)
    clips = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.linspace(20, 80, videos)
    return Batch(clips.to(device), labels.to(device), ("",) * videos, ((0, 0),) * videos)


def network(device="cpu"):
    """The tiny network without dropout, so that two ways of computing can be compared."""
    model = tiny_model(head_dropout=0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.to(device)


def gradients(model, embed):
    """Loss and gradients of the encoder when embeddings are made by ``embed``."""
    clips = torch.randn(8, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    clips = clips.to(next(model.parameters()).device)
    labels = torch.linspace(20, 80, 8, device=clips.device)
    model.zero_grad()
    loss = losses.rnc_loss(embed(clips), labels)
    loss.backward()
    return loss.detach(), [value.grad.clone() for value in model.encoder.parameters()]


def assert_alike(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    scale = max(float(value.abs().max()) for value in expected[1])
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=10 * tolerance * scale)


@on_both
def test_in_bf16_the_losses_are_float32_and_so_are_the_weights(device):
    found = {}
    for precision in ("no", "bf16"):
        model = network(device)
        seen = []
        attention = model.encoder.blocks3[0].attn.qkv
        attention.register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(output.dtype))
        recipe = dataclasses.replace(TINY.shared, precision=precision)
        work = Optimisation(RankNContrast(model, 1.0), recipe, 1e-3, make_accelerator(recipe, device))
        found[precision] = work.step(batch(device), 1e-3)
        assert {value.dtype for value in found[precision].values()} == {torch.float32}
        assert {value.dtype for value in model.parameters()} == {torch.float32}
        assert {value.dtype for optimizer in work.optimizers.values() for state in optimizer.state.values()
                for value in state.values() if value.ndim} == {torch.float32}  # fmt: skip
        assert seen == [torch.bfloat16 if precision == "bf16" else torch.float32]
    assert float(found["bf16"]["rnc"]) == pytest.approx(float(found["no"]["rnc"]), rel=0.02)


def test_a_compiled_encoder_is_traced_whole_and_equals_the_eager_one():
    model = network()
    expected = gradients(model, model.encoder.embed)
    traced = torch.compile(model.encoder.embed, backend="aot_eager", fullgraph=True)
    assert_alike(gradients(model, traced), expected)


@compiler
@pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=cuda)])
def test_the_compiler_itself_changes_nothing_but_rounding(device):
    model = network(device)
    expected = gradients(model, model.encoder.embed)
    with Machine(compile=True).tuned(model.encoder):
        found = gradients(model, model.encoder.embed)
    assert_alike(found, expected, 1e-4)
    assert model.state_dict().keys() == network().state_dict().keys()


def test_attention_by_the_plain_kernel_equals_the_fused_one():
    model = network()
    expected = gradients(model, model.encoder.embed)
    with sdpa_kernel(SDPBackend.MATH):
        assert_alike(gradients(model, model.encoder.embed), expected)


def test_without_cuda_there_are_no_gpu_benchmarks(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.benchmarks() == []


@pytest.mark.parametrize(("card", "count"), [("NVIDIA H100 80GB HBM3", 3), ("some other card", 2)])
def test_a_share_of_an_unknown_peak_is_not_measured(monkeypatch, card, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: card)
    assert len(gpu.benchmarks()) == count


def test_both_sides_of_the_training_benchmark_take_the_same_step():
    recipe = dataclasses.replace(TINY.shared, precision="no")
    small = {"videos": 4, "encoder": STILL, "clip": TINY.clip, "device": "cpu", "compiled": False}
    with gpu.bench_gpu_training.prepare(recipe=recipe, **small) as sides:
        first = (sides.literal(), sides.ours())
        second = (sides.literal(), sides.ours())
    assert float(first[0]) == pytest.approx(float(first[1]), rel=1e-5)
    assert float(second[0]) == pytest.approx(float(second[1]), rel=1e-3)
    assert float(first[0]) != float(second[0])


def test_both_sides_of_the_inference_benchmark_say_the_same():
    small = {"count": 3, "encoder": STILL, "clip": TINY.clip, "device": "cpu", "compiled": False}
    with gpu.bench_gpu_inference.prepare(precision="no", **small) as sides:
        torch.testing.assert_close(sides.ours(), sides.literal(), rtol=1e-5, atol=1e-4)
    with gpu.bench_gpu_inference.prepare(**small) as sides:
        assert sides.ours().shape == (3,)


def test_utilisation_is_a_share_of_the_cards_peak():
    recipe = dataclasses.replace(TINY.shared, precision="bf16")
    small = {"clips": 4, "encoder": STILL, "clip": TINY.clip, "device": "cpu", "compiled": False}
    with gpu.bench_gpu_utilisation.prepare(recipe=recipe, card="NVIDIA H100 80GB HBM3", **small) as sides:
        assert 0 < sides.ours() < 1


@cuda
@pytest.mark.parametrize("same", [False, True], ids=["apart", "coinciding"])
def test_the_loss_is_the_same_on_a_gpu(same):
    numbers = torch.Generator().manual_seed(0)
    embeddings, labels = torch.randn(64, 128, generator=numbers), 100 * torch.rand(64, generator=numbers)
    if same:
        embeddings[32:], labels[32:] = embeddings[:32], labels[:32]
    found = []
    for device in ("cpu", "cuda"):
        z = embeddings.to(device, torch.float64).requires_grad_()
        losses.rnc_loss(z, labels.to(device, torch.float64)).backward()
        found.append(z.grad.cpu())
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


@cuda
def test_the_network_is_the_same_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = network()
    expected = gradients(model, model.encoder.embed)
    found = gradients(model.to("cuda"), model.encoder.embed)
    assert_alike((found[0].cpu(), [value.cpu() for value in found[1]]), expected, 1e-4)


@cuda
def test_batches_are_on_the_gpu_and_what_they_were(phantom_data):
    def batches(device):
        rule = random_starts(TINY.clip, 2, 0)
        data = ClipDataset(phantom_data.split("train"), TINY.clip, rule, augment=True)
        return list(Feed(make_loader(data, 4, shuffle=True), torch.device(device)))

    for there, here in zip(batches("cuda"), batches("cpu"), strict=True):
        assert there.clips.device.type == there.labels.device.type == "cuda"
        assert torch.equal(there.clips.cpu(), here.clips)
        assert torch.equal(there.labels.cpu(), here.labels)


class EndedError(Exception):
    """Stands for whatever ends a training."""


def trained(folder, data, end_after=None):
    """Weights of a tiny training on a GPU, ended once after so many epochs and gone on with."""
    folder.mkdir(exist_ok=True)
    seen = []

    def end(entry):
        seen.append(entry)
        if len(seen) == end_after:
            raise EndedError

    model, plan = tiny_model().to("cuda"), Plan(run=Run(), profile=TINY, data=data)
    options = {"key": "k", "accelerator": make_accelerator(TINY.shared, "cuda"), "on_epoch": end}
    try:
        Trainer(model, plan, folder, **options).fit()
    except EndedError:
        return trained(folder, data)
    return torch.cat([value.detach().flatten().cpu() for value in model.parameters()])


@cuda
def test_a_training_that_was_ended_goes_on_as_if_it_had_not_been(phantom_data, tmp_path):
    whole, again = (trained(tmp_path / name, phantom_data) for name in ("whole", "again"))
    resumed = trained(tmp_path / "resumed", phantom_data, end_after=1)
    # Some kernels add up in an order of their own: two undisturbed runs say how far apart that takes them.
    assert (resumed - whole).abs().max() <= 10 * (again - whole).abs().max() + 1e-6
