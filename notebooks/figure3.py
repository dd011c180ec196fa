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
# # Figure 3: where the networks look
#
# - **Rebuilds**: Figure 3 of the paper and the Grad-CAM figures of its supplement, measured on every test video.
# - **Takes**: half a minute from the committed records and maps; with weights at hand some minutes more; without them
#   as long as the training of Tables 1, 4 and 5.
#
# The figures are drawn for EchoCoTr beside CoReEcho, and what the paper reads from them is measured: that CoReEcho
# looks more at the left ventricle. The paper shows samples; here every test video of every seed is measured against the
# outlined ventricle. With the `demo` profile the data are the [phantom](../book/phantom.md), and nothing on this page
# is a result on hearts. With `profile="paper"` and a `data_root` the same cells run on the real data sets.
#
# The maps show what raises the predicted EF (or the logit of an infarction), from the encoder's last feature map, whose
# cells are drawn where they lie. They are coarse: that map has 3 x 3 cells in the paper's clips of 112 x 112 pixels and
# 2 x 2 in the demo's of 32 x 32, where a cell is as wide as the ventricle. Each map is scaled once over its clip. The
# clip is the first that shows both traced frames of a video, or comes nearest to them; the ventricle is outlined in
# white in the frames that have an outline.

# %% tags=["parameters", "hide-input"]
profile = "demo"
data_root = ""
runs_dir = ""
figures_dir = ""
device = "auto"
seeds = [0, 1, 2]
transfer_seeds = [0]

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import experiments, figures, focus, tables, trace
from coreecho.focus import tables as focus_tables
from coreecho.focus.samples import samples

page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)
rows = experiments.all_rows()
names = {"EchoCoTr": "echocotr", "CoReEcho": "coreecho"}

# %% [markdown]
# The records: those that exist are read, missing ones are trained first.

# %%
systems = {}
for data, prefix, runs_of in (
    ("echonet", "table1/", seeds),
    ("camus", "table4/probe-", transfer_seeds),
    ("hmcqu", "table5/probe-", transfer_seeds),
):
    chosen = [rows[f"{prefix}{name}"] for name in names.values()]
    found = tables.filled(chosen, page.profile, page.place, runs_of)
    systems[data] = {system: found[f"{prefix}{name}"] for system, name in names.items()}


# %%
def grid(data, name, *, sign="raises", which=0, task="ef"):
    """Draws and saves one figure of the samples of a data set."""
    shown = {system: samples(own[which], page.place) for system, own in systems[data].items()}
    label = tables.column_label(systems[data]["CoReEcho"][which])
    return figures.shown_png(figures.saliency_grid(shown, label, sign=sign, task=task), page.out / f"{name}.png")


# %% [markdown]
# ## EchoNet-Dynamic or its phantom
#
# One video stands for each quarter of the test set by EF: the one in the middle. No network has a say in this choice.

# %% mystnb={"image": {"alt": "Four videos as eight frames each under coloured maps of what raises the predicted ejection fraction: EchoCoTr's above, CoReEcho's below; the left ventricle is outlined at end-diastole and end-systole."}, "figure": {"caption": "What raises the predicted EF, first seed. The title names data and profile.", "name": "fig-figure3"}}
grid("echonet", "figure3")

# %% [markdown]
# A map of what raises the EF leaves out what lowers it. The two need not cover the same places.

# %% mystnb={"image": {"alt": "The same four videos under maps of what lowers the predicted ejection fraction, EchoCoTr's above, CoReEcho's below."}, "figure": {"caption": "What lowers the predicted EF, same videos and networks.", "name": "fig-figure3-lowers"}}
grid("echonet", "figure3_lowers", sign="lowers")

# %% mystnb={"image": {"alt": "The same four videos under maps of what raises the predicted ejection fraction, for the networks of the last seed."}, "figure": {"caption": "What raises the predicted EF, same videos, networks of the last seed: how much of a map is chance of training.", "name": "fig-figure3-seed"}}
grid("echonet", "figure3_last_seed", which=-1)

# %% [markdown]
# ## CAMUS or its phantom
#
# The models are the probing ones, as in the paper: a new head on a frozen encoder. The videos are chosen by the same
# rule from the test set of the first fold. Every frame is outlined.

# %% mystnb={"image": {"alt": "Four half cycles in CAMUS's form under maps of what raises the predicted ejection fraction, probed from EchoCoTr above and from CoReEcho below; the ventricle is outlined in every frame."}, "figure": {"caption": "CAMUS's form, probing models: what raises the predicted EF. The title names data and profile.", "name": "fig-figure3-camus"}}
grid("camus", "figure3_camus")

# %% [markdown]
# ## HMC-QU or its phantom
#
# Two echos without and two with an infarction, the first by name of the first fold's test set. The outline is that of
# the wall and what it encloses.

# %% mystnb={"image": {"alt": "Four cardiac cycles in HMC-QU's form, two without and two with an infarction, under maps of what raises the logit of an infarction, probed from EchoCoTr above and from CoReEcho below."}, "figure": {"caption": "HMC-QU's form, probing models: what raises the logit of an infarction. The title names data and profile.", "name": "fig-figure3-hmcqu"}}
grid("hmcqu", "figure3_hmcqu", task="mi")

# %% [markdown]
# ## Does CoReEcho look more at the ventricle?
#
# Measured in every test video (for CAMUS and HMC-QU of all folds): the share of a map's mass that lies inside the
# outlined ventricle, in the frames with an outline; whether the map's maximum lies inside it (where several pixels
# share the maximum, each counts its part; left out where the map's grid decides it); and the share of mass outside the
# ultrasound sector, where there is nothing to see. An even map, one without any preference, would have the shares of the column of that name. Empty maps, where
# no place of the clip moves the prediction in that direction, have no share and are counted.
#
# The claim holds when the 95 % interval of the difference in mass inside the ventricle, paired over videos, lies above
# 0 and all seeds agree; it does not hold when the interval lies below 0; else it is undecided. The maps of what raises
# the EF decide, as they are those that the paper shows.

# %%
measured = {
    data: {system: focus.measured(own, page.place) for system, own in found.items()} for data, found in systems.items()
}
titles = {"echonet": "EchoNet-Dynamic", "camus": "CAMUS, probing", "hmcqu": "HMC-QU, probing"}

# %% tags=["nbval-check-output"]
lines = []
for data, found in measured.items():
    gap = focus.claim(found["CoReEcho"], found["EchoCoTr"])
    label = tables.column_label(systems[data]["CoReEcho"][0])
    told = focus_tables.sentence(gap, found["CoReEcho"], found["EchoCoTr"], ("CoReEcho", "EchoCoTr"))
    lines.append(f"- {titles[data]} ({label}): {told}")
Markdown("\n".join(lines))

# %% tags=["nbval-check-output"]
parts = []
for data, found in measured.items():
    own, theirs = found["CoReEcho"], found["EchoCoTr"]
    gaps = [gap for sign in focus.SIGNS for gap in focus.compare(own, theirs, sign)]
    parts += [f"**{titles[data]}** ({tables.column_label(systems[data]['CoReEcho'][0])})"]
    side = focus_tables.grid(systems[data]["CoReEcho"][0])
    parts += [tables.to_markdown(focus_tables.comparison(gaps, "CoReEcho (%)", "EchoCoTr (%)", side))]
    parts += [note for note in [focus_tables.corner_note(side)] if note]
    parts += [f"{system}: {focus_tables.counts(table)}" for system, table in found.items()]
Markdown("\n\n".join(parts))

# %% [markdown]
# Two things limit what follows from these numbers. A map says which cells move the prediction, not whether the network
# measures the ventricle there. And what raises and what lowers the EF are the two halves of one sum: a system may rank
# first by the one and last by the other, and then neither order tells which system looks at the ventricle.

# %% [markdown]
# ## The runs behind it

# %% tags=["nbval-check-output"]
behind = {
    f"{prefix}{name}": systems[data][system]
    for data, prefix in (("echonet", "table1/"), ("camus", "table4/probe-"), ("hmcqu", "table5/probe-"))
    for system, name in names.items()
}
Markdown(tables.to_markdown(trace.behind(behind)))
