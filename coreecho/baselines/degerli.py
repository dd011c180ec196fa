"""Degerli et al., IEEE Access 2021: the wall outlined in every frame, six displacements, a support vector machine.

An encoder-decoder outlines the whole wall of the left ventricle at 224 x 224. Of one cycle, the largest displacement of
six segments of the inner boundary relative to the reference frame, divided by the inner width, is what the classifier
sees. Approximate: the layers of their best network, its loss and how points are placed were not visible to us, so
a plain small U-Net with binary cross-entropy stands here, and points at even heights. No code was published.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.arches import Array, heights
from coreecho.baselines.system import System
from coreecho.baselines.walls import Outlining, WallEncoder, WallFrames, measure_fold
from coreecho.model import CoReEcho, LinearHead
from coreecho.plan import Plan
from coreecho.schedule import whole

WIDTHS, NARROW = (32, 64, 128, 256, 512), (8, 16, 32, 64, 128)
"""Channels from the finest to the coarsest level: 7.76 million weights, and the narrow twin of demo and gpu, 0.49."""
GRID = {"svc__C": [0.1, 1.0, 10.0, 100.0], "svc__gamma": ["scale", 0.01, 0.1, 1.0]}
"""What the inner cross-validation chooses from, by accuracy."""


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with batch normalisation and equal padding: pictures in, one logit a pixel out.

    Args:
        widths: Channels of the levels, each at half the resolution of the one before.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((3, *widths), widths, strict=False))
        coarse = widths[:0:-1]
        fine = widths[-2::-1]
        self.rise = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(coarse, fine, strict=True))
        self.up = nn.ModuleList(_double(2 * b, b) for b in fine)
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), sides divisible by 2 to the power of the levels less one, to logits (N, H, W)."""
        levels = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            levels.append(x)
        for rise, block, beside in zip(self.rise, self.up, levels[-2::-1], strict=True):
            x = block(torch.cat([beside, rise(x)], dim=1))
        logits: Tensor = self.last(x)
        return logits[:, 0]


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a in (inputs, outputs):
        layers += [nn.Conv2d(a, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def on_boundary(side: Array) -> Array:
    """The points of a side's segments on the outline itself: its column at even heights."""
    rows, order = heights(side), np.argsort(side[:, 1], kind="stable")
    return np.stack([np.interp(rows, side[order, 1], side[order, 0]), rows], axis=-1)


def network(plan: Plan) -> CoReEcho:
    """The segmenter. The classifier is no network: it is fitted when the run is scored, and the head stays at zero."""
    encoder = WallEncoder({"unet": UNet(WIDTHS if plan.full_size else NARROW)}, on_boundary, "mean")
    head = LinearHead(encoder.width, 0.0)
    nn.init.zeros_(head.weight)
    return CoReEcho(encoder, head, task="mi", clip=plan.clip)


def score(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Fits the classifier on the training fold's cycles and predicts the test fold's.

    Returns:
        One row a video; ``prediction`` is the logistic function of the machine's decision value, 0.5 at its boundary,
        and ``dice`` tells how well the wall was outlined.
    """
    fold = measure_fold(model, plan, device)
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), GRID, cv=fold.inner)
    search.fit(fold.train, fold.labels)
    return fold.scored(search.decision_function(fold.test))


SYSTEM = System(
    method="degerli",
    title="Degerli",
    reference="degerli2021",
    stages=lambda plan: [whole(plan, "outlining", Outlining, items=WallFrames)],
    network=network,
    score=score,
    differs=(
        "Approximate: a plain U-Net with binary cross-entropy in place of their best encoder-decoder, whose layers and "
        "loss we could not see; points of the boundary at even heights; the classifier's grid is ours."
    ),
)
