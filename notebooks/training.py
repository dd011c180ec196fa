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
# # Training curves
#
# - **Shows**: how the runs behind Tables 1 and 2 learned: training loss and validation error of every epoch, every seed.
# - **Takes**: seconds from the committed records; without them, on two CPU cores (demo profile), about an hour.
#
# All curves are read from the histories in the records; no test video has a part in them. With the `demo` profile they
# are those of the [phantom](../book/phantom.md). {runs}`Every run` has a page of its own, with all its losses and the
# learning rate.
#
# Three things to look for. A network whose embeddings say nothing has a Rank-N-Contrast loss of its own, the *chance
# level*: every pair costs the logarithm of the number of clips that are at least as far away, which makes 2.58 for 16
# videos with two clips each. A short training may spend its first epochs there. Losses of different methods have
# different units and can't be compared; the validation error can. And the epoch whose weights are kept is the one with
# the lowest validation error, chosen without a look at the test videos.

# %% tags=["parameters", "hide-input"]
profile = "demo"
data_root = ""
runs_dir = ""
figures_dir = ""
device = "auto"
seeds = [0, 1, 2]

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import curves, experiments, figures, tables, trace
from coreecho.figures import curves as drawn

page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)

# %% [markdown]
# The records: those that exist are read, missing ones are trained first. Two rows of Table 1 that are one training,
# scored by two protocols, are shown once.

# %%
ablation = tables.filled(experiments.table2(), page.profile, page.place, seeds)
systems = curves.distinct(tables.filled(experiments.table1(), page.profile, page.place, seeds))

# %% [markdown]
# ## What Kinetics-400 weights are for
#
# The rows of Table 2 that differ in their losses and in their first weights (in the demo and gpu profiles *pretext*
# weights stand in for Kinetics-400's). Lines are means over seeds.

# %% mystnb={"image": {"alt": "Two panels against the epoch. Left, the Rank-N-Contrast loss: from pretext weights it falls below its chance level of 2.58 at once, from random weights it stays near it for some epochs. Right, validation errors of all rows of Table 2: those from random weights fall later and end higher."}, "figure": {"caption": "Means over seeds; solid lines start from pretext weights, dashed ones from random weights. Errors above 12 EF points are not shown.", "name": "fig-training"}}
figures.shown(drawn.training_overview(ablation), page.out, "training")

# %% tags=["nbval-check-output"]
Markdown(curves.plateau_sentence(ablation))

# %% [markdown]
# ## Table 2, row by row
#
# Thin lines are seeds, the thick one is their mean, a ring marks the epoch that was kept.

# %% mystnb={"image": {"alt": "One line of two panels for each row of Table 2: its training loss and its validation error against the epoch, three seeds and their mean, the chosen epochs marked near the end."}, "figure": {"caption": "Training loss (left) and validation error (right) of Table 2's rows. Errors above 12 EF points are not shown.", "name": "fig-training-table2"}}
figures.shown(drawn.training_curves(ablation), page.out, "training_table2")

# %% tags=["nbval-check-output", "full-width"]
Markdown(f"{tables.made_on(ablation)}\n\n{tables.to_markdown(curves.summary(ablation))}")

# %% [markdown]
# ## Table 1, system by system
#
# Systems that the paper copied from elsewhere have one seed and, in the demo and gpu profiles, narrow networks of their
# own. Of a system with several losses the first is drawn; its run's page has all.

# %% mystnb={"image": {"alt": "One line of two panels for each system of Table 1: its training loss, in a unit of its own, and its validation error against the epoch; all validation errors level off between four and six EF points."}, "figure": {"caption": "Training loss (left) and validation error (right) of Table 1's systems. Errors above 12 EF points are not shown.", "name": "fig-training-table1"}}
figures.shown(drawn.training_curves(systems), page.out, "training_table1")

# %% tags=["nbval-check-output", "full-width"]
Markdown(f"{tables.made_on(systems)}\n\n{tables.to_markdown(curves.summary(systems))}")

# %% [markdown]
# ## Stage two
#
# In CoReEcho's second stage the encoder stands still and the head alone goes on learning, by the absolute error and at
# a constant rate. It starts from the first stage's best epoch. What it does to the validation error:

# %% mystnb={"image": {"alt": "Absolute error in training and validation error over the five epochs of stage two, three seeds; the validation error stays within a few tenths of an EF point of where stage one ended."}, "figure": {"caption": "Stage two of CoReEcho; the dashed line is the mean validation error that stage one ended with. Note the narrow scale.", "name": "fig-training-stage-two"}}
figures.shown(drawn.second_stages(systems), page.out, "training_stage_two")

# %% tags=["nbval-check-output"]
Markdown(curves.second_stage_sentence(systems))

# %% [markdown]
# ## The runs behind it

# %% tags=["nbval-check-output", "full-width"]
Markdown(tables.to_markdown(trace.behind(systems | {name: ablation[name] for name in ablation if name not in systems})))
