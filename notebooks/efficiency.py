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
# # Efficiency: training time and milliseconds per clip
#
# - **Rebuilds**: the paper's section on efficiency.
# - **Takes**: seconds from the committed measurements; `coreecho bench --efficiency demo` takes them again in about a
#   minute.
#
# The paper trains CoReEcho in 4 hours and needs 5.95 ± 0.14 ms for a clip, on an RTX 4090. It says neither how many
# clips were in a pass, nor at which precision, nor whether decoding counts, nor whether the hours include validation.
# Here a pass is encoder and head in float32 on clips that lie on the device: 50 untimed passes, then 200 timed ones;
# one clip gives the latency, a batch the throughput. On a GPU, CUDA events take the time.
#
# The numbers are read from measurements that were kept beside the records; nothing is timed while this page is built.
# Speed depends on the network and the device, not on the data; the demo profile's network is narrower than the paper's,
# and its clips are smaller, so its milliseconds cannot be set against the published ones.

# %% tags=["parameters", "hide-input"]
profile = "demo"
runs_dir = ""
seeds = [0, 1, 2]

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import efficiency, experiments, tables
from coreecho.profiles import PROFILES

page = opening(profile, runs_dir=runs_dir)
scales = list({profile: page.profile, **PROFILES}.values())

# %% [markdown]
# ## Milliseconds per clip
#
# "Faster than real time" is the time that a clip spans in its video, over the time that its EF takes. A measurement is
# made with `coreecho bench --efficiency PROFILE`.

# %%
Markdown(tables.to_markdown(efficiency.speed_table(scales, page.place.runs_dir)))

# %% [markdown]
# ## Training time
#
# Wall time of all epochs as the records hold it, with validation after each epoch and without it. It depends on what
# else the machine had to do, and the phantom has fewer and shorter videos than EchoNet-Dynamic: these minutes say what
# the tables of this book cost, not what the paper's training would.

# %% tags=["nbval-check-output"]
Markdown(
    tables.to_markdown(efficiency.training_table(tables.existing(experiments.table1(), profile, page.place, seeds)))
)
