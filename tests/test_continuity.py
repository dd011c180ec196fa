"""Continuity of an embedding: against plain definitions, blind to scale and rotation, and never against itself."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.metrics import r2_score

from coreecho.continuity import measures as continuity
from coreecho.errors import DataError

LABELS = np.random.default_rng(5).normal(55.7, 12.4, 60).round(0)  # listed in whole percent, so that pairs tie


def curve(noise, labels=LABELS, width=16, seed=0):
    """Embeddings (N, width) along a bent line that follows the label, with noise."""
    rng = np.random.default_rng(seed)
    along = (labels - 55) / 12
    line = np.outer(along, rng.normal(size=width)) + np.outer(np.sin(along), rng.normal(size=width))
    return line + noise * rng.normal(size=line.shape)


def plain_correlation(embeddings, labels, rows):
    """The measure by its definition: every pair of rows of different patients, written out."""
    pairs = [(i, j) for number, i in enumerate(rows) for j in rows[number + 1 :] if i != j]
    gaps = [abs(labels[i] - labels[j]) for i, j in pairs]
    distances = [np.linalg.norm(embeddings[i] - embeddings[j]) for i, j in pairs]
    return spearmanr(gaps, distances).statistic


def test_the_correlation_is_that_of_all_pairs():
    embeddings = curve(0.5)
    expected = plain_correlation(embeddings, LABELS, range(60))
    assert continuity.label_distance_correlation(embeddings, LABELS) == pytest.approx(expected, abs=1e-12)
    assert 0.5 < expected < 1


def test_many_pairs_are_ranked_in_groups_without_a_visible_change():
    labels = np.random.default_rng(6).normal(55.7, 12.4, 450).round(1)
    embeddings = curve(1.0, labels)
    gaps, distances = pdist(labels[:, None], "cityblock"), pdist(embeddings)
    assert len(np.unique(distances)) > continuity.LEVELS
    expected = spearmanr(gaps, distances).statistic
    assert continuity.label_distance_correlation(embeddings, labels) == pytest.approx(expected, abs=1e-7)


def test_a_line_in_ef_is_fully_continuous_and_noise_is_not_continuous():
    line = np.outer(LABELS, [1.0, -2.0, 0.5])
    assert continuity.label_distance_correlation(line, LABELS) == pytest.approx(1)
    noise = np.random.default_rng(1).normal(size=(60, 16))
    assert abs(continuity.label_distance_correlation(noise, LABELS)) < 0.15
    clusters = np.where(LABELS[:, None] < 50, 0.0, 100.0) + np.random.default_rng(1).normal(size=(60, 4))
    assert continuity.label_distance_correlation(clusters, LABELS) < 0.9


def neighbour_error(embeddings, labels):
    return np.abs(continuity.knn_predictions(embeddings, labels) - labels).mean()


def test_neither_scale_nor_rotation_nor_the_order_of_videos_matters():
    embeddings, order = curve(0.5), np.random.default_rng(2).permutation(60)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 16)))[0]
    moved = (7 * embeddings @ turn + 3)[order]
    for measure in (continuity.label_distance_correlation, neighbour_error):
        assert measure(moved, LABELS[order]) == pytest.approx(measure(embeddings, LABELS), abs=1e-9)


def test_each_draw_is_the_correlation_of_the_drawn_patients():
    two = [curve(0.5), curve(2.0, width=8, seed=1)]
    values = continuity.resampled_correlations(two, LABELS, resamples=3, seed=4)
    assert values.shape == (4, 2)
    generator = np.random.default_rng(4)
    for draw in values[1:]:
        rows = generator.integers(60, size=60).tolist()
        assert draw == pytest.approx([plain_correlation(each, LABELS, rows) for each in two], abs=1e-12)


def test_one_draw_serves_all_embeddings_so_that_equal_ones_never_differ():
    values = continuity.resampled_correlations([curve(0.5), 3 * curve(0.5)], LABELS, resamples=20)
    assert np.allclose(values[:, 0], values[:, 1])
    assert np.ptp(values[1:, 0]) > 0
    gap = continuity.interval(values[:, 0] - values[:, 1])
    assert (gap.estimate, gap.low, gap.high) == pytest.approx((0, 0, 0))
    own = continuity.interval(values[:, 0])
    assert own.low < own.estimate < own.high


def test_an_interval_covers_the_population_about_as_often_as_it_says():
    rng = np.random.default_rng(8)
    population = rng.normal(55, 12, 1500)
    truth = continuity.label_distance_correlation(curve(3.0, population), population)
    covered = 0
    for trial in range(40):
        some = rng.choice(1500, 40, replace=False)
        values = continuity.resampled_correlations(
            [curve(3.0, population)[some]], population[some], resamples=150, seed=trial
        )
        own = continuity.interval(values[:, 0])
        covered += own.low <= truth <= own.high
    assert covered >= 33


def test_neighbours_are_the_nearest_other_videos():
    embeddings = curve(0.5)
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    expected = LABELS[distances.argsort(axis=1)[:, :5]].mean(axis=1)
    np.testing.assert_allclose(continuity.knn_predictions(embeddings, LABELS), expected)


def test_a_video_is_not_its_own_neighbour_even_where_embeddings_coincide():
    labels = np.arange(12.0)
    assert (np.abs(continuity.knn_predictions(np.zeros((12, 3)), labels, neighbours=1) - labels) >= 1).all()


def test_a_probe_reads_a_linear_label_and_none_that_is_not_there():
    linear = continuity.probe_predictions(np.random.default_rng(0).normal(size=(60, 8)) @ np.eye(8), LABELS)
    assert r2_score(LABELS, linear) < 0.2, "a label that is not in the embedding was read from it"
    embeddings = np.random.default_rng(1).normal(size=(200, 30))
    labels = 50 + 10 * embeddings[:, 0]
    assert r2_score(labels, continuity.probe_predictions(embeddings, labels)) > 0.99


def test_the_probe_never_sees_the_video_that_it_predicts():
    embeddings, seen = curve(0.5), LABELS.copy()
    seen[7] += 1000
    changed = continuity.probe_predictions(embeddings, seen, folds=60)
    assert changed[7] == pytest.approx(continuity.probe_predictions(embeddings, LABELS, folds=60)[7])
    assert not np.allclose(changed, continuity.probe_predictions(embeddings, LABELS, folds=60))


def test_more_dimensions_than_videos_are_no_obstacle():
    wide = curve(0.3, width=512)
    assert r2_score(LABELS, continuity.probe_predictions(wide, LABELS)) > 0.8


def test_a_layout_that_keeps_neighbours_is_trustworthy_and_a_shuffled_one_is_not():
    places = np.random.default_rng(0).normal(size=(60, 2))
    embeddings = np.hstack([places, np.zeros((60, 6))])
    assert continuity.layout_trustworthiness(embeddings, 5 * places) == 1
    assert continuity.layout_trustworthiness(places, np.random.default_rng(1).permutation(places)) < 0.7
    with pytest.raises(DataError, match="less than half"):
        continuity.layout_trustworthiness(places[:8], places[:8])
    with pytest.raises(DataError, match="do not fit"):
        continuity.layout_trustworthiness(places, places[:8])
    with pytest.raises(DataError, match="not finite"):
        continuity.layout_trustworthiness(places, np.where(places > 2, np.nan, places))


MEASURES = (continuity.label_distance_correlation, continuity.knn_predictions, continuity.probe_predictions)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_cannot_be_measured_is_refused_by_name(measure):
    good = curve(0.5)
    broken = good.copy()
    broken[3, 2] = np.inf
    for embeddings, labels, told in (
        (good[:2], LABELS[:2], "2 videos; this measure .* needs at least"),
        (broken, LABELS, "1 of 60 videos have values that are not finite, the first in row 3"),
        (good, np.where(LABELS > 70, np.nan, LABELS), "not finite"),
        (good, np.full(60, 55.0), "all 60 labels equal 55"),
        (good, LABELS[:-1], "do not fit"),
        (LABELS, LABELS, "do not fit"),
    ):
        with pytest.raises(DataError, match=told):
            measure(embeddings, labels)


def test_options_out_of_range_and_collapsed_embeddings_are_refused():
    with pytest.raises(DataError, match="1 or more"):
        continuity.knn_predictions(curve(1.0), LABELS, neighbours=0)
    with pytest.raises(DataError, match="2 or more"):
        continuity.probe_predictions(curve(1.0), LABELS, folds=1)
    with pytest.raises(DataError, match="at least one array"):
        continuity.resampled_correlations([], LABELS)
    with pytest.raises(DataError, match=r"embedding 1: all 60 rows lie equally far apart"):
        continuity.resampled_correlations([curve(1.0), np.ones((60, 4))], LABELS)
