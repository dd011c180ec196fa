"""Regional wall motion and the outlines that the tissue carries along."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from coreecho.phantom.heart import Tissue, draw_heart
from coreecho.phantom.outlines import draw_masks
from coreecho.phantom.segments import SEGMENTS, RegionalHeart, sample_shares

HEART = draw_heart(np.random.default_rng(3), 60.0)


def regional(*shares):
    return RegionalHeart(**vars(HEART), shares=shares)


def endocardium(heart, level, side):
    """A point of the endocardium (1, 2) at a level from apex (0) to annulus (1); side -1 septal, 1 lateral."""
    return np.array([[side * heart.radius * heart.profile(np.array([level]))[0], level * heart.length]], np.float32)


def moved(heart, points):
    return np.linalg.norm(heart.motion(points)(1.0) - points, axis=1)[0]


def test_a_heart_whose_segments_all_contract_is_a_plain_heart():
    whole = regional(*[1.0] * 6)
    points = np.random.default_rng(0).uniform((-5.0, -1.0), (5.0, 13.0), (500, 2)).astype(np.float32)
    np.testing.assert_allclose(whole.motion(points)(0.7), HEART.motion(points)(0.7), atol=2e-5)
    assert whole.volume(0.0) == pytest.approx(HEART.volume(0.0), rel=1e-3)
    assert whole.regional_ef == pytest.approx(HEART.ejection_fraction, abs=0.02)


@pytest.mark.parametrize(("segment", "level", "side"), [(0, 0.83, -1), (1, 0.5, -1), (4, 0.5, 1), (5, 0.83, 1)])
def test_an_infarcted_segment_neither_moves_inwards_nor_thickens(segment, level, side):
    shares = [1.0] * 6
    shares[segment] = 0.0
    heart, inner = regional(*shares), endocardium(HEART, level, side)
    outer = np.array([[side * HEART.outer_radius(inner[:, 1])[0], inner[0, 1]]], np.float32)

    def thickening(which):
        before, after = outer - inner, which.motion(outer)(1.0) - which.motion(inner)(1.0)
        return np.linalg.norm(after) / np.linalg.norm(before) - 1.0

    inward = [abs((which.motion(inner)(1.0) - inner)[0, 0]) for which in (HEART, heart)]
    assert inward[0] > 0.4  # cm
    assert inward[1] < 0.1 * inward[0]
    assert thickening(HEART) > 0.25
    assert thickening(heart) < 0.1 * thickening(HEART)
    other = endocardium(HEART, 0.5, -side)  # the opposite wall goes on
    assert moved(heart, other) > 0.9 * moved(HEART, other)


def test_shares_pass_smoothly_from_segment_to_segment():
    septal, lateral = regional(0.0, 1.0, 0.2, 0.6, 1.0, 0.5).wall_shares()
    assert septal[0] == pytest.approx(lateral[0])  # the sides meet at the apex
    assert septal[[20, 60, 100]] == pytest.approx([0.2, 1.0, 0.0], abs=0.01)
    assert lateral[[20, 60, 100]] == pytest.approx([0.6, 1.0, 0.5], abs=0.01)
    assert septal[-1] == pytest.approx(0.0, abs=0.01)
    assert max(np.abs(np.diff(side)).max() for side in (septal, lateral)) < 0.08


def test_volume_is_that_of_the_carried_outline():
    heart = regional(1.0, 0.1, 0.2, 1.0, 0.9, 1.0)
    outline = heart.cavity_outline(0.0, 400)
    for contraction in (0.0, 0.5, 1.0):
        carried = heart.motion(outline)(contraction).astype(float)
        halves = [carried[:400][::-1], carried[399:]]  # each from the apex to its annulus
        discs = sum(trapezoid(0.5 * np.pi * half[:, 0] ** 2, half[:, 1]) for half in halves)
        assert heart.volume(contraction) == pytest.approx(discs, rel=2e-3)
    assert heart.regional_ef == pytest.approx(100.0 * (1.0 - heart.volume(1.0) / heart.volume(0.0)))
    assert 30.0 < heart.regional_ef < HEART.ejection_fraction - 5.0


def test_infarctions_are_one_to_three_neighbours_and_lose_most_of_their_motion():
    rng, counts = np.random.default_rng(5), set()
    for _ in range(100):
        shares, hit = sample_shares(rng, True, (0.7, 1.0))
        places = np.flatnonzero(hit)
        counts.add(len(places))
        assert np.all(np.diff(places) == 1)
        assert max(np.array(shares)[places]) < 0.33
        assert min(np.delete(shares, places), default=1.0) >= 0.85
    assert counts == {1, 2, 3}
    assert not any(sample_shares(rng, False, (0.7, 1.0))[1])
    assert len(SEGMENTS) == 6


def test_outlines_fit_the_tissue():
    side, scale = 160, 0.1  # pixels, cm per pixel
    masks = draw_masks(HEART, np.zeros(1), lambda points, _: points / scale + np.array([80.0, 15.0]), (side, side))
    row, column = np.mgrid[:side, :side]
    points = (np.stack([column.ravel() - 80.0, row.ravel() - 15.0], axis=1) * scale).astype(np.float32)
    tissue = HEART.tissue(points).reshape(side, side)
    seen = tissue != Tissue.VALVE  # the annulus lies over the ends of the wall
    for label in (Tissue.CAVITY, Tissue.MYOCARDIUM, Tissue.LEFT_ATRIUM):
        drawn, true = (masks[0] == label) & seen, (tissue == label) & seen
        assert (drawn & true).sum() / (drawn | true).sum() > 0.93, label


@pytest.mark.parametrize(("side", "tolerance"), [(32, 0.06), (112, 0.03), (300, 0.03)])
def test_masks_are_not_widened_by_drawing(side, tolerance):
    """The cavity's area in a coarse mask is the true one, without half a pixel more all round."""
    scale, corner = 16.0 / side, np.array([8.0, 2.0])  # cm per pixel, cm
    masks = draw_masks(HEART, np.zeros(1), lambda points, _: (points + corner) / scale - 0.5, (side, side))
    level = np.linspace(0.0, 1.0, 2001)
    area = trapezoid(2.0 * HEART.radius * HEART.profile(level), level * HEART.length)
    assert (masks == Tissue.CAVITY).sum() * scale**2 == pytest.approx(area, rel=tolerance)
