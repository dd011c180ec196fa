"""The training loop: it learns, chooses its epoch on validation data, and a killed run ends as an undisturbed one."""

import dataclasses
import json
import shutil

import pytest
import torch
from helpers import TINY, tiny_model
from torch import nn

from coreecho.datasets import read_echonet
from coreecho.errors import CoReEchoError, DataError, RecordError
from coreecho.machine import Machine
from coreecho.optimisation import Optimisation, make_accelerator
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.trainer import Trainer
from coreecho.trainstate import TrainState

RECIPE = TINY.shared


def trainer(data, folder, run=None, recipe=RECIPE, key="k", **options):
    folder.mkdir(exist_ok=True)
    model = tiny_model(head=recipe.head)
    accelerator = make_accelerator(recipe, "cpu")
    run = run or Run()
    plan = Plan(run=run, profile=dataclasses.replace(TINY, shared=recipe), data=data)
    return Trainer(model, plan, folder, key=key, accelerator=accelerator, **options)


def timeless(history):
    return [{name: value for name, value in entry.items() if not name.endswith("seconds")} for entry in history]


def same_weights(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.fixture(scope="module")
def undisturbed(phantom_data, tmp_path_factory):
    whole = trainer(phantom_data, tmp_path_factory.mktemp("whole"))
    return whole, whole.fit()


def test_a_run_learns(phantom_data, tmp_path):
    recipe = dataclasses.replace(RECIPE, head="linear", epochs=10, learning_rate=1e-2)
    history = trainer(phantom_data, tmp_path / "run", Run(method="echocotr", views="one", augment=False), recipe).fit()
    losses = [entry["error"] for entry in history]
    assert sum(losses[-3:]) / 3 < 0.9 * losses[0]


def test_the_history_has_an_entry_per_epoch_with_losses_errors_and_the_chosen_epoch(undisturbed):
    whole, history = undisturbed
    assert [(entry["stage"], entry["epoch"]) for entry in history] == [
        ("stage one", 0),
        ("stage one", 1),
        ("stage two", 0),
        ("stage two", 1),
    ]
    assert all({"rnc", "l1"} <= set(entry) for entry in history[:2])
    assert all({"val_mae", "val_mse", "learning_rate", "seconds", "chosen"} <= set(entry) for entry in history)
    lines = (whole.folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_the_model_ends_at_the_chosen_epoch(undisturbed):
    whole, history = undisturbed
    best = min(entry["val_mae"] for entry in history if entry["stage"] == "stage two")
    assert whole._data(1).validate(history[-1]["chosen"])["val_mae"] == pytest.approx(best, rel=1e-5)


def test_ties_go_to_the_later_epoch_and_the_lower_error_wins():
    model = nn.Linear(1, 1)
    state = TrainState("k")
    for epoch, error in enumerate((3.0, 2.0, 2.0, 5.0)):
        nn.init.constant_(model.weight, epoch)
        state.finish_epoch({"epoch": epoch, "val_mae": error, "val_mse": 9.0 - error}, "mae", model)
    assert (state.best_epoch, state.best["weight"].item()) == (2, 2.0)
    assert [entry["chosen"] for entry in state.history] == [0, 1, 2, 2]


def test_the_same_run_twice_gives_the_same_bits(phantom_data, tmp_path, undisturbed):
    again = trainer(phantom_data, tmp_path / "again")
    assert timeless(again.fit()) == timeless(undisturbed[1])
    assert same_weights(again.model, undisturbed[0].model)


def test_loader_workers_do_not_change_a_bit(phantom_data, tmp_path, undisturbed):
    parallel = trainer(phantom_data, tmp_path / "parallel", machine=Machine(workers=1))
    assert timeless(parallel.fit()) == timeless(undisturbed[1])
    assert same_weights(parallel.model, undisturbed[0].model)


@pytest.mark.parametrize("finished", [1, 2, 3, 4])
def test_a_killed_run_ends_as_an_undisturbed_one(phantom_data, tmp_path, undisturbed, finished):
    seen = []

    def kill(entry):
        seen.append(entry)
        if len(seen) == finished:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(phantom_data, tmp_path / "killed", on_epoch=kill).fit()
    resumed = trainer(phantom_data, tmp_path / "killed", on_epoch=seen.append)
    history = resumed.fit()
    assert len(seen) == 4  # no epoch was trained twice
    assert timeless(history) == timeless(undisturbed[1])
    assert same_weights(resumed.model, undisturbed[0].model)


def test_a_kill_in_the_middle_of_an_epoch_costs_that_epoch_alone(phantom_data, tmp_path, undisturbed, monkeypatch):
    steps = []
    original = Optimisation.step

    def step(self, *arguments):
        steps.append(1)
        if len(steps) == 4:  # the second of two batches in the second epoch
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Optimisation, "step", step)
    with pytest.raises(KeyboardInterrupt):
        trainer(phantom_data, tmp_path / "killed").fit()
    resumed = trainer(phantom_data, tmp_path / "killed")
    assert timeless(resumed.fit()) == timeless(undisturbed[1])
    assert same_weights(resumed.model, undisturbed[0].model)


def test_a_finished_run_is_not_trained_again(phantom_data, tmp_path):
    first = trainer(phantom_data, tmp_path / "run")
    history = first.fit()
    again = trainer(phantom_data, tmp_path / "run", on_epoch=pytest.fail)
    assert again.fit() == history
    assert same_weights(again.model, first.model)


def test_an_objective_with_weights_of_its_own_resumes_too(phantom_data, tmp_path):
    run, recipe = Run(method="adacon", views="same-clip"), dataclasses.replace(RECIPE, head="linear")
    whole = trainer(phantom_data, tmp_path / "whole", run, recipe)
    expected = whole.fit()

    def kill(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(phantom_data, tmp_path / "killed", run, recipe, on_epoch=kill).fit()
    resumed = trainer(phantom_data, tmp_path / "killed", run, recipe)
    assert timeless(resumed.fit()) == timeless(expected)
    assert same_weights(resumed.model, whole.model)


def test_a_damaged_checkpoint_is_refused_by_name(phantom_data, tmp_path, undisturbed):
    content = (undisturbed[0].folder / "last.pt").read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"not a checkpoint"):
        (tmp_path / "last.pt").write_bytes(damaged)
        with pytest.raises(RecordError, match=r"last\.pt.*remove it"):
            trainer(phantom_data, tmp_path).fit()


def test_another_runs_checkpoint_is_refused_by_name(phantom_data, tmp_path, undisturbed):
    shutil.copy(undisturbed[0].folder / "last.pt", tmp_path)
    with pytest.raises(RecordError, match=r"last\.pt belongs to run key k, not other"):
        trainer(phantom_data, tmp_path, key="other").fit()


def test_a_loss_that_is_not_finite_is_said_with_its_epoch(phantom_data, tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30, clip_norm=None, optimizer="sgd", schedule="step")
    with pytest.raises(CoReEchoError, match=r"epoch [12]: a loss is not finite.*learning rate"):
        trainer(phantom_data, tmp_path, Run(method="echocotr", views="one"), recipe).fit()
    assert not (tmp_path / "record.json").exists()


def test_too_few_videos_for_a_batch_are_refused_before_training(phantom_data, tmp_path):
    with pytest.raises(DataError, match="8 training videos are fewer than one batch of 16"):
        trainer(phantom_data, tmp_path, recipe=dataclasses.replace(RECIPE, batch_size=16))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("videos", "sizes"), [(9, [4, 4]), (10, [4, 4, 2]), (8, [4, 4])])
def test_no_batch_has_a_single_video(phantom_data, tmp_path, drop_last, videos, sizes):
    train = phantom_data.split("train")
    more = tuple(dataclasses.replace(train[number % len(train)], id=f"v{number}") for number in range(videos))
    data = dataclasses.replace(phantom_data, studies=(*more, *phantom_data.split("val")))
    shared = dataclasses.replace(TINY.shared, drop_last=drop_last, epochs=1, refine_epochs=1)
    plan = Plan(run=Run(), profile=dataclasses.replace(TINY, shared=shared), data=data)
    trainer = Trainer(tiny_model(), plan, tmp_path, key="0")
    for number in range(len(trainer.stages)):  # the second keeps embeddings of a frozen encoder
        seen = [len(batch) for batch in trainer._data(number).loader().batch_sampler]
        assert seen == [size for size in sizes if size == 4 or not drop_last]
    if videos == 9:
        assert len(trainer.fit()) == 2


def test_the_trainer_never_opens_a_test_video(phantom_folder, tmp_path):
    folder = shutil.copytree(phantom_folder, tmp_path / "data")
    data = read_echonet(folder)
    for study in data.split("test"):
        study.path.write_bytes(b"")
    assert trainer(data, tmp_path / "run").fit()


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(phantom_data, tmp_path, monkeypatch):
    def full(_, epochs=[]):  # noqa: B006  # counts its calls
        epochs.append(1)
        if len(epochs) == 1:
            monkeypatch.setattr("pathlib.Path.write_bytes", no_space)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(CoReEchoError, match=r"last\.pt could not be written: No space left on device"):
        trainer(phantom_data, tmp_path, on_epoch=full).fit()
    monkeypatch.undo()
    assert len(trainer(phantom_data, tmp_path).fit()) == 4
    assert not list(tmp_path.glob("*.partial"))


def test_runs_of_other_precision_can_follow_in_one_process():
    for precision in ("no", "bf16", "no"):
        assert make_accelerator(dataclasses.replace(RECIPE, precision=precision), "cpu").mixed_precision == precision


def test_gradients_are_clipped_where_the_recipe_says_so(phantom_data, tmp_path):
    small = dataclasses.replace(RECIPE, optimizer="sgd", learning_rate=1.0, clip_norm=1e-6, weight_decay=0.0, epochs=1)
    before = tiny_model(head=small.head).state_dict()
    one = trainer(phantom_data, tmp_path, Run(method="l1", views="one"), small)
    one.fit()
    change = sum(
        float((one.model.state_dict()[name] - before[name]).square().sum()) for name, _ in one.model.named_parameters()
    )
    assert 0 < change**0.5 <= 2.1e-6 * 1.5


def test_saving_memory_changes_no_bit(phantom_data, tmp_path, undisturbed):
    saving = trainer(phantom_data, tmp_path / "saving", machine=Machine(save_memory=True))
    assert timeless(saving.fit()) == timeless(undisturbed[1])
    assert same_weights(saving.model, undisturbed[0].model)
    assert not saving.model.encoder.checkpointing


def test_a_compiled_encoder_keeps_its_weights_names_and_is_itself_again_after_training(
    phantom_data, tmp_path, undisturbed, monkeypatch
):
    calls = []

    def compiled(function):
        def counted(x):
            calls.append(len(x))
            return function(x)

        return counted

    monkeypatch.setattr(torch, "compile", compiled)
    own = trainer(phantom_data, tmp_path / "compiled", machine=Machine(compile=True))
    plain = own.model.encoder.embed
    assert timeless(own.fit()) == timeless(undisturbed[1])
    assert calls
    assert own.model.encoder.embed == plain
    assert own.model.state_dict().keys() == undisturbed[0].model.state_dict().keys()


def test_the_log_says_how_long_the_trainer_waited(undisturbed):
    for entry in undisturbed[1]:
        assert 0 <= entry["waited_seconds"] <= entry["seconds"]
