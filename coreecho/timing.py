"""Milliseconds per clip of a network on a device: warm-up passes, then timed ones (section 4.1; gaps B)."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from coreecho.errors import SettingsError
from coreecho.settings import ClipSettings

WARMUP, TIMED = 50, 200
"""Passes before timing, and timed ones (gaps B)."""


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


def measure(
    model: nn.Module,
    clip: ClipSettings,
    device: torch.device,
    *,
    batch: int = 1,
    warmup: int = WARMUP,
    timed: int = TIMED,
) -> Timing:
    """Times passes of ``model`` over clips that lie on the device: by CUDA events on a GPU, else by the clock.

    Args:
        model: (B, 3, T, H, W) normalised clips -> (B,); used in evaluation mode, its mode is restored.
        clip: shape of a clip.
        device: where the model is.
        batch: clips in a pass.
        warmup: untimed passes before.
        timed: timed passes, at least two.

    Raises:
        SettingsError: fewer than one clip or two timed passes.
    """
    if batch < 1 or timed < 2 or warmup < 0:
        raise SettingsError(f"batch {batch}, warm-up {warmup}, timed {timed}: give at least 1, 0 and 2")
    shape = (batch, 3, clip.frames, clip.size, clip.size)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    clips = clips.contiguous(memory_format=torch.channels_last_3d)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for _ in range(warmup):
            model(clips)
        times = _cuda_times(model, clips, timed) if device.type == "cuda" else _clock_times(model, clips, timed)
    model.train(training)
    each = [milliseconds / batch for milliseconds in times]
    return Timing(batch=batch, warmup=warmup, timed=timed, mean_ms=statistics.fmean(each), sd_ms=statistics.stdev(each))


def _clock_times(model: nn.Module, clips: torch.Tensor, timed: int) -> list[float]:
    times = []
    for _ in range(timed):
        began = time.perf_counter()
        model(clips)
        times.append(1e3 * (time.perf_counter() - began))
    return times


def _cuda_times(model: nn.Module, clips: torch.Tensor, timed: int) -> list[float]:
    torch.cuda.synchronize()
    marks = []
    for _ in range(timed):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        model(clips)
        end.record()
        marks.append((begin, end))
    torch.cuda.synchronize()
    return [float(begin.elapsed_time(end)) for begin, end in marks]
