"""The committed notebooks: in step with their sources, executed, checked, and free of this machine's traces.

nbval compares outputs with a fresh run; an unexecuted notebook would pass it with nothing compared. These tests close
that hole.
"""

import re

import jupytext
import nbformat
import pytest
from helpers import pair_differences

from coreecho import notebooks
from coreecho.tables import REPRODUCED

CHECKED = "nbval-check-output"
NAMES = notebooks.names()


def code_cells(name):
    notebook = nbformat.read(notebooks.folder() / f"{name}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks_and_each_is_a_pair():
    assert {"phantom", "table1"} <= set(NAMES)
    assert sorted(path.stem for path in notebooks.folder().glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_source_and_notebook_agree(name):
    source = jupytext.read(notebooks.folder() / f"{name}.py")
    executed = nbformat.read(notebooks.folder() / f"{name}.ipynb", as_version=4)
    assert not pair_differences(source, executed), f"make notebooks writes {name}.ipynb anew"


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_was_executed_without_error(name):
    for cell in code_cells(name):
        assert cell.execution_count, f"not executed: {cell.source[:60]}"
        assert not [output for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_checked_cells_exist_and_show_something(name):
    checked = [cell for cell in code_cells(name) if CHECKED in cell.metadata.get("tags", [])]
    assert checked
    for cell in checked:
        shown = "".join(
            output.get("text", "") + "".join(output.get("data", {}).values()) for output in cell.outputs
        ).strip()
        assert shown, f"a checked cell shows nothing: {cell.source[:60]}"


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_a_machine_and_no_timing(name):
    text = (notebooks.folder() / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/-])/(home|root|work|tmp|Users|mnt|opt)/\w", text)
    assert '"papermill"' not in text
    assert '"iopub' not in text


def test_table_cells_hold_numbers_of_the_phantom_under_its_name():
    tables = [
        "".join(output.get("data", {}).get("text/markdown", "") for output in cell.outputs)
        for cell in code_cells("table1")
    ]
    main = next(text for text in tables if "CoReEcho" in text)
    header = main.splitlines()[0]
    assert "phantom, demo: MAE" in header
    assert REPRODUCED in header
    assert re.search(r"\d\.\d+ \[\d\.\d+, \d\.\d+\]", main), "no interval in the table"


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_what_it_is_for_and_how_long_it_takes(name):
    notebook = nbformat.read(notebooks.folder() / f"{name}.ipynb", as_version=4)
    opening = notebook.cells[0].source
    assert re.match(r"# \S", opening), "no title"
    assert re.search(r"^- \*\*(Rebuilds|Shows)\*\*: \w", opening, flags=re.MULTILINE)
    assert re.search(r"^- \*\*Takes\*\*: .*(second|minute|hour)", opening, flags=re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_imports_are_folded(name):
    plain = [cell for cell in code_cells(name) if "hide-input" not in cell.metadata.get("tags", [])]
    assert not [cell for cell in plain if "parameters" in cell.metadata.get("tags", [])]
    assert not [cell for cell in plain if re.search(r"^(import|from) ", cell.source, flags=re.MULTILINE)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_printed_on_the_way(name):
    outputs = [output for cell in code_cells(name) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream"]
    shown = [set(output.get("data", {})) for output in outputs]
    assert all(kinds & {"text/markdown", "text/html", "image/png", "image/svg+xml"} for kinds in shown)
