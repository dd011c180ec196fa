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
# # One echo file, from disk to EF
#
# - **Shows**: one echo file followed from disk to EF.
# - **Takes**: some seconds on one CPU core, with the committed checkpoint.
#
# Follows one clip through `predict`: what is in the file, what the network gets to see of it, what comes out. The clip
# is a real one, `examples_ybr_color.dcm`, which comes with the package pydicom (MIT licence) as a test file: DICOM,
# JPEG compressed in YBR colours, with a tool bar and letters burned into the picture.
#
# **The EF printed here means nothing.** The committed checkpoint was trained on the [phantom](../book/phantom.md), at
# 32 x 32 pixels, and has never seen a patient; nobody published an EF for this clip either, and the file does not say
# which view it shows. What the page shows is the way from a file to a number.
#
# A file of your own: `coreecho notebook own_file -p file=/full/path/CLIP -p checkpoint=/full/path/CKPT`.

# %% tags=["parameters", "hide-input"]
file = ""
checkpoint = ""
figures_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from pathlib import Path

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure
from pydicom.data import get_testdata_file

from coreecho import figures, predict, tables
from coreecho.checkpoints import read_info
from coreecho.files import project_root
from coreecho.video import crop_to_fan, read_video

page = opening(figures_dir=figures_dir)
path = Path(file or get_testdata_file("examples_ybr_color.dcm", download=False))
weights = Path(checkpoint) if checkpoint else project_root() / "checkpoints" / "phantom-demo.safetensors"

# %% [markdown]
# ## What is in the file
#
# The reader is chosen by the file's first bytes. Of a DICOM file only the tags that describe picture, time and region
# are ever parsed: names, dates and numbers of patients stay in the file.

# %% tags=["nbval-check-output"]
video = read_video(path)
frames, height, width, _ = video.frames.shape
facts = {
    "frames": f"{frames}",
    "picture": f"{width} x {height} pixels",
    "frame rate": f"{video.fps:.1f} a second" if video.fps else "not stated",
    "pixel size": f"{video.spacing[0]:.2f} x {video.spacing[1]:.2f} mm" if video.spacing else "not stated",
    "remarks": "; ".join(video.notes) or "none",
}
Markdown(tables.to_markdown(pd.DataFrame({"": facts.keys(), "in the file": facts.values()})))

# %% [markdown]
# ## From file to EF
#
# `predict` finds the sector, blacks out everything else, brings the frames to the size and the frame rate of the
# checkpoint's training videos, cuts up to five clips and averages their EFs. All that was odd is said in notes.

# %% tags=["nbval-check-output"]
result = predict(path, weights, explain=True)
clip = read_info(weights).clip
notes = "\n".join(f"- {note}" for note in result.notes)
Markdown(
    f"Protocol `{result.protocol}`, {len(result.clips)} clips of {clip.frames} frames, one in {clip.stride}, "
    f"{clip.size} x {clip.size} pixels; trained on: {result.training_data}.\n\n{notes}"
)

# %% [markdown]
# The EF of each clip and their mean, with this checkpoint no more than noise:

# %%
rows = [{"clip": f"from frame {each.start}", "EF (%)": f"{each.ef:.0f}"} for each in result.clips]
Markdown(tables.to_markdown(pd.DataFrame([*rows, {"clip": "mean", "EF (%)": f"{result.ef:.0f}"}])))

# %% [markdown]
# ## What the network sees
#
# The same moments three times: as recorded, with the sector cut out, and as the first clip that goes into the network.
# The letters in the corner, the tool bar and the marker beside the sector are gone in the second row; so is the
# motionless bright part within the sector, which might be letters.

# %% mystnb={"image": {"alt": "Three rows of four frames of an echocardiogram. Top: as recorded, with letters and a tool bar around the sector. Middle: the sector alone on black. Bottom: the same at 32 by 32 pixels."}, "figure": {"caption": "A real clip as recorded (top), with the sector found and all else blacked out (middle), and at the demo network's size (bottom).", "name": "fig-own-file"}}
sector = crop_to_fan(video).frames
shown = [len(result.frames) * part // 5 for part in range(4)]
step = clip.stride * (video.fps or 1) / (read_info(weights).fps or video.fps or 1)
moments = [min(round(index * step), frames - 1) for index in shown]
figure = Figure(figsize=(8, 5.6), layout="constrained")
panels = figure.subplots(3, 4, height_ratios=(0.75, 0.72, 1))
for column, (index, moment) in enumerate(zip(shown, moments, strict=True)):
    for row, picture in enumerate((video.frames[moment], sector[moment], result.frames[index])):
        panels[row, column].imshow(picture)
        panels[row, column].set(xticks=[], yticks=[])
    panels[0, column].set_title(f"frame {moment + 1} of {frames}", fontsize=8)
for row, label in enumerate(("as recorded", "sector", "network's input")):
    panels[row, 0].set_ylabel(label)
figures.shown_png(figure, page.out / "own_file.png")

# %% [markdown]
# ## Where it looks
#
# Grad-CAM of the first clip: what raises its EF, at the coarse grid of the demo network. The last frames are black
# because the recording is shorter than a clip. This is the picture that `coreecho predict --figure` writes.

# %% mystnb={"image": {"alt": "Top: eight frames of the first clip at 32 by 32 pixels. Middle: the same with the Grad-CAM map over them. Bottom: the EF of each clip against its start, and their mean."}, "figure": {"caption": "Frames of the first clip, Grad-CAM over them, and the EF of every clip. The checkpoint was trained on the phantom: neither map nor EF says anything of this heart.", "name": "fig-own-file-prediction"}}
figures.shown_png(figures.prediction(result), page.out / "own_file_prediction.png")
