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
# # Provenance: the run behind every number
#
# - **Shows**: the list of the runs behind every number.
# - **Takes**: seconds; it reads the committed records.
#
# Every record that fills a row of a table, and those that others start from. A record is listed once, under the first
# table that it fills; "Fills" names all its rows. The folder of a run lies under `runs/PROFILE/` and holds its
# settings, the loss of every epoch and the prediction of every test clip; the eight digits at its end are its key.
# Figures are made from the same records.
#
# {runs}`All runs` lists the same records with a page for each: settings, training curves, scores, predictions.
#
# "Data fingerprint" is the start of a SHA-256 over the data set's files, for a phantom over the settings that it is
# made from. "+ changes" after a commit means that the checkout had changes that were not committed.

# %% tags=["parameters", "hide-input"]
runs_dir = ""
seeds = [0, 1, 2]

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import cells, tables, trace
from coreecho.profiles import PROFILES

page = opening(runs_dir=runs_dir)

# %% [markdown]
# ## Records

# %% tags=["full-width"]
parts = []
for profile in PROFILES.values():
    groups = trace.groups(trace.traces(profile, page.place, seeds))
    parts += [f"**{name}, {profile.name} profile**\n\n{tables.to_markdown(own)}" for name, own in groups.items()]
    parts += [] if groups else [f"**{profile.name} profile**: not yet run"]
Markdown("\n\n".join(parts))

# %% [markdown]
# ## What fills each row of the paper
#
# Every number that the paper prints in Tables 1 to 5 belongs to one of these rows; a test fails when one does not. Rows
# that are not in the paper say what they are for.

# %% tags=["nbval-check-output"]
Markdown(tables.to_markdown(cells.overview()))
