"""The clinical view: measures against literal recomputation and scikit-learn, sentences that follow the numbers."""

import dataclasses
import re
from functools import partial

import fabricated
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error
from test_transfer_tables import camus_records

from coreecho import clinical, sums
from coreecho.clinical import (
    agreement,
    bands,
    calibration,
    classes,
    picture_tables,
    pictures,
    tables,
    thresholds,
    words,
    worst,
)
from coreecho.clinical.scored import Scored
from coreecho.errors import DataError, RecordError
from coreecho.phantom import read_truth
from coreecho.resampling import Interval, draws

N = 80
TRUE = 52 + 22 * fabricated.formula(1, np.arange(N))
LISTED = TRUE + 4 * fabricated.scatter(2, N)
TWO_SEEDS = TRUE + 5 * fabricated.scatter(3, 2, N)
MEASURES = {
    "agreement": (agreement.bootstrap, agreement.agreement_metrics),
    "calibration": (calibration.bootstrap, calibration.calibration_metrics),
    "classes": (classes.bootstrap, classes.class_metrics),
    "under 40": (partial(thresholds.bootstrap, cut=40), partial(thresholds.threshold_metrics, cut=40)),
    "under 50": (partial(thresholds.bootstrap, cut=50), partial(thresholds.threshold_metrics, cut=50)),
}
each_measure = pytest.mark.parametrize("name", MEASURES)


def scored(predictions=TWO_SEEDS, **changes):
    known = {"row": "table1/coreecho", "system": "CoReEcho", "data": "phantom, tiny", "truth": TRUE, "labels": LISTED}
    videos = tuple(f"video{number:02d}" for number in range(len(LISTED)))
    return Scored(**{**known, "videos": videos, "predictions": np.atleast_2d(predictions), **changes})


@each_measure
def test_estimates_are_the_point_values_averaged_over_seeds(name):
    bootstrap, points = MEASURES[name]
    found = bootstrap(LISTED, TWO_SEEDS, resamples=20)
    each = [points(LISTED, own) for own in TWO_SEEDS]
    for metric, interval in found.items():
        assert interval.estimate == pytest.approx(np.mean([own[metric] for own in each]), rel=1e-9), metric
        assert interval.low <= interval.high


@each_measure
def test_a_draw_by_sums_is_the_same_draw_by_copies(name):
    """One draw: both ends of the interval are its value, which copies of the drawn patients give too."""
    bootstrap, points = MEASURES[name]
    (counts,) = next(iter(draws(N, 1, 7)))
    copied = np.repeat(np.arange(N), counts.astype(int))
    each = [points(LISTED[copied], own[copied]) for own in TWO_SEEDS]
    for metric, interval in bootstrap(LISTED, TWO_SEEDS, resamples=1, seed=7).items():
        expected = np.mean([own[metric] for own in each])
        assert interval.low == interval.high == pytest.approx(expected, rel=1e-9), metric


def test_limits_of_agreement_hold_the_differences_of_a_normal_sample():
    gap = np.random.default_rng(0).normal(1.5, 4.0, 20_000)
    found = agreement.agreement_metrics(np.full(20_000, 50.0), 50 + gap)
    assert (found["bias"], found["sd"]) == (pytest.approx(1.5, abs=0.1), pytest.approx(4, abs=0.1))
    assert np.mean((gap > found["lower"]) & (gap < found["upper"])) == pytest.approx(0.95, abs=0.005)


def test_shrinking_shows_as_proportional_bias_and_a_steep_calibration():
    shrunk = TRUE.mean() + 0.5 * (TRUE - TRUE.mean())
    assert agreement.agreement_metrics(TRUE, shrunk)["slope"] == pytest.approx(-0.5 / 0.75)
    found = calibration.calibration_metrics(TRUE, shrunk)
    assert found["slope"] == pytest.approx(2)
    assert found["at50"] == pytest.approx(TRUE.mean() + 2 * (50 - TRUE.mean()))


def test_equal_predictions_have_no_line_and_no_area_but_a_bias():
    same = np.full(N, 55.0)
    assert np.isnan(calibration.bootstrap(LISTED, same, resamples=5)["slope"].estimate)
    assert agreement.bootstrap(LISTED, same, resamples=5)["bias"].estimate == pytest.approx(55 - LISTED.mean())
    assert thresholds.bootstrap(LISTED, same, 50, resamples=5)["auc"].estimate == 0.5
    assert np.isnan(thresholds.bootstrap(LISTED, same, 50, resamples=5)["ppv"].estimate)


def test_an_ef_on_the_cut_is_not_under_it():
    assert thresholds.counts([40.0, 39.9, 50.0], [40.0, 40.0, 39.0], 40).tolist() == [[0, 1, 1, 1]]
    assert classes.classes([40.0, 40.4, 49.9, 50.0]).tolist() == [0, 1, 1, 2]
    assert bands.inside([29.9, 30.0, 70.0]).argmax(axis=0).tolist() == [0, 1, 5]


def test_where_all_are_right_the_exact_interval_stands():
    """Of 20 patients without a miss the share found is at least 83.2 %, by Clopper and Pearson."""
    labels = np.repeat([30.0, 60.0], [20, 40])
    found = thresholds.bootstrap(labels, labels, 40, resamples=50)
    assert found["sens"].estimate == 1
    assert (found["sens"].low, found["sens"].high) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    assert found["spec"].low > found["sens"].low


def test_a_class_that_is_missing_leaves_its_measures_undefined():
    found = thresholds.bootstrap([60.0, 65.0, 70.0], [61.0, 64.0, 71.0], 40, resamples=5)
    assert all(np.isnan(found[metric].estimate) for metric in ("auc", "sens", "ppv"))
    assert found["spec"].estimate == 1
    assert np.isnan(classes.bootstrap([60.0, 65.0], [61.0, 66.0], resamples=5)["kappa"].estimate)


def test_the_averaged_roc_curve_has_the_averaged_area():
    curve = thresholds.curve(LISTED, TWO_SEEDS, 50)
    assert (np.diff(curve) >= 0).all()
    assert np.trapezoid(curve, thresholds.GRID) == pytest.approx(
        thresholds.bootstrap(LISTED, TWO_SEEDS, 50, resamples=1)["auc"].estimate, abs=0.01
    )


def test_errors_of_a_group_are_those_of_its_members_alone():
    members = bands.inside(LISTED)
    assert members.sum(axis=0).tolist() == [1] * N
    for own, found in zip(members > 0, bands.by_group(LISTED, TWO_SEEDS, members, resamples=5), strict=True):
        expected = np.mean([mean_absolute_error(LISTED[own], seed[own]) for seed in TWO_SEEDS])
        assert found["mae"].estimate == pytest.approx(expected)
        assert found["bias"].estimate == pytest.approx((TWO_SEEDS - LISTED)[:, own].mean())


def test_two_groups_are_compared_in_one_draw_and_empty_ones_refused():
    first, second = (LISTED < 45).astype(float), (LISTED >= 45).astype(float)
    gap = bands.difference(LISTED, TWO_SEEDS, first, second, resamples=200)["mae"]
    apart = bands.by_group(LISTED, TWO_SEEDS, np.stack([first, second]), resamples=5)
    assert gap.estimate == pytest.approx(apart[0]["mae"].estimate - apart[1]["mae"].estimate)
    assert gap.low < gap.estimate < gap.high
    with pytest.raises(DataError, match="without patients"):
        bands.difference(LISTED, TWO_SEEDS, first, np.zeros(N))


def test_bands_of_calibration_are_each_seeds_own():
    found = calibration.by_prediction(LISTED, TWO_SEEDS, resamples=5)
    inside = (TWO_SEEDS >= 50) & (TWO_SEEDS < 60)
    listed = np.mean([LISTED[own].mean() for own in inside])
    predicted = np.mean([seed[own].mean() for seed, own in zip(TWO_SEEDS, inside, strict=True)])
    assert found[3]["listed"].estimate == pytest.approx(listed)
    assert found[3]["gap"].estimate == pytest.approx(listed - predicted)
    high = calibration.by_prediction(LISTED, np.clip(TWO_SEEDS, None, 69), resamples=5)[-1]
    assert tables.cell(high["listed"], tables.GAPS["listed"]) == "–"


def test_sums_of_nobody_are_undefined():
    nobody = np.zeros((1, N))
    assert np.isnan(sums.mean(nobody, TWO_SEEDS)).all()


@pytest.fixture
def records(tmp_path):
    return fabricated.records(tmp_path)


def test_systems_come_from_records_and_only_a_phantom_has_an_oracle(records, tmp_path):
    found = clinical.scored(records)
    assert [(each.system, each.seeds) for each in found] == [
        (name, (0, 1)) for name in ("AdaCon", "EchoCoTr", "CoReEcho")
    ]
    assert found[0].videos == tuple(fabricated.VIDEOS)
    assert {each.data for each in found} == {"phantom, tiny"}
    (oracle,) = clinical.oracle(found)
    np.testing.assert_array_equal(oracle.predictions[0], fabricated.LABELS)
    hearts = [dataclasses.replace(found[0], truth=None)]
    assert clinical.oracle(hearts) == []
    assert hearts[0].against_truth is None


def test_tables_name_their_data_and_wait_for_real_hearts(records, tmp_path):
    found = clinical.scored(records)
    made = [
        tables.agreement_table(found, waiting=True),
        tables.calibration_table(found, waiting=True),
        tables.thresholds_table(found, waiting=True),
        tables.classes_table(found, waiting=True),
    ]
    for table in made:
        *ours, last = table.display.query("EF == 'under 50 %'" if "EF" in table.display else "index >= 0").to_dict(
            "records"
        )
        assert {line["Data"] for line in ours} == {"phantom, tiny"}
        assert last["Data"] == "EchoNet-Dynamic, run here"
        assert list(last.values())[-1] == "not yet run"
        assert set(table.numbers["data"]) == {"phantom, tiny"}
        assert (table.numbers["low"] <= table.numbers["high"]).all()
    assert "not yet run" not in tables.agreement_table(found).markdown()
    made[2].write(tmp_path, "clinical_thresholds")
    stored = pd.read_csv(tmp_path / "clinical_thresholds.csv")
    line = stored.query("row == 'table1/coreecho' and group == 'under 50 %' and metric == 'AUC'").iloc[0]
    assert line["value"] == pytest.approx(np.mean([float(value) for value in line["by_seed"].split()]), abs=1e-4)


def test_counts_of_every_seed_make_up_the_test_set(records):
    found = clinical.scored(records)
    for line in tables.counts_table(found).to_dict("records"):
        cells = np.array([[int(value) for value in line[name].split(", ")] for name in tables.COUNTS])
        assert cells.sum(axis=0).tolist() == [len(fabricated.VIDEOS)] * 2


def test_bands_show_the_systems_asked_for_and_store_all(records):
    found = clinical.scored(records)
    table = tables.bands_table(found, shown=("table1/coreecho",))
    assert [name for name in table.display if "MAE" in name] == ["CoReEcho: MAE"]
    assert set(table.numbers["system"]) == {"AdaCon", "EchoCoTr", "CoReEcho"}
    assert table.display["Videos"].astype(int).sum() == len(fabricated.VIDEOS)


def test_numbers_in_cells_have_no_sign_of_nothing():
    assert tables.cell(Interval(-0.001, -1.26, 0.004), ("Bias", 2, 1)) == "0.00 [-1.26, 0.00]"
    assert tables.cell(Interval(0.97, 0.9, 1.0), ("AUC", 1, 100)) == "97.0 [90.0, 100.0]"


def test_sentences_on_agreement_and_calibration_follow_the_numbers():
    high, low = (words.on_agreement(scored(TRUE + shift)) for shift in (6, -6))
    assert re.search(r"points above the listed one .*; told apart from none", high)
    assert re.search(r"points below the listed one", low)
    assert "not told apart from none" in words.on_agreement(scored(LISTED + fabricated.scatter(9, N)))
    middle = LISTED.mean()
    for factor, trend, slope in (
        (0.6, "low EFs are read too high", "too close to"),
        (1.6, "low EFs are read too low", "too far from"),
    ):
        own = scored(middle + factor * (LISTED - middle), truth=None)
        assert trend in words.on_agreement(own)
        assert slope in words.on_calibration(own)
    assert "Against the true EF" not in words.on_calibration(scored(truth=None))


def test_sentences_on_decisions_and_bands_follow_the_numbers():
    perfect = words.on_threshold(scored(LISTED), 40)
    below = int((LISTED < 40).sum())
    assert f"({below} of {N} videos" in perfect
    assert f"finds {below:.1f} of them and misses 0.0" in perfect
    assert "with 0.0 false alarms" in perfect
    assert "means over 1 seed." in perfect
    swapped = np.where(LISTED <= 40, 60.0, 30.0)
    assert f"{((LISTED <= 40) | (LISTED >= 50)).sum():.1f} of {N} are taken for" in words.on_classes(scored(swapped))
    off = np.where((LISTED >= 60) & (LISTED < 70), LISTED - 9, LISTED + 0.5)
    text = words.on_bands(scored(off), clinical.oracle([scored()]))
    assert "errs most at a listed EF of 60 to under 70 (MAE 9.00; bias -9.00" in text
    assert "The true EF itself has a bias" in text


def test_the_readers_part_is_told_only_where_the_truth_is_known():
    text = words.on_reader(scored(TRUE))
    assert "100 % of" in text
    assert "so lies nearer to the true EF than the reader" in text
    assert "not nearer" in words.on_reader(scored(TRUE + 30))
    assert "nobody knows a patient's true EF" in words.on_reader(scored(truth=None))


def test_the_worst_cases_are_the_largest_errors_of_the_mean_over_seeds():
    missed = np.zeros((2, N))
    missed[:, [7, 11, 30]] = [[20.0, -12.0, 40.0], [20.0, -12.0, -40.0]]  # the third's seeds cancel out
    found = clinical.cases(scored(LISTED + missed), count=2)
    assert [case.video for case in found] == ["video07", "video11"]
    assert found[0].error == pytest.approx(20)
    assert found[0].by_seed == (pytest.approx(LISTED[7] + 20),) * 2
    assert words.on_worst(found).startswith("The 2 largest errors: 1 predicted too high, 1 too low.")
    ties = clinical.cases(scored(LISTED + 5), count=3)
    assert [case.video for case in ties] == ["video00", "video01", "video02"]


def test_a_reader_astray_is_told_from_a_system_astray():
    astray = worst.Case("a", listed=40.0, predicted=50.0, by_seed=(50.0,), true=49.0)
    right = dataclasses.replace(astray, true=41.0)
    assert (astray.reader_astray, right.reader_astray) == (True, False)
    assert "In 1 of 2" in words.on_worst([astray, right])
    hearts = [dataclasses.replace(astray, true=None)]
    assert "true" not in words.on_worst(hearts)
    assert "True EF (%)" not in worst.table(hearts)


def test_worst_cases_are_shown_moving_with_their_three_efs():
    case = worst.Case("PH<1>", listed=44.6, predicted=60.2, by_seed=(60.2,), true=52.6)
    html = worst.players([case], {"PH<1>": np.zeros((4, 8, 8), np.uint8)}, 12.5)
    assert html.count("<echo-clip ") == 1
    assert 'fps="12.5"' in html
    assert "PH<1>" not in html
    assert html.count("listed EF 44.6, true 52.6, predicted 60.2 %") >= 2  # for the eye, and for those who cannot see
    assert "(+15.6)" in html


def test_settings_of_the_phantom_are_those_of_its_truth_file(tiny_records, phantom_folder):
    record = tiny_records["table1/coreecho"][0]
    (own, *_) = clinical.scored({"table1/coreecho": [record]})
    found = pictures.settings(record, own)
    truth = read_truth(phantom_folder).loc[list(own.videos)]
    for name in pictures.SETTINGS:
        expected = truth[name].clip(lower=0) if name in ("shadow", "dropout") else truth[name]
        np.testing.assert_allclose(found[name], expected)
    with pytest.raises(RecordError, match="another phantom"):
        pictures.settings(record, dataclasses.replace(own, truth=own.truth + 1))
    hearts = dataclasses.replace(record, data={**record.data, "label": "EchoNet-Dynamic"})
    assert pictures.settings(hearts, own) is None


def test_an_effect_is_found_where_the_disturbed_third_is_read_worse():
    noise = fabricated.scatter(20, N)
    disturbed = scored(TRUE + np.where(noise > np.quantile(noise, 2 / 3), 12.0, 1.0), labels=TRUE)
    drawn = pd.DataFrame({name: fabricated.scatter(30, N) for name in pictures.SETTINGS} | {"noise": noise})
    found = {each.name: each for each in picture_tables.effects(disturbed, drawn)}
    assert found["noise"].told_apart
    assert found["noise"].gap.estimate == pytest.approx(11, abs=0.5)
    assert "the interval excludes 0 for" in words.on_effects(disturbed, list(found.values()))
    assert "noise (+" in words.on_effects(disturbed, list(found.values()))
    none = [each for each in found.values() if not each.told_apart]
    assert "none of them changes" in words.on_effects(disturbed, none)
    assert "grades no picture" in words.on_effects(disturbed, None)
    assert len(picture_tables.effects_table(disturbed, none).display) == len(none)


def test_thirds_follow_the_direction_that_disturbs():
    values = np.arange(9.0)
    least, most = pictures.thirds(values, -1)
    assert np.flatnonzero(least).tolist() == [6, 7, 8]
    assert np.flatnonzero(most).tolist() == [0, 1, 2]


def test_grades_are_those_of_the_studies_with_all_folds(tmp_path):
    row = "table4/finetune-coreecho"
    own = camus_records(tmp_path, row)
    (graded,) = pictures.graded({row: own})
    assert graded.scored.system == "CoReEcho, fine-tuned"
    assert graded.scored.data == "phantom, tiny, CAMUS format"
    assert graded.members.sum(axis=0).tolist() == [1] * 120
    assert (graded.grades == "Poor").sum() == 10
    table = picture_tables.grades_table([graded])
    assert table.display["Quality"].tolist() == ["Good", "Medium", "Poor"]
    assert pictures.graded({row: own[:-1]}) == []
    assert "not yet run" in picture_tables.grades_table([]).markdown()
    assert "not yet run" in words.on_grades(None)


def test_a_grade_that_no_picture_has_stays_empty():
    graded = pictures.Graded(scored(), np.where(np.arange(N) % 4 == 0, "Poor", "Good"))
    table = picture_tables.grades_table([graded]).display
    none = table[table["Quality"] == "Medium"].drop(columns=["Data", "System", "Quality"])
    assert none["Patients"].tolist() == ["0"] * len(none)
    assert (none.drop(columns="Patients") == "–").all(axis=None)


@pytest.mark.parametrize(("spoilt", "said"), [("Poor", "are read worse"), ("Good", "are read better")])
def test_the_sentence_on_grades_follows_the_numbers(spoilt, said):
    grades = np.where(np.arange(N) % 4 == 0, "Poor", "Good")
    own = scored(TWO_SEEDS + np.where(grades == spoilt, 9.0, 0.0))
    assert f"poor pictures {said}" in words.on_grades(pictures.Graded(own, grades))


def test_a_case_can_be_shown_without_its_file_name():
    case = worst.Case("0XNAME", listed=50.0, predicted=60.0, by_seed=(60.0,))
    shown = case.unnamed(2)
    assert shown.video == "case 2"
    assert (shown.listed, shown.predicted, shown.error) == (case.listed, case.predicted, case.error)
