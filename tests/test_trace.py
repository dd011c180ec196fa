"""From a number back to its run: every record is listed once, under what it fills, where links find it."""

import dataclasses

import pytest
from helpers import TINY, tiny_place

from coreecho import trace
from coreecho.experiments import all_rows, all_runs, fills, find_run


@pytest.fixture
def found(tiny_records, phantom_folder):
    runs_dir = tiny_records["table1/coreecho"][0].folder.parents[1]
    return trace.traces(TINY, tiny_place(phantom_folder, runs_dir))


def test_every_record_is_listed_once_under_the_first_table_that_it_fills(found, tiny_records):
    keys = [each.record.key for each in found]
    assert len(set(keys)) == len(keys)
    assert set(keys) >= {record.key for own in tiny_records.values() for record in own}
    both = next(each for each in found if each.record.key == tiny_records["table1/coreecho"][1].key)
    assert both.fills == ("table1/coreecho/seed1", "table2/full/seed1")
    assert both.group == "table1"
    for each in found:
        for name in each.fills:
            row, _, rest = name.partition("/seed")
            assert dataclasses.replace(all_rows()[row].run, seed=int(rest)) == each.record.run


def test_every_run_is_named_by_all_the_cells_that_it_fills():
    cells = fills()
    assert all(find_run(name) == run for run, names in cells.items() for name in names)
    assert set(all_runs()) <= {name for names in cells.values() for name in names}
    for run, names in cells.items():
        known = [name for name, own in all_runs().items() if own == run]
        assert not known or known == [name for name in names if name in all_runs()]
        assert not known or names[0] == known[0]
    assert {names[0].partition("/")[0] for names in cells.values()} <= set(trace.GROUPS)


def test_a_link_leads_to_the_records_line(found, tiny_records):
    lines = trace.groups(found)["Table 1"].to_dict("records")
    record = tiny_records["table1/coreecho"][0]
    page, _, target = trace.link(record).removesuffix(")").partition("(")[2].partition("#")
    assert page == "provenance.html"
    (line,) = [line for line in lines if f'<span id="{target}"></span>' in line["Run"]]
    assert line["Run"].endswith(record.folder.name)
    assert line["Data"] == "phantom (echonet)"
    assert line["Data fingerprint"] == record.data["fingerprint"][:8]
    assert line["Device"] == record.provenance["device"]
    assert line["Fills"].startswith("table1/coreecho/seed0, ")
    assert line["Starts from"] == "random"  # the tiny profile has nothing in the place of Kinetics-400 weights


def test_a_changed_checkout_is_told(tiny_records):
    record = tiny_records["table1/coreecho"][0]
    for origin, text in (
        ({"commit": "a" * 40, "uncommitted_changes": False}, "aaaaaaaa"),
        ({"commit": "a" * 40, "uncommitted_changes": True}, "aaaaaaaa + changes"),
        ({"commit": None, "uncommitted_changes": False}, "unknown"),
    ):
        changed = dataclasses.replace(record, provenance=dict(record.provenance) | origin)
        assert trace.commit(changed) == text


def test_a_run_leads_to_the_one_it_starts_from(found, tiny_records):
    above, below = (tiny_records["table1/coreecho"][seed] for seed in (0, 1))
    run = dataclasses.replace(below.run, dataset="camus", method="probe", init="coreecho", fold=3, views="one")
    child = dataclasses.replace(below, key="0123abcd", run=run, data=dict(below.data) | {"parent": above.key})
    probe = trace.Trace(child, "table4", ("table4/probe-coreecho/seed1/fold3",))
    tables = trace.groups([*found, probe])
    (line,) = tables["Table 4"].to_dict("records")
    assert line["Starts from"] == f"coreecho [{above.key}](#run-{above.key})"
    assert line["Fold"] == "3"
    (line,) = trace.groups([probe])["Table 4"].to_dict("records")  # no link to a line that is not there
    assert line["Starts from"] == f"coreecho {above.key}"


def test_weights_that_fill_no_row_have_a_group_of_their_own(tiny_records):
    lent = trace.Trace(tiny_records["table1/coreecho"][0], trace.WEIGHTS, ())
    assert trace.groups([lent])["Initial weights"]["Fills"].tolist() == ["no row: others start from it"]


def test_nothing_is_listed_where_nothing_was_run(tmp_path, phantom_folder):
    assert trace.traces(TINY, tiny_place(phantom_folder, tmp_path)) == []
    assert trace.groups([]) == {}


def test_runs_behind_a_table_have_one_line_per_row_and_seed(tiny_records):
    lines = trace.behind(tiny_records).to_dict("records")
    assert [(line["Row"], line["Seed"]) for line in lines] == [
        ("table1/coreecho", "0"),
        ("table1/coreecho", "1"),
        ("table1/echocotr", "0"),
    ]
    first, second = tiny_records["table1/coreecho"]
    assert lines[1]["Runs"] == trace.link(second)
    folded = {"table4/scratch": [first, dataclasses.replace(second, run=first.run)]}  # two folds of one seed
    (line,) = trace.behind(folded).to_dict("records")
    assert line["Runs"] == f"{trace.link(first)}, {trace.link(second)}"
    assert float(line["Training (min)"]) == pytest.approx(
        (first.training_seconds + second.training_seconds) / 60, abs=0.06
    )
    assert line["Device"] == first.provenance["device"]
