"""The plain encoder that ours is timed against computes the same outputs and gradients, and memory is counted right."""

import copy
import dataclasses

import pytest
import torch

from coreecho.bench.encoder import bench_checkpointing, bench_encoder, literal_features
from coreecho.settings import ClipSettings, EncoderSettings
from coreecho.uniformer import UniFormer

# Wide enough for the kernels that only larger tensors use.
SMALL = EncoderSettings(widths=(16, 32, 64, 128), depths=(1, 1, 2, 1), head_width=32, dropout=0.0)
CLIP = ClipSettings(frames=16, size=64)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("clips", [1, 3])
def test_outputs_and_gradients_equal_the_plain_modules(dtype, tolerance, clips):
    torch.manual_seed(0)
    ours = UniFormer(SMALL, num_classes=0).to(dtype).train()
    literal = copy.deepcopy(ours)
    x = torch.randn(clips, 3, CLIP.frames, CLIP.size, CLIP.size, dtype=dtype)
    upstream = torch.randn(clips, 128, *ours.grid(CLIP), dtype=dtype)
    upstream /= upstream.norm()
    found = []
    for net, features in ((literal, literal_features), (ours, UniFormer.features)):
        own = x.clone().requires_grad_()
        out = features(net, own)
        out.backward(upstream)
        found.append([out.detach(), own.grad, *(p.grad for p in net.parameters()), *net.buffers()])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=tolerance)
    assert max(each.abs().max() for each in found[0][2:]) > 0.1


def test_the_benchmarks_sides_agree():
    with bench_encoder.prepare(encoder=SMALL, clip=CLIP) as sides:
        (literal, expected), (ours, gradients) = sides.literal(), sides.ours()
    torch.testing.assert_close(ours, literal, rtol=0, atol=1e-4)
    for value, gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(value, gradient, rtol=0, atol=1e-4)


def kept_bytes(net, x):
    """Memory of what ``net(x)`` keeps for its backward pass, without ``x`` and the numbers of ``net``."""
    known = {tensor.untyped_storage().data_ptr() for tensor in (x, *net.parameters(), *net.buffers())}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(x)
    return sum(kept.values())


def test_checkpointing_keeps_less_memory():
    net = UniFormer(dataclasses.replace(SMALL, depths=(3, 3, 4, 3)), num_classes=0)
    x = torch.randn(1, 3, CLIP.frames, CLIP.size, CLIP.size)
    whole = kept_bytes(net, x)
    net.checkpointing = True
    assert 0 < kept_bytes(net, x) < 0.3 * whole


def test_the_memory_of_a_step_is_told_in_gb_of_a_whole_batch(monkeypatch):
    seen = []

    def growth(step):
        step()
        seen.append(step)
        return 500.0 - 100.0 * len(seen)

    monkeypatch.setattr("coreecho.bench.encoder.growth_mb", growth)
    with bench_checkpointing.prepare(encoder=SMALL, clip=CLIP, clips=2) as sides:
        assert [sides.literal(), sides.ours()] == pytest.approx([16 * 0.4, 16 * 0.3])
    assert seen[0] is not seen[1]
