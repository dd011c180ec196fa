"""Milliseconds per clip of a network on a device: warm-up passes, then timed ones (section 4.1; gaps B).

A pass is one in evaluation, or a whole training step: both losses of stage one, backward pass and optimisers.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from tqdm import tqdm

from coreecho.batches import Batch
from coreecho.distributed import silent
from coreecho.errors import SettingsError
from coreecho.machine import Machine
from coreecho.model import CoReEcho, with_channels_last
from coreecho.objectives import RankNContrast
from coreecho.optimisation import Optimisation, make_accelerator
from coreecho.settings import ClipSettings, Recipe

WARMUP, TIMED = 50, 200
"""Passes before timing, and timed ones (gaps B)."""
TRAINING_WARMUP, TRAINING_TIMED = 5, 20
"""Training steps before timing, and timed ones: a step takes far longer than a pass in evaluation."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Time of a pass over ``batch`` clips, divided by their number."""

    batch: int
    warmup: int
    timed: int
    mean_ms: float
    """Mean milliseconds per clip."""
    sd_ms: float
    """Sample standard deviation over passes (ddof 1), in milliseconds per clip."""
    precision: Literal["no", "bf16"] = "no"
    """Autocast precision; none means float32."""
    compiled: bool = False
    """Whether the encoder was compiled."""

    @property
    def text(self) -> str:
        """Clips in a pass, and how it was computed unless plainly in float32."""
        how = [name for name, is_so in (("bf16", self.precision == "bf16"), ("compiled", self.compiled)) if is_so]
        return f"{self.batch} ({', '.join(how)})" if how else str(self.batch)


def measure_passes(
    model: CoReEcho,
    clip: ClipSettings,
    device: torch.device,
    batches: Sequence[int],
    *,
    warmup: int | None = None,
    timed: int | None = None,
) -> tuple[Timing, ...]:
    """`measure` for several batch sizes; on a GPU the largest once more, in bf16 and compiled."""
    warmup, timed = WARMUP if warmup is None else warmup, TIMED if timed is None else timed
    found = [measure(model, clip, device, batch=size, warmup=warmup, timed=timed) for size in batches]
    if batches and device.type == "cuda":
        with Machine(compile=True).tuned(model.encoder):
            fast = measure(model, clip, device, batch=max(batches), precision="bf16", warmup=warmup, timed=timed)
        found.append(dataclasses.replace(fast, compiled=True))
    return tuple(found)


def measure_steps(
    model: CoReEcho,
    clip: ClipSettings,
    recipe: Recipe,
    device: torch.device,
    batches: Sequence[int],
    *,
    warmup: int | None = None,
    timed: int | None = None,
) -> tuple[Timing, ...]:
    """`measure_training` for several batch sizes; on a GPU the largest once more, in bf16 and compiled."""
    warmup, timed = TRAINING_WARMUP if warmup is None else warmup, TRAINING_TIMED if timed is None else timed
    ways = [(size, recipe, False) for size in batches]
    if batches and device.type == "cuda":
        ways.append((max(batches), dataclasses.replace(recipe, precision="bf16"), True))
    return tuple(
        measure_training(model, clip, how, device, batch=size, warmup=warmup, timed=timed, compiled=compiled)
        for size, how, compiled in ways
    )


def measure(
    model: nn.Module,
    clip: ClipSettings,
    device: torch.device,
    *,
    batch: int = 1,
    warmup: int = WARMUP,
    timed: int = TIMED,
    precision: Literal["no", "bf16"] = "no",
) -> Timing:
    """Times passes of ``model`` over clips that lie on the device: by CUDA events on a GPU, else by the clock.

    Args:
        model: (B, 3, T, H, W) normalised clips -> (B,); used in evaluation mode, its mode is restored.
        clip: shape of a clip.
        device: where the model is.
        batch: clips in a pass.
        warmup: untimed passes before.
        timed: timed passes, at least two.
        precision: autocast precision.

    Raises:
        SettingsError: fewer than one clip or two timed passes.
    """
    _check(batch, warmup, timed)
    shape = (batch, 3, clip.frames, clip.size, clip.size)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    clips = clips.contiguous(memory_format=torch.channels_last_3d)
    training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        found = _timing(lambda: model(clips), device, batch, warmup, timed)
    model.train(training)
    return dataclasses.replace(found, precision=precision)


def measure_training(
    model: CoReEcho,
    clip: ClipSettings,
    recipe: Recipe,
    device: torch.device,
    *,
    batch: int,
    warmup: int = TRAINING_WARMUP,
    timed: int = TRAINING_TIMED,
    compiled: bool = False,
) -> Timing:
    """Times whole steps of stage one, two clips of each video, on uint8 clips that lie on the device.

    Args:
        model: moved by the steps; on the device.
        clip: shape of a clip.
        recipe: optimiser, clipping, temperature and precision.
        device: where the model is.
        batch: clips in a step, an even number.
        warmup: untimed steps before.
        timed: timed steps, at least two.
        compiled: compile the encoder.

    Raises:
        SettingsError: an odd number of clips, fewer than two, or fewer than two timed steps.
        CoReEchoError: the batch does not fit in memory.
    """
    _check(batch, warmup, timed)
    if batch % 2:
        raise SettingsError(f"{batch} clips in a training step: give an even number, two clips of each video")
    training, shape = model.training, (batch // 2, 2, 3, clip.frames, clip.size, clip.size)
    clips = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(device)
    labels = torch.linspace(20, 80, len(clips), device=device)
    work = Optimisation(
        RankNContrast(with_channels_last(model), recipe.temperature),
        recipe,
        recipe.learning_rate,
        make_accelerator(recipe, device.type),
    )
    work.train()
    step = Batch(clips, labels, ("",) * len(clips), ((0, 0),) * len(clips))
    with Machine(compile=compiled).tuned(model.encoder):
        found = _timing(lambda: work.step(step, recipe.learning_rate), device, batch, warmup, timed)
    model.train(training)
    return dataclasses.replace(found, precision=recipe.precision, compiled=compiled)


def _check(batch: int, warmup: int, timed: int) -> None:
    if batch < 1 or timed < 2 or warmup < 0:
        raise SettingsError(f"batch {batch}, warm-up {warmup}, timed {timed}: give at least 1, 0 and 2")


def _timing(action: Callable[[], object], device: torch.device, batch: int, warmup: int, timed: int) -> Timing:
    for _ in tqdm(range(warmup), f"{batch} clips, warm-up", leave=False, disable=silent()):
        action()
    times = _cuda_times(action, timed) if device.type == "cuda" else _clock_times(action, timed)
    each = [milliseconds / batch for milliseconds in times]
    return Timing(batch=batch, warmup=warmup, timed=timed, mean_ms=statistics.fmean(each), sd_ms=statistics.stdev(each))


def _clock_times(action: Callable[[], object], timed: int) -> list[float]:
    times = []
    for _ in tqdm(range(timed), "timed", leave=False, disable=silent()):
        began = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - began))
    return times


def _cuda_times(action: Callable[[], object], timed: int) -> list[float]:
    torch.cuda.synchronize()
    marks = []
    for _ in range(timed):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        action()
        end.record()
        marks.append((begin, end))
    torch.cuda.synchronize()
    return [float(begin.elapsed_time(end)) for begin, end in marks]
