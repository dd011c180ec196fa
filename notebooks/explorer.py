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
# # Explorer: the embedding map, point by point
#
# - **Shows**: the UMAP layouts of Figure 1 as maps that can be looked at: every point is a test video, with its clip
#   moving beside it, what each system predicts, and what raises that prediction.
# - **Takes**: seconds from the committed records and what is kept beside them; with weights at hand a minute more; without
#   them as long as Table 1's training.
#
# With the `demo` profile the videos are the [phantom](../book/phantom.md)'s, and nothing on this page is a result on
# hearts. The maps are those of seed 0 of CoReEcho, EchoCoTr and AdaCon. Map, prediction and saliency are of the **first
# clip** of each test video, as in [Figure 1](figure1); the tables average three clips.
#
# With real data the clips are pictures of patients. They are then written into the folder `explorer` under `figures_dir`
# and never into the book; the page `index.html` in that folder opens in any browser.

# %% tags=["parameters", "hide-input"]
profile = "demo"
data_root = ""
runs_dir = ""
figures_dir = ""
device = "auto"
seed = 0

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import HTML, Markdown

from coreecho import experiments, explorer, figures, tables, trace
from coreecho.files import project_root

page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)
rows = [experiments.all_rows()[name] for name in explorer.ROWS]

# %% tags=["hide-input"]
records = tables.filled(rows, page.profile, page.place, [seed])
view = explorer.gather({name: own[0] for name, own in records.items()}, page.place)
in_the_book = explorer.may_stand_in_the_book(view) and not figures_dir

# %% [markdown]
# ## The map
#
# Choose a system's map, all **side by side**, or all in **one plane**. Colour tells the listed EF, the error (predicted
# minus listed EF: orange where the system's prediction is too high, purple where it is too low), or the system. The
# saliency is [Grad-CAM](figure3) of what raises the predicted EF, on the grid of the encoder's last feature map: 2 x 2
# cells over the demo's clips of 32 x 32 pixels, drawn where they lie.

# %% tags=["hide-input"]
if in_the_book:
    explorer.write(view, project_root() / "book" / "_static" / "explorer")
    figures.save_png(explorer.picture(view), page.out / "explorer.png")  # for the card that leads here
    shown = HTML(explorer.fragment(view, "../_static", "../_static/explorer/data.js"))
else:
    shown = Markdown(
        f"The explorer of these videos is not in the book: open `{explorer.write_alone(view, page.out / 'explorer')}`."
    )
shown

# %% [markdown]
# ## The same in words
#
# For those who cannot use the map, and as a check on what it seems to show: the errors of each system's first-clip
# predictions by quarter of the test videos, in order of listed EF. MAE is the mean absolute error and bias the mean of
# predicted minus listed EF, both in EF points.

# %% tags=["nbval-check-output", "hide-input"]
Markdown(tables.to_markdown(explorer.quarters(view)) + f"\n\nAll numbers: {view.label}.")

# %% tags=["hide-input"]
HTML(explorer.listing(view))

# %% [markdown]
# A layout's axes have no direction and no unit, so that two layouts have nothing in common until one is laid onto the
# other. In **one plane** each system's layout is centred, scaled to the same spread, and turned or mirrored so that the
# same videos come as near to CoReEcho's as they can (orthogonal Procrustes analysis). How much of the spread stays apart
# nonetheless, 0 % for the same layout and 100 % for one without any likeness:

# %% tags=["nbval-check-output", "hide-input"]
Markdown("\n".join(f"- {system.name}: {100 * system.apart:.0f} %" for system in view.systems[1:]))

# %% [markdown]
# ## The runs behind it

# %% tags=["nbval-check-output", "hide-input"]
Markdown(tables.to_markdown(trace.behind(records)))
