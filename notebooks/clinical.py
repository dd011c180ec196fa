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
# # Clinical view
#
# - **Shows**: what Table 1's saved predictions say to a cardiologist: agreement with the reader, calibration, decisions
#   at an EF of 40 and 50, errors by EF and by picture, and the worst cases. The paper has none of this.
# - **Takes**: half a minute from the committed records; without them as long as Table 1's training.
#
# :::{warning}
# This is research software and **not a medical device**. With the `demo` profile the hearts are the
# [phantom](../book/phantom.md), which a computer drew: nothing on this page says how well any system reads patients.
# With `profile="paper"` and a `data_root` the same cells run on EchoNet-Dynamic.
# :::
#
# The *listed* EF is the reader's, the one that systems learn and are scored by. The phantom also knows each heart's *true*
# EF; the **oracle** answers with it, and its line in a table is what the reader's own error leaves possible.
#
# Every number is computed per seed and averaged over seeds. Brackets hold the 95 % bootstrap interval over patients, who
# are drawn for all seeds together. The sentences between the tables are computed from the same numbers.

# %% tags=["parameters", "hide-input"]
profile = "demo"
data_root = ""
runs_dir = ""
figures_dir = ""
device = "auto"
seeds = [0, 1, 2]
camus_seeds = [0]
show_patients = False

# %% tags=["hide-input"]
from coreecho.opening import opening

from IPython.display import HTML, Markdown, display

from coreecho import clinical, experiments, figures, moving, tables, trace
from coreecho.clinical import picture_tables, pictures, words, worst
from coreecho.clinical import tables as clinical_tables
from coreecho.figures import clinical as drawn
from coreecho.place import SYNTHETIC

page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)
rows = [experiments.all_rows()[f"table1/{name}"] for name in ("coreecho", "echocotr", "adacon")]
on_camus = [experiments.all_rows()[name] for name in pictures.ROWS]

# %% [markdown]
# The records of Table 1: those that exist are read, missing ones are trained first. Of Table 4, whose data set grades its
# pictures, only records that exist are read.

# %% tags=["hide-input"]
records = tables.filled(rows, page.profile, page.place, seeds)
systems = clinical.scored(records)
on_hearts = tables.on_hearts(tables.existing(rows, "paper", page.place, seeds))
paper = [] if profile == "paper" else clinical.scored(on_hearts)
waiting = profile != "paper" and not paper
oracle = clinical.oracle(systems)
coreecho, everyone = systems[0], [*systems, *oracle, *paper]

# %% [markdown]
# ## Agreement with the reader
#
# Bland and Altman's picture: how far a prediction lies from the listed EF (up: too high), against the mean of both. 95 %
# of differences lie between the *limits of agreement*, if they are normal. A *proportional bias* is a trend in the
# picture. A part of any trend is the reader's: a listed EF that is high by mistake counts as high.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three scatter plots side by side, CoReEcho, EchoCoTr and AdaCon: difference of predicted and listed EF of each test video against the mean of both, with bias and limits of agreement as lines; titles give their values."}, "figure": {"caption": "Bland-Altman plots of the test set; the title names data and profile. A point is a video's mean over seeds; the solid line is the bias, dashed ones are the limits of agreement, bands are their 95 % intervals.", "name": "fig-clinical-agreement"}}
figures.shown(drawn.agreement_panels(systems), page.out, "clinical_agreement")

# %% [markdown]
# ## Calibration
#
# Do videos for which an EF is predicted have it on average? Videos are sorted into bands by their predicted EF, and each
# band's mean listed EF is compared to its mean prediction. The slope of the listed on the predicted EF is 1 for a
# calibrated system, and above 1 where predictions lie too close to the average.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two plots: mean listed EF by band of the predicted EF beside the line of equality, and the difference of the two with 95 percent intervals, for CoReEcho, EchoCoTr, AdaCon and the oracle."}, "figure": {"caption": "Calibration on the test set: mean listed EF by band of the predicted EF (left) and how far it lies from the mean predicted EF (right), bars being 95 % intervals. A band is left out where some seed predicts no video in it.", "name": "fig-clinical-calibration"}}
figure = drawn.calibration_panels([*systems, *oracle])
figures.shown(figure, page.out, "clinical_calibration")

# %% tags=["nbval-check-output", "full-width", "hide-input"]
agreement = clinical_tables.agreement_table(everyone, waiting)
calibration = clinical_tables.calibration_table(everyone, waiting)
agreement.write(page.out, "clinical_agreement")
calibration.write(page.out, "clinical_calibration")
clinical_tables.calibration_bands([*systems, *oracle]).write(page.out, "clinical_calibration_bands")
by_band = clinical_tables.calibration_bands([coreecho])
told = [words.on_agreement(coreecho), words.on_reader(coreecho), calibration.markdown()]
told += [by_band.markdown(), words.on_calibration(coreecho)]
Markdown("\n\n".join([agreement.markdown(), f"Data: {coreecho.data}.", *told]))

# %% [markdown]
# ## Who has a reduced EF?
#
# An EF under 40 and under 50 are the usual cuts. The ROC curve asks how well predictions put videos under the cut before
# the others, whatever cut is then made; sensitivity, specificity and the predictive values (PPV, NPV) ask what follows if
# the predicted EF is taken at its word. Predictive values hold for a test set with this share of low EFs only.

# %% tags=["hide-input"] mystnb={"image": {"alt": "ROC curves for a listed EF under 40 and under 50 percent, of CoReEcho, EchoCoTr, AdaCon and the oracle, with the areas under them and a point for each where the predicted EF is taken at its word."}, "figure": {"caption": "ROC curves on the test set, averaged over seeds, with the area under each and its 95 % interval; points: what follows if a video counts as low when its predicted EF is under the cut.", "name": "fig-clinical-roc"}}
figures.shown(drawn.roc_panels([*systems, *oracle]), page.out, "clinical_roc")

# %% [markdown]
# Heart failure is named by three classes: *reduced* up to 40 %, *preserved* from 50 % on, *mildly reduced* between.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Tables of three by three cells, listed against predicted class of EF, of CoReEcho and the oracle: numbers of videos and their share of a row, shaded by that share."}, "figure": {"caption": "Class of the listed EF (rows) and of the predicted one (columns): number of test videos, mean over seeds, and share of the row.", "name": "fig-clinical-classes"}}
figures.shown(drawn.class_panels([coreecho, *oracle]), page.out, "clinical_classes")

# %% tags=["nbval-check-output", "full-width", "hide-input"]
thresholds = clinical_tables.thresholds_table(everyone, waiting)
classes = clinical_tables.classes_table(everyone, waiting)
thresholds.write(page.out, "clinical_thresholds")
classes.write(page.out, "clinical_classes")
counts = tables.to_markdown(clinical_tables.counts_table(everyone))
told = [words.on_threshold(coreecho, 40), words.on_threshold(coreecho, 50), words.on_classes(coreecho)]
by_seed = "The numbers of videos behind them, one for each seed:"
told = [f"Data: {coreecho.data}.", *told]
Markdown("\n\n".join([thresholds.markdown(), by_seed, counts, classes.markdown(), *told]))

# %% [markdown]
# ## Where errors are large
#
# By band of the listed EF; and, on CAMUS's format, by the grade of the four-chamber picture, with every patient predicted
# by the run that did not see them. A band of the *listed* EF gathers readings that are off in its direction, so that the
# oracle has a bias there too. EchoNet-Dynamic grades no pictures; the phantom in its format knows what disturbed each, and
# its test set is cut into thirds by that. A phantom's reader sees no picture, so these errors are taken from the true EF.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Mean absolute error above and bias below: left by band of the listed EF for CoReEcho, EchoCoTr, AdaCon and the oracle, right by picture quality Good, Medium and Poor for CoReEcho and EchoCoTr fine-tuned on CAMUS's format; bars are 95 percent intervals."}, "figure": {"caption": "Mean absolute error and bias by band of the listed EF (left; Table 1's test set) and by picture quality (right; Table 4's patients), with 95 % intervals and, in brackets, numbers of videos or patients.", "name": "fig-clinical-errors"}}
graded = pictures.graded(tables.existing(on_camus, profile, page.place, camus_seeds))
figure = drawn.error_panels([*systems, *oracle], graded)
figures.shown(figure, page.out, "clinical_errors")

# %% tags=["nbval-check-output", "full-width", "hide-input"]
bands = clinical_tables.bands_table([*systems, *oracle], shown=("table1/coreecho", "oracle"))
grades = picture_tables.grades_table(graded)
bands.write(page.out, "clinical_bands")
grades.write(page.out, "clinical_quality")
parts = [*bands.notes, bands.markdown(), words.on_bands(coreecho, oracle), grades.markdown()]
parts.append(words.on_grades(graded[0] if graded else None))
settings = pictures.settings(records["table1/coreecho"][0], coreecho)
effects = None if settings is None else picture_tables.effects(coreecho.against_truth, settings)
if effects is not None:
    disturbed = picture_tables.effects_table(coreecho.against_truth, effects)
    disturbed.write(page.out, "clinical_disturbances")
    parts += [*disturbed.notes, disturbed.markdown()]
Markdown("\n\n".join([*parts, words.on_effects(coreecho, effects)]))

# %% [markdown]
# ## The worst cases
#
# The rule: the six test videos with the largest absolute difference between the predicted EF, averaged over seeds, and the
# listed one; below the table, the first clip of each. Pictures and file names of patients are shown only if the
# parameter `show_patients` says so, which the data set's terms may forbid.

# %% tags=["hide-input"]
record = records["table1/coreecho"][0]
public = record.data["label"] in SYNTHETIC or show_patients
cases = [case if public else case.unnamed(number) for number, case in enumerate(clinical.cases(coreecho), start=1)]
told = [f"{words.on_worst(cases)} Data: {coreecho.data}.", tables.to_markdown(worst.table(cases))]
display(Markdown("\n\n".join(told)))
if public:
    frames = moving.clip_frames(record, page.place)
    display(HTML(worst.players(cases, frames, moving.clip_fps(record))))

# %% [markdown]
# ## The numbers and the runs behind them
#
# {download}`Agreement <../figures/clinical_agreement.csv>`, {download}`calibration <../figures/clinical_calibration.csv>`
# and {download}`by band <../figures/clinical_calibration_bands.csv>`,
# {download}`thresholds <../figures/clinical_thresholds.csv>`, {download}`classes <../figures/clinical_classes.csv>`,
# {download}`bands of EF <../figures/clinical_bands.csv>`, {download}`picture quality <../figures/clinical_quality.csv>` and
# {download}`disturbances <../figures/clinical_disturbances.csv>` as CSV.

# %% tags=["nbval-check-output", "hide-input"]
Markdown(tables.to_markdown(trace.behind(records)))
