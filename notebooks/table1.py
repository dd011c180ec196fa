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
# # Table 1: EchoNet-Dynamic, comparison with the state of the art
#
# - **Rebuilds**: Table 1 of the paper: six systems, published and trained here, on one test list and by one harness.
# - **Takes**: seconds from the committed records; without them, on two CPU cores (demo profile), about 5 minutes for a
#   seed of the three systems that the paper trained, and 40 for everything shown here.
#
# Each system stands with its published scores and, beside them, with what it reaches when it is trained here. The three
# that the paper itself trained (AdaCon, EchoCoTr, CoReEcho) have three seeds each; the rows that it copied from their
# papers have one. With the `demo` profile the data are the [phantom](../book/phantom.md), a synthetic ventricle: the
# columns say so, and nothing in them is a result on hearts. With `profile="paper"` and a `data_root` the same cells
# train on EchoNet-Dynamic.
#
# In the demo and gpu profiles the paper's three rows share encoder, head, recipe and initialisation (*pretext* weights,
# learned from the motions of textured shapes, in the place of Kinetics-400) and differ in loss and views alone: AdaCon
# regresses with its adaptive contrastive loss on two crops of one clip, EchoCoTr minimises the squared error of one
# clip, CoReEcho ranks two clips and then refines its head. In the paper profile each system has its own published
# recipe and the Kinetics-400 weights.
#
# The copied rows have networks of their own: as published in the paper profile, narrow twins from random weights
# elsewhere ([EchoNet-Dynamic](../book/systems/ouyang.md), [UVT](../book/systems/uvt.md),
# [EchoGraphs](../book/systems/echographs.md)). A twin says how a method behaves, not how good the published system is.

# %% tags=["parameters", "hide-input"]
profile = "demo"
data_root = ""
runs_dir = ""
figures_dir = ""
device = "auto"
seeds = [0, 1, 2]
copied = True

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import evidence, experiments, figures, tables, trace

page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)
rows = [row for row in experiments.table1() if copied or not row.single]

# %% [markdown]
# The records: those that exist are read, missing ones are trained first.

# %%
records = tables.filled(rows, page.profile, page.place, seeds)
paper_records = None if profile == "paper" else tables.existing(rows, "paper", page.place)

# %% [markdown]
# ## The table
#
# MAE and RMSE are in EF points, R2 is $1 - \mathrm{SSE}/\mathrm{SST}$ in percent; brackets hold 95 % bootstrap
# intervals over patients. The paper's own three rows score each video by the mean prediction of three fixed clips, the
# others as their names say: "full video" is a protocol, and short videos have one clip for it. The notes below count
# the clips that each such row saw.

# %% tags=["nbval-check-output", "full-width"]
table = tables.comparison(records, paper_records)
table.write(page.out, "table1")
Markdown(table.markdown())

# %% mystnb={"image": {"alt": "Two panels with one line for each row of the table: on the left the published R2 as hollow points, on the right what was found here as filled points with 95 % intervals and small marks for seeds. The values are those of the table above."}, "figure": {"caption": "R2, published and run here. The panels have scales of their own: they were measured on different data. Lines are 95 % intervals over patients, small marks single seeds; rows without them were trained once.", "name": "fig-table1"}}
figures.shown(figures.table_intervals(table.numbers, "R2 (%)"), page.out, "table1")

# %% [markdown]
# The numbers behind the table, published and ours, with every seed: {download}`table1.csv <../figures/table1.csv>`.

# %% tags=["nbval-check-output"]
Markdown(evidence.order_of_methods(records))

# %% tags=["nbval-check-output"]
Markdown("\n".join(f"- {note}" for note in table.notes))

# %% [markdown]
# ## Seed by seed

# %% tags=["nbval-check-output"]
Markdown(f"{tables.made_on(records)}\n\n{tables.to_markdown(evidence.by_seed(records))}")

# %% [markdown]
# ## UVT's two ways of sampling
#
# UVT trains on clips with a beat in the middle of other frames, or on a beat played forth and back. The printed rows do
# not say which they are; the table above has the first.

# %% tags=["nbval-check-output"]
ways = [row for row in [*experiments.table1(), *experiments.samplings()] if row.run.method.startswith("uvt")]
both = tables.filled(ways, page.profile, page.place, seeds) if copied else {}
Markdown(f"{tables.made_on(both)}\n\n{tables.to_markdown(evidence.by_seed(both))}" if both else "Not trained here.")

# %% [markdown]
# ## The same recipe for all
#
# Systems with recipes of their own differ in more than their idea. Where a profile has such recipes, the rivals are
# trained once more by CoReEcho's.

# %% tags=["nbval-check-output"]
same = [row for row in experiments.same_recipe() if row.run.method in page.profile.own]
if same:
    again = tables.filled(same, page.profile, page.place, seeds)
    shown = f"{tables.made_on(again)}\n\n{tables.to_markdown(evidence.by_seed(again))}"
else:
    shown = f"In the {profile} profile the paper's three rows share one recipe already."
Markdown(shown)

# %% [markdown]
# ## CoReEcho against the others
#
# Differences are paired over patients and averaged over seeds. An interval that excludes 0 shows a difference on these
# data; for MAE and RMSE negative values favour CoReEcho, for R2 positive ones do. Rows of one seed carry no scatter over
# trainings, so that their intervals are about patients alone.

# %% tags=["nbval-check-output"]
Markdown(f"{tables.made_on(records)}\n\n{tables.to_markdown(evidence.differences(records, 'table1/coreecho'))}")

# %% [markdown]
# ## Against the truth
#
# The label of a phantom video is a *reader's* EF, which scatters about the true one as in the clinic; no system can do
# better against it than the true EF itself does. On the phantom the true EF is known too.

# %% tags=["nbval-check-output"]
has_truth = page.profile.phantom is not None
truth = f"{tables.made_on(records)}\n\n{tables.to_markdown(evidence.against_truth(records))}" if has_truth else ""
Markdown(truth or "Real data: no true EF is known.")

# %% [markdown]
# ## Predicted and listed EF

# %% mystnb={"image": {"alt": "Scatter plots of predicted against listed ejection fraction, one for each row of the table; the points follow the diagonal."}, "figure": {"caption": "Predicted against listed EF of every test video, mean over seeds where there are several. The title names data and profile.", "name": "fig-table1-scatter"}}
figure = figures.predicted_against_listed(records)
figures.shown(figure, page.out, "table1_scatter")

# %% [markdown]
# ## The runs behind it

# %% tags=["nbval-check-output"]
Markdown(tables.to_markdown(trace.behind(records)))
