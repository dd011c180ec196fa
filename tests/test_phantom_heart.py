"""The phantom's heart: its volumes follow from its geometry, its tissue moves as tissue does."""

import numpy as np
import pytest

from coreecho.phantom.beat import Beat, sample_beat
from coreecho.phantom.heart import BASAL_SHARE, Heart, Tissue, sample_heart


def a_heart(**changes):
    values = {
        "ejection_fraction": 60.0,
        "length": 8.0,
        "radius": 2.3,
        "truncation": 0.5,
        "long_shortening": 0.17,
        "wall": 0.95,
        "atrium": 4.0,
        "right_width": 2.8,
        "right_motion": 0.5,
    }
    return Heart(**(values | changes))


def solid_of_revolution(outline):
    """Volume swept by the right half of a contour about the y axis, by slicing it into thin cones."""
    half = outline[len(outline) // 2 :].astype(float)
    low, high = half[:-1], half[1:]
    squares = low[:, 0] ** 2 + low[:, 0] * high[:, 0] + high[:, 0] ** 2
    return float(np.sum(np.pi / 3.0 * squares * (high[:, 1] - low[:, 1])))


@pytest.mark.parametrize("rank", [0.0, 0.1, 0.22, 0.6, 1.0])
def test_ef_is_exact_and_the_contours_enclose_the_volumes(rank):
    heart = sample_heart(np.random.default_rng(3), rank)
    edv, esv = heart.volume(0.0), heart.volume(1.0)
    assert 100.0 * (edv - esv) / edv == pytest.approx(heart.ejection_fraction, abs=1e-9)
    for contraction, volume in ((0.0, edv), (0.4, heart.volume(0.4)), (1.0, esv)):
        assert solid_of_revolution(heart.cavity_outline(contraction, count=2000)) == pytest.approx(volume, rel=1e-4)


def test_labelled_cavity_has_the_end_diastolic_volume():
    heart, step = a_heart(), 0.02
    x, y = np.meshgrid(np.arange(-6.0, 6.0, step) + step / 2, np.arange(-3.0, 14.0, step) + step / 2)
    label = heart.tissue(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)).reshape(x.shape)
    swept = np.pi * np.abs(x[label == Tissue.CAVITY]).sum() * step**2  # Pappus, over both halves
    assert swept == pytest.approx(heart.volume(), rel=5e-3)
    assert set(np.unique(label)) == set(Tissue)
    # As in the apical four-chamber view: right heart on the left of the picture, atria below the ventricles.
    middle = {tissue: (x[label == tissue].mean(), y[label == tissue].mean()) for tissue in Tissue}
    assert middle[Tissue.RIGHT_VENTRICLE][0] < middle[Tissue.CAVITY][0] - 2.0
    assert middle[Tissue.LEFT_ATRIUM][1] > heart.length > middle[Tissue.CAVITY][1]
    assert middle[Tissue.RIGHT_ATRIUM][0] < middle[Tissue.LEFT_ATRIUM][0] - 2.0


def test_tissue_on_the_endocardium_stays_on_it():
    heart = a_heart()
    carried = heart.motion(heart.cavity_outline(0.0))
    for contraction in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(carried(contraction), heart.cavity_outline(contraction), atol=2e-5)


def test_long_axis_and_radius_shorten_apart():
    points = np.array([[0.0, 0.0], [0.0, 8.0]], np.float32)
    for share in (0.05, 0.25):
        heart = a_heart(long_shortening=share)
        apex, base = heart.motion(points)(1.0)
        assert apex == pytest.approx([0.0, 0.0], abs=1e-6)
        assert base == pytest.approx([0.0, 8.0 * (1.0 - share)], abs=1e-5)
        assert heart.volume(1.0) / heart.volume(0.0) == pytest.approx(0.4)


def test_wall_keeps_its_volume_and_thickens():
    heart, y = a_heart(), np.full(9, 4.0, np.float32)
    endo = heart.radius * heart.profile(y[:1] / heart.length)[0]
    outer = heart.outer_radius(y[:1])[0]
    radii = np.linspace(endo, outer, 9, dtype=np.float32)
    before = np.stack([radii, y], axis=1)
    after = heart.motion(before)(1.0)
    height = 1.0 - heart.long_shortening
    np.testing.assert_allclose(np.diff(after[:, 0] ** 2) * height, np.diff(radii**2), rtol=1e-3)
    assert 1.3 < (after[-1, 0] - after[0, 0]) / (outer - endo) < 1.8


def test_tissue_far_from_the_heart_rests_and_atria_fill_in_systole():
    heart = a_heart()
    far = np.array([[9.0, 4.0], [-12.0, 4.0], [0.0, 14.0], [0.0, -6.0]], np.float32)
    assert np.abs(heart.motion(far)(1.0) - far).max() < 0.05
    roof = np.array([[0.0, heart.length + heart.atrium]], np.float32)
    valve = np.array([[0.0, heart.length]], np.float32)
    height = [heart.motion(roof)(c)[0, 1] - heart.motion(valve)(c)[0, 1] for c in (0.0, 1.0)]
    assert height[1] - height[0] == pytest.approx(heart.length * heart.long_shortening, abs=1e-4)


def test_wall_is_thinner_at_the_base_than_in_the_middle():
    heart = a_heart()
    at_base = float(heart.outer_radius(np.array([heart.length], np.float32))[0]) - heart.base
    assert BASAL_SHARE * heart.wall * 0.7 < at_base < 0.8 * heart.wall


def test_beat_runs_from_diastole_to_systole_and_back():
    beat = Beat(heart_rate=60.0, systole=0.35, atrial_share=0.25, start=0.0)
    time = np.linspace(0.0, 1.0, 1001)
    contraction, valve = beat.contraction(time), beat.valve(time)
    assert contraction[0] == pytest.approx(0.0)
    assert contraction[350] == pytest.approx(1.0)
    assert np.all((contraction >= 0.0) & (contraction <= 1.0))
    assert np.all(np.diff(contraction[:350]) >= 0.0)
    assert np.all(np.diff(contraction[420:]) <= 1e-12)
    assert valve[:400].max() == pytest.approx(0.0)  # closed through systole
    assert valve.max() == pytest.approx(1.0)
    np.testing.assert_allclose(beat.contraction(time + 3.0), contraction, atol=1e-9)


def test_a_demo_video_shows_the_whole_beat():
    rng = np.random.default_rng(0)
    for _ in range(300):
        beat = sample_beat(rng)
        assert 55.0 <= beat.heart_rate <= 100.0
        diastole, systole = beat.frames(36, 25.0)
        contraction = beat.contraction(np.arange(36) / 25.0)
        assert contraction[diastole] < 0.05
        assert contraction[systole] > 0.97
