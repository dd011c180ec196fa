"""The phantom's pictures: speckle rides on the tissue, and the machine's settings do what their names say."""

import dataclasses
import math

import numpy as np
import pytest
from test_phantom_heart import a_heart

from coreecho.phantom.beat import Beat
from coreecho.phantom.ultrasound import Grid, gain_map, received, render
from coreecho.phantom.view import Acquisition, View, sample_view

BEAT = Beat(heart_rate=60.0, systole=0.36, atrial_share=0.25, start=0.0)
PLAIN = {
    "fill": 0.5, "foreshortening": 1.0, "apex_depth": 0.15, "apex_offset": 0.05, "tilt": 3.0, "half_angle": 40.0,
    "sway": 0.0, "sway_start": 0.0, "gain": 0.0, "attenuation": 0.0, "dynamic_range": 55.0, "noise": -80.0,
    "haze": -80.0, "blood": -35.0, "shadow": 0.0, "shadow_angle": 0.0, "shadow_width": 5.0, "dropout": 0.0,
    "dropout_level": 0.5, "decorrelation": 0.0,
}  # fmt: skip


def a_video(size=112, frames=10, heart=None, seed=0, **changes):
    heart = heart or a_heart()
    view = View(**(PLAIN | changes))
    return render(np.random.default_rng(seed), heart, BEAT, view, size=size, frames=frames, fps=25.0).astype(float)


def polar(size=112):
    """Depth in cm and angle in degrees of every pixel."""
    view, heart, row_column = View(**PLAIN), a_heart(), np.indices((size, size), dtype=float)
    origin = view.pixels(np.zeros((1, 2), np.float32), heart, size)[0]
    across, down = ((row_column[1 - axis] - origin[axis]) * view.pixel_size(heart, size) for axis in (0, 1))
    return np.hypot(across, down), np.degrees(np.arctan2(across, down))


def sampled(frame, points):
    """Grey values at picture coordinates (N, 2), between pixels linear."""
    column, row = points.T.astype(float)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    x, y = column - left, row - top
    upper = frame[top, left] * (1 - x) + frame[top, left + 1] * x
    lower = frame[top + 1, left] * (1 - x) + frame[top + 1, left + 1] * x
    return upper * (1 - y) + lower * y


def test_speckle_moves_with_the_tissue():
    heart, view, size = a_heart(), View(**PLAIN), 112
    y = np.repeat(np.linspace(2.0, 6.5, 60), 9)
    endo, outer = heart.radius * heart.profile(y / heart.length), heart.outer_radius(y)
    x = -(endo + np.tile(np.linspace(0.25, 0.75, 9), 60) * (outer - endo))
    wall = np.stack([x, y], axis=1).astype(np.float32)  # the middle of the septum
    followed, fixed = [], []
    for seed in range(4):
        video = a_video(heart=heart, seed=seed)
        where = [
            view.pixels(view.place(heart.motion(wall)(c), heart), heart, size)
            for c in BEAT.contraction(np.array([0.0, 0.2]))
        ]
        first = sampled(video[0], where[0])
        followed.append(np.corrcoef(first, sampled(video[5], where[1]))[0, 1])
        fixed.append(np.corrcoef(first, sampled(video[5], where[0]))[0, 1])
    assert np.mean(followed) > 0.7
    assert np.mean(followed) > np.mean(fixed) + 0.3


def test_speckle_decorrelates_at_the_rate_that_is_asked_for():
    resting = a_heart(ejection_fraction=1e-6, long_shortening=0.0, right_motion=0.0)
    radius, angle = polar()
    tissue = (radius > 12.0) & (radius < 15.5) & (np.abs(angle) > 25.0) & (np.abs(angle) < 38.0)
    alike = []
    for rate in (0.0, 2.0, 8.0):
        video = a_video(heart=resting, decorrelation=rate)
        alike.append(np.corrcoef(video[0][tissue], video[9][tissue])[0, 1])
    assert alike[0] > 0.99
    assert alike[0] - 0.1 > alike[1] > alike[2] + 0.1


def test_point_response_widens_with_depth():
    grid, widths = Grid.of(112, 16.0, math.radians(40.0)), []
    for row in (40.0, 160.0):
        one = grid.points(np.array([row]), np.array([64.0]))
        power = np.hypot(*np.moveaxis(received(one, np.ones(1, np.complex64), grid), -1, 0)) ** 2
        places = grid.points(*(axis.ravel().astype(float) for axis in np.indices(power.shape)))
        mean = np.average(places[:, 0], weights=power.ravel())
        widths.append(math.sqrt(np.average((places[:, 0] - mean) ** 2, weights=power.ravel())))
    assert widths[1] / widths[0] == pytest.approx(4.0, rel=0.05)


def test_scatterers_of_unit_power_give_a_signal_of_unit_power():
    grid, rng = Grid.of(112, 16.0, math.radians(40.0)), np.random.default_rng(0)
    rows, beams = (axis.ravel() + rng.uniform(size=axis.size) for axis in np.indices((grid.rows, grid.beams)))
    echo = (rng.standard_normal(rows.size) + 1j * rng.standard_normal(rows.size)) / math.sqrt(2.0)
    signal = received(grid.points(rows, beams), echo.astype(np.complex64), grid)[10:-10, 10:-10]
    intensity = (signal**2).sum(axis=-1)
    # Bilinear shares and blur together lower the power a little; fully developed speckle has an exponential intensity.
    assert 0.5 < intensity.mean() < 1.2
    assert intensity.std() / intensity.mean() == pytest.approx(1.0, abs=0.12)


def test_outside_the_sector_the_picture_is_black():
    video = a_video(frames=2, gain=5.0)
    radius, angle = polar()
    assert video[:, (radius > 1.0) & (np.abs(angle) > 45.0) | (radius > 16.4)].max() == 0.0
    assert video[:, (np.abs(angle) < 38.0) & (radius < 15.0)].mean() > 30.0


def test_attenuation_darkens_with_depth():
    view, heart = View(**PLAIN), a_heart()
    grid = Grid.of(112, view.depth(heart), math.radians(40.0))
    gain = gain_map(heart, dataclasses.replace(view, attenuation=0.8), grid)
    per_cm = np.diff(gain, axis=0) * grid.rows / grid.depth
    np.testing.assert_allclose(per_cm, -0.8, atol=1e-3)
    radius, _ = polar()
    plain, weak = a_video(frames=2), a_video(frames=2, attenuation=0.8)
    change = [(weak - plain)[:, (radius > low) & (radius < low + 2.0)].mean() for low in (2.0, 12.0)]
    assert change[0] > 5.0
    assert change[1] < -5.0


@pytest.mark.parametrize(("field", "loss"), [("shadow", 15.0), ("dropout", 12.0)])
def test_shadow_and_dropout_darken_their_place_only(field, loss):
    plain, darker = a_video(frames=2), a_video(frames=2, **{field: loss})
    change = (darker - plain).mean(axis=0)
    radius, angle = polar()
    if field == "shadow":
        inside, outside = (np.abs(angle) < 3.0) & (radius > 4.0) & (radius < 15.0), (np.abs(angle) > 15.0)
    else:
        inside = (radius > 6.0) & (radius < 7.5) & (angle > 24.0) & (angle < 32.0)  # the lateral wall at mid height
        outside = angle < -5.0
    assert change[inside].mean() < -20.0
    assert np.abs(change[outside]).max() < 2.0


def test_negative_draws_leave_the_picture_alone():
    np.testing.assert_array_equal(a_video(frames=1, shadow=-9.0, dropout=-5.0), a_video(frames=1))


def test_ventricle_is_dark_and_shrinks():
    dark = []
    for ejection in (20.0, 65.0):
        video = a_video(heart=a_heart(ejection_fraction=ejection, long_shortening=0.05))
        radius, angle = polar()
        ventricle = (radius > 2.5) & (radius < 10.0) & (angle > -20.0) & (angle < 35.0)
        dark.append([(video[frame][ventricle] < 60.0).mean() for frame in (0, 9)])
    assert dark[0][1] / dark[0][0] > dark[1][1] / dark[1][0] + 0.15


def test_place_is_undone_by_unplace_and_foreshortening_shortens():
    heart, rng = a_heart(), np.random.default_rng(1)
    view = sample_view(rng, Acquisition())
    points = rng.normal(0.0, 5.0, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(view.unplace(view.place(points, heart), heart), points, atol=1e-4)
    axis = view.pixels(view.place(np.array([[0.0, 0.0], [0.0, heart.length]], np.float32), heart), heart, 112)
    seen = np.linalg.norm(axis[1] - axis[0]) * view.pixel_size(heart, 112)
    assert seen == pytest.approx(heart.length * view.foreshortening, rel=1e-5)
