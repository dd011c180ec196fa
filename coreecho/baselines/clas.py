"""CLAS-type regression (Wei et al., Medical Image Analysis 2023): EF straight from half a beat of CAMUS (Table 4).

The paper's row is the direct four-chamber regression of MCLAS, a system whose own aim is segmentation: its encoder sees
ten grey frames from end-diastole to end-systole, and a regressor reads the EF off what it finds. MCLAS's EF from
segmented areas is far better than this row, and is not rebuilt here.

Approximate: of the 2023 system no code was published. The encoder is that of its ancestor CLAS (2020), a 3-D U-Net
whose code (MIT) was read for facts: six levels of two 3x3x3 convolutions with batch normalisation, 32 to 256 channels,
halved in space only. So is the recipe (rate, batch, epochs, weight decay, no augmentation). The regressor's sizes are
not known to us; an MLP on the mean over space and time stands for it. Segmentation, motion and view, the other
tasks, are left out, and so is the two-chamber view. Frames are interpolated by this project's splines where CLAS takes
the nearest ones, and the weight decay is AdamW's where CLAS has Adam's.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.system import System
from coreecho.model import MEAN_EF, CoReEcho, MLPHead, OtherEncoder
from coreecho.objectives import EndToEnd
from coreecho.plan import Plan
from coreecho.schedule import whole

WIDTHS = (32, 64, 128, 256, 256, 256)
"""Channels of the six levels, each at half the resolution of the one before: 10.6 million weights."""
NARROW = (4, 8, 16, 32, 32, 32)
"""Those of the narrow twin in the demo and gpu profiles."""


class SpaceTimeEncoder(OtherEncoder):
    """The contracting half of a 3-D U-Net that keeps time, then the mean over space and time.

    Args:
        widths: Channels of the levels; a clip's side must be at least 2 to the power of their number less one.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.width = widths[-1]
        self.levels = nn.ModuleList(_level(a, b) for a, b in zip((1, *widths), widths, strict=False))

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, width)."""
        x = x.mean(1, keepdim=True)  # (B, 1, T, H, W): grey
        for number, level in enumerate(self.levels):
            x = level(F.max_pool3d(x, (1, 2, 2)) if number else x)
        return x.mean((2, 3, 4))


def _level(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a in (inputs, outputs):
        layers += [nn.Conv3d(a, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def network(plan: Plan) -> CoReEcho:
    """Encoder and MLP head with random weights; the head's last bias starts at the mean training EF."""
    encoder = SpaceTimeEncoder(WIDTHS if plan.full_size else NARROW)
    bias = MEAN_EF if plan.data is None else plan.data.mean_label
    return CoReEcho(encoder, MLPHead(encoder.width, plan.recipe.head_dropout, bias=bias), clip=plan.clip)


SYSTEM = System(
    method="clas",
    title="CLAS",
    reference="wei2023",
    stages=lambda plan: [whole(plan, "regression", lambda model: EndToEnd(model, F.mse_loss))],
    network=network,
    differs=(
        "Approximate: the encoder and recipe of CLAS (2020) with an MLP of our own on its mean feature, on the "
        "four-chamber view; MCLAS's regressor is not known to us; its segmentation, which gives its best EF, is left "
        "out."
    ),
)
