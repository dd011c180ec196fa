"""Data made once per session: a small phantom, and a run on it."""

import os

# Before any library starts its threads: the tests share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import pytest
import torch

torch.set_num_threads(1)

from helpers import TINY, tiny_model, tiny_place  # noqa: E402

from coreecho import checkpoints, phantom, runs  # noqa: E402
from coreecho.datasets import read_echonet  # noqa: E402
from coreecho.settings import Run  # noqa: E402


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory):
    """A phantom of the tiny profile in EchoNet-Dynamic's format."""
    root = tmp_path_factory.mktemp("data") / f"phantom-echonet-{phantom.fingerprint(TINY.phantom)[:8]}"
    return phantom.write_echonet(root, TINY.phantom, workers=1, progress=False)


@pytest.fixture(scope="session")
def phantom_data(phantom_folder):
    return read_echonet(phantom_folder)


@pytest.fixture(scope="session")
def tiny_records(phantom_folder, tmp_path_factory):
    """Records of three tiny runs, by row name of Table 1: CoReEcho in two seeds, EchoCoTr in one."""
    place = tiny_place(phantom_folder, tmp_path_factory.mktemp("runs"))
    specs = [Run(), Run(seed=1), Run(method="echocotr", views="one")]
    coreecho, second, echocotr = runs.ensure(specs, TINY, place)
    return {"table1/coreecho": [coreecho, second], "table1/echocotr": [echocotr], "table1/adacon": []}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """An own checkpoint of an untrained tiny network."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    checkpoints.save(tiny_model(), path, {"training_data": "phantom, tiny profile", "fps": 25.0})
    return path
