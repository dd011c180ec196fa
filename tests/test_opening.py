"""What notebooks open with: their parameters as a profile, a place and a folder, and imports that say nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from coreecho import notebooks
from coreecho.errors import SettingsError
from coreecho.opening import Opening, opening
from coreecho.place import Place
from coreecho.profiles import DEMO, PAPER

NOTEBOOK = """
import sys, types
import IPython
sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")  # what tqdm takes for a notebook
sys.modules["ipywidgets"] = None  # not installed
"""


def said(program):
    """What a program prints and what it is warned of, as if run in a notebook without ipywidgets."""
    done = subprocess.run([sys.executable, "-c", NOTEBOOK + program], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def opening_cell(name):
    """Code of the cell after the parameters', and the parameters' names."""
    cells = [cell for cell in jupytext.read(notebooks.folder() / f"{name}.py").cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata["tags"]
    return cells[1].source, {node.targets[0].id for node in ast.parse(cells[0].source).body}


def test_empty_parameters_stand_for_the_defaults(tmp_path, monkeypatch):
    monkeypatch.setenv("COREECHO_HOME", str(tmp_path))
    everything = Opening(profile=DEMO, place=Place(), out=tmp_path / "figures")
    assert opening() == everything
    assert opening("demo", data_root="", runs_dir="", figures_dir="", device="auto") == everything


def test_parameters_arrive_where_they_belong():
    page = opening("paper", data_root="hearts", runs_dir="done", figures_dir="drawn", device="cpu")
    assert page.profile is PAPER
    assert page.place == Place(data_root=Path("hearts"), runs_dir=Path("done"), device="cpu")
    assert page.out == Path("drawn")
    with pytest.raises(SettingsError, match="papers"):
        opening("papers")


def test_imports_below_it_do_not_speak_of_progress_bars():
    assert "IProgress not found" in said("import tqdm.auto")
    assert said("import coreecho.opening, tqdm.auto") == ""
    assert said("import coreecho.opening; print('tqdm.auto' in sys.modules)") == "False\n", "it would come too late"


@pytest.mark.parametrize("name", notebooks.names())
def test_a_notebook_opens_with_all_of_its_parameters(name):
    source, parameters = opening_cell(name)
    assert source.startswith("from coreecho.opening import opening\n"), "imports before it are not kept quiet"
    (call,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "opening"
    ]
    given = [argument.id for argument in call.args] + [keyword.arg for keyword in call.keywords]
    assert all(keyword.arg == keyword.value.id for keyword in call.keywords)
    assert set(given) == parameters & {"profile", "data_root", "runs_dir", "figures_dir", "device"}
