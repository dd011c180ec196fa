"""The paper as data is complete: every printed number has a run and a metric, or a reason why it has none."""

import copy

import pytest

from coreecho import cells, experiments
from coreecho.cells import ADDED, CONTEXT
from coreecho.errors import SettingsError
from coreecho.experiments import all_rows
from coreecho.rows import published

SECTIONS = [name for name in published() if name.startswith("table") and isinstance(published()[name], list)]


def numbers(value, where=""):
    """Place and value of every number below a part of published.json."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in numbers(inner, f"{where}.{key}" if where else key)]
    if isinstance(value, list):
        return [pair for index, inner in enumerate(value) for pair in numbers(inner, f"{where}[{index}]")]
    return [(where, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_no_printed_number_is_left_out():
    printed = dict(numbers({name: part for name, part in published().items() if name not in CONTEXT}))
    found = {cell.where: cell.printed for cell in cells.cells()}
    assert found == printed
    assert len(SECTIONS) == 5
    assert len(printed) == 28 + 10 + 6 + 24 + 45 + 3  # by hand, from the paper's pages


def test_every_cell_has_the_run_of_its_row():
    assert all(cell.run == all_rows()[cell.row].run for cell in cells.cells())


def test_rows_carry_the_numbers_that_their_cells_print():
    exact = {cell.row for cell in cells.cells() if cell.where.endswith("r2_exact")}
    for cell in cells.cells():
        if cell.where.startswith("table"):
            shown = all_rows()[cell.row].published[cell.metric]
            rounded = cell.row in exact and cell.where.endswith(".r2")
            assert (round(shown) if rounded else shown) == cell.printed, cell.where


def test_every_row_is_printed_in_the_paper_or_says_what_it_is_for():
    printed = {cell.row for cell in cells.cells()}
    assert set(all_rows()) - printed == set(ADDED)


@pytest.mark.parametrize(
    ("run", "row"),
    [
        ({"method": "l1", "init": "scratch"}, "table2/l1"),
        ({"method": "coreecho-stage1", "init": "scratch"}, "table2/stage-one-scratch"),
        ({"method": "coreecho-stage1", "init": "k400"}, "table2/stage-one"),
        ({"method": "coreecho", "init": "k400"}, "table2/full"),
        ({"method": "l1", "init": "k400"}, "table2/l1-k400"),
        ({"method": "coreecho-stage1", "init": "scratch", "augment": False}, "table3/no-augmentation"),
        ({"method": "coreecho-stage1", "init": "scratch", "views": "same-clip"}, "table3/one-clip"),
        ({"dataset": "camus", "method": "finetune", "init": "scratch"}, "table4/scratch"),
        ({"dataset": "camus", "method": "probe", "init": "echocotr"}, "table4/probe-echocotr"),
        ({"dataset": "hmcqu", "method": "finetune", "init": "k400"}, "table5/finetune-k400"),
        ({"dataset": "hmcqu", "method": "probe", "init": "coreecho"}, "table5/probe-coreecho"),
        ({"dataset": "hmcqu", "method": "saeed", "init": "ouyang"}, "table5/saeed"),
        ({"dataset": "camus", "method": "clas", "init": "scratch"}, "table4/clas"),
        ({"method": "echographs-known", "views": "one"}, "table1/echographs-single"),
        ({"method": "supremix", "views": "two-clips"}, "losses/supremix"),
    ],
)
def test_a_row_trains_what_it_is_about(run, row):
    assert {name: getattr(all_rows()[row].run, name) for name in run} == run


def test_different_rows_are_filled_by_different_runs_within_a_table():
    for rows in experiments.TABLES.values():
        runs = [(row.run, row.protocol) for row in rows()]
        assert len(set(runs)) == len(runs)


@pytest.fixture
def changed(monkeypatch):
    """A copy of the paper's numbers that a test may change."""
    content = copy.deepcopy(published())
    monkeypatch.setattr(cells, "published", lambda: content)
    return content


def test_a_number_or_a_part_that_nothing_answers_for_is_refused(changed):
    changed["table4_camus"][0]["gm_bias"] = 1.5
    with pytest.raises(SettingsError, match=r"table4_camus\[0\]\.gm_bias: no metric answers it"):
        cells.cells()
    del changed["table4_camus"][0]["gm_bias"]
    changed["table6"] = [{"mae": 1.0}]
    with pytest.raises(SettingsError, match="no cell is made of table6"):
        cells.cells()


def test_a_row_that_does_not_exist_is_refused(changed):
    changed["table5_hmcqu"][0]["work"] = "Someone"
    with pytest.raises(SettingsError, match=r"table5_hmcqu\[0\]: there is no row 'table5/someone'"):
        cells.cells()


def test_the_overview_has_a_line_for_every_row():
    lines = cells.overview()
    tables = [f"table{table}" if table.isdigit() else table for table in lines["Table"]]
    assert [f"{table}/{row}" for table, row in zip(tables, lines["Row"], strict=True)] == list(all_rows())
    by_row = dict(zip(all_rows(), lines.to_dict("records"), strict=True))
    assert by_row["table1/uvt-full"]["Run"].endswith("protocol whole")
    assert by_row["table5/scratch"]["Run"] == "data hmcqu, method finetune, start scratch, views one, 5 folds"
    assert by_row["table2/l1-k400"]["Printed numbers"].startswith("none: ")
    assert by_row["table3/no-augmentation"]["Run"].endswith("not augmented")
