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
# # Which claims hold?
#
# - **Shows**: a verdict on each claim of the paper.
# - **Takes**: about half a minute from the committed records; nothing is trained.
#
# One row for each claim of the paper: the numbers that it prints, and what became of the claim here, one column for
# each profile. The columns demo and gpu are made on the [phantom](../book/phantom.md), a synthetic heart: a verdict in
# them is a verdict on the phantom and says nothing about patients. The column paper is made on EchoNet-Dynamic, CAMUS
# and HMC-QU, and reads "not yet run" until the runs exist. Nothing is trained for this page; it reads the records of
# the others.
#
# ## The rule
#
# Stated beforehand, and the same for all claims:
#
# - a claim **holds** when the 95 % interval of the difference excludes 0 in its direction and all seeds agree;
# - it **does not hold** when the interval excludes 0 the other way;
# - else it is **undecided**;
# - it is **not yet run** until every run that it rests on has its record: no verdict is taken from fewer seeds or
#   folds.
#
# Differences are paired over patients, averaged over seeds, and turned so that a positive one favours the claim, for
# errors as well. Where a claim names several rivals it has to hold against each, and the table shows the comparison
# that decides. Two claims are measured in their own way: that the second stage *steadies* the result by the ratio of
# two standard deviations over seeds, whose interval has to exclude 1, and the time of inference by the interval that
# holds 95 % of the timed passes. With one seed, as on CAMUS and HMC-QU, all seeds agree by themselves.
#
# The published numbers are put to a like test where the paper gives standard deviations: "inside noise" stands where
# Welch's 95 % interval of the difference in R2 (three runs a row) reaches over 0.

# %% tags=["parameters", "hide-input"]
profiles = ["demo", "gpu", "paper"]
runs_dir = ""
figures_dir = ""
seeds = [0, 1, 2]
transfer_seeds = [0]

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import claims
from coreecho.profiles import get_profile

page = opening(runs_dir=runs_dir, figures_dir=figures_dir)
found = [claims.survey(get_profile(name), page.place, seeds, transfer_seeds) for name in profiles]

# %% [markdown]
# ## At a glance

# %% tags=["nbval-check-output"]
Markdown("\n".join(f"- {claims.summary(each)}." for each in found))

# %% tags=["nbval-check-output"]
table = claims.table(found)
table.write(page.out, "claims")
Markdown(table.markdown())

# %% [markdown]
# The same as numbers, with the keys of the runs behind each verdict: {download}`claims.csv <../figures/claims.csv>`.
# Each key has its line on the page [Provenance](provenance.ipynb).
#
# ## Claim by claim
#
# What the paper says, in our words; what it prints; what its numbers leave open; and what was found. The pages with the
# numbers: [Table 1](table1.ipynb), [Table 2](table2.ipynb), [Table 3](table3.ipynb), [Table 4](table4.ipynb),
# [Table 5](table5.ipynb), [Figure 1](figure1.ipynb), [Figure 3](figure3.ipynb), [Efficiency](efficiency.ipynb).

# %% tags=["nbval-check-output"]
Markdown("\n\n".join(claims.paragraph(each) for each in zip(*found, strict=True)))
