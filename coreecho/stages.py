"""The stages of each method: the paper's own here, those of the compared systems in `coreecho.baselines`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines import SYSTEMS
from coreecho.errors import SettingsError
from coreecho.objectives import EndToEnd, HeadOnly, RankNContrast
from coreecho.plan import Plan
from coreecho.schedule import Stage, refined, whole


def stages(plan: Plan) -> list[Stage]:
    """The stages that train a run, in order; each starts from the best epoch of the one before.

    Raises:
        SettingsError: there is no such method; the message lists those that exist.
    """
    method = plan.run.method
    if method in SYSTEMS:
        return SYSTEMS[method].stages(plan)
    if method not in METHODS:
        raise SettingsError(f"there is no method {method!r}; methods: {', '.join([*METHODS, *SYSTEMS])}")
    return METHODS[method](plan)


def _stage_one(plan: Plan) -> list[Stage]:
    """Rank-N-Contrast for the encoder, L1 for the head (section 2.2)."""
    return [whole(plan, "stage one", lambda model: RankNContrast(model, plan.recipe.temperature))]


def _both_stages(plan: Plan) -> list[Stage]:
    """Stage one, then the head alone on L1 (section 2.2)."""
    return [*_stage_one(plan), refined(plan, "stage two", lambda model: HeadOnly(model, F.l1_loss), frozen=True)]


def _l1(plan: Plan) -> list[Stage]:
    """Encoder and head end to end on L1, Table 2's baseline."""
    return [whole(plan, "end to end", lambda model: EndToEnd(model, F.l1_loss))]


def _error(plan: Plan) -> Callable[[Tensor, Tensor], Tensor]:
    """What is minimised on another data set: squared error (CAMUS) or binary cross-entropy (HMC-QU; section 2.3)."""
    return F.binary_cross_entropy_with_logits if plan.run.dataset == "hmcqu" else F.mse_loss


def _probe(plan: Plan) -> list[Stage]:
    """A new head on a frozen encoder."""
    return [whole(plan, "probe", lambda model: HeadOnly(model, _error(plan)), frozen=True)]


def _finetune(plan: Plan) -> list[Stage]:
    """A new head and the encoder together."""
    return [whole(plan, "finetune", lambda model: EndToEnd(model, _error(plan)))]


def _pretext(plan: Plan) -> list[Stage]:
    """Which of the motions a clip shows."""
    return [whole(plan, "pretext", lambda model: EndToEnd(model, _motion_error))]


def _motion_error(logits: Tensor, motions: Tensor) -> Tensor:
    """Cross-entropy of logits (B, classes) and motions (B,), numbers as floats like all labels."""
    return F.cross_entropy(logits, motions.long())


METHODS: dict[str, Callable[[Plan], list[Stage]]] = {
    "coreecho": _both_stages,
    "coreecho-stage1": _stage_one,
    "l1": _l1,
    "probe": _probe,
    "finetune": _finetune,
    "pretext": _pretext,
}
"""The paper's own methods."""
