"""Supplementary Tables 1 and 2: as printed in the paper profile, and never apart from the settings that train."""

import dataclasses

import pytest
import torch

from coreecho import supplement
from coreecho.experiments import all_rows
from coreecho.optimisation import make_optimizer
from coreecho.profiles import DEMO, PAPER, PROFILES
from coreecho.rows import published
from coreecho.settings_text import override


def test_the_paper_profile_is_as_printed_but_for_what_is_explained():
    found = supplement.deviations(PAPER)
    assert {(each.column, each.field) for each in found} == set(supplement.KNOWN)
    assert all(len(each.reason) > 20 for each in found)


@pytest.mark.parametrize(
    ("assignment", "column", "field", "here"),
    [
        ("shared.batch_size=8", "echonet stage one", "batch_size", 8),
        ("shared.refine_epochs=6", "echonet stage two", "epochs", 6),
        ("clip.pad=8", "echonet", "padded_size", 128),
        ("camus.clip.rotation=10", "camus", "rotation", 10.0),
        ("camus.probe.learning_rate=0.001", "camus probe", "learning_rate", 0.001),
        ("camus.finetune.schedule=constant", "camus finetune", "schedule", "constant"),
        ("hmcqu.clip.crop=1.0", "hmcqu", "crop", False),
        ("hmcqu.finetune.optimizer=adamw", "hmcqu finetune", "optimizer", "AdamW"),
        ("encoder.widths=[64,128,320,256]", "echonet", "embedding", 256),
        ("hmcqu.finetune.head_dropout=0.1", "hmcqu", "head_dropout", 0.1),
    ],
)
def test_a_changed_setting_is_an_unexplained_deviation(assignment, column, field, here):
    changed = supplement.deviations(override(PAPER, [assignment]))
    (own,) = [each for each in changed if (each.column, each.field) == (column, field)]
    assert own.here == here != own.printed
    assert not own.reason


def test_each_column_is_a_run_of_the_tables():
    trained = {dataclasses.replace(row.run, fold=None, seed=0) for row in all_rows().values()}
    for _, run, *_ in [*supplement.INPUTS.values(), *supplement.TRAINING.values()]:
        assert dataclasses.replace(run, fold=None) in trained


@pytest.mark.parametrize("name", supplement.OPTIMIZERS)
def test_optimisers_have_the_momentum_that_the_table_shows(name):
    recipe = dataclasses.replace(PAPER.shared, optimizer=name)
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(2))], recipe, 1e-4)
    momentum = optimizer.defaults.get("betas") or [optimizer.defaults["momentum"]]
    assert list(momentum) == supplement.MOMENTUM[name]
    assert type(optimizer).__name__.lower() == supplement.OPTIMIZERS[name].lower()


@pytest.mark.parametrize("make", [supplement.inputs_table, supplement.training_table])
def test_every_setting_has_a_line_per_source(make):
    table = make([PAPER, DEMO])
    assert set(table["Source"]) == {"printed", "paper profile", "demo profile, phantom"}
    assert (table.groupby("Setting")["Source"].count() == 3).all()
    assert not table.isin(["None", "nan"]).any(axis=None)
    assert not table.isna().any(axis=None)


def line(table, setting, source):
    (found,) = table[(table["Setting"] == setting) & (table["Source"] == source)].to_dict("records")
    return found


def test_printed_values_are_the_papers():
    table = supplement.inputs_table([PAPER])
    sizes = line(table, "Model input size", "printed")
    assert [sizes[name] for name in ("EchoNet-Dynamic", "CAMUS", "HMC-QU")] == [
        "36 × 112 × 112",
        "16 × 112 × 112",
        "12 × 224 × 224",
    ]
    assert sizes == line(table, "Model input size", "paper profile") | {"Source": "printed"}
    training = supplement.training_table([PAPER])
    printed = list(line(training, "Base learning rate", "printed").values())[2:]
    assert printed == ["0.0001", "0.0001", "0.0002", "0.0001", "0.00001", "0.00001"]
    assert printed == list(line(training, "Base learning rate", "paper profile").values())[2:]
    assert list(line(training, "Momentum", "printed").values())[2:] == ["0.9, 0.999"] * 4 + ["0.9"] * 2


def test_a_setting_shows_in_its_column():
    profile = override(PAPER, ["camus.clip.rotation=10", "camus.normalisation=null", "shared.step_epochs=[10,20]"])
    inputs = supplement.inputs_table([profile])
    assert "±10°" in line(inputs, "Augmentation", "paper profile")["CAMUS"]
    assert "training fold" in line(inputs, "Normalisation", "paper profile")["CAMUS"]
    schedules = line(supplement.training_table([profile]), "Schedule", "paper profile")
    assert "10 and 20" in schedules["EchoNet-Dynamic, stage one"]
    assert schedules["EchoNet-Dynamic, stage two"] == "none"


def test_deviations_are_told_with_their_reasons():
    (found,) = supplement.deviation_table(PAPER).to_dict("records")
    assert found["Where"] == "EchoNet-Dynamic, stage two"
    assert found["Printed"] == "step"
    assert found["Here, paper profile"] == "constant"


def test_printed_settings_cover_every_column():
    printed = published()["supplement"]
    assert set(printed["inputs"]) == set(supplement.INPUTS)
    assert set(printed["training"]) == set(supplement.TRAINING)
    for profile in PROFILES.values():
        for name, values in supplement.training(profile).items():
            assert set(printed["training"][name]) <= set(values)
