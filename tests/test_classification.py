"""Metrics over folds and of patient groups: scikit-learn's and scipy's values, the bootstrap as plain resampling."""

import numpy as np
import pytest
from helpers import formula
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, precision_score, recall_score

from coreecho.errors import DataError
from coreecho.resampling import draws, resampled
from coreecho.transfer import classification, correlation

FOLDS = np.repeat(np.arange(5), [23, 23, 21, 21, 21])
LABELS = (formula(1, np.arange(109)) < 0.3).astype(float)
GUESSES = np.stack([np.clip(0.5 + 0.3 * (LABELS - 0.5) + 0.4 * formula(s, np.arange(109)), 0, 1) for s in (2, 3, 4)])


def plain(labels, probabilities):
    """The five metrics of one set of cases by scikit-learn."""
    found = probabilities >= 0.5
    return [
        recall_score(labels, found),
        recall_score(labels, found, pos_label=0),
        precision_score(labels, found, zero_division=0),
        f1_score(labels, found, zero_division=0),
        accuracy_score(labels, found),
    ]


def over_folds(labels, probabilities, folds):
    return np.mean([plain(labels[folds == fold], probabilities[folds == fold]) for fold in np.unique(folds)], axis=0)


def test_means_of_per_fold_metrics_and_pooled_ones_differ_and_are_scikit_learns():
    means = classification.classification_metrics(LABELS, GUESSES[0], FOLDS)
    pooled = classification.classification_metrics(LABELS, GUESSES[0], FOLDS, pooled=True)
    assert list(means) == list(classification.METRICS)
    assert list(means.values()) == pytest.approx(over_folds(LABELS, GUESSES[0], FOLDS))
    assert list(pooled.values()) == pytest.approx(plain(LABELS, GUESSES[0]))
    assert abs(means["f1"] - pooled["f1"]) > 1e-4


@pytest.mark.parametrize("pooled", [False, True])
def test_the_interval_is_that_of_resampled_copies_of_patients(pooled):
    """Weighted sums against copies, with the same draws: fold by fold as many as it has."""
    found = classification.bootstrap(LABELS, GUESSES, FOLDS, pooled=pooled, resamples=3, seed=3)
    drawn = []

    def copies(counts):
        for row in counts:
            chosen = np.repeat(np.arange(len(row)), row.astype(int))
            assert np.array_equal(np.bincount(FOLDS[chosen]), np.bincount(FOLDS))
            parts = np.zeros(109) if pooled else FOLDS[chosen]
            drawn.append(np.mean([over_folds(LABELS[chosen], own[chosen], parts) for own in GUESSES], axis=0))
        return np.zeros((len(counts), 1, 1))

    resampled(copies, FOLDS, len(FOLDS), 3, 3)
    estimates, ends = drawn[0], np.percentile(drawn[1:], [2.5, 97.5], axis=0)
    for place, interval in enumerate(found.values()):
        assert (interval.estimate, interval.low, interval.high) == pytest.approx(
            (estimates[place], *ends[:, place]), abs=1e-12
        )


def test_a_difference_is_paired_and_oriented():
    gaps = classification.paired_bootstrap(LABELS, GUESSES[:1], GUESSES[1:], FOLDS, resamples=500)
    own = classification.classification_metrics(LABELS, GUESSES[0], FOLDS)
    others = [classification.classification_metrics(LABELS, each, FOLDS) for each in GUESSES[1:]]
    for metric, gap in gaps.items():
        assert gap.estimate == pytest.approx(own[metric] - np.mean([other[metric] for other in others]))
        assert gap.low <= gap.high
    same = classification.paired_bootstrap(LABELS, GUESSES[0], GUESSES[0], FOLDS, resamples=50)
    assert all((gap.estimate, gap.low, gap.high, gap.p) == (0, 0, 0, 1) for gap in same.values())


def test_precision_without_a_positive_call_is_0_and_the_threshold_counts_as_positive():
    labels, folds = np.array([1.0, 0, 1, 0]), np.zeros(4)
    never = classification.classification_metrics(labels, np.full(4, 0.49), folds)
    assert (never["prec"], never["f1"], never["sens"], never["spec"]) == (0, 0, 0, 1)
    assert classification.bootstrap(labels, np.full(4, 0.49), folds, resamples=50)["prec"].high == 0
    assert classification.classification_metrics(labels, np.full(4, 0.5), folds)["sens"] == 1


@pytest.mark.parametrize(
    ("labels", "probabilities", "folds", "message"),
    [
        ([1, 0, 1, 1], [0.5] * 4, [0, 0, 1, 1], "fold 1: all 2 test cases are infarctions"),
        ([1, 0, 0, 0], [0.5] * 4, [0, 0, 1, 1], "fold 1: all 2 test cases are without an infarction"),
        ([1, 0, 2, 0], [0.5] * 4, [0, 0, 1, 1], "label 2; expected 1"),
        ([1, 0, 1, 0], [0.5, 3.5, 0, -2], [0, 0, 1, 1], "predictions from -2 to 3.5; expected probabilities"),
        ([1, 0, 1, 0], [0.5] * 4, [0, 0, 1], "4 cases but folds"),
        ([1, 0, 1], [0.5] * 4, [0, 0, 1], "do not fit"),
        ([1, 0, 1, 0], [0.5, np.nan, 0, 1], [0, 0, 1, 1], "not finite"),
    ],
)
def test_cases_that_cannot_be_scored_are_refused(labels, probabilities, folds, message):
    with pytest.raises(DataError, match=message):
        classification.bootstrap(labels, probabilities, folds)


EF = 55 + 20 * formula(10, np.arange(47))
PREDICTED = np.stack([EF + 9 * formula(stream, np.arange(47)) for stream in (11, 12)])


def test_correlation_and_mae_are_scipys_and_scikit_learns():
    found = correlation.correlation_metrics(EF, PREDICTED[0])
    assert found["corr"] == pytest.approx(pearsonr(EF, PREDICTED[0]).statistic)
    assert found["mae"] == pytest.approx(mean_absolute_error(EF, PREDICTED[0]))


def test_their_interval_is_that_of_resampled_copies_of_patients():
    found = correlation.bootstrap(EF, PREDICTED, resamples=80, seed=5)
    counts = np.concatenate(list(draws(47, 80, int(np.random.SeedSequence(5).generate_state(1)[0]))))
    chosen = [np.repeat(np.arange(47), row.astype(int)) for row in counts]
    for metric, score in (("corr", lambda y, p: np.corrcoef(y, p)[0, 1]), ("mae", mean_absolute_error)):
        drawn = [np.mean([score(EF[rows], own[rows]) for own in PREDICTED]) for rows in chosen]
        assert (found[metric].low, found[metric].high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
        assert found[metric].estimate == pytest.approx(np.mean([score(EF, own) for own in PREDICTED]))


def test_equal_predictions_have_no_correlation_but_an_error():
    found = correlation.bootstrap(EF, np.full(47, 50.0), resamples=50)
    assert np.isnan([found["corr"].estimate, found["corr"].low, found["corr"].high]).all()
    assert found["mae"].low < found["mae"].estimate < found["mae"].high


def test_a_worse_system_loses_the_paired_comparison():
    gaps = correlation.paired_bootstrap(EF, PREDICTED, EF + 3 * (PREDICTED - EF), resamples=2000)
    assert gaps["mae"].high < 0 < gaps["corr"].low
    assert gaps["mae"].p < 0.01


@pytest.mark.parametrize(
    ("labels", "message"), [([50.0, 60], "needs at least 3"), ([50.0, 50, 50], "all 3 labels equal 50")]
)
def test_a_group_without_a_correlation_is_refused(labels, message):
    with pytest.raises(DataError, match=message):
        correlation.bootstrap(labels, labels)
