"""What a method does not take from its recipe: values that it sets itself, and stages with rules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from torch import nn

from coreecho.baselines import SYSTEMS
from coreecho.baselines.system import Fixed
from coreecho.errors import SettingsError
from coreecho.lineage import parent
from coreecho.plan import Plan
from coreecho.profiles import PROFILES
from coreecho.settings import Init, Profile, Recipe, Run
from coreecho.stages import METHODS, stages


def fixes(method: str) -> Mapping[str, Fixed]:
    """By field of the recipe: what the method sets itself; nothing for the paper's own methods."""
    system = SYSTEMS.get(method)
    return {} if system is None else system.fixes


def in_use(plan: Plan) -> dict[str, Fixed]:
    """By field of the recipe: the value that training used, with what it is there, where the recipe's own misleads.

    That is where the method sets it, where the second stage has a schedule, and where a stage has its own weight decay.
    """
    own = stages(plan)
    found = dict(fixes(plan.run.method))
    if len(own) > 1 and own[1].schedule != "constant":
        meaning = f"Peak learning rate of stage two ('{own[1].name}'), whose schedule is '{own[1].schedule}'."
        found["refine_learning_rate"] = Fixed(own[1].learning_rate, meaning)
    other = [f"{each.weight_decay:g} in the stage '{each.name}'" for each in own if each.weight_decay is not None]
    if other:
        meaning = f"Weight decay on every parameter, norms and biases too; {', '.join(other)}."
        found["weight_decay"] = Fixed(plan.recipe.weight_decay, meaning)
    return found


def own_network(run: Run, profile: Profile) -> bool:
    """Whether a method's network is of another architecture: the profile's encoder and the recipe's head are unused.

    A system that says how it inherits weights has one, whatever backbone the recipe names that it shares with others.
    """
    system = SYSTEMS.get(run.method)
    if system is None or system.network is None:
        return False
    return profile.recipe(run).backbone == "own" or system.inherit is not None


def started(run: Run, profile: Profile) -> Init:
    """What a run's encoder started from: "scratch" where init "k400" stands for nothing that the method could use."""
    if run.init != "k400" or parent(run, profile) is not None:
        return run.init
    system = SYSTEMS.get(run.method)
    lacking = system is not None and system.network is not None and system.kinetics is None
    return "k400" if profile.k400 == "file" and not lacking else "scratch"


def unused(plan: Plan) -> frozenset[str]:
    """The fields of the recipe that the method does not read: of a second stage, a schedule or a loss that it lacks.

    A compared system's temperature is its own (`fixes`).
    """
    watched = _Watched(run=plan.run, profile=plan.profile)
    own = stages(watched)
    if plan.run.method in METHODS:
        for each in own:
            each.objective(nn.Module())  # which may take the temperature
    read = watched.noted.read | set(fixes(plan.run.method))
    schedules = {each.schedule for each in own}
    lives = {
        "temperature": "temperature" in read,
        "refine_epochs": "refine_epochs" in read,
        "refine_learning_rate": "refine_learning_rate" in read,
        "step_epochs": "step" in schedules,
        "warmup": "onecycle" in schedules,
        "head": not own_network(plan.run, plan.profile),
        "head_dropout": own_network(plan.run, plan.profile) or plan.recipe.head == "mlp",
    }
    return frozenset(name for name, alive in lives.items() if not alive)


class _Noted:
    """A recipe that notes which of its fields are read."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.read = recipe, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.recipe, name)


@dataclass(frozen=True, kw_only=True)
class _Watched(Plan):
    """A plan without data whose recipe notes what is read of it."""

    noted: _Noted = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "noted", _Noted(super().recipe))

    @property
    def recipe(self) -> Recipe:
        return cast(Recipe, self.noted)


def refuse_changed(specs: Sequence[Run], profile: Profile) -> None:
    """Refuses a profile that was told another value of what a run's method sets itself: it would change the key alone.

    Raises:
        SettingsError: the message names method, field and the value in use.
    """
    as_it_was = PROFILES.get(profile.name, profile)
    for run in specs:
        for name, (value, meaning) in fixes(run.method).items():
            told = getattr(profile.recipe(run), name)
            if told != getattr(as_it_was.recipe(run), name):
                raise SettingsError(
                    f"{run.slug}: {run.method} sets its {name} itself, {value:g} ({meaning.rstrip('.')}); "
                    f"leave {name}={told:g} out, it would change nothing but the run's key"
                )
