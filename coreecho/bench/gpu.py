"""One GPU: bf16, channels-last and compiled, as trainings there should run, beside the plain module in float32.

The plain version is that of the encoder's benchmark, with PyTorch's default settings on the same card: eager, float32
(cuDNN may use TF32 in convolutions, which is such a default), channels first. Both sides learn from the same clips on
the card by the same losses and optimiser, so that only the way of computing differs. Without CUDA nothing is measured.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Literal

import torch
from torch.nn import functional as F

from coreecho.batches import Batch
from coreecho.bench.encoder import literal_features
from coreecho.bench.measure import Benchmark, Sides, benchmark
from coreecho.clips import normalise
from coreecho.flops import TRAINING, module_flops, peak, utilisation
from coreecho.losses import rnc_loss
from coreecho.machine import Machine
from coreecho.model import CoReEcho, MLPHead, with_channels_last
from coreecho.objectives import RankNContrast
from coreecho.optimisation import Optimisation, make_accelerator
from coreecho.settings import ClipSettings, EncoderSettings, Recipe
from coreecho.timing import measure_training
from coreecho.uniformer import UniFormer

ENCODER, CLIP, RECIPE = EncoderSettings(), ClipSettings(), Recipe(precision="bf16")
"""The paper's network, clip and recipe, but in bf16."""


@benchmark(
    "gpu-training",
    "training step of stage one, 16 videos x 2 clips, ms a clip; literal: the plain module in float32, eager",
    goal="≥ 2.5×",
    repeats=15,
)
def bench_gpu_training(
    videos: int = 16,
    encoder: EncoderSettings = ENCODER,
    clip: ClipSettings = CLIP,
    recipe: Recipe = RECIPE,
    device: str = "cuda",
    compiled: bool = True,
) -> Iterator[Sides]:
    """Both losses of stage one, backward pass, and AdamW."""
    plain, own = _pair(encoder, device)
    batch = _batch(videos, clip, device)
    rate, decay = recipe.learning_rate, recipe.weight_decay
    optimizers = [
        torch.optim.AdamW(part.parameters(), rate, weight_decay=decay) for part in (plain.encoder, plain.head)
    ]
    work = Optimisation(RankNContrast(own, recipe.temperature), recipe, rate, make_accelerator(recipe, device))
    plain.train()
    work.train()

    def literal() -> torch.Tensor:
        x = normalise(batch.clips.transpose(0, 1).flatten(0, 1)).contiguous()  # (2 B, 3, T, H, W)
        y = batch.labels.repeat(2)
        z = _plain_embed(plain, x)
        loss = rnc_loss(z, y, recipe.temperature)
        (loss + F.l1_loss(plain.head(z.detach()).squeeze(-1), y)).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    with Machine(compile=compiled).tuned(own.encoder):
        each = 1 / (2 * videos)
        yield Sides(literal=literal, ours=lambda: work.step(batch, rate)["rnc"], literal_times=each, ours_times=each)


@benchmark(
    "gpu-inference",
    "EF of 64 clips that lie on the card, ms a clip; literal: the plain module in float32, eager",
    goal="≥ 3×, ≤ 1.5 ms",
    repeats=30,
)
def bench_gpu_inference(
    count: int = 64,
    encoder: EncoderSettings = ENCODER,
    clip: ClipSettings = CLIP,
    precision: Literal["no", "bf16"] = "bf16",
    device: str = "cuda",
    compiled: bool = True,
) -> Iterator[Sides]:
    """Encoder and head in evaluation mode."""
    plain, own = (model.eval() for model in _pair(encoder, device))
    clips = normalise(_batch(count, clip, device).clips[:, 0])  # (B, 3, T, H, W)
    packed = clips.contiguous(memory_format=torch.channels_last_3d)

    @torch.inference_mode()
    def literal() -> torch.Tensor:
        out: torch.Tensor = plain.head(_plain_embed(plain, clips)).squeeze(1)
        return out

    @torch.inference_mode()
    def ours() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            out: torch.Tensor = own(packed)
        return out

    with Machine(compile=compiled).tuned(own.encoder):
        yield Sides(literal=literal, ours=ours, literal_times=1 / count, ours_times=1 / count)


@benchmark(
    "gpu-utilisation",
    "training step of 32 clips, its operations as a share of the card's published dense bf16 peak",
    unit="%",
    repeats=3,
)
def bench_gpu_utilisation(
    clips: int = 32,
    encoder: EncoderSettings = ENCODER,
    clip: ClipSettings = CLIP,
    recipe: Recipe = RECIPE,
    device: str = "cuda",
    compiled: bool = True,
    card: str = "",
) -> Iterator[Sides]:
    """Model FLOP utilisation: three forward passes' operations over the time of a whole step."""
    _, own = _pair(encoder, device)
    name = card or torch.cuda.get_device_name()
    flops = TRAINING * module_flops(own, (1, 3, clip.frames, clip.size, clip.size))

    def ours() -> float:
        took = measure_training(own, clip, recipe, torch.device(device), batch=clips, compiled=compiled)
        return 100 * (utilisation(1e3 * flops / took.mean_ms, name, "bf16") or 0.0)

    yield Sides(ours=ours)


def benchmarks() -> list[Benchmark]:
    """The benchmarks that this machine's GPU can run; none without one, and no share of a peak that is not known."""
    if not torch.cuda.is_available():
        return []
    known = peak(torch.cuda.get_device_name(), "bf16") is not None
    return [bench_gpu_training, bench_gpu_inference, *([bench_gpu_utilisation] if known else [])]


def _pair(encoder: EncoderSettings, device: str) -> tuple[CoReEcho, CoReEcho]:
    """A network for the literal side and one for ours, with the same weights."""
    torch.manual_seed(0)
    own = CoReEcho(UniFormer(encoder, num_classes=0), MLPHead(encoder.widths[-1]))
    plain = copy.deepcopy(own)
    return plain.to(device), with_channels_last(own.to(device))


def _plain_embed(model: CoReEcho, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(model.encoder, UniFormer)
    return literal_features(model.encoder, x).mean(dim=(2, 3, 4))


def _batch(videos: int, clip: ClipSettings, device: str) -> Batch:
    numbers = torch.Generator().manual_seed(0)
    shape = (videos, 2, 3, clip.frames, clip.size, clip.size)
    clips = torch.randint(256, shape, dtype=torch.uint8, generator=numbers).to(device)
    labels = torch.linspace(20, 80, videos, device=device)
    return Batch(clips, labels, ("",) * videos, ((0, 0),) * videos)
