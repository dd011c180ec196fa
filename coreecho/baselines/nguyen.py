"""Nguyen et al., Front. Cardiovasc. Med. 2023: two segmenters, their displacements together, logistic regression.

Each segmenter outlines the wall in every frame. The inner boundary's two sides are smoothed by quartic polynomials, and
six displacements are taken from each segmenter. A logistic regression on all twelve is cut where its ROC curve on the
training fold is nearest to the corner of no errors.

Approximate: theirs are pairs from a library of segmenters with ImageNet encoders; here one is torchvision's DeepLabv3
on MobileNetV3-Large (with ImageNet weights where the run starts from published ones), the other a U-Net of our own.
Theirs were chosen by their quality on the test fold, and put a sigmoid before a loss that applies it again; here the
last epoch counts and the loss gets logits. The published code was read for facts; it has no licence.
"""

from __future__ import annotations

from math import ceil, log2
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import GridSearchCV
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large
from torchvision.models.segmentation.deeplabv3 import ASPP

from coreecho.baselines.arches import Array, heights
from coreecho.baselines.degerli import NARROW, WIDTHS, UNet
from coreecho.baselines.system import System
from coreecho.baselines.walls import Outlining, WallEncoder, WallFrames, measure_fold
from coreecho.errors import CheckpointError
from coreecho.model import CoReEcho, LinearHead
from coreecho.plan import Plan
from coreecho.schedule import whole
from coreecho.weightfiles import fit, read_weights

IMAGENET = "mobilenet_v3_large-8738ca79.pth"
"""torchvision's published weights of the first segmenter's encoder."""
DEGREE = 4
COARSE = 32
"""Most places on a side where the narrow twin's pyramid works; the full size has 14."""
GRID = {
    "C": [0.01, 0.1, 1.0, 10.0, 100.0],
    "class_weight": [None, *({0: 1.0, 1: weight} for weight in (5.0, 10.0, 25.0, 0.1))],
}
"""What the inner cross-validation chooses from, by the area under the ROC curve."""


class DeepLab(nn.Module):
    """DeepLabv3 with one logit a pixel: torchvision's on MobileNetV3-Large, or a narrow twin.

    Args:
        side: Side of the pictures that a narrow twin is made for; none for the full size.
    """

    def __init__(self, side: int | None = None) -> None:
        super().__init__()
        wide = deeplabv3_mobilenet_v3_large
        self.net: nn.Module = _narrow(side) if side else wide(weights=None, weights_backbone=None, num_classes=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, H, W)."""
        out = self.net(x)
        logits: Tensor = out["out"] if isinstance(out, dict) else F.interpolate(out, x.shape[-2:], mode="bilinear")
        return logits[:, 0]


def _narrow(side: int, width: int = 16) -> nn.Sequential:
    """Halvings down to `COARSE` places, two convolutions and torchvision's pyramid of dilated ones, all narrow."""
    halvings = max(0, ceil(log2(side / COARSE)))
    layers: list[nn.Module] = []
    for number, (stride, dilation) in enumerate([(2, 1)] * halvings + [(1, 1), (1, 2)]):
        inputs = width if number else 3
        conv = nn.Conv2d(inputs, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, ASPP(width, [2, 4, 6], width), nn.Conv2d(width, 1, 1))


def on_polynomial(side: Array) -> Array:
    """The points of a side's segments on the quartic polynomial, column by row, that fits the side best."""
    rows = heights(side)
    return np.stack([Polynomial.fit(side[:, 1], side[:, 0], DEGREE)(rows), rows], axis=-1)


def network(plan: Plan) -> CoReEcho:
    """The two segmenters; the head takes the logistic regression that is fitted when the run is scored."""
    segmenters = {
        "deeplab": DeepLab(None if plan.full_size else plan.clip.size),
        "unet": UNet(WIDTHS if plan.full_size else NARROW),
    }
    encoder = WallEncoder(segmenters, on_polynomial, "least")
    return CoReEcho(encoder, LinearHead(encoder.width, 0.0), task="mi", clip=plan.clip)


def load_imagenet(model: CoReEcho, path: Path) -> None:
    """Puts torchvision's classifier weights (`IMAGENET`), without the classifier, into the full-size DeepLabv3.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    encoder = model.encoder
    assert isinstance(encoder, WallEncoder)
    backbone = encoder.segmenters["deeplab"].get_submodule("net.backbone")
    state = read_weights(path)["weights"]
    kept = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    if not kept:
        raise CheckpointError(f"{path}: no weight named features.*; get {IMAGENET} from torchvision's model list")
    fit(backbone, kept, path)


def nearest_corner(labels: ArrayLike, values: ArrayLike) -> float:
    """The threshold from which values count as positive, at the ROC curve's point nearest to (0, 1).

    Of equally near ones it is the highest. The curve's beginning, where nothing is positive, is none of them.

    Args:
        labels: (N,) 1 for an infarction and 0 for none, both present.
        values: (N,) decision values.
    """
    false, true, thresholds = roc_curve(labels, values)
    return float(thresholds[1:][np.argmin(false[1:] ** 2 + (1 - true[1:]) ** 2)])


def score(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Fits the regression and its threshold on the training fold's cycles, keeps it as the head, and predicts.

    Returns:
        One row a video; ``prediction`` is the logistic function of decision value less threshold, so that 0.5 is where
        theirs is cut, and ``dice`` tells how well the wall was outlined, the mean of both segmenters.
    """
    head = model.head
    assert isinstance(head, LinearHead)
    fold = measure_fold(model, plan, device)
    search = GridSearchCV(LogisticRegression(solver="liblinear"), GRID, cv=fold.inner, scoring="roc_auc")
    search.fit(fold.train, fold.labels)
    threshold = nearest_corner(fold.labels, search.decision_function(fold.train))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(search.best_estimator_.coef_))
        head.bias.copy_(torch.from_numpy(search.best_estimator_.intercept_ - threshold))
    return fold.scored(search.decision_function(fold.test) - threshold)


SYSTEM = System(
    method="nguyen",
    title="Nguyen",
    reference="nguyen2023",
    stages=lambda plan: [whole(plan, "outlining", Outlining, items=WallFrames)],
    network=network,
    kinetics=(IMAGENET, load_imagenet),
    score=score,
    differs=(
        "Approximate: torchvision's DeepLabv3 and our own U-Net in place of two segmenters chosen from a library by "
        "their quality on the test fold; the last epoch; logits enter the loss without a sigmoid before it; this "
        "project's folds."
    ),
)
