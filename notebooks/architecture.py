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
# # The architecture, drawn from the model itself
#
# - **Shows**: the network of the paper's Figure 2, from clip to EF, and its narrow twin of the `demo` profile, with the
#   size of everything on the way.
# - **Takes**: a few seconds on any machine, with neither data nor weights.
#
# No number in the drawings and tables was typed in. A clip without content passes through the network, hooks at each part note what comes out,
# and the drawing, the table and the drawing's description are made from these notes.

# %% tags=["parameters", "hide-input"]
figures_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import anatomy, figures, tables
from coreecho.figures.architecture import architecture
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run

page = opening(figures_dir=figures_dir)

# %% [markdown]
# ## The paper's network
#
# How to read it, from top to bottom:
#
# - **A map** is what a convolution or attention works on: for every position in time, height and width a list of numbers, the
#   *channels*. The clip has three channels (red, green, blue, equal in an echo).
# - **Each stage** first merges neighbouring positions into one. The first halves time and makes one position of 4 × 4 pixels; the
#   others merge 2 × 2 positions. So the grid shrinks while the channels grow: fewer places, more said about each.
# - **Convolution blocks** (stages 1 and 2) mix each position with its neighbours. **Attention blocks** (stages 3 and 4) mix each
#   position with all others of all frames, which only a small grid can afford.
# - **The mean** over all positions is the *embedding*. The ranking loss orders these points.
# - **The head** reads the EF off the embedding: two layers.

# %% mystnb={"image": {"alt": "The way of a clip through the network, from top to bottom: clip (3 channels, 36 × 112 × 112); stage 1: 3 convolution blocks (64 channels, 18 × 28 × 28); stage 2: 4 convolution blocks (128 channels, 18 × 14 × 14); stage 3: 8 attention blocks (320 channels, 18 × 7 × 7); stage 4: 3 attention blocks (512 channels, 18 × 3 × 3); norm, mean over positions (512 numbers); head (one number, the EF)."}, "figure": {"caption": "UniFormer-S with the MLP head, as the paper's profile builds it; what comes out of each part, its parameters and its multiply-adds for one clip.", "name": "fig-architecture"}}
clip = PAPER.clip_settings(Run())
parts = anatomy.dissect(anatomy.network(PAPER, Run()), clip)
figures.shown(architecture(parts), page.out, "architecture")

# %% [markdown]
# A parameter is a number that training sets. A multiply-add is one product with the addition after it: what the network costs.
# Stages 3 and 4 hold most of the parameters. Stage 3 has most of the work: its eight blocks have wide layers and a grid that is still
# large.

# %% tags=["nbval-check-output", "full-width"]
Markdown(tables.to_markdown(anatomy.table(parts)))

# %% [markdown]
# Parameters of a stage include its patch embedding; those beside the mean belong to the normalisation before it. Normalisations and
# activations cost time, but count no products.
#
# ## The demo's narrow twin
#
# The `demo` profile trains in minutes on two CPU cores. Its clips have fewer frames of 32 × 32 pixels, its stages fewer
# channels and blocks. The last stage does not merge positions, so that a grid remains for the saliency maps. All else is the
# same code. Boxes are drawn to the same scale as above.

# %% mystnb={"image": {"alt": "The way of a clip through the network, from top to bottom: clip (3 channels, 16 × 32 × 32); stage 1: 1 convolution block (16 channels, 8 × 8 × 8); stage 2: 1 convolution block (32 channels, 8 × 4 × 4); stage 3: 2 attention blocks (64 channels, 8 × 2 × 2); stage 4: 1 attention block (128 channels, 8 × 2 × 2); norm, mean over positions (128 numbers); head (one number, the EF)."}, "figure": {"caption": "The demo profile's network, to the scale of the drawing above.", "name": "fig-architecture-demo"}}
narrow = anatomy.dissect(anatomy.network(DEMO, Run()), DEMO.clip_settings(Run()))
figures.shown(architecture(narrow), page.out, "architecture_demo")

# %% tags=["nbval-check-output", "full-width"]
Markdown(tables.to_markdown(anatomy.table(narrow)))

# %% [markdown]
# The classes and functions behind this: [the method](../book/method.md), under "The network". How fast either network runs:
# [speed](speed.ipynb).
