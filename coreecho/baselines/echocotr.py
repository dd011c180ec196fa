"""EchoCoTr (Muhtaseb and Yaqub, MICCAI 2022): a UniFormer-S with a linear head, end to end on squared error."""

from __future__ import annotations

from torch.nn import functional as F

from coreecho.baselines.system import System
from coreecho.objectives import EndToEnd
from coreecho.schedule import whole

SYSTEM = System(
    method="echocotr",
    title="EchoCoTr",
    reference="muhtaseb2022",
    stages=lambda plan: [whole(plan, "end to end", lambda model: EndToEnd(model, F.mse_loss))],
)
