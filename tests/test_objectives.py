"""What each method minimises, which weights it moves, and at which rate."""

import math

import pytest
import torch
from helpers import TINY, tiny_model
from torch.nn import functional as F

from coreecho import objectives
from coreecho.baselines import AdaCon, adacon
from coreecho.baselines.adacon import BIN, SCALE, WEIGHT, adaptive_contrast
from coreecho.clips import normalise
from coreecho.losses import rnc_loss
from coreecho.objectives import EndToEnd, HeadOnly, RankNContrast, flatten_views
from coreecho.plan import Plan
from coreecho.profiles import PAPER
from coreecho.schedule import rate_factor
from coreecho.settings import Recipe, Run
from coreecho.stages import stages

LABELS = torch.tensor([30.0, 45.0, 55.0, 70.0])


def clips(views=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (4, views, 3, 8, 32, 32), generator=generator, dtype=torch.uint8)


def moved_by(loss, objective):
    """Which parts of the model a loss sends a gradient to."""
    objective.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name.split(".")[1] if name.startswith("model.") else name.split(".")[0]
        for name, parameter in objective.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    }


def test_all_first_views_come_before_all_second_views():
    x, y = flatten_views(clips(), LABELS)
    assert torch.equal(x[:4], normalise(clips()[:, 0]))
    assert torch.equal(x[4:], normalise(clips()[:, 1]))
    assert y.tolist() == [*LABELS.tolist(), *LABELS.tolist()]


def test_rank_n_contrast_moves_the_encoder_and_l1_the_head_alone():
    objective = RankNContrast(tiny_model(), temperature=1.0)
    assert moved_by(objective(clips(), LABELS)["rnc"], objective) == {"encoder"}
    assert moved_by(objective(clips(), LABELS)["l1"], objective) == {"head"}
    groups = objective.groups()
    assert set(groups) == {"encoder", "head"}
    everything = {id(parameter) for parameter in objective.parameters()}
    assert {id(parameter) for group in groups.values() for parameter in group} == everything
    assert sum(map(len, groups.values())) == len(everything)


def test_rank_n_contrast_is_the_loss_of_all_clips_with_their_labels_and_the_l1_of_the_head():
    model = tiny_model()
    model.eval()
    objective = RankNContrast(model, temperature=0.7)
    objective.eval()
    losses = objective(clips(), LABELS)
    x, y = flatten_views(clips(), LABELS)
    assert losses["rnc"].item() == pytest.approx(rnc_loss(model.embed(x), y, 0.7).item(), rel=1e-5)
    assert losses["l1"].item() == pytest.approx((model(x) - y).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("error", [F.l1_loss, F.mse_loss])
def test_end_to_end_moves_encoder_and_head(error):
    objective = EndToEnd(tiny_model(), error)
    assert moved_by(objective(clips(), LABELS)["error"], objective) == {"encoder", "head"}
    assert set(objective.groups()) == {"all"}


def test_stage_two_moves_the_head_and_leaves_every_weight_and_statistic_of_the_encoder():
    model = tiny_model()
    objective = HeadOnly(model, F.l1_loss)
    objective.train()
    assert not model.encoder.training
    assert model.head.training
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(objective.groups()["head"], lr=1e-2)
    for seed in range(3):
        optimizer.zero_grad()
        objective(clips(1, seed), LABELS)["error"].backward()
        optimizer.step()
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoder."))
    assert all(
        not torch.equal(before[f"head.{name}"], after[f"head.{name}"]) for name, _ in model.head.named_parameters()
    )
    assert all(parameter.grad is None for parameter in model.encoder.parameters())


def test_stage_two_takes_embeddings_in_place_of_the_clips_they_are_of():
    objective = HeadOnly(tiny_model(), F.l1_loss)
    objective.eval()
    x, _ = flatten_views(clips(), LABELS)
    with torch.no_grad():
        z = objective.model.embed(x).unflatten(0, (2, 4)).transpose(0, 1)  # (B, V, C_E)
    of_clips, of_embeddings = objective(clips(), LABELS)["error"], objective(z, LABELS)["error"]
    assert of_embeddings.item() == pytest.approx(of_clips.item(), rel=1e-6)
    assert of_embeddings.item() != pytest.approx(objective(z, LABELS.flip(0))["error"].item(), rel=1e-3)


@pytest.mark.parametrize("method", ["l1", "rnc", "head", "adacon"])
def test_losses_do_not_depend_on_the_order_in_which_rows_are_gathered(method, monkeypatch):
    model = tiny_model(head="linear")
    objective = {
        "l1": lambda: EndToEnd(model, F.l1_loss),
        "rnc": lambda: RankNContrast(model, 1.0),
        "head": lambda: HeadOnly(model, F.l1_loss),
        "adacon": lambda: AdaCon(model, LABELS.tolist()),
    }[method]()
    objective.eval()
    in_order = objective(clips(), LABELS)

    def shuffle(x):
        return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]

    for module in (objectives, adacon):
        monkeypatch.setattr(module, "gather", shuffle)
    shuffled = objective(clips(), LABELS)
    assert {name: value.item() for name, value in shuffled.items()} == pytest.approx(
        {name: value.item() for name, value in in_order.items()}, rel=1e-5
    )


def test_adacon_moves_everything_and_regresses_on_the_first_view_alone():
    model = tiny_model(head="linear")
    objective = AdaCon(model, [30.0, 40.0, 50.0, 60.0])
    losses = objective(clips(), LABELS)
    assert moved_by(losses["error"], objective) == {"encoder", "head"}
    assert moved_by(objective(clips(), LABELS)["contrast"], objective) == {"encoder", "project"}
    objective.eval()
    other = torch.cat([clips()[:, :1], clips(seed=1)[:, 1:]], dim=1)
    first, second = objective(clips(), LABELS), objective(other, LABELS)
    assert first["error"].item() == pytest.approx(second["error"].item(), rel=1e-4)
    assert first["contrast"].item() != pytest.approx(second["contrast"].item(), rel=1e-4)


def slow_contrast(projected, bins, ranks):
    """The adaptive contrastive loss, pair by pair."""
    unit = [row / row.norm() for row in projected]
    per_anchor = []
    for i in range(len(bins)):
        positives = [j for j in range(len(bins)) if j != i and bins[j] == bins[i]]
        if not positives:
            continue

        def similarity(j, i=i):
            margin = 0.0 if bins[j] == bins[i] else 2 * abs(float(ranks[i] - ranks[j]))
            return SCALE * (float(unit[i] @ unit[j]) + margin)

        largest = max(similarity(j) for j in range(len(bins)) if j != i)
        total = sum(math.exp(similarity(j) - largest) for j in range(len(bins)) if j != i)
        likelihoods = [similarity(j) - largest - math.log(total) for j in positives]
        per_anchor.append(-sum(likelihoods) / len(likelihoods))
    return sum(per_anchor) / len(per_anchor)


def test_adacons_contrast_equals_its_slow_literal_form():
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn(9, 6, generator=generator, dtype=torch.float64)
    bins = torch.tensor([3, 3, 5, 8, 8, 8, 1, 5, 9])
    ranks = torch.tensor([0.2, 0.2, 0.4, 0.7, 0.7, 0.7, 0.0, 0.4, 0.9], dtype=torch.float64)
    assert adaptive_contrast(projected, bins, ranks).item() == pytest.approx(slow_contrast(projected, bins, ranks))


def test_adacons_contrast_without_any_positive_is_zero_with_a_gradient():
    projected = torch.randn(3, 4, requires_grad=True)
    loss = adaptive_contrast(projected, torch.tensor([1, 2, 3]), torch.tensor([0.0, 0.5, 1.0]))
    loss.backward()
    assert loss.item() == 0
    assert not projected.grad.any()


def test_adacons_margins_come_from_the_ranks_of_the_training_labels_alone():
    objective = AdaCon(tiny_model(), [10.0, 20.0, 20.0, 40.0])

    def ranks(*labels):
        return objective.ranks((torch.tensor(labels, dtype=torch.float64) / BIN).round().long()).tolist()

    assert ranks(5.0, 10.0, 20.0, 30.0, 40.0, 99.0) == [0.0, 0.125, 0.5, 0.75, 0.875, 1.0]
    assert ranks(30.0) == ranks(30.0, 30.0, 31.0)[:1]  # the batch's own labels do not matter


def test_adacons_contrast_is_weighted():
    objective = AdaCon(tiny_model(head="linear"), LABELS.tolist())
    objective.eval()
    x, y = flatten_views(clips(), LABELS)
    bins = (y.double() / BIN).round().long()
    projected = objective.project(objective.model.embed(x)).detach()
    expected = WEIGHT * slow_contrast(projected, bins, objective.ranks(bins))
    assert objective(clips(), LABELS)["contrast"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Run(), [("stage one", 2, "two-clips", "onecycle"), ("stage two", 2, "one", "constant")]),
        (Run(method="coreecho-stage1"), [("stage one", 2, "two-clips", "onecycle")]),
        (Run(method="l1", views="one"), [("end to end", 2, "one", "onecycle")]),
        (Run(method="echocotr", views="one"), [("end to end", 2, "one", "onecycle")]),
        (Run(method="adacon", views="same-clip"), [("adaptive contrast", 2, "same-clip", "onecycle")]),
    ],
)
def test_the_stages_of_each_method(run, expected):
    found = stages(Plan(run=run, profile=TINY))
    assert [(stage.name, stage.epochs, stage.views, stage.schedule) for stage in found] == expected


def test_the_stages_minimise_what_the_methods_say():
    def objective(method, number=0):
        return stages(Plan(run=Run(method=method), profile=TINY))[number].objective(tiny_model(head="linear"))

    assert (objective("l1").error, objective("echocotr").error) == (F.l1_loss, F.mse_loss)
    assert isinstance(objective("adacon"), AdaCon)
    assert isinstance(objective("coreecho"), RankNContrast)
    assert isinstance(objective("coreecho", 1), HeadOnly)
    assert objective("coreecho", 1).error is F.l1_loss


def test_the_papers_step_schedule_drops_to_a_tenth_at_epoch_15():
    recipe = PAPER.shared
    factors = [rate_factor("step", recipe, step, 25 * 7, 7) for step in range(25 * 7)]
    assert factors[: 15 * 7] == [1.0] * 15 * 7
    assert factors[15 * 7 :] == pytest.approx([0.1] * 10 * 7)


def test_several_steps_multiply():
    recipe = PAPER.own["echocotr"]
    factors = [rate_factor("step", recipe, 3 * epoch, 45 * 3, 3) for epoch in (14, 15, 29, 30, 44)]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_one_cycle_warms_up_for_five_percent_and_falls_to_nearly_zero():
    factors = [rate_factor("onecycle", Recipe(), step, 400, 20) for step in range(400)]
    peak = factors.index(max(factors))
    assert peak == 20
    assert factors[peak] == pytest.approx(1)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert 0 < factors[0] < 0.06
    assert 0 <= factors[-1] < 1e-3


def test_stage_twos_rate_is_constant():
    assert {rate_factor("constant", Recipe(), step, 50, 10) for step in range(50)} == {1.0}
