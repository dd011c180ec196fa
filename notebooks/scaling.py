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
# # Hours on 1, 8 and 64 GPUs
#
# - **Shows**: an estimate that the paper does not have: what everything here costs on the real data.
# - **Takes**: seconds from the committed measurements.
#
# What would it cost to train everything that this book's tables need on the real data, and how far do more GPUs help?
# The answer has three parts: what each run computes, which follows from its settings; how fast a device computes it,
# which has to be measured; and how the runs are laid out on the devices, since some start from the weights of others.
#
# Nothing is timed while this page is built. Measurements are kept beside the records and made with
# `coreecho bench --efficiency paper --training 32`; once there is one from a GPU, its row appears below by itself.

# %% tags=["parameters", "hide-input"]
profile = "paper"
runs_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import hours, tables
from coreecho.profiles import get_profile

page = opening(profile, runs_dir=runs_dir)

# %% [markdown]
# ## What is computed
#
# Operations are counted from the networks themselves, a multiplication and the addition after it as two. A clip that is
# learned from costs three forward passes, one forward and two back; a clip that is only seen, in a frozen stage, in
# validation or in the test, costs one. Sizes of the data are those of the real sets: 7,460 / 1,288 / 1,276 traced
# videos of EchoNet-Dynamic, the ten folds of CAMUS (400 / 50 / 50) and the five folds of HMC-QU's 109 outlined echos.
# Nothing of a frozen stage is remembered from one epoch to the next in this count, so that probing comes out a little
# too dear. A run that several tables share is counted where it comes first. Compared systems with a network of their
# own (EchoNet-Dynamic, UVT, EchoGraphs, CLAS, Degerli, Saeed, Nguyen, EchoCardMAE, and Rank-N-Contrast's own recipe)
# are not in these hours. Most of Table 1 is AdaCon: its encoder, R(2+1)D-18, takes four times as many operations for a
# clip as UniFormer-S, for 45 epochs.

# %% tags=["nbval-check-output"]
Markdown(tables.to_markdown(hours.work_table(page.profile)))

# %% [markdown]
# ## Hours from measured speed
#
# Each row is one device whose training steps and passes were timed on clips that lie on it already; reading and
# decoding videos happens beside that and is not in it. The speed was measured with CoReEcho's network, and other
# networks and clip shapes are taken to reach as many operations a second, which is where such a prediction can be
# wrong. Runs are laid out as a cluster does it: parents first, each run on one device, the longest chain ahead first.
# "Busy" is the share of the devices' time that is used.

# %%
Markdown(tables.to_markdown(hours.predicted(page.profile, page.place.runs_dir)))

# %% [markdown]
# The measurements behind it. The share of the peak sets the operations a second against the card's published rate for
# dense products at the same precision; for processors no such rate is given here.

# %%
Markdown(tables.to_markdown(hours.measured_table(page.profile, page.place.runs_dir)))

# %% [markdown]
# ## If a GPU reached a share of its peak
#
# **Arithmetic from FLOPs, no measurement.** An H100's published peak for dense products in bf16 is 989 TFLOP/s; small
# networks on video reach a fraction of it. The first row turns the paper's own statement around: at the speed at which
# CoReEcho's two stages take the printed 4 hours (validation included, which the paper does not say), all runs would
# take this long on that card.

# %% tags=["nbval-check-output"]
Markdown(
    tables.to_markdown(
        hours.hours_table(page.profile, [hours.implied(page.profile), *map(hours.assumed, (0.1, 0.2, 0.4))])
    )
)

# %% [markdown]
# ## What more GPUs cannot shorten
#
# The longest chain of runs bounds every column: a run cannot start before the one that it starts from has ended, and no
# single run is split here. One training may span several GPUs (`accelerate launch`, with the same result), but how well
# that pays has not been measured, so no row counts on it. By operations the longest chain is:

# %% tags=["nbval-check-output"]
Markdown(tables.to_markdown(hours.chain_table(page.profile)))

# %% [markdown]
# ## How far such a prediction can be trusted
#
# The same arithmetic for the demo profile, whose runs on the **phantom** have all been trained: predicted from the
# speed that was measured on this kind of processor, against the minutes in the records. What lies above 1 in the last
# column is what the prediction leaves out (reading, augmentation, checkpoints), other work on the machine while the
# runs were trained, and speeds that differ between networks.

# %%
Markdown(tables.to_markdown(hours.trust_table(get_profile("demo"), page.place.runs_dir)))
