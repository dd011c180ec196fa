"""The clinical view's figures: every video and band where its numbers are, under the label of its data."""

import dataclasses

import fabricated
import numpy as np
import pytest

from coreecho import clinical
from coreecho.clinical import agreement, bands, calibration, classes, pictures, thresholds
from coreecho.figures import clinical as drawn
from coreecho.figures.style import save


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    return clinical.scored(fabricated.records(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def graded(systems):
    grades = np.array(["Good", "Medium", "Poor", "Good"] * 10)
    return [pictures.Graded(dataclasses.replace(systems[2], system="CoReEcho, fine-tuned"), grades)]


def levels(panel):
    """Heights of the level lines, without the one of no difference."""
    return [line.get_ydata()[0] for line in panel.lines if line.get_linestyle() != ":"]


def test_agreement_shows_each_videos_difference_over_the_mean_and_its_limits(systems):
    figure = drawn.agreement_panels(systems)
    for panel, each in zip(figure.axes, systems, strict=True):
        mean = each.predictions.mean(axis=0)
        points = panel.collections[0].get_offsets()
        np.testing.assert_allclose(points, np.stack([(mean + each.labels) / 2, mean - each.labels], axis=1))
        found = agreement.bootstrap(each.labels, each.predictions)
        assert levels(panel) == [found[metric].estimate for metric in ("bias", "lower", "upper")]
        assert panel.get_title().startswith(each.system)


def test_calibration_shows_the_means_of_the_bands(systems):
    found = [*systems, *clinical.oracle(systems)]
    whole, apart = drawn.calibration_panels(found).axes
    for place, each in enumerate(found):
        expected = calibration.by_prediction(each.labels, each.predictions)
        bars = whole.containers[place].lines[0]
        np.testing.assert_array_equal(bars.get_xdata(), [own["predicted"].estimate for own in expected])
        np.testing.assert_array_equal(bars.get_ydata(), [own["listed"].estimate for own in expected])
        gaps = apart.containers[place].lines[0].get_ydata()
        np.testing.assert_array_equal(gaps, [own["gap"].estimate for own in expected])
    assert [text.get_text() for text in whole.get_legend().get_texts()][1:] == [each.system for each in found]


def test_roc_curves_run_from_corner_to_corner_with_their_area_and_point(systems):
    for panel, cut in zip(drawn.roc_panels(systems).axes, thresholds.CUTS, strict=True):
        _, *lines = panel.lines
        for curve, point, each in zip(lines[::2], lines[1::2], systems, strict=True):
            assert (curve.get_xdata()[0], curve.get_ydata()[0]) == (0, 0)
            assert (curve.get_xdata()[-1], curve.get_ydata()[-1]) == (100, 100)
            found = thresholds.bootstrap(each.labels, each.predictions, cut)
            assert point.get_ydata()[0] == pytest.approx(100 * found["sens"].estimate)
            assert f"{each.system}: {found['auc'].estimate:.3f} [" in point.get_label()


def test_a_cut_that_no_video_is_under_has_no_curve(systems):
    healthy = [dataclasses.replace(each, labels=each.labels + 60) for each in systems]
    assert [len(panel.lines) for panel in drawn.roc_panels(healthy).axes] == [1, 1]


def test_classes_are_shown_by_number_and_legible_on_their_shade(systems):
    (panel,) = drawn.class_panels(systems[:1]).axes
    counts = classes.matrices(systems[0].labels, systems[0].predictions).mean(axis=0)
    texts = panel.texts
    assert [float(text.get_text().split("\n")[0]) for text in texts] == [round(value, 1) for value in counts.ravel()]
    shares = panel.images[0].get_array()
    assert shares.sum(axis=1).tolist() == [pytest.approx(1)] * 3
    assert all(
        (text.get_color() == "white") == (share > 0.6) for text, share in zip(texts, shares.ravel(), strict=True)
    )


def test_errors_stand_by_band_and_by_grade(systems, graded):
    figure = drawn.error_panels(systems, graded)
    mae, right, bias, _ = figure.axes
    for place, each in enumerate(systems):
        expected = bands.by_group(each.labels, each.predictions, bands.inside(each.labels))
        np.testing.assert_array_equal(
            mae.containers[place].lines[0].get_ydata(), [own["mae"].estimate for own in expected]
        )
        np.testing.assert_array_equal(
            bias.containers[place].lines[0].get_ydata(), [own["bias"].estimate for own in expected]
        )
    assert len(right.containers) == 1
    assert [label.get_text() for label in figure.axes[3].get_xticklabels()] == [
        "Good\n(20)",
        "Medium\n(10)",
        "Poor\n(10)",
    ]
    assert len(drawn.error_panels(systems).axes) == 2


def test_every_figure_names_its_data_and_fits_a_printed_page(systems, graded, tmp_path):
    figures = [
        drawn.agreement_panels(systems),
        drawn.calibration_panels(systems),
        drawn.roc_panels(systems),
        drawn.class_panels(systems[:2]),
        drawn.error_panels(systems, graded),
    ]
    for figure in figures:
        told = figure.get_suptitle() + "".join(panel.get_title() for panel in figure.axes)
        assert "phantom, tiny" in told
        assert figure.get_figwidth() <= 6.3
        figure.canvas.draw()
        texts = [text for text in figure.findobj(drawn.mpl.text.Text) if text.get_visible() and text.get_text()]
        assert min(text.get_fontsize() for text in texts) >= 7
    save(figures[0], tmp_path, "clinical_agreement")
    first = (tmp_path / "clinical_agreement.svg").read_bytes()
    save(drawn.agreement_panels(systems), tmp_path, "clinical_agreement")
    assert (tmp_path / "clinical_agreement.svg").read_bytes() == first


def test_the_oracle_is_told_from_every_system_without_colour(systems):
    oracle = drawn._look(clinical.oracle(systems)[0].system)
    looks = [drawn._look(each.system) for each in systems]
    assert oracle.marker not in {each.marker for each in looks}
    assert oracle.line not in {each.line for each in looks}
