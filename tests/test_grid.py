"""The grid: `coreecho runs plan`, and what Snakemake makes of it; but in the slow test, a script plays the training."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers import TINY, tiny_place

from coreecho import ledger
from coreecho.cli import main
from coreecho.ledger import known_key
from coreecho.lineage import PRETEXT
from coreecho.profiles import DEMO
from coreecho.records import list_records, read_record
from coreecho.runs import ensure
from coreecho.settings import Run
from coreecho.settings_text import to_dict

pytest.importorskip("snakemake", reason="the extra grid is not installed")
ROOT = Path(__file__).resolve().parents[1]


def tiny_settings(**changes):
    """The overrides that turn the demo profile into the tests' tiny one, as ``--set`` takes them."""
    found = []

    def compare(one, other, path):
        for name, value in one.items():
            if isinstance(value, dict) and isinstance(other[name], dict) and path + name not in changes:
                compare(value, other[name], f"{path}{name}.")
            elif value != other[name]:
                text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
                found.append(f"{path}{name}={text}")

    compare(to_dict(TINY), to_dict(DEMO), "")
    return found + [f"{name.replace('__', '.')}={value}" for name, value in changes.items()]


@pytest.fixture
def plan(capsys, tmp_path):
    """The answer of ``coreecho runs plan``: one entry per run, by name."""

    def ask(*arguments):
        assert main(["runs", "plan", "--json", "--runs-dir", str(tmp_path / "runs"), *map(str, arguments)]) == 0
        return {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}

    return ask


@pytest.fixture
def snakemake(tmp_path):
    """Snakemake in a folder of its own: (exit status, the names of runs it trains or would train, its whole output).

    ``trainer``: lines of a shell script in the place of ``coreecho train NAME RECORD``; the plan is given beforehand.
    """

    def run(entries, *arguments, trainer='mkdir -p "$(dirname "$record")"; echo "{}" > "$record"', only=()):
        entries = list(entries.values())
        (tmp_path / "plan.json").write_text(json.dumps(entries))
        cases = "\n".join(f"  {entry['name']}) record={entry['record']} ;;" for entry in entries)
        script = tmp_path / "fake-coreecho"
        script.write_text(
            f'#!/bin/bash\nif [ "$1 $2" = "runs plan" ]; then exec cat {tmp_path}/plan.json; fi\n'
            f'echo "$2" >> {tmp_path}/tried\ncase "$2" in\n{cases}\nesac\n{trainer}\n'
        )
        script.chmod(0o755)
        config = [f"runs_dir={tmp_path / 'runs'}", f"command={script}", f"only={json.dumps(list(only))}"]
        return call(tmp_path, [*arguments, "--config", *config])

    return run


def call(folder, arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1", "--nocolor"]
    done = subprocess.run(
        [*map(str, command), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    output = done.stdout + done.stderr
    trained = [
        line.split(": ")[1] for line in output.splitlines() if line.startswith("Job ") and "/record.json" in line
    ]
    return done.returncode, trained, output


def test_the_plan_names_a_run_once_and_every_parent_before_its_children(plan):
    entries = plan()
    records = [entry["record"] for entry in entries.values()]
    assert len(set(records)) == len(records)
    for name, entry in entries.items():
        assert entry["state"] == "missing"
        if entry["parent"]:
            assert records.index(entry["parent"]) < records.index(entry["record"]), name
    assert entries["table4/probe-coreecho/seed0/fold0"]["parent"] == entries["table1/coreecho/seed0"]["record"]
    assert entries["table1/coreecho/seed1"]["parent"] == entries["pretext"]["record"]
    assert entries["table2/l1/seed0"]["parent"] == ""
    assert not entries["pretext"]["wanted"]


def test_the_plan_can_be_cut_to_some_runs_and_what_they_start_from(plan, capsys):
    assert [(name, entry["wanted"]) for name, entry in plan("table1/co*/seed0", "table5/probe-coreecho").items()] == [
        ("pretext", False),
        ("table1/coreecho/seed0", True),
        *((f"table5/probe-coreecho/seed0/fold{fold}", True) for fold in range(5)),
    ]
    assert main(["runs", "plan", "table9"]) == 2
    assert "no run is called 'table9'" in capsys.readouterr().err


def test_the_plan_looks_for_each_run_once(plan, monkeypatch):
    looked = Counter()

    def counted(run, *place, find=ledger.find):
        looked[run] += 1
        return find(run, *place)

    monkeypatch.setattr(ledger, "find", counted)
    entries = plan("table1/co*/seed0", "table5/probe-coreecho")
    assert list(looked.values()) == [1] * len(entries)


def test_real_data_are_named_before_anything_is_planned(plan, capsys):
    assert main(["runs", "plan", "--profile", "paper"]) == 2
    assert "--data-root" in capsys.readouterr().err


def test_a_changed_field_moves_the_records_that_depend_on_it_and_no_others(plan):
    before, after = plan(), plan("--set", "hmcqu.probe.epochs=7")
    moved = {name for name in before if before[name]["record"] != after[name]["record"]}
    assert moved == {name for name in before if name.startswith("table5/probe")}

    after = plan("--set", "shared.epochs=3")
    moved = {name.split("/seed")[0] for name in before if before[name]["record"] != after[name]["record"]}
    assert "table1/coreecho" in moved
    assert "table4/probe-coreecho" in moved, "its parent changed"
    assert not moved & {"pretext", "table4/scratch", "table5/scratch", "table5/finetune-k400"}


def test_a_run_on_real_data_is_planned_where_it_will_be_recorded(phantom_folder, tmp_path, capsys):
    # The phantom under the name of the real data set: its key is known only after the data are read.
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "echonet").symlink_to(phantom_folder)
    changes = [part for change in [*tiny_settings(), "phantom=null"] for part in ("--set", change)]
    place = ["--data-root", str(tmp_path / "data"), "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"]

    def planned():
        assert main(["runs", "plan", "--json", "table1/echocotr/seed0", *changes, *place]) == 0
        return json.loads(capsys.readouterr().out)[0]

    first = planned()
    real = dataclasses.replace(TINY, phantom=None)
    where = dataclasses.replace(tiny_place(phantom_folder, tmp_path / "runs"), data_root=tmp_path / "data")
    (record,) = ensure([Run(method="echocotr", views="one")], real, where)
    assert first["record"] == str(record.folder / "record.json")
    capsys.readouterr()
    assert planned() == first | {"state": "done"}


def test_a_clone_with_its_records_has_nothing_to_do_whatever_the_files_times(plan, snakemake, tmp_path):
    entries = plan("table5/probe-coreecho/seed0/fold0")
    for age, entry in enumerate(entries.values()):
        record = Path(entry["record"])
        record.parent.mkdir(parents=True)
        record.write_text("{}")
        os.utime(record, (1e9 - age, 1e9 - age))  # children older than their parents
    status, trained, output = snakemake(entries, "--dry-run")
    assert (status, trained) == (0, []), output
    assert "Nothing to be done" in output


def test_parents_are_trained_first_and_a_failed_run_is_tried_again(plan, snakemake, tmp_path):
    once = f'if [ "$2" = pretext ] && [ ! -e {tmp_path}/failed ]; then touch {tmp_path}/failed "$record"; exit 1; fi'
    entries = plan("table5/probe-coreecho/seed0/fold0")
    part = f'mkdir -p "$(dirname "$record")"; touch "$(dirname "$record")/last.pt"; {once}; echo "{{}}" > "$record"'
    status, _, output = snakemake(entries, trainer=part)
    assert status == 0, output
    tried = (tmp_path / "tried").read_text().split()
    assert tried == ["pretext", "pretext", "table1/coreecho/seed0", "table5/probe-coreecho/seed0/fold0"]
    assert all(Path(entry["record"]).with_name("last.pt").exists() for entry in entries.values())


def test_a_run_that_fails_for_good_does_not_stop_those_that_do_not_need_it(plan, snakemake, tmp_path):
    entries = plan("table2/l1/seed0", "table5/probe-coreecho/seed0/fold0")
    work = '[ "$2" = table1/coreecho/seed0 ] && exit 2; mkdir -p "$(dirname "$record")"; echo "{}" > "$record"'
    status, _, output = snakemake(entries, trainer=work)
    assert status == 1, output
    assert sorted((tmp_path / "tried").read_text().split()) == [
        "pretext",
        *["table1/coreecho/seed0"] * 3,
        "table2/l1/seed0",
    ]


def test_the_book_never_leads_to_a_training(plan, snakemake):
    entries = plan("table2/l1/seed0")
    status, trained, output = snakemake(entries, "--dry-run", "book")
    assert (status, trained) == (1, [])
    assert "table2/l1/seed0 for one" in output
    done = {name: entry | {"state": "done"} for name, entry in entries.items()}
    status, trained, output = snakemake(done, "--dry-run", "book")
    assert (status, trained) == (0, []), output
    assert "rule book" in output
    assert "rule train" not in output


def test_settings_that_would_not_reach_a_cluster_are_refused(plan, snakemake):
    status, trained, output = snakemake(plan("table2/l1/seed0"), "--dry-run", only=['table2/"l1"'])
    assert (status, trained) == (1, [])
    assert "without quotation marks" in output


def test_both_profiles_keep_what_the_grid_rests_on():
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert default.items() <= slurm.items()
    assert default["rerun-triggers"] == "mtime"
    assert slurm["executor"] == "slurm"


@pytest.mark.slow
def test_a_killed_grid_goes_on_after_the_last_finished_epoch(phantom_folder, tmp_path):
    settings = tiny_settings(shared__epochs=12, shared__refine_epochs=1)
    runs_dir = tmp_path / "runs"
    config = ["--config", f"only={json.dumps(['table1/coreecho/seed0'])}", f"set={json.dumps(settings)}", "device=cpu"]
    config += [f"runs_dir={runs_dir}", f"data_root={phantom_folder.parent}"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", *config]
    process = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    log, deadline = None, time.monotonic() + 600
    try:
        while log is None or len(log.read_text().splitlines()) < 3:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
            log = next(runs_dir.glob("*/*/log.jsonl"), None)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # Snakemake and its training
        process.wait()
    assert not list(runs_dir.glob("*/*/record.json")), "it was killed too late"
    done = [json.loads(line) for line in log.read_text().splitlines()]
    status, trained, output = call(tmp_path, config)
    assert (status, trained) == (0, ["table1/coreecho/seed0"]), output
    record = read_record(log.parent)
    # Times are in the entries, so an epoch that was trained again shows; the last one may not have been kept.
    assert record.history[: len(done) - 1] == done[:-1]
    assert [entry["epoch"] for entry in record.history] == [*range(12), 0]
    assert len(list_records(runs_dir, "tiny")) == 1


def test_the_pretext_run_is_the_only_one_without_a_row(plan):
    entries = plan()
    assert [name for name, entry in entries.items() if not entry["wanted"]] == ["pretext"]
    assert known_key(PRETEXT, DEMO) in entries["pretext"]["record"]
