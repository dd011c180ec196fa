"""The parts of a network, measured on the network itself: shapes, parameters, multiply-adds (section 2.1).

    from coreecho import anatomy
    parts = anatomy.dissect(model, ClipSettings())     # an empty clip passes through; hooks note what comes out
    anatomy.network(get_profile("paper"), Run())       # a run's network, shapes without numbers

Nothing here is written down by hand, so that a table or a drawing of the parts cannot differ from the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from coreecho.errors import SettingsError
from coreecho.flops import module_flops
from coreecho.model import CoReEcho, build_model
from coreecho.settings import ClipSettings, Profile, Run
from coreecho.uniformer import AttentionBlock, UniFormer

Kind = Literal["clip", "convolution", "attention", "mean", "head"]
STAGES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Part:
    """One step of the way from a clip to its EF."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    """What comes out of it, without the batch: (C, T, H, W) of a map, (C,) of an embedding, () of the EF."""
    blocks: int
    """Blocks of a stage; 0 of other parts."""
    parameters: int
    multiply_adds: int
    """Products of one clip, each with the addition after it."""


def network(profile: Profile, run: Run) -> CoReEcho:
    """A run's network on the meta device, where tensors have shapes and no numbers."""
    with torch.device("meta"):
        return build_model(profile.encoder, profile.recipe(run), 0.0, clip=profile.clip_settings(run))


def dissect(model: CoReEcho, clip: ClipSettings) -> tuple[Part, ...]:
    """The parts of a network with a UniFormer, in the order in which a clip passes them.

    Args:
        model: on any device, meta included; its mode is restored.
        clip: shape of the clips.

    Raises:
        SettingsError: its encoder is no UniFormer, or the clip does not fit it.
    """
    encoder = model.encoder
    if not isinstance(encoder, UniFormer):
        raise SettingsError(
            f"the encoder is a {type(encoder).__name__}; only a UniFormer has the stages that are shown"
        )
    shape = (3, clip.frames, clip.size, clip.size)
    seen = _shapes(model, (1, *shape))
    parts = [Part("clip", "clip", shape, 0, 0, 0)]
    for number in STAGES:
        patch, stage = getattr(encoder, f"patch_embed{number}"), getattr(encoder, f"blocks{number}")
        kind: Kind = "attention" if isinstance(stage[0], AttentionBlock) else "convolution"
        parts.append(_part(f"stage {number}", kind, [patch, stage], seen, len(stage)))
    mean = _part("mean", "mean", [encoder.norm], seen)
    parts.append(Part("mean", "mean", mean.shape[:1], 0, mean.parameters, mean.multiply_adds))
    head = _part("head", "head", [model.head], seen)
    return (*parts, Part("head", "head", (), 0, head.parameters, head.multiply_adds))


Seen = dict[nn.Module, tuple[tuple[int, ...], tuple[int, ...]]]
"""What went into each module and what came out, the batch first."""


def _shapes(model: CoReEcho, shape: tuple[int, ...]) -> Seen:
    """The shapes that an empty clip has on its way."""
    seen: Seen = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen[module] = tuple(inputs[0].shape), tuple(output.shape)

    hooks = [module.register_forward_hook(note) for module in (*model.encoder.children(), model.head)]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(shape, device=next(model.parameters()).device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return seen


def _part(name: str, kind: Kind, modules: list[nn.Module], seen: Seen, blocks: int = 0) -> Part:
    """Several modules in a row as one part."""
    parameters = sum(weight.numel() for module in modules for weight in module.parameters())
    operations = sum(module_flops(module, seen[module][0]) for module in modules)
    return Part(name, kind, seen[modules[-1]][1][1:], blocks, parameters, operations // 2)


NAMES = {"clip": "clip", "mean": "norm, mean over positions", "head": "head"}


def title(part: Part) -> str:
    """What a part is, in words: "stage 1: 3 convolution blocks"."""
    if not part.blocks:
        return NAMES[part.name]
    return f"{part.name}: {part.blocks} {part.kind} block{'s' * (part.blocks > 1)}"


def size(part: Part) -> str:
    """What comes out of a part, in words and numbers."""
    if len(part.shape) == 4:
        channels, frames, height, width = part.shape
        return f"{channels} channels, {frames} × {height} × {width}"
    return f"{part.shape[0]} numbers" if part.shape else "one number, the EF"


def count(value: int) -> str:
    """A number of parameters or operations with its thousands, millions or billions."""
    for factor, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return str(value)


def table(parts: tuple[Part, ...]) -> pd.DataFrame:
    """The parts for readers, with their sum."""
    lines = [
        {
            "Part": title(part),
            "Comes out (channels, time × height × width)": size(part),
            "Parameters": f"{part.parameters:,}" if part.parameters else "",
            "Multiply-adds": f"{part.multiply_adds:,}" if part.multiply_adds else "",
        }
        for part in parts
    ]
    last = dict.fromkeys(lines[0], "") | {"Part": "all"}
    last["Parameters"] = f"{sum(part.parameters for part in parts):,}"
    last["Multiply-adds"] = f"{sum(part.multiply_adds for part in parts):,}"
    return pd.DataFrame([*lines, last])


def describe(parts: tuple[Part, ...]) -> str:
    """The drawing in words, for those who do not see it."""
    steps = [f"{title(part)} ({size(part)})" for part in parts]
    return f"The way of a clip through the network, from top to bottom: {'; '.join(steps)}."
