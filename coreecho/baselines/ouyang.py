"""EchoNet-Dynamic (Ouyang et al., Nature 2020): clips through R(2+1)D, beats found by outlining the ventricle.

Two networks that are trained apart. DeepLabv3 on a ResNet-50 learns to outline the left ventricle in the two traced
frames of each video, by binary cross-entropy. R(2+1)D-18, from Kinetics-400 weights, learns EF from clips of 32 frames,
by squared error; one linear layer is its regressor. Table 1 has two of its rows: "1 x single heartbeat" is the clip
at frame 0 (protocol "first"), and "full video" the mean over clips centred on the systoles that the area shows
("beats"). The authors publish weights of both networks; `load_release` reads them.

What differs: outlines are filled without rounding their corners to pixels. The authors drop videos without a beat; here
their last clip stands for a systole that comes too late, and the first where none is found, so that all systems are
scored on the same videos. Where networks are not full size, both are narrow twins from random weights. Read for facts:
echonet/dynamic (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.r2plus1d import VideoEncoder, split_last
from coreecho.baselines.system import System
from coreecho.baselines.ventricle import Outlining, TracedFrames, areas, beats, outline_errors
from coreecho.datasets.tracings import read_tracings
from coreecho.model import MEAN_EF, CoReEcho, LinearHead
from coreecho.objectives import EndToEnd
from coreecho.plan import Plan
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.schedule import Stage, whole
from coreecho.weightfiles import check_fit, fit, read_weights

OUTLINE_EPOCHS, OUTLINE_RATE = 50, 1e-5
"""Epochs and constant learning rate of the published training of outlines."""
K400_FILE = "r2plus1d_18-91a641e6.pth"

Beat = tuple[int | None, int]
"""Frame of a systole, none for a clip that belongs to none, and start of its clip."""


class BeatEncoder(VideoEncoder):
    """R(2+1)D-18 beside the network that outlines the ventricle, which takes no part in the embedding."""

    def __init__(self, full_size: bool) -> None:
        super().__init__(full_size)
        self.segmenter = _deeplab() if full_size else NarrowDeepLab()


def _deeplab() -> nn.Module:
    from torchvision.models.segmentation import deeplabv3_resnet50

    net: nn.Module = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)
    return net


class NarrowDeepLab(nn.Module):
    """DeepLabv3's structure, narrow: bottleneck blocks, the last one dilated, and atrous pooling at a quarter scale."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.resnet import Bottleneck
        from torchvision.models.segmentation.deeplabv3 import ASPP

        def block(inputs: int, width: int, stride: int, dilation: int) -> nn.Module:
            beside = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
            made: nn.Module = Bottleneck(inputs, width, stride, beside, dilation=dilation)
            return made

        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            block(16, 8, 2, 1),
            block(32, 16, 2, 1),
            block(64, 16, 1, 2),
        )
        self.classifier = nn.Sequential(ASPP(64, (2, 4, 6), 32), nn.Conv2d(32, 1, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Frames (N, 3, H, W) to ``out``, logits (N, 1, H, W)."""
        logits = self.classifier(self.backbone(x))
        return {"out": F.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)}


class Ejection(EndToEnd):
    """Squared error of the EF; the segmenter stands still."""

    def __init__(self, model: CoReEcho) -> None:
        """Minimises it over the video network and the head."""
        super().__init__(model, F.mse_loss)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The video network and the head, under one optimiser."""
        encoder = _encoder(self.model)
        return {"video": [*encoder.video.parameters(), *self.model.head.parameters()]}


def _encoder(model: CoReEcho) -> BeatEncoder:
    assert isinstance(model.encoder, BeatEncoder)
    return model.encoder


def network(plan: Plan) -> CoReEcho:
    """Both networks with random weights; the regressor's bias starts at the mean training label."""
    encoder = BeatEncoder(plan.full_size)
    head = LinearHead(encoder.width, MEAN_EF if plan.data is None else plan.data.mean_label)
    return CoReEcho(encoder, head, clip=plan.clip)


def stages(plan: Plan) -> list[Stage]:
    """Outlines on traced frames, then EF on clips."""
    frames = cache(lambda: TracedFrames(plan, plan.val))

    def validate(model: CoReEcho, plan: Plan, device: torch.device, epoch: int) -> dict[str, float]:
        if not plan.val:
            return {}
        errors = outline_errors(model, frames(), device)
        return {"val_mae": 1 - float(errors["dice"].mean()), "val_mse": float(errors["error"].mean())}

    outlining = whole(
        plan, "outlining", Outlining, items=lambda plan: TracedFrames(plan, plan.train), validate=validate
    )
    if plan.recipe.optimizer == "sgd":
        outlining = Stage(
            "outlining",
            Outlining,
            OUTLINE_EPOCHS,
            OUTLINE_RATE,
            "constant",
            weight_decay=0.0,
            items=outlining.items,
            validate=validate,
        )
    return [outlining, whole(plan, "ejection", Ejection, views="one")]


def score(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Predictions of every clip of the test videos, and the clips among them that each protocol averages.

    Returns:
        Protocols "first", the profile's, "all" and "beats"; ``systole`` is the frame of a beat's systole, NaN for
        other clips and for the first clip of a video in which none was found; ``dice`` how well the video's two
        traced frames were outlined.
    """
    assert plan.data is not None
    clip, studies = plan.clip, plan.data.split("test")
    rule = protocol_starts("all", clip)
    every = predict_clips(model, studies, clip, rule, device=device, padding=plan.recipe.padding)
    shown = {
        str(video): len(table) + clip.span - 1 for video, table in every.groupby("video")
    }  # frames, filled ones too
    tables = []
    for protocol in dict.fromkeys(("first", plan.profile.protocol_of(plan.run), "all")):
        rule = protocol_starts(protocol, clip)
        chosen: dict[str, list[Beat]] = {
            video: [(None, start) for start in rule(video, shown[video], 0)] for video in shown
        }
        tables.append(_pick(every, chosen, protocol))
    found = {video: beats(area, clip) for video, area in areas(model, studies, clip.size, device).items()}
    tables.append(_pick(every, {video: each or [(None, 0)] for video, each in found.items()}, "beats"))
    table = pd.concat(tables, ignore_index=True)
    if read_tracings(plan.data.root, [study.id for study in studies]):
        dice = outline_errors(model, TracedFrames(plan, studies), device).set_index("video")["dice"]
        table["dice"] = table["video"].map(dice)
    return table


def _pick(every: pd.DataFrame, chosen: Mapping[str, Sequence[Beat]], protocol: str) -> pd.DataFrame:
    """The rows of chosen (systole or none, start) clips of each video, counted anew."""
    wanted = pd.DataFrame(
        [(video, number, start, frame) for video, each in chosen.items() for number, (frame, start) in enumerate(each)],
        columns=["video", "clip", "start", "systole"],
    ).astype({"systole": float})
    rows = wanted.merge(every.drop(columns="clip"), on=["video", "start"], how="left", validate="many_to_one")
    return rows[[*every.columns, "systole"]].assign(protocol=protocol)


def load_release(model: CoReEcho, *, segmentation: Path | None = None, video: Path | None = None) -> None:
    """Puts the authors' published weights into a full-size network.

    Args:
        model: made by `network`.
        segmentation: ``deeplabv3_resnet50_random.pt``, or none to leave the segmenter as it is.
        video: ``r2plus1d_18_32_2_pretrained.pt``, the video network with its regressor, or none.

    Raises:
        CheckpointError: a file is missing, damaged or of another architecture; what did fit before it is kept.
    """
    encoder = _encoder(model)
    if segmentation is not None:
        fit(encoder.segmenter, read_weights(segmentation)["weights"], segmentation)
    if video is not None:
        body, last = split_last(read_weights(video)["weights"])
        check_fit(encoder.video, body, video)
        fit(model.head, last, video)
        fit(encoder.video, body, video)


def load_kinetics(model: CoReEcho, path: Path) -> None:
    """Puts torchvision's Kinetics-400 weights of r2plus1d_18 into the video network, without their classifier.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    fit(_encoder(model).video, split_last(read_weights(path)["weights"])[0], path)


SYSTEM = System(
    method="ouyang",
    title="Ouyang",
    reference="ouyang2020",
    stages=stages,
    network=network,
    kinetics=(K400_FILE, load_kinetics),
    score=score,
    differs=(
        "Videos without a beat keep their first clip, or their last if a systole comes too late, instead of being "
        "dropped; traced outlines are not rounded to pixels."
    ),
)
