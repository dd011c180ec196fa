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
# # Four hearts in order
#
# - **Shows**: Rank-N-Contrast, the loss that orders the embeddings, built up from four samples; what the stop-gradient
#   changes; why a batch holds two clips of each video.
# - **Takes**: half a minute on one CPU core, from nothing but Table 3's committed records.
#
# The points and toys below are made up to be looked at. Only the verdict under [Why two views](two-views) comes from
# networks that were trained on videos; the line under it names them.

# %% tags=["parameters", "hide-input"]
labels = [25, 40, 58, 70]
temperature = 1.0
profile = "demo"
runs_dir = ""
figures_dir = ""

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import Markdown

from coreecho import evidence, experiments, figures, ranking, rnc_loss, stopgradient, tables
from coreecho.figures import ranking as drawn
from coreecho.figures.stopgradient import pulled

import torch

page = opening(profile, runs_dir=runs_dir, figures_dir=figures_dir)

# %% [markdown]
# ## One anchor looks at the others
#
# Four hearts have ejection fractions of 25, 40, 58 and 70 %. An encoder that has learnt nothing yet has put their clips
# somewhere in the plane. (A real embedding has 512 numbers; two can be drawn.)
#
# Take the heart with 40 % as the *anchor* and ask: who is like it? **By EF** the order is clear: 25 % is 15 points away,
# 58 % is 18 points, 70 % is 30 points. **By distance** in the plane the order is another one. Each pair that the two
# orders see differently is a pair in the wrong order.

# %% mystnb={"image": {"alt": "Above, four points in the plane, marked by ejection fraction, with lines from the anchor of 40 % to the others: 58 % is the nearest at 1.41, then 70 % at 1.90, then 25 % at 2.77. Below, the order by ejection fraction, 25, 58, 70, is joined by lines to the order by distance, 58, 70, 25; the two places where lines cross are marked as pairs in the wrong order."}, "figure": {"caption": "The anchor (ringed) and its distances; below them the wanted order and the one found. Where lines cross, a pair is in the wrong order.", "name": "fig-ranking"}}
points = [[-0.4, 0.6], [1.4, -1.5], [0.0, -1.3], [1.3, 0.4]]
figures.shown(drawn.ranked(points, labels, anchor=1), page.out, "ranking")

# %% [markdown]
# ## What the anchor asks for
#
# Write $z_n$ for the anchor's point, $y_n$ for its EF. For every other clip $m$ the anchor makes one demand:
#
# > $m$ shall be nearer to me than all clips whose EF is at least as far from mine as that of $m$.
#
# Those clips, with $m$ itself, are the set
#
# $$
# \mathcal{S}^{n,m} = \{\, l \neq n : |y_n - y_l| \geq |y_n - y_m| \,\} .
# $$
#
# The demand is put into numbers in three steps.
#
# 1. *Closeness.* Each distance $d$ becomes $e^{-d/\tau}$: 1 for a clip on the same spot, near 0 for one far away. The
#    temperature $\tau$ is 1 in the paper.
# 2. *Share.* The closeness of $m$ is divided by the sum over its set. The share is near 1 if $m$ is by far the nearest,
#    and small if another one is.
# 3. *Penalty.* The term is $-\log(\text{share})$: 0 for a share of 1, and the larger, the smaller the share.
#
# The clip that is farthest by EF stands alone in its set. Its share is 1, its term 0: nobody is left to be nearer than.

# %% tags=["nbval-check-output", "full-width"]
terms = ranking.terms(points, labels, temperature)
Markdown(tables.to_markdown(ranking.table(terms, labels, anchor=1)))

# %% [markdown]
# ## The sum
#
# Every clip is the anchor once. Four anchors with three others each make twelve terms, and the loss is their mean:
#
# $$
# \mathcal{L}_{RnC} = \frac{1}{M(M-1)} \sum_{n} \sum_{m \neq n}
#   -\log \frac{e^{-|z_n - z_m|/\tau}}{\sum_{l \in \mathcal{S}^{n,m}} e^{-|z_n - z_l|/\tau}} .
# $$
#
# In training, `rnc_loss` computes the same number for all clips of a batch, without making a single set: with the clips
# sorted by EF, all sums of an anchor are running sums. Both ways agree:

# %% tags=["nbval-check-output"]
by_hand = ranking.mean(terms)
z, y = torch.tensor(points, dtype=torch.float64), torch.tensor(labels)
in_training = float(rnc_loss(z, y, temperature))
assert abs(by_hand - in_training) < 1e-12
Markdown(f"Mean of {len(terms)} terms: {by_hand:.6f}. `rnc_loss`: {in_training:.6f}.")

# %% [markdown]
# ## Where the points are sent
#
# The *gradient* says for each point in which direction the loss rises fastest. Training goes the other way. Each arrow
# adds up what all anchors want of a point, its own wishes included.

# %% mystnb={"image": {"alt": "The same four points, each with an arrow against the gradient: 25 % goes left and down, 40 % left and up, 58 % right and up, 70 % right and down, so that 40 % and 58 % swap sides."}, "figure": {"caption": "Minus the gradient of the loss at each point, drawn to one scale.", "name": "fig-ranking-forces"}}
figures.shown(drawn.forces(points, labels, temperature), page.out, "ranking_forces")

# %% [markdown]
# Now follow the arrows in small steps, as if the encoder could put each clip wherever it liked. The points sort
# themselves and end up in order of EF along a line. First the wrong pairs vanish. From then on the loss falls by
# pulling the points apart, ever more slowly: it goes towards 0 and never gets there.
#
# What counts is the **order**, not the spacing. Nothing asks that two hearts that differ by 30 points lie twice as far
# apart as two that differ by 15. That is why a head is needed that reads the EF off the place.

# %% mystnb={"image": {"alt": "Above, the paths of the four points from a disordered start to a line on which they lie in the order 25, 40, 58, 70 % from left to right. Below, the loss against the step falls from 0.76 to 0.04; the number of pairs in the wrong order falls from 10 to 0 within the first 30 steps."}, "figure": {"caption": "400 steps of plain gradient descent on the points themselves. Above: paths, and the order that they reach (dashed). Below: the loss, and over all anchors the pairs in the wrong order.", "name": "fig-ranking-path"}}
descent = ranking.descend(points, labels, steps=400, rate=0.5)
figures.shown(drawn.arranging(descent, labels), page.out, "ranking_path")

# %% [markdown]
# ## Ties, and what a good value of the loss is
#
# If the third heart had 55 instead of 58 %, then 25 % and 55 % would both be 15 points from the anchor. Each would be in
# the other's set, since the set takes *at least as far*. They cannot both have a share of 1. The best they can get is one
# half each, at equal distances, and a term of $\log 2 \approx 0.693$. Descent from the same start takes them there, but for
# the last digit:

# %% tags=["nbval-check-output", "full-width"]
tied = [25, 40, 55, 70]
settled = ranking.descend(points, tied, steps=1500, rate=2.0).path[-1]
Markdown(tables.to_markdown(ranking.table(ranking.terms(settled, tied), tied, anchor=1)))

# %% [markdown]
# So ties set a floor. If $k$ clips are equally far by EF, each of them pays at least $\log k$. At the other end is an
# encoder that has learnt nothing and puts all clips on one spot, where every member of a set has the same share. A loss
# curve is read between these two. The last line is a batch of the paper's size, 16 videos with two views each.

# %% tags=["nbval-check-output", "full-width"]
videos = [24, 31, 45, 52, 60, 71]
sixteen = [21.0, 25.6, 28.6, 33.0, 36.7, 38.5, 42.0, 48.3]
sixteen += [50.0, 53.6, 59.6, 61.6, 66.4, 68.9, 73.0, 75.1]
batches = {
    "25, 40, 58, 70": labels,
    "25, 40, 55, 70": tied,
    "six videos, one view": videos,
    "six videos, two views": videos * 2,
    "sixteen videos, two views": sixteen * 2,
}
Markdown(tables.to_markdown(ranking.bounds(batches)))

# %% [markdown]
# (two-views)=
# ## Why two views
#
# The table's fourth column counts the demands that a clip and its own anchor have *the same* EF. With one view of each
# video there are none: the nearest clip by EF is always another patient's. With two views each anchor has exactly one
# such partner, the other view of its own video, at rank 0. Its set holds all other clips. The anchor asks of it to be
# nearer than everything else, although it may show another moment of the beat. This is the only demand by which the loss
# says outright what must *not* matter.
#
# It has a price. The two views of any other video tie, so that the floor is no longer 0.

# %% mystnb={"image": {"alt": "Two matrices of ranks by ejection fraction, a row for each anchor. With one view of each of six videos, ranks run from 0 to 4 and rank 0 is always another video. With two views, ranks run from 0 to 5; rank 0 is the other view of the same video, framed, and every other rank from 1 on belongs to one or more pairs of views."}, "figure": {"caption": "Rank of every other clip around each anchor, by EF: six videos, named by their EF, with one view each and with two (a, b). Framed: the two views of one video.", "name": "fig-ranking-views"}}
shown = {
    "one view of each video": (videos, [f"{ef}" for ef in videos]),
    "two views of each video": (
        videos * 2,
        [f"{ef}{view}" for view in "ab" for ef in videos],
    ),
}
figures.shown(drawn.ranks(shown), page.out, "ranking_views")

# %% [markdown]
# The paper's [Table 3](table3.ipynb) asks a narrower question. Its row without "2xC" has two views too: **one** clip, padded
# and cropped twice. Both views then show the same moments. What the row tells is whether it helps that the partner shows
# *other* moments of the beat. The rule for a verdict stands at the end of [the
# method](../book/method.md): the interval must exclude 0, and all seeds must agree. On the records here:

# %% tags=["nbval-check-output"]
rows = experiments.table3()
records = tables.existing(rows, profile, page.place)
verdict = evidence.verdict(records, "table3/full", "table3/one-clip")
sentence = f"Two clips raise R2 over one clip cropped twice: {verdict}."
Markdown(f"{sentence}\n\n{tables.made_on(records)}")

# %% [markdown]
# ## What the stop-gradient changes
#
# Stage one adds to the ranking loss the absolute error of the head (equation 1), and a stop-gradient keeps that error
# from the encoder. A toy shows who moves what. A *video* is here the area of a ventricle over one beat, a *clip* sixteen such
# numbers from a random moment on, the encoder a small perceptron with an embedding of two numbers. It is trained for 400
# steps by the package's own objective, and by the same sum with the gradient let through: same data, same first weights,
# same order of videos.

# %% mystnb={"image": {"alt": "Four panels. Top, length of the gradient at the encoder against the step: with the stop-gradient the part of the absolute error is zero throughout; without it, that part grows above the part of the ranking loss. Bottom, unseen clips in the plane, coloured by ejection fraction: in both cases they lie along a band in order of ejection fraction."}, "figure": {"caption": "A toy, not echos. Top: length of the gradient that each loss sends to the encoder, averaged over 20 steps. Bottom: embeddings of unseen clips, seed 0.", "name": "fig-ranking-stop"}}
trials = [stopgradient.run(stop=stop, seed=seed) for seed in range(5) for stop in (True, False)]
figures.shown(pulled(*trials[:2]), page.out, "ranking_stop")

# %% tags=["full-width"]
assert all((trial.l1_norm == 0).all() for trial in trials if trial.stop)
Markdown(tables.to_markdown(stopgradient.table(trials)))

# %% [markdown]
# The table holds means over the seeds, with the smallest and the largest value; the first three measures are averages over the
# last 50 steps. What is seen:
#
# - With the stop-gradient **exactly nothing** of the absolute error reaches the encoder, in any step. This holds by
#   construction, on echos as well.
# - Without it the error's gradient at the encoder is not small: in the end it is the longer of the two, since it is measured
#   in EF points, and how long it is depends on that unit.
# - The unseen clips lie in order of EF **either way**, about equally well. On this toy the ranking loss has its way even with
#   the second pull.
# - The mean error on unseen clips is, if anything, smaller without the stop-gradient; the ranges over seeds overlap.
#
# So the toy shows what the stop-gradient *does*, not that it *helps*. The paper's argument is about features that transfer to other
# data, which a toy with one kind of data cannot test. No table of the paper removes the stop-gradient alone, either.
# [Tables 4](table4.ipynb) and [5](table5.ipynb) show how the whole method transfers.
