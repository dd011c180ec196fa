"""Spread over seeds: the interval is the F distribution's, and so few seeds decide only what is clear."""

import pytest
import torch

from coreecho import spread
from coreecho.errors import DataError
from coreecho.evaluation import regression_metrics
from coreecho.rows import published
from coreecho.tables import stack


def test_the_published_spreads_decide_nothing():
    rows = [entry for entry in published()["table2_ablation_r2"] if entry.get("k400")]
    found = spread.spread_ratio(rows[0]["r2_sd"], rows[1]["r2_sd"], (3, 3))
    assert found.ratio == pytest.approx(0.43 / 0.18)
    assert found.word == "undecided"


@pytest.mark.parametrize(("wide", "word"), [(7.0, "holds"), (6.0, "undecided"), (1 / 7, "does not hold")])
def test_three_seeds_decide_above_a_ratio_of_six(wide, word):
    assert spread.spread_ratio(wide, 1.0, (3, 3)).word == word


def test_the_interval_covers_as_often_as_it_says():
    values = torch.randn(4000, 2, 4, generator=torch.Generator().manual_seed(0)).numpy()
    deviations = values.std(axis=2, ddof=1)
    inside = [(found := spread.spread_ratio(a, b, (4, 4))).low < 1 < found.high for a, b in deviations.tolist()]
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.015)


def test_rows_are_compared_by_their_seed_sd(tiny_records):
    own = tiny_records["table1/coreecho"]
    labels, predictions, _ = stack(own)
    a, b = (100 * regression_metrics(labels, each).r2 for each in predictions)
    found = spread.steadier({"x": own, "y": own}, "x", "y")
    assert found.ratio == 1
    assert found.wide == pytest.approx(abs(a - b) / 2**0.5)
    assert spread.sentence(found).startswith("undecided (SD of R2 over seeds ")
    assert spread.sentence(spread.steadier({"x": own, "y": own[:1]}, "x", "y")) == "not yet run in two seeds"
    assert spread.sentence(spread.steadier({"x": own}, "x", "y")) == "not yet run in two seeds"


def test_spreads_that_do_not_exist_are_refused():
    for wide, steady, n in ((1.0, 0.0, (3, 3)), (float("nan"), 1.0, (3, 3)), (1.0, 1.0, (1, 3))):
        with pytest.raises(DataError, match="cannot be compared"):
            spread.spread_ratio(wide, steady, n)
