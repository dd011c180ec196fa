"""One tiny run in a process of its own, for tests that end it; a server with everything imported forks them."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import torch
from helpers import TINY, tiny_model

from coreecho import checkpoints
from coreecho.cli import main
from coreecho.place import Place
from coreecho.records import read_record, write_record
from coreecho.runs import ensure
from coreecho.settings import Run
from coreecho.settings_text import to_dict
from coreecho.trainstate import TrainState

RUN = Run(seed=3)


def train(data_root, runs_dir):
    """Trains the run and its record, or what is left of them."""
    torch.set_num_threads(1)
    ensure([RUN], TINY, Place(data_root=data_root, runs_dir=runs_dir, device="cpu"))


def command(*arguments):
    """The command line in a process that has everything imported; its exit status is the process's."""
    torch.set_num_threads(1)
    os._exit(main(list(arguments)))


def changes():
    """The tiny profile as changes to the demo's, its epochs aside."""
    settings = to_dict(TINY)
    for part in ("phantom", "encoder", "clip", "shared"):
        yield from (f"{part}.{name}={json.dumps(value)}" for name, value in settings[part].items() if value is not None)
    yield from ("name=tiny", "k400=none")


def killed_while_writing(write, *arguments):
    """Calls ``write``, and dies by SIGKILL when the new file is half there and not yet in its place."""

    def die(partial, mode):
        os.truncate(partial, partial.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    Path.chmod = die
    write(*arguments)


def write_record_again(folder):
    """A record with other numbers in the place of the one in ``folder``."""
    record = read_record(folder)
    write_record(dataclasses.replace(record, history=[]), record.predictions().assign(prediction=0.0))


def write_checkpoint_again(folder):
    """An untrained network in the place of the one in ``folder``."""
    checkpoints.save(tiny_model(seed=9), folder / "model.safetensors", {"training_data": "none"})


def write_state_again(folder):
    """An empty state in the place of ``last.pt``."""
    TrainState("other").save(folder, {"objective": {}, "optimizers": {}})


def started(target, *arguments):
    """The process, just started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["survivor"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def ended(process, after, with_signal=signal.SIGKILL, limit=120):
    """Sends the signal after so many seconds, or lets the process come to its end; (exit status, seconds to die)."""
    process.join(after)
    began = time.monotonic()
    if process.is_alive():
        os.kill(process.pid, with_signal)
    process.join(limit)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode, time.monotonic() - began
