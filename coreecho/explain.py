"""Grad-CAM: which parts of a clip raise, or lower, the predicted EF (Figure 3 and the supplement's; gaps G).

    from coreecho.explain import saliency
    result = saliency(model, normalise(clips))  # clips (1, 3, T, H, W)
    result.map  # (T, H, W), 0..1

The map comes from the encoder's last feature map, 3 x 3 cells in the paper's clips. The cells are drawn where they
are: each of the paper's covers 32 pixels, so their centres lie at 16, 48 and 80 of 112, and the last 16 rows and
columns have no cell of their own. Stretching the 3 x 3 grid over the picture instead, as is usual, would draw them up
to 13 pixels too far right and down; that is offered as ``naive``.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coreecho.errors import CoReEchoError, SettingsError
from coreecho.model import R2Plus1D
from coreecho.uniformer import UniFormer

Map = npt.NDArray[np.float32]
Sign = Literal["raises", "lowers"]

INSTALL = "Grad-CAM needs the package grad-cam: pip install 'coreecho[explain]'"


@dataclass(frozen=True)
class Axis:
    """Where the cells of a feature map lie along one axis of the clip: cell i at ``first + i * step`` (frames, pixels).

    Frame or pixel k lies at k + 0.5, so that a clip reaches from 0 to its length.
    """

    first: float
    step: float
    nearest: bool = False
    """Whether each cell fills its whole step, instead of blending into the next one."""

    def weights(self, cells: int, length: int) -> npt.NDArray[np.float64]:
        """How much of each cell every frame or pixel gets, (length, cells); rows sum to 1."""
        place = (np.arange(length) + 0.5 - self.first) / self.step
        if self.nearest:
            place = np.floor(place + 0.5)
        place = place.clip(0, cells - 1)  # beyond the outermost centres their cells go on
        weights: npt.NDArray[np.float64] = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(cells)))
        return weights


@dataclass(frozen=True)
class Saliency:
    """A Grad-CAM map over a clip."""

    map: Map = field(repr=False)
    """(T, H, W) between 0 and 1, scaled once over the whole clip; all zeros if ``empty``."""
    empty: bool
    """Whether no place of the clip moves the prediction in this direction; nothing is stretched then."""
    sign: Sign
    """Whether the map shows what raises or what lowers the prediction."""
    cells: Map = field(repr=False)
    """The map on the feature map's own grid (t, h, w), unscaled: EF points per clip, or logits."""

    @property
    def label(self) -> str:
        """What the map shows, in words, for a colour bar."""
        return f"{self.sign} the prediction"


def available() -> bool:
    """Whether the package that computes Grad-CAM is installed."""
    return importlib.util.find_spec("pytorch_grad_cam") is not None


def saliency(
    model: nn.Module,
    clip: Tensor,
    *,
    layer: nn.Module | None = None,
    sign: Sign = "raises",
    relu: bool = True,
    naive: bool = False,
) -> Saliency:
    """The Grad-CAM map of one clip.

    Args:
        model: a `CoReEcho`, or any module from a clip to its prediction, or to a tuple that ends in it.
        clip: normalised, (1, 3, T, H, W).
        layer: where to look; the encoder's last normalisation if none. A layer of another kind of model is drawn as if
            its cells divided the clip evenly.
        sign: what raises the prediction, or what lowers it (the map of its negative).
        relu: leave out what works against ``sign``; else the map keeps it, and its lowest value becomes 0.
        naive: stretch the grid over the whole clip instead of drawing cells where they lie.

    Returns:
        The map (T, H, W), each channel weighted by its gradient's mean over time and space.

    Raises:
        SettingsError: not one clip, or no layer for this kind of model.
        CoReEchoError: grad-cam is not installed.
    """
    if clip.ndim != 5 or len(clip) != 1:
        raise SettingsError(f"Grad-CAM takes one clip (1, 3, T, H, W) at a time; got a tensor of {tuple(clip.shape)}")
    if sign not in ("raises", "lowers"):
        raise SettingsError(f"sign is {sign!r}; Grad-CAM shows what 'raises' or what 'lowers' the prediction")
    shape = (clip.shape[2], clip.shape[3], clip.shape[4])
    cells = _cam(model, layer or last_layer(model), clip, 1.0 if sign == "raises" else -1.0)  # (t, h, w)
    shown = np.maximum(cells, 0) if relu else cells
    axes = _evenly(cells.shape, shape) if naive or layer is not None else _axes(model, cells.shape, shape)
    full = shown.astype(np.float64)
    for number, (axis, length) in enumerate(zip(axes, shape, strict=True)):
        weights = axis.weights(cells.shape[number], length)  # (length, cells)
        full = np.moveaxis(np.tensordot(weights, full, axes=(1, number)), 0, number)
    low, high = (0.0 if relu else float(full.min())), float(full.max())
    empty = not high > low
    scaled = np.zeros_like(full) if empty else (full - low) / (high - low)
    return Saliency(scaled.clip(0, 1).astype(np.float32), empty, sign, cells)


def last_layer(model: nn.Module) -> nn.Module:
    """The layer whose output is averaged into the embedding: the last place where the clip still has positions.

    Raises:
        SettingsError: the model has no encoder that is known here.
    """
    encoder = getattr(model, "encoder", model)
    if isinstance(encoder, UniFormer):
        return encoder.norm
    if isinstance(encoder, R2Plus1D):
        return encoder.net.get_submodule("layer4")
    raise SettingsError(f"{type(model).__name__} has no encoder that Grad-CAM knows; name its layer")


class _Scalar(nn.Module):
    """A model whose output is the prediction alone, times a sign, (B, 1)."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x: Tensor) -> Tensor:
        output: Any = self.model(x)
        prediction: Tensor = output[-1] if isinstance(output, tuple | list) else output
        return self.factor * prediction.reshape(len(x), -1)


def _cam(model: nn.Module, layer: nn.Module, clip: Tensor, factor: float) -> Map:
    """The weighted sum of the layer's channels (t, h, w); the model's mode and gradients are left as they were."""
    if not available():
        raise CoReEchoError(INSTALL)
    from pytorch_grad_cam import GradCAM

    training = [module for module in model.modules() if module.training]
    scalar = _Scalar(model, factor)
    cam = GradCAM(model=scalar, target_layers=[layer])  # switches the model to evaluation
    try:
        with torch.enable_grad():
            # A gradient down to the clip reaches the layer even where all weights are frozen, and fills none of theirs.
            clip = clip.detach().clone().requires_grad_()
            prediction = cam.activations_and_grads(clip)
            torch.autograd.grad(prediction.sum(), clip, allow_unused=True)
        hooks = cam.activations_and_grads
        if not hooks.activations or hooks.activations[0].ndim != 5:
            raise SettingsError(
                f"the layer {type(layer).__name__} gives no map (1, C, T, H, W) on the way to the output"
            )
        activation = hooks.activations[0].float().cpu().numpy()
        gradient = hooks.gradients[0].float().cpu().numpy() if hooks.gradients else np.zeros_like(activation)
        image: Map = cam.get_cam_image(clip, layer, [], activation, gradient)[0].astype(np.float32)
        return image
    finally:
        cam.activations_and_grads.release()
        for module in training:
            module.training = True


def _axes(model: nn.Module, cells: tuple[int, ...], shape: tuple[int, int, int]) -> tuple[Axis, Axis, Axis]:
    """Where the cells of an encoder's last map lie: time, rows, columns."""
    encoder = getattr(model, "encoder", model)
    if isinstance(encoder, UniFormer):
        side = float(math.prod(encoder.settings.strides))  # patches do not overlap: cell i is pixels i*side and on
        space = Axis(side / 2, side)
        return Axis(1.0, 2.0, nearest=True), space, space  # a token stands for frames 2i and 2i + 1
    if isinstance(encoder, R2Plus1D):
        return Axis(0.5, 8.0), Axis(0.5, 16.0), Axis(0.5, 16.0)  # padded convolutions: cell i is centred on pixel 16i
    return _evenly(cells, shape)


def _evenly(cells: tuple[int, ...], shape: tuple[int, int, int]) -> tuple[Axis, Axis, Axis]:
    time, rows, columns = (Axis(length / count / 2, length / count) for count, length in zip(cells, shape, strict=True))
    return time, rows, columns
