"""Which run's weights another run starts from: pretext -> systems on EchoNet-Dynamic -> transfer (section 2.3)."""

from __future__ import annotations

import dataclasses

from coreecho.settings import Profile, Run

SYSTEMS = {
    "coreecho": Run(method="coreecho"),
    "echocotr": Run(method="echocotr", views="one"),
    "adacon": Run(method="adacon", views="same-clip"),
    "ouyang": Run(method="ouyang", views="one"),
}
"""The systems that are trained here on EchoNet-Dynamic, as in Table 1, at seed 0."""
PRETEXT = Run(dataset="motions", method="pretext", init="scratch", views="one")
"""The run whose encoder stands in for Kinetics-400 weights in the demo and gpu profiles: the same for every seed."""


def parent(run: Run, profile: Profile) -> Run | None:
    """The run whose encoder ``run`` starts from; none for random or published weights."""
    if run.init in SYSTEMS:
        return dataclasses.replace(SYSTEMS[run.init], seed=run.seed)
    if run.init == "k400" and profile.k400 == "pretext" and profile.recipe(run).backbone == "uniformer":
        return PRETEXT
    return None


def with_ancestors(runs: list[Run], profile: Profile) -> list[Run]:
    """The runs and all that they start from, each once, ancestors first."""
    ordered: dict[Run, None] = {}
    for run in runs:
        line = [run]
        while (above := parent(line[0], profile)) is not None:
            line.insert(0, above)
        ordered |= dict.fromkeys(line)
    return list(ordered)
