"""Whatever ends a run, the same command goes on and ends with the record of an undisturbed one, bit for bit."""

import itertools
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY
from safetensors.torch import load_file
from survivor import (
    RUN,
    changes,
    command,
    ended,
    killed_while_writing,
    started,
    train,
    write_checkpoint_again,
    write_record_again,
    write_state_again,
)

from coreecho import runs
from coreecho.errors import CoReEchoError
from coreecho.memory import advice
from coreecho.pause import Pause, PreemptionError
from coreecho.place import Place
from coreecho.records import list_records

GRACE = 30.0
"""Seconds that clusters commonly give between SIGTERM and SIGKILL."""


def same(runs_dir, expected):
    """Whether a run ended with the same predictions, metrics and weights; records hold times and hosts besides."""
    (record,) = list_records(runs_dir, "tiny")
    (other,) = list_records(expected, "tiny")
    pd.testing.assert_frame_equal(record.predictions(), other.predictions(), check_exact=True)
    assert record.metrics == other.metrics
    assert record.key == other.key
    weights, others = (load_file(each.folder / "model.safetensors") for each in (record, other))
    assert weights.keys() == others.keys()
    return all(torch.equal(value, others[name]) for name, value in weights.items())


def leftovers(folder):
    return list(Path(folder).rglob("*.partial"))


@pytest.fixture(scope="module")
def undisturbed(phantom_folder, tmp_path_factory):
    """Where the undisturbed record is, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    assert ended(started(train, phantom_folder.parent, folder), None)[0] == 0
    first = time.monotonic() - began
    began = time.monotonic()
    assert ended(started(train, phantom_folder.parent, folder / "again"), None)[0] == 0
    return folder, min(first, time.monotonic() - began)


def kill_at_random(phantom_folder, folder, undisturbed, kills, seed):
    """Kills tiny runs at so many random moments, each run until it is done."""
    expected, seconds = undisturbed
    rng, killed = np.random.default_rng(seed), 0
    for number in itertools.count():
        runs_dir = folder / str(number)
        while killed < kills:
            status, _ = ended(started(train, phantom_folder.parent, runs_dir), rng.uniform(0, seconds))
            if status == 0:
                break
            assert status == -signal.SIGKILL
            killed += 1
        assert ended(started(train, phantom_folder.parent, runs_dir), None)[0] == 0
        assert same(runs_dir, expected)
        if killed == kills:
            return


def test_a_run_killed_at_random_moments_ends_as_an_undisturbed_one(phantom_folder, tmp_path, undisturbed):
    kill_at_random(phantom_folder, tmp_path, undisturbed, 3, 0)


@pytest.mark.slow
def test_a_run_killed_at_fifty_random_moments_ends_as_an_undisturbed_one(phantom_folder, tmp_path, undisturbed):
    kill_at_random(phantom_folder, tmp_path, undisturbed, 50, 1)


def term_when(phantom_folder, runs_dir, moment):
    """SIGTERM once ``moment(runs_dir)`` holds; the exit status and how long it took to end."""
    options = [f"--set={change}" for change in changes()]
    arguments = ["train", "table1/coreecho/seed3", "--device", "cpu", "--runs-dir", str(runs_dir)]
    process = started(command, *arguments, "--data-root", str(phantom_folder.parent), *options)
    deadline = time.monotonic() + 100
    while process.is_alive() and not moment(runs_dir):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return ended(process, 0, signal.SIGTERM)


def test_sigterm_saves_and_ends_with_its_own_status_and_the_run_goes_on(phantom_folder, tmp_path, undisturbed):
    status, seconds = term_when(phantom_folder, tmp_path, lambda folder: list(folder.glob("*/*/last.pt")))
    assert (status, seconds < GRACE) == (128 + signal.SIGTERM, True)
    assert not list_records(tmp_path, "tiny")
    assert not leftovers(tmp_path)
    assert ended(started(train, phantom_folder.parent, tmp_path), None)[0] == 0
    assert same(tmp_path, undisturbed[0])


def test_sigterm_before_anything_is_saved_costs_nothing_but_time(phantom_folder, tmp_path, undisturbed):
    status, seconds = term_when(phantom_folder, tmp_path, lambda folder: list(folder.glob("*/*/.lock")))
    assert (status in (-signal.SIGTERM, 128 + signal.SIGTERM), seconds < GRACE) == (True, True)
    assert ended(started(train, phantom_folder.parent, tmp_path), None)[0] == 0
    assert same(tmp_path, undisturbed[0])


@pytest.mark.parametrize("write", [write_record_again, write_checkpoint_again, write_state_again])
def test_a_kill_while_a_file_is_written_leaves_the_old_one(undisturbed, tmp_path, write):
    shutil.copytree(undisturbed[0] / "tiny", tmp_path / "tiny")
    (folder,) = (path.parent for path in tmp_path.glob("*/*/record.json"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert ended(started(killed_while_writing, write, folder), None)[0] == -signal.SIGKILL
    assert leftovers(folder)  # it was killed where it was meant to be
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert same(tmp_path, undisturbed[0])


def told():
    """A pause that SIGTERM has reached inside a block that it may not break."""
    pause = Pause()
    with pause.watch(), pause.hold():
        os.kill(os.getpid(), signal.SIGTERM)
        assert pause.told
    return pause


def test_sigterm_waits_for_the_end_of_a_step_and_ends_everything_else_at_once():
    with pytest.raises(PreemptionError, match="goes on where it stopped"):
        told().act()
    pause, done = Pause(), []

    def interrupted():
        with pause.watch():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("after the signal")

    with pytest.raises(PreemptionError):
        interrupted()
    assert not done


def test_sigterm_is_the_systems_own_again_after_training():
    before = signal.getsignal(signal.SIGTERM)
    with Pause().watch():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_in_another_thread_trains_without_watching(phantom_folder, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        place = Place(data_root=phantom_folder.parent, runs_dir=tmp_path, device="cpu")
        (record,) = pool.submit(runs.ensure, [RUN], TINY, place).result()
    assert record.run == RUN


def test_a_batch_that_does_not_fit_says_what_to_lower(phantom_folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore lines")

    monkeypatch.setattr("coreecho.objectives.RankNContrast.forward", full)
    place = Place(data_root=phantom_folder.parent, runs_dir=tmp_path, device="cpu")
    said = r"batch of shape \(4, 2, 3, 8, 32, 32\) on cpu.*20\.00 GiB.*--save-memory.*bf16.*batch_size"
    with pytest.raises(CoReEchoError, match=said) as caught:
        runs.ensure([RUN], TINY, place)
    assert "\n" not in str(caught.value)


def test_memory_that_the_machine_does_not_have_is_told_apart_from_defects():
    with pytest.raises(CoReEchoError, match=r"out of memory: it does not fit.*; lower it"), advice("it", "lower it"):
        torch.empty(2**60)
    with pytest.raises(CoReEchoError, match="out of memory"), advice("it", "lower it"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="sizes differ"), advice("it", "lower it"):
        raise RuntimeError("sizes differ")
