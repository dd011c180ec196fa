"""The Rank-N-Contrast loss equals its formula, value and gradient, at every scale, with ties and coincidences."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coreecho import losses
from coreecho.errors import DataError, SettingsError
from coreecho.losses import rnc_loss

PARITY = Path(__file__).parent / "fixtures" / "parity"
CASES = {case["case"]: case for case in json.loads((PARITY / "rnc_loss.json").read_text())["cases"]}
TIED = {"c10": 2.83075, "c12": 3.198586}  # here float32 differences of the labels break ties of their decimals
UNTIED = [name for name in CASES if name[:3] not in TIED]


def load(name, dtype):
    """Features (2 bs, dim), first views first, labels (2 bs, 1), temperature, and the whole case."""
    with np.load(PARITY / "rnc_loss.npz", allow_pickle=False) as file:
        case = {key.removeprefix(f"{name}__"): file[key] for key in file.files if key.startswith(f"{name}__")}
    features = two_views(case["features"]).to(dtype)
    return features, torch.tensor(case["labels"]).repeat(2, 1), float(case["temperature"]), case


def two_views(features):
    return torch.tensor(features).transpose(0, 1).reshape(-1, features.shape[-1])


def with_gradient(features, labels, temperature=1.0, **options):
    features = features.clone().requires_grad_()
    loss = rnc_loss(features, labels, temperature, **options)
    return loss.item(), torch.autograd.grad(loss, features)[0]


def by_the_formula(z, labels, tau):
    """Equation 1 term by term, with exact labels; the derivative of a distance of 0 is taken as 0."""
    m = len(labels)

    def distance(i, j):
        gap = z[i] - z[j]
        return gap.square().sum().sqrt() if gap.detach().any() else gap.sum() * 0

    total = z.new_zeros(())
    for n in range(m):
        for other in range(m):
            if other == n:
                continue
            least = abs(labels[n] - labels[other])
            rivals = [far for far in range(m) if far != n and abs(labels[n] - labels[far]) >= least]
            denominator = torch.stack([-distance(n, far) / tau for far in rivals]).logsumexp(0)
            total = total + distance(n, other) / tau + denominator
    return total / (m * (m - 1))


@pytest.mark.parametrize("name", UNTIED)
def test_float64_value_and_gradient_equal_the_official_ones(name):
    features, labels, temperature, case = load(name, torch.float64)
    loss, gradient = with_gradient(features, labels, temperature)
    assert loss == pytest.approx(float(case["loss_f64"]), rel=1e-10)
    expected = two_views(case["grad_f64"])
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in UNTIED if not name.startswith("c09")])
def test_float32_value_and_gradient_equal_the_official_ones(name):
    features, labels, temperature, case = load(name, torch.float32)
    loss, gradient = with_gradient(features, labels, temperature)
    assert loss == pytest.approx(float(case["loss_f32"]), rel=2e-6)
    np.testing.assert_allclose(gradient, two_views(case["grad_f32"]), rtol=0, atol=2e-7)


def test_float32_stays_finite_where_the_official_loss_overflows():
    name = next(name for name in CASES if name.startswith("c09"))
    features, labels, temperature, case = load(name, torch.float32)
    loss, gradient = with_gradient(features, labels, temperature)
    assert loss == pytest.approx(48.187902, rel=2e-6)
    np.testing.assert_allclose(gradient, two_views(case["grad_f64"]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("short", TIED)
def test_decimal_ties_are_honoured(short):
    name = next(name for name in CASES if name.startswith(short))
    features, labels, temperature, _ = load(name, torch.float64)
    assert with_gradient(features, labels, temperature)[0] == pytest.approx(TIED[short], rel=1e-6, abs=5e-6)


def test_ties_do_not_depend_on_where_float32_labels_lie():
    labels = torch.tensor([50.1, 55.2, 60.3, 45.0, 65.4, 39.9]).repeat(2)
    features = two_views(np.random.default_rng(5).standard_normal((6, 2, 8)).astype(np.float32))
    loss = rnc_loss(features, labels).item()
    assert loss == pytest.approx(1.9368013189021995, rel=1e-6)
    assert rnc_loss(features, labels + 7.3).item() == loss
    assert rnc_loss(features, labels, tie_tolerance=1e-7).item() != pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("scale", "temperature", "expected"),
    [
        (1, 1, 2.2618798838240766),
        (1, 2, 2.0555538231357984),
        (15, 1, 16.18648927237983),
        (15, 2, 8.275788205928368),
        (30, 1, 32.17262504306071),
        (30, 2, 16.18648927237983),
        (100, 1, 107.03947861614216),
        (100, 2, 53.54584411512592),
    ],
)
def test_large_features_neither_overflow_nor_lose_their_gradient(scale, temperature, expected):
    rng = np.random.default_rng(0)
    features = two_views(rng.standard_normal((8, 2, 16)).astype(np.float32) * np.float32(scale))
    labels = torch.tensor([18.0, 27, 35, 41, 52, 58, 63, 71]).repeat(2)
    loss, gradient = with_gradient(features, labels, temperature)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert torch.isfinite(gradient).all()
    assert gradient.any(dim=1).all()


@st.composite
def batches(draw):
    """Few clips with labels from a coarse grid and some embeddings equal or nearly so, at any scale."""
    count, width = draw(st.integers(2, 9)), draw(st.integers(1, 4))
    labels = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pool = rng.standard_normal((count, width)) * draw(st.sampled_from([0.01, 1.0, 30.0, 3000.0]))
    pool = pool + draw(st.sampled_from([0.0, 100.0]))
    picks = draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
    nudges = draw(st.lists(st.sampled_from([0.0, 0.0, 1e-7]), min_size=count, max_size=count))
    features = pool[picks] + np.array(nudges)[:, None] * rng.standard_normal((count, width))
    return torch.tensor(features), labels, draw(st.sampled_from([0.5, 1.0, 2.0]))


@settings(max_examples=120, deadline=None)
@given(batches(), st.sampled_from([1, 4, 2**20]))
def test_any_batch_equals_the_formula(batch, block):
    features, whole, temperature = batch
    labels = torch.tensor([5.1 * label + 50.1 for label in whole])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "BLOCK", block)  # blocks of one row, of some rows, of all rows
        loss, gradient = with_gradient(features, labels, temperature)
    features.requires_grad_()
    expected = by_the_formula(features, whole, temperature)
    assert loss == pytest.approx(expected.item(), rel=1e-10, abs=1e-12)
    (exact,) = torch.autograd.grad(expected, features)
    np.testing.assert_allclose(gradient, exact, rtol=1e-7, atol=1e-7)


def test_gradcheck():
    torch.manual_seed(0)
    labels = torch.tensor([20.0, 20.0, 35.5, 51.0, 51.0, 60.2, 71.4])
    for scale in (1.0, 900.0):  # plain sums, and sums of logarithms
        features = (torch.randn(7, 3, dtype=torch.float64) * scale).requires_grad_()
        assert torch.autograd.gradcheck(lambda z: rnc_loss(z, labels), features, eps=1e-6 * scale)


def test_permuting_the_batch_permutes_the_gradient():
    torch.manual_seed(1)
    features, labels, order = torch.randn(12, 5).double(), torch.randint(0, 4, (12,)).float(), torch.randperm(12)
    loss, gradient = with_gradient(features, labels)
    moved, moved_gradient = with_gradient(features[order], labels[order, None])
    assert moved == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(moved_gradient, gradient[order])


def test_collapsed_embeddings_have_the_chance_loss_and_no_gradient():
    labels = torch.tensor(np.cumsum(2.0 ** -np.arange(16)) * 30).float().repeat(2)
    loss, gradient = with_gradient(torch.ones(32, 512), labels)
    assert loss == pytest.approx(2.5815, abs=0.01)
    assert not gradient.any()


def test_half_precision_and_autocast_are_computed_in_float32():
    torch.manual_seed(2)
    features, labels = torch.randn(16, 64), torch.rand(8).repeat(2) * 80
    full = rnc_loss(features, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(rnc_loss(features, labels), full)
        half = features.bfloat16().requires_grad_()
        loss = rnc_loss(half, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == rnc_loss(features.bfloat16().float(), labels).item()
    loss.backward()
    assert half.grad.dtype == torch.bfloat16
    assert rnc_loss(features.double(), labels).dtype == torch.float64


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda z, y: (z, y.index_fill(0, torch.tensor(3), math.nan)), "label 3 of 6"),
        (lambda z, y: (z, y.index_fill(0, torch.tensor(2), math.inf)), r"label 2 of 6.*inf"),
        (lambda z, y: (z.index_fill(0, torch.tensor(4), math.nan), y), "embedding 4 of 6"),
        (lambda z, y: (z.index_fill(0, torch.tensor(1), -math.inf), y), "embedding 1 of 6"),
        (lambda z, y: (z, y[:5]), r"\(6, 3\).*\(5,\)"),
        (lambda z, y: (z[:, None], y), r"\(6, 1, 3\)"),
        (lambda z, y: (z[:1], y[:1]), "two clips"),
        (lambda z, y: (z, y.repeat(2, 1).T), r"\(6, 2\)"),
    ],
)
def test_unusable_batches_are_named(spoil, message):
    with pytest.raises(DataError, match=message):
        rnc_loss(*spoil(torch.randn(6, 3), torch.arange(6.0)))


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": math.nan}, {"tie_tolerance": 0.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SettingsError, match=next(iter(options))):
        rnc_loss(torch.randn(6, 3), torch.arange(6.0), **options)


def loop_over_positives(features, labels):
    """The same loss in the usual way: one vectorised step for each of the M - 1 positives."""
    others = ~torch.eye(len(labels), dtype=torch.bool)
    logits = -(features[:, None] - features).norm(dim=-1)[others].view(len(labels), -1)
    gaps = (labels[:, None] - labels).abs()[others].view(len(labels), -1)
    terms = [(logits.exp() * (gaps >= gaps[:, k, None])).sum(1).log().sub(logits[:, k]) for k in range(len(labels) - 1)]
    return torch.stack(terms).mean()


def test_at_the_size_of_a_batch_it_equals_a_loop_over_positives():
    torch.manual_seed(3)
    features, labels = torch.randn(256, 512, requires_grad=True), torch.randint(100, 800, (256,)).float()
    values = [loss(0.2 * features, labels) for loss in (rnc_loss, loop_over_positives)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, features)[0] for value in values))
