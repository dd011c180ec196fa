"""The demo: trains what is missing, sets it beside the committed records, and says where they differ too much."""

import dataclasses
import shutil

import pytest
from helpers import TINY

from coreecho import cli, demo
from coreecho.errors import CoReEchoError
from coreecho.experiments import table1
from coreecho.settings import Run

ROWS = ["table1/adacon", "table1/echocotr", "table1/coreecho"]


@pytest.fixture
def home(tmp_path, monkeypatch, tiny_records, phantom_folder):
    """A project folder at the tiny scale with all its records but AdaCon's; the notebook only writes its table."""
    monkeypatch.setenv("COREECHO_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "DEMO", TINY)
    for own in tiny_records.values():
        for record in own:
            shutil.copytree(record.folder, tmp_path / "runs" / "tiny" / record.folder.name)
    shutil.copytree(phantom_folder, tmp_path / "data" / phantom_folder.name)
    asked = []

    def execute(name, parameters, out):
        asked.append((name, parameters, out))
        table = out.parent / "figures" / "table1.md"
        table.parent.mkdir()
        table.write_text("| a table |\n")

    monkeypatch.setattr(demo, "execute", execute)
    return tmp_path, asked


def test_the_demo_trains_what_is_missing_and_compares_with_what_is_committed(home):
    folder, asked = home
    shutil.copytree(folder / "runs", folder / "here" / "runs")  # two of three runs are finished
    with pytest.raises(CoReEchoError, match="table1/adacon, seed 0: no record to compare with; `make runs`"):
        demo.run_demo(folder / "here")
    (trained,) = (folder / "here/runs/tiny").glob("*adacon*")
    shutil.copytree(trained, folder / "runs" / "tiny" / trained.name)
    shutil.rmtree(folder / "here" / "figures")
    table, comparisons = demo.run_demo(folder / "here")
    assert table.read_text() == "| a table |\n"
    assert {each.row for each in comparisons} == set(ROWS) == {row.name for row in table1() if not row.single}
    assert {each.metric for each in comparisons} == set(demo.TOLERANCE)
    assert all(each.here == each.committed and each.agrees for each in comparisons)
    name, parameters, _ = asked[-1]
    assert name == "table1"
    assert parameters == {
        "profile": "tiny",
        "runs_dir": str(folder / "here/runs"),
        "figures_dir": str(folder / "here/figures"),
        "seeds": [0],
        "copied": False,
    }


def test_runs_agree_within_the_tolerance_and_no_further(tiny_records):
    (record, *_) = tiny_records["table1/coreecho"]
    assert record.run == Run()
    own = record.metrics["fixed3"]
    for metric, tolerance in demo.TOLERANCE.items():
        for factor, agrees in ((0.99, True), (-0.99, True), (1.01, False), (-1.01, False)):
            moved = {"fixed3": own | {metric: own[metric] + factor * tolerance}}
            comparisons = demo.compare("row", dataclasses.replace(record, metrics=moved), record)
            assert {each.metric for each in comparisons if not each.agrees} == (set() if agrees else {metric})


@pytest.mark.parametrize(("here", "status"), [(0.90, 0), (0.70, 1)])
def test_the_command_prints_the_table_and_each_comparison(tmp_path, monkeypatch, capsys, here, status):
    (tmp_path / "table1.md").write_text("| System | R2 |\n")
    compared = [
        demo.Comparison("table1/coreecho", "r2", here, 0.91),
        demo.Comparison("table1/coreecho", "mae", 4.0, 4.1),
    ]
    monkeypatch.setattr("coreecho.cli.demo.run_demo", lambda folder: (folder / "table1.md", compared))
    assert cli.main(["demo", "--folder", str(tmp_path)]) == status
    out, err = capsys.readouterr()
    assert "| System | R2 |" in out
    (told,) = [line for line in out.splitlines() if "coreecho r2" in line]
    assert f"{here:.3f}" in told
    assert "0.910" in told
    assert ("differs by more" in told) == bool(status)
    assert len(err.splitlines()) == status


def test_a_demo_that_cannot_compare_ends_in_status_2(monkeypatch, capsys):
    def refuse(folder):
        raise CoReEchoError("nothing to compare with")

    monkeypatch.setattr("coreecho.cli.demo.run_demo", refuse)
    assert cli.main(["demo"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
