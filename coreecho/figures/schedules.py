"""Supplementary Table 2 as a picture: the learning rate over the epochs of every training."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from coreecho.figures.style import BLUE, ORANGE, STYLE
from coreecho.plan import Plan
from coreecho.schedule import rate_factor
from coreecho.settings import Profile
from coreecho.stages import stages
from coreecho.supplement import INPUTS, TRAINING

FINE = 20
"""Points drawn per epoch."""


def learning_rates(profile: Profile) -> Figure:
    """One panel a data set; the second of two stages goes on where the first ends, as it does in training."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 2.3), layout="constrained")
        panels = figure.subplots(1, len(INPUTS), sharey=True)
        for axes, (data, (heading, _)) in zip(panels, INPUTS.items(), strict=True):
            own = [entry for name, entry in TRAINING.items() if name.startswith(data)]
            begin = 0.0
            for (title, run, number), colour, line in zip(own, (BLUE, ORANGE), ("-", "--"), strict=True):
                plan = Plan(run=run, profile=profile)
                stage = stages(plan)[number]
                begin = begin if number else 0.0
                steps = range(FINE * stage.epochs + 1)
                factors = [rate_factor(stage.schedule, plan.recipe, step, len(steps) - 1, FINE) for step in steps[:-1]]
                epochs = [begin + step / FINE for step in steps]
                rates = [stage.learning_rate * factor for factor in [*factors, factors[-1]]]
                axes.plot(epochs, rates, line, color=colour, label=title.split(", ")[1], drawstyle="steps-post")
                begin += stage.epochs
            axes.set(title=heading, xlabel="epoch", yscale="log")
            axes.legend(frameon=False, fontsize=7)
        panels[0].set_ylabel("learning rate")
    return figure
