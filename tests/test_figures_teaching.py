"""The drawings that teach show the numbers of what they draw."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from helpers import TINY

from coreecho import anatomy, ranking, stopgradient
from coreecho.figures.architecture import architecture
from coreecho.figures.ranking import arranging, forces, ranked, ranks
from coreecho.figures.stopgradient import pulled
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run

FOUR, LABELS = [[-0.6, -0.4], [1.5, 1.4], [1.3, 0.0], [-0.4, 1.3]], [25, 40, 58, 70]
LEAST = 7.0


def words(figure):
    figure.draw_without_rendering()
    return [text for text in figure.findobj(mpl.text.Text) if text.get_text() and text.get_visible()]


def every_figure():
    parts = anatomy.dissect(anatomy.network(TINY, Run()), TINY.clip_settings(Run()))
    trials = [stopgradient.run(stop=stop, steps=25) for stop in (True, False)]
    yield architecture(parts)
    yield ranked(FOUR, LABELS, 1)
    yield forces(FOUR, LABELS)
    yield arranging(ranking.descend(FOUR, LABELS, steps=5), LABELS)
    yield ranks({"one": (LABELS, list("abcd")), "two": (LABELS * 2, list("abcdefgh"))})
    yield pulled(*trials)


def test_words_are_large_enough_in_print_and_stand_on_the_page():
    for figure in every_figure():
        assert figure.get_size_inches()[0] <= 6.3
        assert not [text.get_text() for text in words(figure) if text.get_fontsize() < LEAST]
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) >= -0.02
        assert drawn.x1 <= width + 0.02
        assert drawn.y1 <= height + 0.02


@pytest.mark.parametrize("profile", [DEMO, PAPER], ids=lambda profile: profile.name)
def test_the_drawing_of_the_network_has_its_numbers(profile):
    model, clip = anatomy.network(profile, Run()), profile.clip_settings(Run())
    drawn = architecture(anatomy.dissect(model, clip))
    told = " | ".join(text.get_text() for text in words(drawn))
    for number, (width, depth) in enumerate(zip(profile.encoder.widths, profile.encoder.depths, strict=True), start=1):
        assert re.search(rf"stage {number}: {depth} \w+ blocks? \| {width} channels", told)
    frames, height, wide = model.encoder.grid(clip)
    assert f"{profile.encoder.widths[-1]} channels, {frames} × {height} × {wide}" in told
    boxes = [patch for patch in drawn.axes[0].patches if isinstance(patch, mpl.patches.Polygon)]
    fronts = [patch.get_xy()[:4] for patch in boxes[::3]]
    widths = [float(np.ptp(front[:, 0])) for front in fronts]
    channels = [3, *profile.encoder.widths, profile.encoder.widths[-1]]
    np.testing.assert_allclose(np.square(widths) / channels, (widths[0] ** 2) / 3)


def test_words_of_the_network_stay_clear_of_the_edge_and_of_each_other():
    drawn = architecture(anatomy.dissect(anatomy.network(PAPER, Run()), PAPER.clip_settings(Run())))
    boxes = [text.get_window_extent() for text in words(drawn)]
    assert not [1 for a in range(len(boxes)) for b in range(a) if boxes[a].overlaps(boxes[b])]
    assert max(box.x1 for box in boxes) <= drawn.bbox.x1


def test_wrong_pairs_are_marked_where_the_lines_cross():
    plane, ladder = ranked(FOUR, LABELS, 1).axes
    told = [text.get_text() for text in plane.texts]
    assert {"2.77", "1.41", "1.90"} <= set(told)
    marks = [line.get_xydata() for line in ladder.lines if line.get_marker() == "x" and len(line.get_xydata())]
    lines = [line.get_xydata() for line in ladder.lines if line.get_marker() != "x"]
    assert len(marks) == len(ranking.wrong_pairs(FOUR, LABELS, 1)) == 2
    for ((x, y),) in marks:
        assert sum(abs(a[1] + x * (b[1] - a[1]) - y) < 1e-9 for a, b in lines) == 2


def test_arrows_point_downhill():
    axes = forces(FOUR, LABELS).axes[0]
    arrows = [text for text in axes.texts if text.get_text() == ""]
    found = np.array([np.subtract(text.xy, text.xyann) for text in arrows])
    wanted = ranking.downhill(FOUR, LABELS)
    np.testing.assert_allclose(found / np.linalg.norm(found), wanted / np.linalg.norm(wanted))


def test_paths_and_curve_are_the_descent():
    descent = ranking.descend(FOUR, LABELS, steps=8)
    plane, curve, right = arranging(descent, LABELS).axes
    assert any(np.array_equal(line.get_xydata(), descent.path[:, 2]) for line in plane.lines)
    assert curve.lines[0].get_ydata().tolist() == descent.losses.tolist()
    assert right.lines[0].get_ydata().tolist() == descent.wrong.tolist()
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("step", "loss")
    assert right.get_ylabel() == "pairs in the wrong order"


def test_ranks_are_written_into_their_cells_and_siblings_framed():
    one, two, bar = ranks({"one": (LABELS, list("abcd")), "two": (LABELS * 2, list("abcdefgh"))}).axes
    for panel, labels in ((one, LABELS), (two, LABELS * 2)):
        told = [text.get_text().replace("–", "-1") for text in panel.texts]
        assert told == [str(rank) for rank in ranking.label_ranks(labels).ravel()]
    assert len(one.patches) == 0
    assert len(two.patches) == 8
    assert bar.get_ylabel() == "rank by EF (0: nearest)"


def test_the_pull_of_each_loss_is_drawn_with_and_without():
    trials = [stopgradient.run(stop=stop, steps=25) for stop in (True, False)]
    figure = pulled(*trials)
    left, right = figure.axes[:2]
    assert (left.get_title(), right.get_title()) == ("with stop-gradient", "without")
    assert left.get_ylim() == right.get_ylim()
    assert not np.any(left.lines[0].get_ydata())
    assert np.all(right.lines[0].get_ydata() > 0)
    for plane, trial in zip(figure.axes[2:4], trials, strict=True):
        np.testing.assert_allclose(plane.collections[0].get_offsets(), trial.points)
