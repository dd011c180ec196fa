"""Two processes that share a batch take the step that one takes with all of it."""

import copy
import os
import subprocess
import sys

import pytest
import torch
import two_processes as two
from torch import nn

from coreecho import distributed

SPLITS = [(name, title) for name in two.VIEWS for title in two.SHARES]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes found; they meet at a file, so that no port is needed."""
    folder = tmp_path_factory.mktemp("two")
    program = [sys.executable, two.__file__, str(folder)]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    workers = [
        subprocess.Popen([*program, str(rank)], env=settings, stderr=subprocess.PIPE, text=True) for rank in range(2)
    ]
    try:
        said = [worker.communicate(timeout=300)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(said)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def assert_same(ours, expected, tolerance=1e-10):
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            ours[name], value, rtol=tolerance, atol=tolerance, msg=lambda text, at=name: f"{at}: {text}"
        )


@pytest.mark.parametrize(("name", "title"), SPLITS)
def test_losses_gradients_and_statistics_are_those_of_one_process(found, name, title):
    alone = two.objective(name)
    expected = two.step(alone, alone, *two.batch(name, torch.arange(sum(two.SHARES[title]))))
    assert any(gradient.abs().max() > 1e-3 for gradient in expected["gradients"].values())
    for process in found:
        for part, values in expected.items():
            assert_same(process["objectives"][name, title][part], values)


def test_both_processes_hold_the_same_statistics_to_the_last_bit(found):
    for key in SPLITS:
        one, other = (process["objectives"][key]["buffers"] for process in found)
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", two.LAYERS)
def test_batch_normalisation_sees_all_rows(found, name):
    layer, x = copy.deepcopy(two.LAYERS[name])
    layer, whole = layer.double(), x.double().requires_grad_()
    out = layer.train()(whole)
    (out**3).sum().backward()
    expected = {"out": out, "gradient": whole.grad, "state": layer.state_dict(), "after": layer.eval()(whole)}
    # Single precision has steps of 6e-5 at 1000, half precision of 8e-3 at 1.
    tolerance = {"far from zero": 1e-3, "half": 3e-2}.get(name, 1e-5)
    for process, rows in zip(found, (slice(4), slice(4, 5)), strict=True):
        ours = process["layers"][name]
        for part in ("out", "gradient"):
            torch.testing.assert_close(ours[part].double(), expected[part][rows], rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(ours["after"].double(), expected["after"], rtol=tolerance, atol=tolerance)
        assert ours["state"].keys() == expected["state"].keys()
        for key, value in expected["state"].items():
            torch.testing.assert_close(ours["state"][key].double(), value.double(), rtol=1e-5, atol=1e-6)
        assert ours["kept"]


def test_a_compiled_normalisation_sees_all_rows_too(found):
    for process in found:
        (*outs, plain), (*gradients, expected) = process["compiled"]["outs"], process["compiled"]["gradients"]
        for out, gradient in zip(outs, gradients, strict=True):
            torch.testing.assert_close(out, plain)
            torch.testing.assert_close(gradient, expected)
        assert process["compiled"]["graphs"] == 2, "one before it and one after it, in which no process waits"
    one, other = (process["compiled"]["state"] for process in found)
    assert one["norm.num_batches_tracked"] == 4
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", two.GATHERED)
def test_gathered_rows_come_in_the_order_of_the_processes(found, name):
    for process in found:
        assert torch.equal(process["gather"][name], two.GATHERED[name])
        assert process["gather"][name].dtype == two.GATHERED[name].dtype


def test_a_process_without_rows_gathers_those_of_the_others(found):
    assert all(torch.equal(process["gather"]["nothing here"], two.GATHERED["float64"]) for process in found)


def test_a_row_gets_the_gradient_of_the_losses_of_all_processes(found):
    whole = two.GATHERED["float64"].clone().requires_grad_()
    sum(two.pull(whole, rank) for rank in range(2)).backward()
    assert torch.equal(torch.cat([process["gather"]["gradient"] for process in found]), whole.grad)


def test_processes_know_each_other_and_wait(found):
    assert [process["who"] for process in found] == [(2, 0, True, None), (2, 1, False, True)]
    assert [process["barrier"] for process in found] == [True, True]
    objects = [{"rank": 0, "more": ""}, {"rank": 1, "more": "x" * 10}]
    assert [process["objects"] for process in found] == [objects, objects]


def test_one_process_does_without_a_group():
    x, layer = torch.zeros(2, 3, requires_grad=True), nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm3d(2))
    kinds = [type(part) for part in layer]
    distributed.barrier()
    assert distributed.gather(x) is x
    assert distributed.synchronise_batch_norm(layer) is layer
    assert [type(part) for part in layer] == kinds
    assert (distributed.world(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert distributed.gather_objects(layer) == [layer]
    assert not torch.distributed.is_initialized()
