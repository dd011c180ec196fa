"""Two processes under ``accelerate launch`` train, validate, score and record as one does on the same batches."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from survivor import changes

from coreecho.errors import DataError
from coreecho.optimisation import check_batches
from coreecho.records import list_records
from coreecho.settings import Recipe

ROOT = Path(__file__).resolve().parents[1]
# --multi_gpu only chooses the launcher; with --cpu Accelerate starts a single process where there is no MPI.
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1")
LAUNCH += ("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")
NO_DROPOUT = ("--set", "encoder.dropout=0.0", "--set", "shared.head_dropout=0.0")


def command(phantom_folder, name, runs_dir, launcher=(), more=()):
    options = [f"--set={change}" for change in changes()]
    words = [
        sys.executable,
        *launcher,
        "-m",
        "coreecho",
        "train",
        name,
        "--device",
        "cpu",
        *options,
        *NO_DROPOUT,
        *more,
    ]
    return [*words, "--runs-dir", str(runs_dir), "--data-root", str(phantom_folder.parent)]


def trained(phantom_folder, name, runs_dir, launcher=(), more=()):
    """The record of a tiny run, trained by the command line, and what that printed."""
    words = command(phantom_folder, name, runs_dir, launcher, more)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (record,) = list_records(runs_dir, "tiny")
    return record, done.stdout


@pytest.mark.parametrize("name", ["table1/coreecho/seed0", pytest.param("table1/adacon/seed0", marks=pytest.mark.slow)])
def test_two_processes_end_as_one(phantom_folder, tmp_path, name):
    (one, said_by_one), (two, said_by_two) = (
        trained(phantom_folder, name, tmp_path / part, launcher) for part, launcher in (("one", ()), ("two", LAUNCH))
    )
    assert one.key == two.key
    assert [record.provenance["processes"] for record in (one, two)] == [1, 2]
    for entry, other in zip(one.history, two.history, strict=True):
        for loss in {"rnc", "l1", "error", "contrast", "val_mae", "val_mse"} & set(entry):
            assert other[loss] == pytest.approx(entry[loss], rel=2e-4), (entry["stage"], entry["epoch"], loss)
        assert (other["stage"], other["epoch"], other["chosen"]) == (entry["stage"], entry["epoch"], entry["chosen"])
    predictions, others = one.predictions(), two.predictions()
    assert list(predictions["video"]) == list(others["video"])
    assert np.abs(predictions["prediction"] - others["prediction"]).max() < 1e-2
    assert len(said_by_two.splitlines()) == len(said_by_one.splitlines())  # one of them speaks for both
    assert [json.loads(line)["epoch"] for line in (two.folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_that_are_preempted_go_on_as_one(phantom_folder, tmp_path):
    arguments = ["table1/coreecho/seed0", tmp_path / "two", LAUNCH, ["--set", "shared.epochs=40"]]
    process = subprocess.Popen(
        command(phantom_folder, *arguments), cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    while not list(tmp_path.glob("*/*/*/last.pt")):
        assert process.poll() is None
        time.sleep(0.01)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGTERM)  # as clusters do: launcher and processes alike
    assert process.wait(60) != 0
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() - began < 30:
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    assert time.monotonic() - began < 30
    assert not list_records(tmp_path / "two", "tiny")
    (two, _), (one, _) = (
        trained(phantom_folder, "table1/coreecho/seed0", tmp_path / part, launcher, ["--set", "shared.epochs=40"])
        for part, launcher in (("two", LAUNCH), ("one", ()))
    )
    assert two.provenance["processes"] == 2
    assert [entry["epoch"] for entry in two.history] == [entry["epoch"] for entry in one.history]
    assert np.abs(two.predictions()["prediction"] - one.predictions()["prediction"]).max() < 1e-2


@pytest.mark.parametrize(("processes", "fits"), [(1, True), (4, True), (5, False)])
def test_a_batch_that_the_processes_cannot_share_is_refused(monkeypatch, processes, fits):
    monkeypatch.setattr("coreecho.distributed.world", lambda: processes)
    recipe = Recipe(batch_size=16, drop_last=False)
    check_batches(32, recipe)
    if fits:
        check_batches(36, recipe)
    else:
        with pytest.raises(DataError, match="batch of 4 videos cannot be shared by 5 processes"):
            check_batches(36, recipe)
