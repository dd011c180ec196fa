# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Supplementary Tables 1 and 2: inputs and training
#
# - **Rebuilds**: Supplementary Tables 1 and 2 of the paper: inputs and training settings.
# - **Takes**: seconds; nothing is read but the settings.
#
# The two tables of settings in the paper's supplement, as printed and as the profiles have them. Our lines are made
# from the settings that runs are trained with, by the calls that training itself makes, so they cannot drift from the
# code. In the demo and gpu profiles each column shows what is done to the phantom that stands in for the data set named
# above it.

# %% tags=["parameters", "hide-input"]
profile = "demo"
figures_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import figures, supplement, tables
from coreecho.profiles import PAPER

page = opening(profile, figures_dir=figures_dir)
scales = list({scale.name: scale for scale in (PAPER, page.profile)}.values())

# %% [markdown]
# ## Supplementary Table 1: input, preprocessing, augmentation

# %% tags=["nbval-check-output"]
inputs = supplement.inputs_table(scales)
tables.Table(inputs, inputs).write(page.out, "supplement1")
Markdown(tables.to_markdown(inputs))

# %% [markdown]
# The same table as a file: {download}`supplement1.csv <../figures/supplement1.csv>`.
#
# ## Supplementary Table 2: training
#
# The printed table has one column for EchoNet-Dynamic, with 25 epochs for stage one and 5 for stage two; ours has one
# for each stage. Its row "Step LR" gives no step size; "–" stands under HMC-QU.

# %% tags=["nbval-check-output"]
training = supplement.training_table(scales)
tables.Table(training, training).write(page.out, "supplement2")
Markdown(tables.to_markdown(training))

# %% [markdown]
# The same table as a file: {download}`supplement2.csv <../figures/supplement2.csv>`.

# %% mystnb={"image": {"alt": "Learning rate against epoch on a logarithmic scale, one panel a data set: EchoNet-Dynamic's stage one drops once to a tenth and stage two goes on at a constant rate; CAMUS's two trainings drop once; HMC-QU's stay constant."}, "figure": {"caption": "Learning rates of the paper profile. EchoNet-Dynamic's second stage follows its first.", "name": "fig-learning-rates"}}
figures.shown(figures.learning_rates(PAPER), page.out, "learning_rates")

# %% [markdown]
# ## Where the paper profile differs from print
#
# Every printed value is compared with the paper profile's; a test fails when a difference is not explained here. What
# the paper leaves open is listed under [Choices](../book/choices.md).

# %% tags=["nbval-check-output"]
Markdown(tables.to_markdown(supplement.deviation_table(PAPER)))
