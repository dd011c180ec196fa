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
# # The phantom in pictures
#
# - **Shows**: the contact sheet of the phantom, and a check of its labels.
# - **Takes**: half a minute on one CPU core, without data or records.
#
# Draws the contact sheet of the [phantom](../book/phantom.md) and checks its labels: eight small studies are made on
# the spot, 1,400 labels are drawn without rendering.

# %% tags=["parameters", "hide-input"]
figures_dir = ""
studies = 8

# %% tags=["hide-input"]
from coreecho.opening import opening

import dataclasses
import tempfile
from pathlib import Path

from IPython.display import Image, Markdown

from coreecho import figures, phantom, tables
from coreecho.profiles import DEMO, GPU
from coreecho.video import read_video

page = opening(figures_dir=figures_dir)

# %% [markdown]
# ## Contact sheet
#
# End-diastole beside end-systole at the size of EchoNet-Dynamic, 112x112 pixels: apex at the top, left ventricle on the
# right, left atrium below it, sorted by the true EF.

# %% mystnb={"image": {"alt": "Eight synthetic apical four-chamber views, each at end-diastole and end-systole, sorted by ejection fraction: the left ventricle shrinks the more, the higher it is."}, "figure": {"caption": "Eight phantom studies at 112x112 pixels. In each pair end-diastole is on the left, end-systole on the right.", "name": "fig-phantom"}}
small = dataclasses.replace(GPU.phantom, train=studies - 2, val=1, test=1, min_frames=60, max_frames=60)
with tempfile.TemporaryDirectory() as folder:
    root = phantom.write_echonet(Path(folder) / "phantom", small, workers=1)
    truth = phantom.read_truth(root).sort_values("EF")
    pairs = []
    for name, row in truth.iterrows():
        frames = read_video(root / "Videos" / f"{name}.avi").frames
        pairs.append((frames[row["EDFrame"]], frames[row["ESFrame"]]))
sheet = figures.contact_sheet(pairs, [f"true EF {ef:.0f} %" for ef in truth["EF"]])
figures.save(sheet, page.out, "phantom")
Image(page.out / "phantom.png")

# %% [markdown]
# ## Labels
#
# The listed EF is a reader's: tracing errors scatter it about the true one. The oracle's R2 is the score of the true
# EF against the reader's, which no system can beat in expectation.

# %% tags=["nbval-check-output"]
labels = phantom.sample_labels(DEMO.phantom)
Markdown(tables.to_markdown(phantom.describe_labels(labels)))

# %% mystnb={"image": {"alt": "Left: listed against true ejection fraction of 1,400 phantom videos, scattered about the diagonal by a few points. Right: histogram of the listed ejection fraction with a peak near 60 and a left tail."}, "figure": {"caption": "Labels of the demo phantom: the reader's EF against the true one, and its distribution.", "name": "fig-phantom-labels"}}
plot = figures.label_scatter(labels)
figures.shown(plot, page.out, "phantom_labels")
