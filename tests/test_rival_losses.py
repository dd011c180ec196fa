"""The rival losses: worked examples, slow literal forms, ties and coincident embeddings, and what each stage moves."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from helpers import TINY, tiny_model
from torch.nn import functional as F

from coreecho.baselines import conr, ordinal_entropy, rank_n_contrast, ranksim, supremix
from coreecho.baselines.conr import ConR, conr_loss
from coreecho.baselines.ordinal_entropy import OrdinalEntropy, ordinal_entropy_loss
from coreecho.baselines.ranksim import RankSim, one_of_each, ranks, ranksim_loss
from coreecho.baselines.supremix import SupReMix, anchor_shares, supremix_loss
from coreecho.losses import rnc_loss
from coreecho.model import LinearHead, MLPHead
from coreecho.objectives import Contrast, HeadOnly, RankNContrast, flatten_views
from coreecho.plan import Plan
from coreecho.profiles import DEMO, GPU, PAPER
from coreecho.settings import Run
from coreecho.uniformer import uniformer_small

LABELS = torch.tensor([30.0, 45.0, 55.0, 70.0])
MODULES = {
    "conr": conr,
    "ranksim": ranksim,
    "ordinal-entropy": ordinal_entropy,
    "supremix": supremix,
    "rnc-original": rank_n_contrast,
}
REGULARISED = {"conr": (ConR, "conr"), "ranksim": (RankSim, "ranksim"), "ordinal-entropy": (OrdinalEntropy, "entropy")}


def clips(views=2, seed=0, count=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, views, 3, 8, 32, 32), generator=generator, dtype=torch.uint8)


def batch(count=10, width=6, seed=0):
    """Embeddings, labels with ties, and predictions, all float64."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, width, generator=generator, dtype=torch.float64)
    y = torch.randint(40, 60, (count // 2,), generator=generator).double().repeat(2)
    return z, y, y + 8 * torch.randn(count, generator=generator, dtype=torch.float64)


def half(count):
    return torch.full((count, count), 0.5)


def every_loss():
    """Each loss as a function of (embeddings, labels) alone."""
    return {
        "conr": lambda z, y: conr_loss(z, y, torch.full_like(y, 50.0)),
        "ranksim": lambda z, y: ranksim_loss(z, y),
        "ordinal-entropy": ordinal_entropy_loss,
        "supremix": lambda z, y: supremix_loss(z, y, half(len(y))),
    }


def objective(method, model=None, number=0):
    plan = Plan(run=Run(method=method), profile=TINY)
    return MODULES[method].SYSTEM.stages(plan)[number].objective(model or tiny_model(head="linear"))


def moved_by(loss, module):
    """Which parts of the model a loss sends a gradient to."""
    module.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name.split(".")[1]
        for name, weight in module.named_parameters()
        if weight.grad is not None and weight.grad.any()
    }


# ConR


def slow_conr(z, y, p, window, temperature, exponent):
    unit = [row / row.norm() for row in z]
    per_anchor = []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        positives = [j for j in others if abs(y[j] - y[i]) <= window]
        negatives = [j for j in others if abs(y[j] - y[i]) > window and abs(p[j] - p[i]) <= window]
        if not positives or not negatives:
            per_anchor.append(0.0)
            continue
        pull = {j: math.exp(float(unit[i] @ unit[j]) / temperature) for j in positives}
        push = sum(
            math.exp(exponent * abs(float(y[j] - y[i]))) * math.exp(float(unit[i] @ unit[j]) / temperature)
            for j in negatives
        )
        total = sum(pull.values()) + push
        per_anchor.append(sum(-math.log(value / total) for value in pull.values()) / len(positives))
    return sum(per_anchor) / len(per_anchor)


@pytest.mark.parametrize("seed", range(4))
def test_conr_equals_its_slow_literal_form(seed):
    z, y, p = batch(seed=seed)
    found = conr_loss(z, y, p, window=4.0, temperature=0.5, exponent=0.1).item()
    assert found == pytest.approx(slow_conr(z, y, p, 4.0, 0.5, 0.1))
    assert found > 0


def test_conr_by_hand():
    # Clips 0 and 1 are alike; 2 is not, but is predicted like them; 3 is neither. Only 0 and 1 have a positive.
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    y, p = torch.tensor([50.0, 50.5, 60.0, 80.0]), torch.tensor([50.0, 50.0, 50.5, 80.0])
    first, second = (math.log((math.e + math.exp(0.1 * apart)) / math.e) for apart in (10, 9.5))
    assert first == pytest.approx(math.log(2))
    found = conr_loss(z, y, p, temperature=1.0, exponent=0.1)
    assert found.item() == pytest.approx((first + second) / 4)


def test_conr_without_a_confused_pair_is_zero_and_predictions_get_no_gradient():
    z, y, _ = batch()
    z.requires_grad_()
    loss = conr_loss(z, y, 100 * y)
    loss.backward()
    assert loss.item() == 0
    assert not z.grad.any()
    p = y.clone().fill_(50.0).requires_grad_()
    assert conr_loss(z, y, p).item() > 0
    conr_loss(z, y, p).backward()
    assert p.grad is None


# RankSim


def slow_rank(row):
    """Rank by the printed definition for rows without ties: place in descending order, as a share."""
    order = sorted(range(len(row)), key=lambda j: -row[j])
    return [(order.index(j) + 1) / len(row) for j in range(len(row))]


def slow_ranksim(z, y, interpolation):
    """The loss and its gradient for the similarities, row by row."""
    unit = z / z.norm(dim=1, keepdim=True)
    similarities = (unit @ unit.T).numpy()
    loss, gradient, size = 0.0, np.zeros_like(similarities), len(y)
    for i in range(size):
        mine, target = np.array(slow_rank(similarities[i])), np.array(slow_rank([-abs(float(v - y[i])) for v in y]))
        loss += float(((mine - target) ** 2).mean())
        upstream = 2 * (mine - target) / size
        moved = np.array(slow_rank(similarities[i] + interpolation * upstream))
        gradient[i] = -(mine - moved) / interpolation
    return loss, gradient


def test_ranks_by_hand():
    assert ranks(torch.tensor([[0.9, -1.0, 0.3, 0.5]])).tolist() == [[0.25, 1.0, 0.75, 0.5]]
    assert ranks(torch.tensor([[2.0, 2.0, 7.0, 0.0]])).tolist() == [[0.625, 0.625, 0.25, 1.0]]  # mean of 2 and 3


def test_ranksim_and_its_blackbox_gradient_equal_their_slow_literal_form():
    z = torch.randn(7, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = torch.tensor([31.0, 40.0, 47.5, 52.1, 60.0, 64.7, 71.0], dtype=torch.float64)  # no two pairs equally far apart
    loss, gradient = slow_ranksim(z, y, 2.0)
    z.requires_grad_()
    found = ranksim_loss(z, y)
    found.backward()
    assert found.item() == pytest.approx(loss)
    again = z.detach().clone().requires_grad_()
    unit = F.normalize(again, dim=1)
    (unit @ unit.T).backward(torch.from_numpy(gradient))
    assert gradient.any()
    assert torch.allclose(z.grad, again.grad)


def test_ranksim_is_zero_where_the_embeddings_lie_in_the_order_of_the_labels():
    angles = torch.tensor([0.0, 0.1, 0.25, 0.6, 1.3])
    z = torch.stack([angles.cos(), angles.sin()], dim=1).requires_grad_()
    loss = ranksim_loss(z, 100 * angles)
    loss.backward()
    assert loss.item() == 0
    assert not z.grad.any()
    assert ranksim_loss(z, 100 * angles[[0, 3, 1, 2, 4]]).item() > 0


def test_one_clip_of_each_label_is_chosen_by_its_key_whatever_the_order_of_rows():
    y, keys = torch.tensor([50.0, 40.0, 50.0, 60.0, 40.0]), torch.tensor([3, 9, 7, 1, 2])
    assert one_of_each(y, keys).tolist() == [1, 2, 3]
    order = torch.tensor([4, 2, 0, 3, 1])
    assert order[one_of_each(y[order], keys[order])].tolist() == [1, 2, 3]


# Ordinal entropy


def slow_ordinal_entropy(z, y):
    values = sorted({float(v) for v in y})
    centres = []
    for value in values:
        rows = [z[i] for i in range(len(y)) if float(y[i]) == value]
        mean = sum(rows) / len(rows)
        centres.append(mean / mean.norm())
    pairs = [(a, b) for a in range(len(values)) for b in range(a + 1, len(values))]
    apart = [values[b] - values[a] for a, b in pairs]
    diversity = sum(
        (gap - min(apart)) / max(apart) * float((centres[a] - centres[b]).norm())
        for gap, (a, b) in zip(apart, pairs, strict=True)
    ) / len(pairs)
    squares = [float((z[i] / z[i].norm() - centres[values.index(float(y[i]))]).square().sum()) for i in range(len(y))]
    squares = [value for value in squares if value > 0]
    return sum(squares) / len(squares) - diversity


@pytest.mark.parametrize("seed", range(3))
def test_ordinal_entropy_equals_its_slow_literal_form(seed):
    z, y, _ = batch(seed=seed)
    assert ordinal_entropy_loss(z, y).item() == pytest.approx(slow_ordinal_entropy(z, y))


def test_ordinal_entropy_by_hand():
    # Three labels at 0, 10 and 40: gaps 10, 40 and 30, so weights 0, 3/4 and 1/2; centres a quarter turn apart.
    z = torch.tensor([[3.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    expected = -(0.75 * 2 + 0.5 * math.sqrt(2)) / 3
    assert ordinal_entropy_loss(z, torch.tensor([0.0, 10.0, 40.0])).item() == pytest.approx(expected)
    # Two clips of one label, a quarter turn apart: each is sqrt(2 - sqrt(2)) from their mean direction; no diversity.
    tight = ordinal_entropy_loss(z[:2], torch.tensor([5.0, 5.0]), tightness=0.5)
    assert tight.item() == pytest.approx(0.5 * (2 - math.sqrt(2)))


# SupReMix


def slow_supremix(z, y, shares, temperature, window):
    """The loss with every mixture built."""
    unit = z / z.norm(dim=1, keepdim=True)
    size, per_anchor = len(y), []
    for i in range(size):

        def similarity(other, i=i):
            return float(unit[i] @ other) / temperature

        terms, positives = [], []  # (weight, logit) of all, and logits of positives
        for j in range(size):
            if j == i:
                continue
            terms.append((1 + abs(float(y[i] - y[j])), similarity(unit[j])))
            if y[j] == y[i]:
                positives.append(similarity(unit[j]))
                continue
            share = float(shares[i, j])
            label = share * y[i] + (1 - share) * y[j]
            hard = share * unit[i] + (1 - share) * unit[j]
            terms.append((1 + abs(float(y[i] - label)), similarity(hard)))
        for j in range(size):
            for k in range(size):
                if y[j] < y[i] < y[k] and y[i] - y[j] < window and y[k] - y[i] < window:
                    share = float((y[k] - y[i]) / (y[k] - y[j]))
                    assert share * y[j] + (1 - share) * y[k] == pytest.approx(float(y[i]))
                    logit = similarity(share * unit[j] + (1 - share) * unit[k])
                    terms.append((1.0, logit))
                    positives.append(logit)
        if positives:
            total = sum(weight * math.exp(logit) for weight, logit in terms)
            per_anchor.append(math.log(total) - sum(positives) / len(positives))
    return sum(per_anchor) / len(per_anchor)


@pytest.mark.parametrize("seed", range(4))
def test_supremix_equals_its_slow_literal_form(seed):
    z, y, _ = batch(seed=seed)
    shares = torch.rand(10, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = supremix_loss(z, y, shares, temperature=0.4, window=6.0).item()
    assert found == pytest.approx(slow_supremix(z, y, shares, 0.4, 6.0))


def test_supremix_mixtures_are_fixed_targets():
    z, y, _ = batch()
    shares = half(10).double()
    z.requires_grad_()
    supremix_loss(z, y, shares).backward()
    step = 1e-6

    def literal(moved):
        """The loss of each anchor's own embedding, all mixtures staying where they were."""
        unit, old = F.normalize(moved, dim=1), F.normalize(z.detach(), dim=1)
        total = 0.0
        for i in range(len(y)):
            others = [j for j in range(len(y)) if j != i]
            terms = [(1 + (y[i] - y[j]).abs(), unit[i] @ unit[j]) for j in others]
            positives = [unit[i] @ unit[j] for j in others if y[j] == y[i]]
            for j in others:
                if y[j] != y[i]:
                    terms.append((1 + 0.5 * (y[i] - y[j]).abs(), unit[i] @ (0.5 * old[i] + 0.5 * old[j])))
            for j in range(len(y)):
                for k in range(len(y)):
                    if y[j] < y[i] < y[k] and y[i] - y[j] < 5 and y[k] - y[i] < 5:
                        share = (y[k] - y[i]) / (y[k] - y[j])
                        positives.append(unit[i] @ (share * old[j] + (1 - share) * old[k]))
                        terms.append((torch.ones(()), positives[-1]))
            logs = torch.stack([weight.log() + logit / 0.3 for weight, logit in terms]).logsumexp(0)
            total = total + logs - torch.stack(positives).mean() / 0.3
        return total / len(y)

    for place in ((0, 0), (3, 2), (7, 5)):
        up, down = z.detach().clone(), z.detach().clone()
        up[place] += step
        down[place] -= step
        slope = (literal(up) - literal(down)) / (2 * step)
        assert z.grad[place].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-8)


def test_hard_positives_draw_a_clip_between_its_neighbours():
    y = torch.tensor([48.0, 50.0, 52.0, 80.0])
    z = torch.eye(4)[:, :3].clone()
    z[3] = torch.tensor([-1.0, -1.0, -1.0])

    def at(angle):
        moved = z.clone()
        moved[1] = torch.tensor([angle, 1 - 2 * angle, angle])
        return supremix_loss(moved, y, half(4)).item()

    assert at(0.3) < at(0.1) < at(0.0)
    assert supremix_loss(z, y + torch.tensor([-9.0, 0.0, 9.0, 0.0]), half(4)).item() == 0  # no positive of any kind


def test_the_anchors_shares_follow_their_beta_distribution_and_go_with_the_rows():
    keys = torch.randint(0, 10**6, (200,), generator=torch.Generator().manual_seed(0))
    shares = anchor_shares(keys)
    assert shares.mean().item() == pytest.approx(0.2, abs=0.005)
    assert shares.var().item() == pytest.approx(2 * 8 / (10**2 * 11), rel=0.05)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert torch.equal(anchor_shares(keys[order]), shares[order][:, order])
    assert not torch.equal(anchor_shares(keys + 1), shares)


# All of them


@pytest.mark.parametrize("method", every_loss())
@pytest.mark.parametrize("case", ["coincident", "tied labels", "both", "large", "two clips"])
def test_losses_and_gradients_are_finite_where_embeddings_coincide_or_labels_tie(method, case):
    z, y, _ = batch()
    z, y = z.float(), y.float()
    z = z[:2] if case == "two clips" else 1e4 * z if case == "large" else z
    z = torch.ones_like(z) if case in ("coincident", "both") else z
    y = torch.full_like(y, 50.0) if case in ("tied labels", "both") else y
    z = z.clone().requires_grad_()
    loss = every_loss()[method](z, y[: len(z)])
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("method", every_loss())
def test_losses_stay_in_float32_inside_autocast(method):
    z, y, _ = batch()
    plain = every_loss()[method](z.float(), y.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = every_loss()[method](z.float(), y.float())
    assert inside.dtype == torch.float32
    assert torch.equal(inside, plain)


@pytest.mark.parametrize("method", [*REGULARISED, "supremix"])
def test_losses_do_not_depend_on_the_order_in_which_rows_are_gathered(method, monkeypatch):
    from coreecho import objectives

    module = objective(method)
    module.eval()
    tied = torch.tensor([30.0, 45.0, 45.0, 70.0])
    in_order = {name: value.item() for name, value in module(clips(), tied).items()}

    def shuffle(x):
        return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]

    for where in (objectives, MODULES[method]):
        monkeypatch.setattr(where, "gather", shuffle)
    shuffled = {name: value.item() for name, value in module(clips(), tied).items()}
    assert shuffled == pytest.approx(in_order, rel=1e-5)
    assert {name: value.item() for name, value in module(clips(seed=1), tied).items()} != in_order


@pytest.mark.parametrize("method", REGULARISED)
def test_regularisers_move_the_encoder_alone_and_l1_moves_both(method):
    name = REGULARISED[method][1]
    module = objective(method)
    assert type(module) is REGULARISED[method][0]
    assert set(module.groups()) == {"all"}
    assert moved_by(module(clips(), LABELS)["error"], module) == {"encoder", "head"}
    assert moved_by(module(clips(), LABELS)[name], module) == {"encoder"}


def test_regularisers_are_weighted_as_published_and_l1_is_over_all_views():
    model = tiny_model(head="linear")
    model.eval()
    x, y = flatten_views(clips(), LABELS)
    z, p = model.embed(x), model(x)
    expected = {
        "conr": 4 * conr_loss(z, y, p),
        "ranksim": 100 * ranksim_loss(z[:4], LABELS),
        "ordinal-entropy": ordinal_entropy_loss(z, y),
    }
    for method, (_, name) in REGULARISED.items():
        module = objective(method, model)
        module.eval()
        found = module(clips(), LABELS)
        assert found["error"].item() == pytest.approx(F.l1_loss(p, y).item(), rel=1e-5)
        assert found[name].item() == pytest.approx(expected[method].item(), rel=1e-4)


def test_supremix_moves_the_encoder_and_l1_the_head_alone():
    module = objective("supremix")
    assert moved_by(module(clips(), LABELS)["supremix"], module) == {"encoder"}
    assert moved_by(module(clips(), LABELS)["l1"], module) == {"head"}
    assert set(module.groups()) == {"encoder", "head"}
    assert isinstance(objective("supremix", number=1), HeadOnly)


def test_supremix_is_at_its_own_temperature_on_mixtures_drawn_by_the_clips():
    module = objective("supremix")
    module.eval()
    x, y = flatten_views(clips(), LABELS)
    z = module.model.embed(x)
    keys = clips().transpose(0, 1).flatten(0, 1).flatten(1).sum(1)  # grey levels, all first views before the second
    found = module(clips(), LABELS)
    assert list(found) == ["supremix", "l1"]
    expected = supremix_loss(z, y, anchor_shares(keys), temperature=0.3)
    assert found["supremix"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found["l1"].item() == pytest.approx(F.l1_loss(module.model(x), y).item(), rel=1e-5)


def test_contrasts_differ_in_their_loss_alone():
    with pytest.raises(TypeError, match="abstract"):
        Contrast(tiny_model())
    for kind in (RankNContrast, SupReMix):
        assert kind.forward is Contrast.forward
        assert kind.groups is Contrast.groups
    assert not issubclass(SupReMix, RankNContrast), "its temperature would be the other loss's"


def test_the_original_recipe_ranks_at_temperature_two_and_starts_its_linear_head_anew():
    model = tiny_model(head="linear")
    first = objective("rnc-original", model)
    first.eval()
    x, y = flatten_views(clips(), LABELS)
    assert first(clips(), LABELS)["rnc"].item() == pytest.approx(rnc_loss(model.embed(x), y, 2.0).item(), rel=1e-5)
    assert TINY.shared.temperature == 1.0
    with torch.no_grad():
        model.head.weight.fill_(7.0)
        model.head.bias.fill_(0.0)
    encoder = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    second = objective("rnc-original", model, 1)
    assert model.head.weight.abs().max() < 1
    assert model.head.bias.item() == pytest.approx(55.6)
    assert set(second.groups()) == {"head"}
    assert all(torch.equal(value, encoder[name]) for name, value in model.encoder.state_dict().items())


def test_the_original_recipe_has_a_linear_head_whatever_the_profiles_recipe_says(phantom_data):
    plan = Plan(run=Run(method="rnc-original"), profile=TINY, data=phantom_data)
    model = rank_n_contrast.SYSTEM.network(plan)
    assert isinstance(tiny_model().head, MLPHead)
    assert isinstance(model.head, LinearHead)
    assert model.head.bias.item() == pytest.approx(phantom_data.mean_label)
    assert model.clip == plan.clip
    assert [weight.shape for weight in model.encoder.parameters()] == [
        weight.shape for weight in tiny_model().encoder.parameters()
    ]


def test_the_original_recipes_linear_head_has_no_weight_decay_where_the_optimiser_is_theirs():
    for profile, decay in ((PAPER, 0.0), (DEMO, None), (GPU, None)):
        first, second = rank_n_contrast.SYSTEM.stages(Plan(run=Run(method="rnc-original"), profile=profile))
        assert (first.weight_decay, second.weight_decay) == (None, decay)
        assert profile.recipe(Run(method="rnc-original")).weight_decay == 1e-4


def test_the_original_recipe_loads_the_published_kinetics_weights(tmp_path):
    name, load = rank_n_contrast.SYSTEM.kinetics
    assert name == "uniformer_small_k400_16x8.pth"
    published = uniformer_small()
    torch.save(published.state_dict(), tmp_path / name)
    model = rank_n_contrast.SYSTEM.network(Plan(run=Run(method="rnc-original"), profile=paper()))
    load(model, tmp_path / name)
    state = published.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.encoder.state_dict().items())


def paper():
    return dataclasses.replace(TINY, name="paper", phantom=None, encoder=dataclasses.replace(TINY.encoder, **FULL))


FULL = {"widths": (64, 128, 320, 512), "depths": (3, 4, 8, 3), "strides": (4, 2, 2, 2), "head_width": 64}


@pytest.mark.parametrize("method", MODULES)
def test_every_method_learns_a_tiny_batch_and_does_so_twice_alike(method):
    def train():
        module = objective(method, tiny_model(head="linear"))
        module.train()
        torch.manual_seed(0)
        optimizers = [torch.optim.AdamW(group, lr=5e-3) for group in module.groups().values()]
        history = []
        for _ in range(12):
            losses = module(clips(), LABELS)
            sum(losses.values()).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            history.append(sum(value.item() for name, value in losses.items() if name != "l1"))
        return history

    history = train()
    assert sum(history[-3:]) < 0.97 * sum(history[:3])
    assert train() == history


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("conr", [("end to end with ConR", 2, "two-clips", False)]),
        ("ranksim", [("end to end with RankSim", 2, "two-clips", False)]),
        ("ordinal-entropy", [("end to end with ordinal entropy", 2, "two-clips", False)]),
        ("supremix", [("mixup contrast", 2, "two-clips", False), ("stage two", 2, "one", True)]),
        ("rnc-original", [("encoder alone", 2, "two-clips", False), ("linear head", 2, "one", True)]),
    ],
)
def test_the_stages_of_each_method(method, expected):
    system = MODULES[method].SYSTEM
    stages = system.stages(Plan(run=Run(method=method), profile=dataclasses.replace(TINY, own={})))
    assert system.method == method
    assert system.differs.startswith("Approximate")
    assert [(stage.name, stage.epochs, stage.views, stage.frozen) for stage in stages] == expected
