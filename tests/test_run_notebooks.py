"""Running a notebook, into a file or in place: parameters arrive, outputs are kept, a failing cell is named."""

import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from coreecho import cli, notebooks
from coreecho.errors import CoReEchoError, SettingsError

SOURCE = """# %% [markdown]
# # Sample

# %% tags=["parameters"]
word = "one"
times = 2

# %% tags=["nbval-check-output"]
print(" ".join([word] * times))

# %%
assert times < 5, "too often"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project folder with one notebook and its source."""
    monkeypatch.setenv("COREECHO_HOME", str(tmp_path))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "sample.py").write_text(SOURCE)
    page = jupytext.reads(SOURCE, fmt="py:percent")
    page.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
    nbformat.write(page, folder / "sample.ipynb")
    return tmp_path


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_a_notebook_runs_with_its_parameters_into_a_file_of_its_own(home, capsys):
    before = (home / "notebooks/sample.ipynb").read_bytes()
    assert cli.main(["notebook", "sample", "-p", "word=two", "-p", "times=3"]) == 0
    out = home / "build/sample.ipynb"
    assert capsys.readouterr().out.strip().splitlines()[-1] == str(out)
    assert printed(out) == "two two two\n"
    assert (home / "notebooks/sample.ipynb").read_bytes() == before
    with pytest.raises(CoReEchoError, match=r"^notebook sample, cell \d: AssertionError: too often$"):
        notebooks.execute("sample", {"times": 7}, home / "elsewhere/failed.ipynb")


DRAWS = """# %% tags=["parameters"]
figures_dir = ""
data_root = ""

# %%
from pathlib import Path

out = Path(figures_dir or "../figures")
(out / "table.md").write_text("one seed")
print(data_root)
"""


@pytest.fixture
def draws(home, monkeypatch):
    """A notebook that writes a table, and the committed table of its defaults."""
    (home / "notebooks/draws.py").write_text(DRAWS)
    page = jupytext.reads(DRAWS, fmt="py:percent")
    page.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
    nbformat.write(page, home / "notebooks/draws.ipynb")
    (home / "figures").mkdir()
    (home / "figures/table.md").write_text("committed")
    monkeypatch.chdir(home)
    return home


def test_figures_go_beside_the_executed_copy_and_leave_the_committed_ones(draws, capsys):
    assert cli.main(["notebook", "draws", "--out", "sub/x.ipynb", "-p", "data_root=hearts"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"figures and tables: {draws / 'sub/x_figures'}",
        "sub/x.ipynb",
    ]
    assert (draws / "sub/x_figures/table.md").read_text() == "one seed"
    assert printed(draws / "sub/x.ipynb") == f"{draws / 'hearts'}\n", "a folder counts from where the command is given"
    assert cli.main(["notebook", "draws"]) == 0
    assert (draws / "build/draws_figures/table.md").is_file()
    assert cli.main(["notebook", "draws", "-p", "figures_dir=mine"]) == 0
    assert (draws / "mine/table.md").read_text() == "one seed"
    assert (draws / "figures/table.md").read_text() == "committed"
    notebooks.refresh("draws")
    assert (draws / "figures/table.md").read_text() == "one seed", "a refresh is what renews the committed ones"


def test_make_table1_still_writes_the_committed_table():
    text = (Path(__file__).resolve().parents[1] / "Makefile").read_text()
    assert '$(BIN)/coreecho notebook table1 -p figures_dir="$(CURDIR)/figures"\n\t@cat figures/table1.md' in text


def test_folders_that_take_no_file_are_told_before_the_notebook_runs(draws, capsys):
    (draws / "file").touch()
    (draws / "folder.ipynb").mkdir()
    for options in (["--out", "file/x.ipynb"], ["--out", "folder.ipynb"], ["-p", "figures_dir=file"]):
        assert cli.main(["notebook", "draws", *options]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "give another folder" in err or "is a folder; give the file" in err
    assert not (draws / "build/draws.ipynb").exists()


def test_a_refreshed_notebook_is_executed_in_step_with_its_source_and_always_the_same(home, capsys):
    path = home / "notebooks/sample.ipynb"
    assert cli.main(["notebook", "sample", "--refresh"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    first = path.read_bytes()
    page = nbformat.read(path, as_version=4)
    assert printed(path) == "one one\n"
    assert [cell.source for cell in page.cells] == [
        cell.source for cell in jupytext.reads(SOURCE, fmt="py:percent").cells
    ]
    assert [cell.get("execution_count") for cell in page.cells] == [None, 1, 2, 3]
    assert page.cells[2].metadata == {"tags": ["nbval-check-output"]}
    assert "language_info" in page.metadata
    assert b"iopub" not in first
    notebooks.refresh("sample")
    assert path.read_bytes() == first
    (home / "notebooks/sample.py").write_text(SOURCE.replace("times = 2", "times = 9"))
    with pytest.raises(CoReEchoError, match=r"notebook sample.*AssertionError: too often"):
        notebooks.refresh("sample")
    assert path.read_bytes() == first, "a failed run leaves the old notebook"


def test_an_unknown_notebook_and_parameters_of_a_refresh_are_refused(home, capsys):
    with pytest.raises(SettingsError, match="sample"):
        notebooks.refresh("table99")
    for options in (["table99"], ["table99", "--refresh"], ["sample", "--refresh", "-p", "times=3"]):
        assert cli.main(["notebook", *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (home / "build").exists()


def test_without_papermill_it_says_what_to_install(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    with pytest.raises(CoReEchoError, match=r"coreecho\[book\]"):
        notebooks.execute("sample", {})
