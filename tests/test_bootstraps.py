"""All public bootstraps: their stored numbers, the tail they share, and their one rule for a variance of 0."""

import inspect
from functools import partial
from pathlib import Path

import fabricated
import numpy as np
import pandas as pd
import pytest

from coreecho import evaluation, sums
from coreecho.clinical import agreement, bands, calibration, classes, thresholds
from coreecho.resampling import Difference, Draws, gap_of, interval_of, resampled
from coreecho.transfer import classification, correlation

STORED = Path(__file__).parent / "fixtures" / "regressions" / "bootstraps.csv"
N = 40
LABELS = 55 + 12 * fabricated.scatter(1, N)
OURS = LABELS + 1 + 5 * fabricated.scatter(2, 3, N)
THEIRS = LABELS + 6 * fabricated.scatter(3, 2, N)
SICK = np.arange(N) % 2
FOLDS = np.arange(N) // 2 % 4
CHANCES = np.clip(SICK / 3 + 0.33 + 0.3 * fabricated.scatter(4, 3, N), 0, 1)
OTHERS = np.clip(SICK / 3 + 0.33 + 0.4 * fabricated.scatter(5, 2, N), 0, 1)
HALF = (np.arange(N) < N / 2).astype(float)
BOOTSTRAPS = {
    "evaluation": partial(evaluation.bootstrap, LABELS, OURS),
    "evaluation, paired": partial(evaluation.paired_bootstrap, LABELS, OURS, THEIRS),
    "correlation": partial(correlation.bootstrap, LABELS, OURS),
    "correlation, paired": partial(correlation.paired_bootstrap, LABELS, OURS, THEIRS),
    "classification": partial(classification.bootstrap, SICK, CHANCES, FOLDS),
    "classification, pooled": partial(classification.bootstrap, SICK, CHANCES, FOLDS, pooled=True),
    "classification, paired": partial(classification.paired_bootstrap, SICK, CHANCES, OTHERS, FOLDS),
    "agreement": partial(agreement.bootstrap, LABELS, OURS),
    "calibration": partial(calibration.bootstrap, LABELS, OURS),
    "calibration, bands": partial(calibration.by_prediction, LABELS, OURS),
    "classes": partial(classes.bootstrap, LABELS, OURS),
    "thresholds": partial(thresholds.bootstrap, LABELS, OURS, 50),
    "bands": partial(bands.by_group, LABELS, OURS, bands.inside(LABELS)),
    "bands, difference": partial(bands.difference, LABELS, OURS, HALF, 1 - HALF),
}


def test_numbers_are_the_stored_ones(dataframe_regression):
    lines = []
    for name, bootstrap in BOOTSTRAPS.items():
        found = bootstrap(resamples=1100, seed=2, level=0.9)  # more than one chunk
        for group, own in enumerate(found if isinstance(found, list) else [found]):
            for metric, value in own.items():
                ends = {"estimate": value.estimate, "low": value.low, "high": value.high}
                lines.append(
                    {"bootstrap": name, "group": group, "metric": metric, **ends, "p": getattr(value, "p", np.nan)}
                )
    exact = {column: {"rtol": 1e-9, "atol": 1e-9} for column in ("estimate", "low", "high", "p")}
    dataframe_regression.check(pd.DataFrame(lines), fullpath=STORED, tolerances=exact)


@pytest.mark.parametrize("name", BOOTSTRAPS)
def test_all_draw_alike_unless_told_otherwise(name):
    known = inspect.signature(BOOTSTRAPS[name].func).parameters
    assert Draws(*(known[field].default for field in ("resamples", "seed", "level"))) == Draws()


@pytest.mark.parametrize("strata", [None, FOLDS])
def test_the_shared_tail_averages_over_seeds_and_takes_the_draws_percentiles(strata):
    both, how = np.concatenate([OURS, THEIRS]), Draws(200, seed=4, level=0.8)

    def metrics(counts):
        n = counts.sum(axis=1, keepdims=True)
        return np.stack([counts @ both.T / n, counts @ (both**2).T / n], axis=2)  # (R, 5, 2)

    drawn = resampled(metrics, strata, N, 200, 4)
    means = drawn.mean(axis=1)
    for number, own in enumerate(interval_of(("mean", "square"), metrics, N, how, strata).values()):
        assert own.estimate == means[0, number]
        assert [own.low, own.high] == pytest.approx(np.percentile(means[1:, number], [10, 90]).tolist())
    apart = drawn[:, :3].mean(axis=1) - drawn[:, 3:].mean(axis=1)
    for number, own in enumerate(gap_of(("mean", "square"), metrics, N, 3, how, strata).values()):
        assert isinstance(own, Difference)
        assert own.estimate == apart[0, number]
        assert [own.low, own.high] == pytest.approx(np.percentile(apart[1:, number], [10, 90]).tolist())


def test_a_variance_is_0_where_only_rounding_is_left_of_it():
    found = sums.positive(np.array([[4.0, 1e-25], [1e-13, 1e-11]]), np.array([4.0, 0.0]))
    np.testing.assert_array_equal(found, [[4.0, np.nan], [np.nan, 1e-11]])


@pytest.mark.parametrize("name", ["evaluation", "correlation", "agreement", "calibration"])
def test_one_rule_says_for_all_where_a_variance_is_0(name, monkeypatch):
    metric = {"evaluation": "r2", "correlation": "corr"}.get(name, "slope")
    assert np.isfinite(BOOTSTRAPS[name](resamples=5)[metric].low)
    monkeypatch.setattr(sums, "TINY", 1e9)
    assert np.isnan(BOOTSTRAPS[name](resamples=5)[metric].low)
