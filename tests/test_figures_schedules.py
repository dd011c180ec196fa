"""The drawn learning rates are those that training steps through."""

import pytest

from coreecho import figures
from coreecho.profiles import get_profile
from coreecho.schedule import rate_factor
from coreecho.supplement import INPUTS, TRAINING, training


@pytest.mark.parametrize("name", ["paper", "demo"])
def test_every_training_is_drawn_from_its_first_rate_for_all_its_epochs(name):
    profile = get_profile(name)
    panels = figures.learning_rates(profile).axes
    assert [axes.get_title() for axes in panels] == [heading for heading, _ in INPUTS.values()]
    assert panels[0].get_ylabel() == "learning rate"
    lines = [line for axes in panels for line in axes.lines]
    for (key, own), line in zip(training(profile).items(), lines, strict=True):
        assert line.get_label() == TRAINING[key][0].split(", ")[1]
        assert line.get_xdata()[-1] - line.get_xdata()[0] == pytest.approx(own["epochs"])
    assert lines[1].get_xdata()[0] == lines[0].get_xdata()[-1], "stage two does not follow stage one"


def test_the_papers_first_stage_drops_to_a_tenth_where_its_recipe_says():
    profile = get_profile("paper")
    recipe = profile.recipe(TRAINING["echonet stage one"][1])
    line = figures.learning_rates(profile).axes[0].lines[0]
    rates = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    (drop,) = recipe.step_epochs
    assert rates[drop - 0.05] == recipe.learning_rate
    assert rates[drop] == pytest.approx(recipe.learning_rate / 10)
    assert rate_factor("step", recipe, drop, recipe.epochs, 1) == pytest.approx(0.1)
