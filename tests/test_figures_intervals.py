"""A table's picture shows the table's numbers, and a system looks the same in all figures, in grey as well."""

import fabricated
import pytest

from coreecho import experiments, figures, tables
from coreecho.errors import RecordError
from coreecho.figures.style import LOOKS, OTHER, look


@pytest.fixture
def numbers(tmp_path):
    return tables.comparison(fabricated.records(tmp_path)).numbers


def points(axes):
    """The single points of a panel, (x, y), by whether they are filled."""
    found = {True: [], False: []}
    for line in axes.lines:
        if len(line.get_xdata()) == 1 and line.get_marker() != "|":
            found[line.get_markerfacecolor() != "white"].append((line.get_xdata()[0], line.get_ydata()[0]))
    return found


def test_every_number_of_the_table_is_drawn_in_its_own_panel(numbers):
    published, here = figures.table_intervals(numbers, "MAE").axes
    assert published.get_title() == "published, EchoNet-Dynamic"
    assert here.get_title() == "run here, phantom, tiny"
    assert {axes.get_xlabel() for axes in (published, here)} == {"MAE (EF points)"}
    mae = numbers[numbers["metric"] == "MAE"]
    assert sorted(x for x, _ in points(published)[False]) == sorted(mae[mae["source"] == "published"]["value"])
    own = mae[mae["source"] != "published"]
    assert sorted(x for x, _ in points(here)[True]) == sorted(own["value"])
    assert not points(published)[True]
    assert not points(here)[False]
    spans = sorted(tuple(line.get_xdata()) for line in here.lines if line.get_marker() == "None")
    assert spans == sorted(zip(own["low"], own["high"], strict=True))
    seeds = sorted(tuple(line.get_xdata()) for line in here.lines if line.get_marker() == "|")
    assert seeds == sorted(tuple(map(float, text.split())) for text in own["by_seed"])


def test_rows_are_named_with_their_protocol_and_their_initial_weights(numbers):
    names = [text.get_text() for text in figures.table_intervals(numbers, "MAE").axes[0].get_yticklabels()]
    flat = [" ".join(name.split()) for name in names]
    assert len(flat) == len(experiments.table1())
    assert {"EchoNet-Dynamic, full video", "CoReEcho", "UVT, full video"} <= set(flat)
    starred = numbers.assign(system=numbers["system"].replace("CoReEcho", "K400 (demo: *pretext*)"))
    drawn = figures.table_intervals(starred, "MAE").axes[0].get_yticklabels()
    assert "K400 (demo: pretext)" in [text.get_text() for text in drawn]


def test_a_metric_that_the_table_lacks_is_refused(numbers):
    with pytest.raises(RecordError, match=r"no .AUC..*MAE, RMSE"):
        figures.table_intervals(numbers, "AUC")


def test_systems_are_told_apart_by_colour_and_without_it():
    systems = {name: own for name, own in LOOKS.items() if name != "L1 + L_1st"}  # CoReEcho's own first stage
    assert len({own.marker for own in systems.values()}) == len(systems)
    of_table_1 = {look(row.title) for row in experiments.table1()}
    assert len({own.colour for own in of_table_1}) == len(of_table_1) == 6


@pytest.mark.parametrize(
    ("title", "system"),
    [
        ("UVT, full video", "UVT"),
        ("EchoCoTr, CoReEcho's recipe", "EchoCoTr"),
        ("fine-tuning from EchoCoTr", "EchoCoTr"),
        ("L1 + L_1st, K400, LP", "CoReEcho"),
        ("Rank-N-Contrast, own recipe", "Rank-N-Contrast"),
    ],
)
def test_a_systems_rows_look_like_the_system(title, system):
    assert look(title) == LOOKS[system]
    assert look("scratch") == look("fine-tuning from K400") == OTHER
