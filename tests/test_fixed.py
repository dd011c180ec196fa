"""What a method sets itself is what its loss uses, is told as such, and cannot be set in vain."""

import dataclasses
from pathlib import Path

import pytest
from helpers import TINY, tiny_model

from coreecho import baselines, fixed
from coreecho.baselines import SYSTEMS, supremix
from coreecho.cli import main
from coreecho.errors import SettingsError
from coreecho.ledger import check_inputs
from coreecho.place import Place
from coreecho.plan import Plan
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run
from coreecho.settings_text import override

HMCQU = {"degerli", "saeed", "nguyen"}
FIXING = {method for method, system in SYSTEMS.items() if system.fixes}


def test_the_temperature_that_is_told_is_that_of_the_objective():
    assert sorted(FIXING) == ["conr", "echocardmae", "rnc-original", "supremix"]
    for method, temperature in (("rnc-original", 2.0), ("supremix", 0.3)):
        plan = Plan(run=Run(method=method), profile=TINY)
        objective = SYSTEMS[method].stages(plan)[0].objective(tiny_model(head="linear"))
        used = getattr(objective, "temperature", supremix.TEMPERATURE)  # SupReMix's loss takes it by default
        assert used == fixed.fixes(method)["temperature"].value == temperature
        assert fixed.in_use(plan)["temperature"].value == temperature
        assert TINY.recipe(plan.run).temperature != temperature
    assert not fixed.in_use(Plan(run=Run(), profile=TINY))


def test_a_second_stage_with_a_schedule_and_another_weight_decay_are_told():
    demo, paper = (fixed.in_use(Plan(run=Run(method="rnc-original"), profile=each)) for each in (DEMO, PAPER))
    assert demo["refine_learning_rate"].value == 3e-2
    assert "'onecycle'" in demo["refine_learning_rate"].meaning
    assert "weight_decay" not in demo
    assert "0 in the stage 'linear head'" in paper["weight_decay"].meaning


@pytest.mark.parametrize("method", sorted(FIXING))
def test_a_temperature_that_would_not_be_used_is_refused(method):
    run = Run(method=method)
    where = f"own.{method}" if method in DEMO.own else "shared"
    changed = override(DEMO, [f"{where}.temperature=0.5"])
    value = f"{SYSTEMS[method].fixes['temperature'].value:g}"
    with pytest.raises(SettingsError, match=rf"{method} sets its temperature itself, {value} .*leave temperature=0.5"):
        check_inputs([Run(), run], changed, Place())
    check_inputs([Run()], changed, Place())
    check_inputs([run], DEMO, Place())
    check_inputs([run], override(DEMO, [f"{where}.epochs=1"]), Place())


def test_the_command_says_so_before_anything_is_trained(tmp_path, capsys):
    told = ["--set", "shared.temperature=0.5", "--runs-dir", str(tmp_path)]
    assert main(["train", "losses/supremix", *told]) == 2
    assert "supremix sets its temperature itself, 0.3" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_a_method_does_not_read_of_its_recipe_is_told():
    refine = {"refine_epochs", "refine_learning_rate"}
    for run, absent in (
        (Run(), {"warmup"}),
        (Run(method="coreecho-stage1"), {"warmup"} | refine),
        (Run(method="l1"), {"warmup", "temperature"} | refine),
        (Run(method="supremix"), {"warmup"}),
        (Run(method="echocotr", views="one"), {"warmup", "temperature"} | refine),
        (Run(method="ouyang", views="one"), {"warmup", "temperature", "head"} | refine),
    ):
        recipe = dataclasses.replace(TINY.shared, schedule="step", head="mlp")
        own = {"ouyang": dataclasses.replace(recipe, backbone="own")}
        profile = dataclasses.replace(TINY, shared=recipe, own=own)
        assert fixed.unused(Plan(run=run, profile=profile)) == absent, run.method
    for source in Path(baselines.__file__).parent.glob("*.py"):  # a system's temperature is among its `fixes`
        assert "recipe.temperature" not in source.read_text(encoding="utf-8")


def test_only_a_network_of_another_architecture_leaves_the_profiles_encoder_unused():
    own = {"ouyang", "echographs", "echographs-known", "uvt", "uvt-mirror", "echocardmae", "clas", *HMCQU}
    for method in ("coreecho", "l1", *SYSTEMS):
        data = "hmcqu" if method in HMCQU else "camus" if method == "clas" else "echonet"
        assert fixed.own_network(Run(method=method, dataset=data), DEMO) == (method in own), method


def test_init_is_told_as_it_was():
    own = {"ouyang", "echographs", "echographs-known", "uvt", "uvt-mirror", "echocardmae"}
    for method in ("coreecho", "l1", "adacon", *own):
        assert fixed.started(Run(method=method), DEMO) == ("scratch" if method in own else "k400")
    assert fixed.started(Run(method="echographs"), PAPER) == "k400"
    assert fixed.started(Run(init="coreecho", dataset="camus", method="probe"), DEMO) == "coreecho"
