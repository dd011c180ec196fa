"""Metrics from saved predictions: parity with published values, the bootstrap against plain resampling, refusals."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreecho.errors import DataError
from coreecho.evaluation import METRICS, average_clips, bootstrap, paired_bootstrap, regression_metrics, seed_summary
from coreecho.resampling import CHUNK, draws, resampled

PARITY = json.loads((Path(__file__).parent / "fixtures" / "parity" / "metrics.json").read_text())
CASES = {case["case"]: case for case in PARITY["cases"]}


def hashed(stream: int, n: int) -> np.ndarray:
    """The number formula of the parity data: n doubles in [-1, 1)."""
    word = np.uint64
    with np.errstate(over="ignore"):
        x = (np.arange(n, dtype=word) + word(1)) * word(0x9E3779B97F4A7C15)
        x += word(stream + 1) * word(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> word(30))) * word(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> word(27))) * word(0x94D049BB133111EB)
        x ^= x >> word(31)
    return (x >> word(11)).astype(np.float64) * 2.0**-52 - 1


def clips_of(case: dict) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and outputs (clips, N) of a parity case; the large one is given by formula."""
    if isinstance(case["labels"], str):
        labels = np.float32(55.6 + 21.65 * hashed(7000, 1276)).astype(np.float64)
        outputs = [np.float32(labels + 9.0 * hashed(7001 + clip, 1276)) for clip in range(3)]
        return labels, np.asarray(outputs, dtype=np.float64)
    return np.asarray(case["labels"]), np.asarray(case["outputs"])


def table(labels, outputs) -> pd.DataFrame:
    """Predictions as they are saved, one row per clip."""
    rows = [
        {"video": f"v{video:04d}", "clip": clip, "start": 4 * clip, "label": labels[video], "prediction": value}
        for clip, row in enumerate(outputs)
        for video, value in enumerate(row)
    ]
    return pd.DataFrame(rows)


def example(systems: int = 3, n: int = 40, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.normal(55, 12, n)
    return labels, labels + generator.normal(0, 5, (systems, n))


@pytest.mark.parametrize("name", [name for name in CASES if name != "m6_constant_labels"])
def test_parity_of_averaging_and_metrics(name):
    labels, outputs = clips_of(CASES[name])
    averaged = average_clips(table(labels, outputs))
    got = regression_metrics(averaged["label"], averaged["prediction"])
    first = CASES[name]["averaged_outputs"]
    np.testing.assert_allclose(averaged["prediction"][: len(first)], first, rtol=1e-6)
    assert got.n == len(labels)
    for metric in METRICS:
        exact, official = CASES[name]["reference_float64"][metric], CASES[name]["official_float32"][metric]
        assert getattr(got, metric) == pytest.approx(exact, rel=1e-10, abs=1e-12)
        assert getattr(got, metric) == pytest.approx(official, rel=5e-6, abs=1e-6)


def test_the_formula_of_the_parity_data():
    assert hashed(0, 2).tolist() == [0.7869509038368512, -0.5055341968568958]


def test_metrics_of_averaged_clips_are_not_averaged_metrics():
    labels, outputs = clips_of(CASES["m7_formula_1276"])
    averaged = regression_metrics(labels, outputs.mean(axis=0)).mae
    assert averaged < 0.6 * np.mean([regression_metrics(labels, row).mae for row in outputs])


def test_squared_correlation_ignores_a_bias_that_r2_counts():
    labels = np.array([30.0, 45.0, 60.0, 70.0])
    shifted = regression_metrics(labels, labels + 10)
    assert shifted.r2_correlation == pytest.approx(1)
    assert shifted.r2 == pytest.approx(1 - 400 / ((labels - labels.mean()) ** 2).sum())
    assert math.isnan(regression_metrics(labels, [50.0] * 4).r2_correlation)


def test_bootstrap_equals_resampling_with_the_same_draws():
    labels, predictions = example()
    resamples, seed = 60, 3
    plain = []
    for row in np.concatenate(list(draws(len(labels), resamples, seed))):
        patients = np.repeat(np.arange(len(labels)), row.astype(int))
        scores = [regression_metrics(labels[patients], seed_row[patients]) for seed_row in predictions]
        plain.append([np.mean([getattr(score, metric) for score in scores]) for metric in METRICS])
    ends = np.percentile(plain, [2.5, 97.5], axis=0)
    got = bootstrap(labels, predictions, resamples=resamples, seed=seed)
    for index, metric in enumerate(METRICS):
        interval = got[metric]
        point = np.mean([getattr(regression_metrics(labels, row), metric) for row in predictions])
        assert interval.estimate == pytest.approx(point, rel=1e-12)
        assert (interval.low, interval.high) == pytest.approx(tuple(ends[:, index]), rel=1e-10)


def test_draws_keep_the_number_of_patients_and_depend_on_the_seed_only():
    counts = np.concatenate(list(draws(7, CHUNK + 5, seed=1)))
    assert counts.shape == (CHUNK + 5, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == np.concatenate(list(draws(7, CHUNK + 5, seed=1)))).all()
    assert not (counts == np.concatenate(list(draws(7, CHUNK + 5, seed=2)))).all()


def test_paired_bootstrap_shares_patients_between_systems():
    labels, predictions = example(systems=2)
    # The second system errs by half a point more on every patient: alone the intervals overlap, paired they do not.
    worse = labels + (predictions - labels) + 0.5 * np.sign(predictions - labels)
    difference = paired_bootstrap(labels, predictions, worse, resamples=500)["mae"]
    assert (difference.estimate, difference.low, difference.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert difference.p == pytest.approx(2 / 501)
    alone, other = bootstrap(labels, predictions, resamples=500)["mae"], bootstrap(labels, worse, resamples=500)["mae"]
    assert alone.high > other.low


def test_paired_bootstrap_is_antisymmetric_and_finds_nothing_between_equals():
    labels, predictions = example(systems=3)
    forth = paired_bootstrap(labels, predictions[:1], predictions[1:], resamples=400)
    back = paired_bootstrap(labels, predictions[1:], predictions[:1], resamples=400)
    for metric in METRICS:
        assert forth[metric].estimate == pytest.approx(-back[metric].estimate)
        assert (forth[metric].low, forth[metric].high) == pytest.approx((-back[metric].high, -back[metric].low))
    same = paired_bootstrap(labels, predictions, predictions, resamples=100)["r2"]
    assert (same.low, same.high, same.p) == (0, 0, 1)


def test_wider_level_gives_a_wider_interval():
    labels, predictions = example()
    narrow, wide = (bootstrap(labels, predictions, resamples=500, level=level)["rmse"] for level in (0.5, 0.95))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


def test_draws_of_equal_labels_are_left_out_of_r2():
    interval = bootstrap([50.0, 60.0], [52.0, 57.0], resamples=200)["r2"]
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.74, 0.74, 0.74))


def test_draws_that_are_kept_for_the_next_call_cannot_be_spoiled():
    first = np.concatenate(list(draws(9, 20, seed=3)))
    for chunk in draws(9, 20, seed=3):
        chunk[:] = 0
    assert (np.concatenate(list(draws(9, 20, seed=3))) == first).all()
    drawn = np.random.default_rng(3).integers(9, size=(20, 9))
    assert (first == [np.bincount(row, minlength=9) for row in drawn]).all()


def test_systems_together_have_the_intervals_that_each_has_alone():
    labels, predictions = example(systems=4, n=60)
    alone = np.mean([[bootstrap(labels, row, resamples=1)[m].estimate for m in METRICS] for row in predictions], axis=0)
    together = bootstrap(labels, predictions, resamples=1)
    assert [together[metric].estimate for metric in METRICS] == pytest.approx(list(alone), rel=1e-12)
    differences = paired_bootstrap(labels, predictions[:1], predictions[1:2], resamples=1)
    for metric in METRICS:  # one draw of patients: both ends of an interval are that draw's value
        own, other = (bootstrap(labels, row, resamples=1)[metric].low for row in predictions[:2])
        assert differences[metric].low == pytest.approx(own - other, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(5, 90), min_size=3, max_size=12).filter(lambda labels: max(labels) - min(labels) > 0.1))
def test_metrics_do_not_depend_on_the_order_of_videos(labels):
    predictions = np.linspace(30, 70, len(labels))
    forth, back = regression_metrics(labels, predictions), regression_metrics(labels[::-1], predictions[::-1])
    assert [getattr(forth, m) for m in METRICS] == pytest.approx([getattr(back, m) for m in METRICS])
    assert forth.rmse >= forth.mae * (1 - 1e-12)
    assert forth.r2 <= 1


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([55.0] * 4, [54.0, 56.0, 55.0, 57.0], "all 4 labels equal 55"),
        ([55.0], [54.0], "1 videos"),
        ([], [], "0 videos"),
        ([50.0, 60.0, 70.0], [50.0, math.nan, 70.0], "1 predictions are not finite, the first at position 1"),
        ([50.0, math.inf, 70.0], [50.0, 60.0, 70.0], "labels are not finite"),
        ([50.0, 60.0, 70.0], [50.0, 60.0], "do not fit"),
    ],
)
def test_what_has_no_metrics_is_refused_by_name(labels, predictions, message):
    for score in (regression_metrics, bootstrap, lambda y, p: paired_bootstrap(y, p, p)):
        with pytest.raises(DataError, match=message):
            score(labels, predictions)


def test_point_metrics_take_one_seed():
    labels, predictions = example(systems=2)
    with pytest.raises(DataError, match="one seed, found 2"):
        regression_metrics(labels, predictions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="start"), "lack the column 'start'"),
        (lambda t: t.iloc[:0], "empty"),
        (lambda t: t.assign(prediction=t["prediction"].where(t["video"] != "v0001")), "no finite prediction.*'v0001'"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), "1 clips appear twice.*'v0001'"),
        (lambda t: t.assign(label=range(len(t))), "different labels"),
    ],
)
def test_broken_prediction_tables_are_refused_by_name(change, message):
    whole = table([50.0, 60.0, 70.0], [[51.0, 61.0, 69.0], [49.0, 63.0, 71.0]])
    with pytest.raises(DataError, match=message):
        average_clips(change(whole))


def test_average_clips_ignores_the_order_of_rows():
    whole = table([50.0, 60.0, 70.0], [[51.0, 61.0, 69.0], [49.0, 63.0, 71.0]])
    averaged = average_clips(whole.sample(frac=1, random_state=0))
    assert averaged.to_dict("list") == {
        "video": ["v0000", "v0001", "v0002"],
        "label": [50.0, 60.0, 70.0],
        "prediction": [50.0, 62.0, 70.0],
    }


def test_seed_summary_uses_the_sample_deviation():
    summary = seed_summary([80.0, 82.0, 84.0])
    assert (summary.mean, summary.sd, summary.n, summary.values) == (82.0, 2.0, 3, (80.0, 82.0, 84.0))
    assert math.isnan(seed_summary([81.0]).sd)
    for bad in ([], [80.0, math.nan]):
        with pytest.raises(DataError, match="at least one value"):
            seed_summary(bad)


def test_nobody_can_be_drawn_from_nobody():
    with pytest.raises(DataError, match="no patients to resample"):
        resampled(lambda counts: counts[:, None], None, patients=0, resamples=10, seed=0)
