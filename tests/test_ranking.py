"""The loss taken apart is the loss; the toy of the stop-gradient shows what the page says of it."""

import math

import numpy as np
import pytest
import torch

from coreecho import ranking, stopgradient
from coreecho.errors import DataError, SettingsError
from coreecho.losses import rnc_loss
from coreecho.objectives import RankNContrast

FOUR, LABELS = [[-0.6, -0.4], [1.5, 1.4], [1.3, 0.0], [-0.4, 1.3]], [25, 40, 58, 70]


def batch(seed, clips=9):
    """Embeddings and labels, some of them tied."""
    draw = np.random.default_rng(seed)
    return draw.standard_normal((clips, 5)), np.round(draw.uniform(20, 75, clips) / 5) * 5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_of_the_terms_is_the_loss(seed, temperature):
    z, y = batch(seed)
    terms = ranking.terms(z, y, temperature)
    assert len(terms) == 9 * 8
    assert ranking.mean(terms) == pytest.approx(
        float(rnc_loss(torch.tensor(z), torch.tensor(y), temperature)), abs=1e-12
    )


def test_clips_that_lie_far_apart_have_a_loss_too():
    z, y = np.array([[0.0], [3000.0], [1.0], [5000.0]]), [20, 30, 40, 50]
    assert ranking.mean(ranking.terms(z, y)) == pytest.approx(float(rnc_loss(torch.tensor(z), torch.tensor(y))))


def test_each_term_says_who_competes_with_whom():
    own = [term for term in ranking.terms(FOUR, LABELS) if term.anchor == 1]
    assert [(term.other, term.gap, term.members) for term in own] == [
        (0, 15, (0, 2, 3)),
        (2, 18, (2, 3)),
        (3, 30, (3,)),
    ]
    first, last = own[0], own[-1]
    assert first.distance == pytest.approx(math.hypot(2.1, 1.8))
    assert first.closeness[0] == pytest.approx(math.exp(-first.distance))
    assert first.loss == pytest.approx(-math.log(first.closeness[0] / sum(first.closeness)))
    assert (last.share, last.loss) == (1, 0)


def test_clips_that_are_equally_far_by_label_are_in_each_others_set():
    own = [term for term in ranking.terms(FOUR, [25, 40, 55, 70]) if term.anchor == 1]
    assert [term.members for term in own] == [(0, 2, 3), (0, 2, 3), (3,)]
    assert ranking.label_ranks([25, 40, 55, 70])[1].tolist() == [0, -1, 0, 1]
    assert ranking.label_ranks([25.1, 40.2, 55.3, 70.0])[1].tolist() == [0, -1, 0, 1]  # 15.1 twice, but not in floats


def test_wrong_pairs_are_those_that_the_two_orders_see_differently():
    assert ranking.wrong_pairs(FOUR, LABELS, 1) == [(0, 2), (0, 3)]
    assert ranking.wrong_pairs([[y, 0] for y in LABELS], LABELS, 1) == []
    assert ranking.wrong_pairs(FOUR, [25, 40, 55, 70], 1) == [(0, 3)]  # of a tie, neither order is wrong


def test_no_embedding_gets_below_the_least_and_a_spread_line_gets_near():
    for labels in (LABELS, [25, 40, 55, 70], LABELS * 2):
        line = torch.tensor([[50.0 * label] for label in labels], dtype=torch.float64)
        assert float(rnc_loss(line, torch.tensor(labels))) == pytest.approx(ranking.least(labels), abs=1e-9)
        z = np.random.default_rng(0).standard_normal((20, len(labels), 3))
        assert all(ranking.mean(ranking.terms(each, labels)) > ranking.least(labels) for each in z)
    assert ranking.least(LABELS) == 0
    assert ranking.least(LABELS * 2) == pytest.approx(6 / 7 * math.log(2))


def test_all_in_one_point_costs_the_mean_log_of_the_sets():
    assert ranking.collapsed(LABELS) == pytest.approx((math.log(3) + math.log(2)) / 3)


def test_a_small_step_downhill_lowers_the_loss_as_much_as_the_gradient_says():
    arrows, step = ranking.downhill(FOUR, LABELS), 1e-6
    losses = [ranking.mean(ranking.terms(np.array(FOUR) + way * step * arrows, LABELS)) for way in (1, -1)]
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(-np.square(arrows).sum(), rel=1e-5)


def test_descent_puts_the_four_in_order():
    descent = ranking.descend(FOUR, LABELS, steps=60)
    assert descent.path.shape == (61, 4, 2)
    assert (np.diff(descent.losses) < 0).all()
    assert descent.wrong[0] == 10
    assert descent.wrong[-1] == 0
    line = descent.path[-1] - descent.path[-1].mean(0)
    along = line @ np.linalg.svd(line)[2][0]
    assert np.argsort(along).tolist() in ([0, 1, 2, 3], [3, 2, 1, 0])


def test_with_two_views_rank_zero_is_the_other_view():
    ranks = ranking.label_ranks(LABELS * 2)
    assert [np.flatnonzero(row == 0).tolist() for row in ranks] == [[4], [5], [6], [7], [0], [1], [2], [3]]
    table = ranking.bounds({"one": LABELS, "two": LABELS * 2}).set_index("Batch")
    assert table["of them with EF difference 0"].tolist() == ["0", "8"]
    assert table["Terms"].tolist() == ["12", "56"]


def test_what_the_loss_refuses_is_refused():
    with pytest.raises(DataError):
        ranking.terms(FOUR, [25, 40, 55])
    with pytest.raises(SettingsError):
        ranking.terms(FOUR, LABELS, 0.0)


@pytest.fixture(scope="module")
def trials():
    return [stopgradient.run(stop=stop, seed=0, steps=200) for stop in (True, False)]


def test_only_the_stop_gradient_keeps_the_absolute_error_from_the_encoder(trials):
    stopped, let_through = trials
    assert (stopped.l1_norm == 0).all()
    assert (let_through.l1_norm > 0).all()
    assert (stopped.rnc_norm > 0).all()
    assert let_through.l1_norm[-50:].mean() > let_through.rnc_norm[-50:].mean()


def test_unseen_clips_lie_in_order_either_way(trials):
    assert min(trial.order for trial in trials) > 0.85
    assert abs(trials[0].order - trials[1].order) < 0.05


def test_both_start_from_the_same_weights_and_the_same_clips(trials):
    assert trials[0].rnc[0] == trials[1].rnc[0]
    assert trials[0].l1[0] == trials[1].l1[0]


def test_a_trial_is_the_same_each_time_and_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    first = stopgradient.run(stop=True, seed=1, steps=3)
    drawn = torch.rand(1)
    again = stopgradient.run(stop=True, seed=1, steps=3)
    assert np.array_equal(first.rnc, again.rnc)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_the_let_through_sum_is_that_of_the_stopped_one():
    clips, labels = stopgradient.traces(8, 0)
    model = stopgradient.CoReEcho(stopgradient.TraceEncoder(), stopgradient.MLPHead(2, dropout=0.0, hidden=4))
    stopped, let_through = (kind(model, 1.0)(clips, labels) for kind in (RankNContrast, stopgradient.LetThrough))
    assert {name: loss.item() for name, loss in stopped.items()} == {
        name: loss.item() for name, loss in let_through.items()
    }


def test_tables_of_the_page_hold_what_was_measured(trials):
    table = stopgradient.table(trials)
    assert table["Stop-gradient"].tolist() == ["yes", "no"]
    assert table["from the absolute error"][0] == "0.00 [0.00, 0.00]"
    assert stopgradient.table(trials[1:])["Stop-gradient"].tolist() == ["no"]
    anchor = ranking.table(ranking.terms(FOUR, LABELS), LABELS, 1)
    assert anchor["Set S (EF, %)"].tolist() == ["25, 58, 70", "58, 70", "70"]
    assert anchor["-log(share)"].tolist()[-1] == "0.000"
