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
# # Speed and memory
#
# - **Shows**: parts of this package against literal versions of them, as `make bench` measures them.
# - **Takes**: seconds from the committed measurements; `make bench` takes them again in about six minutes on two CPU
#   cores.
#
# Each row sets a part of this package beside a *literal* version of it, which does what the equation, the paper or the
# published description says, step by step and in the same library: the loss with a loop over its positives, a video
# decoded whole for each of its clips, a frozen encoder run again in every epoch, scikit-learn's metrics on every
# resample. None is the authors' program; the literal versions are written for this comparison, and tests hold both
# sides to the same result. The rows say in words what either side does.
#
# `make bench` measures them again, and `coreecho bench --save` keeps the result in `runs/bench/`, one file for each
# device and commit. This page shows those files and measures nothing itself.

# %% tags=["parameters", "hide-input"]
runs_dir = ""
figures_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import figures
from coreecho.bench import pages, report
from coreecho.tables import to_markdown

page = opening(runs_dir=runs_dir, figures_dir=figures_dir)
reports = report.saved(page.place.runs_dir)
latest = pages.newest(reports)

# %% [markdown]
# ## Results by device
#
# The two versions take turns after a round that does not count; a short action is called many times in its turn. Times
# are medians. The ratio is the median of the ratios of paired turns, with the 5th and the 95th percentile of those
# ratios in brackets; where there is no literal version, the brackets hold percentiles of the measured value. All come
# from one run on one machine: on another, or beside other work, both times and ratios differ. A part that takes its
# input from memory that is still warm, as the pack does here, is slower where every batch needs new memory.
#
# Peak memory is that of one call, literal → ours, in a fresh process each: on a processor, what the call added to the
# process; on a GPU, all that tensors occupied. Where the literal version does only a share of the work and its time is
# scaled up, its memory is that of the share.
#
# The goals are the bounds that this project holds each part to. One that is missed is shown as missed.

# %% tags=["full-width", "nbval-check-output"]
Markdown(
    "\n\n".join(f"### {each.device}\n\n{pages.told(each)}\n\n{to_markdown(pages.table(each))}" for each in latest)
    or f"*{pages.NONE_YET}*"
)

# %% [markdown]
# ## Ratios at a glance
#
# A value right of the dotted line is faster than the literal version. Rows that trade time for memory may lie left of
# it.

# %% mystnb={"image": {"alt": "One row for each benchmark: a marker at the ratio of the literal version's time to ours on a logarithmic axis, a bar for the spread of the paired ratios, and a vertical tick at the ratio that was to be reached."}, "figure": {"caption": "How many times as fast as its literal version each part is: median and 5th to 95th percentile of paired ratios, by device.", "name": "fig-speed"}}
figures.shown(pages.ratio_figure(latest), page.out, "speed")

# %% [markdown]
# ## History
#
# Ratios by date and commit, or our own value where a row has no ratio, for each device that was measured more than
# once.

# %% tags=["nbval-check-output"]
devices = [each.device for each in latest if sum(one.device == each.device for one in reports) > 1]
Markdown(
    "\n\n".join(f"### {device}\n\n{to_markdown(pages.history(reports, device))}" for device in devices)
    or "No device has been measured at more than one commit so far."
)
