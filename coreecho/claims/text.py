"""The paper's claims as data: what it says, its numbers, what those leave open, and the measure that decides here.

The measure is one that the paper's own table prints; where the paper gives a picture alone, it is the one that the
figure's page calls decisive. A claim about several rivals needs all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coreecho import compared
from coreecho.profiles import DEMO, GPU

Kind = Literal["mae", "r2", "spread", "transfer", "continuity", "focus", "speed"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper."""

    name: str
    """In a few words."""
    section: str
    """Where the paper says so."""
    says: str
    """What it says, in our words."""
    printed: str
    """The numbers that it gives."""
    leaves_open: str
    """What those numbers do not decide."""
    kind: Kind
    """How it is judged here."""
    measure: str
    """The measure that decides, in words."""
    rows: tuple[str, ...] = ()
    """Rows that it rests on: the one that is claimed to be ahead, then those behind."""
    page: str
    """The book's page with the numbers behind the verdict."""
    k400: bool = False
    """Whether it is about Kinetics-400 weights, which *pretext* weights stand in for on the phantom."""
    caution: str = ""
    """How far the phantom can decide it, where its videos are not like the paper's."""


_R2 = "R2 of the mean of three clips"
CLAIMS = (
    Claim(
        name="State of the art on EchoNet-Dynamic",
        section="section 4.1, Table 1",
        says="CoReEcho has the lowest MAE and RMSE and the highest R2 of all systems.",
        printed="MAE 3.90 against 3.98 (EchoCoTr) and 4.03 (AdaCon)",
        leaves_open="No interval is given. The R2 of 82.44 behind the row cannot be the mean of three runs with 81.59 "
        "± 0.18, as Table 2 has it, nor one of them: the largest of three values lies at most 1.155 standard "
        "deviations above their mean, here at 81.8. EchoCoTr's RMSE of 5.30 is an R2 of 81.2 and so equals its mean "
        "of three runs in Table 2 (81.22): the two rows may not have been treated alike. The authors of EchoCoTr print "
        "an MAE of 3.95, those of AdaCon 3.86, which is below CoReEcho's. The paper copies the other rows.",
        kind="mae",
        measure="MAE of the mean of three clips; both rivals have to be behind",
        rows=("table1/coreecho", "table1/echocotr", "table1/adacon"),
        page="table1",
    ),
    Claim(
        name="L_1st over L1",
        section="section 4.1, Table 2",
        says="Training the encoder by L_1st instead of L1 raises R2 significantly, from random weights.",
        printed="R2 77.07 ± 0.38 against 75.11 ± 1.73",
        leaves_open="Three runs a row, and those of L1 scatter widely.",
        kind="r2",
        measure=_R2,
        rows=("table2/stage-one-scratch", "table2/l1"),
        page="table2",
    ),
    Claim(
        name="K400 weights raise R2",
        section="section 4.1, Table 2",
        says="Starting from Kinetics-400 weights improves stage one (read from the table; the text is silent).",
        printed="R2 81.50 ± 0.43 against 77.07 ± 0.38",
        leaves_open="That L_1st still adds anything once K400 is there: the paper has no row of L1 with K400.",
        kind="r2",
        measure=_R2,
        rows=("table2/stage-one", "table2/stage-one-scratch"),
        page="table2",
        k400=True,
    ),
    Claim(
        name="The second stage steadies",
        section="section 4.1, Table 2",
        says="Five more epochs of the head alone improve the result; by the table, mostly its scatter over runs.",
        printed="SD of R2 0.18 after, 0.43 before (R2 81.59 and 81.50)",
        leaves_open="The ratio of the two deviations is 2.39 with a 95 % interval of 0.38 to 14.9 (three runs each).",
        kind="spread",
        measure="ratio of the standard deviations of R2 over seeds, before over after; its interval has to exclude 1",
        rows=("table2/full", "table2/stage-one"),
        page="table2",
    ),
    Claim(
        name="Augmentation is crucial",
        section="section 4.1, Table 3",
        says="Padding and cropping are crucial for a continuous representation.",
        printed="R2 77.07 ± 0.38 against 68.24 ± 1.06",
        leaves_open="Whether it is as crucial from K400 weights: all of Table 3 starts from random ones.",
        kind="r2",
        measure=_R2,
        rows=("table3/full", "table3/no-augmentation"),
        page="table3",
    ),
    Claim(
        name="Two clips are crucial",
        section="section 4.1, Table 3",
        says="Sampling two clips of each video is crucial for a continuous representation.",
        printed="R2 77.07 ± 0.38 against 76.93 ± 0.44",
        leaves_open="The claim itself: the gap of 0.14 is less than either standard deviation.",
        kind="r2",
        measure=_R2,
        rows=("table3/full", "table3/one-clip"),
        page="table3",
        caution=f"{compared.views_apart(DEMO)} {compared.views_apart(GPU)}",
    ),
    Claim(
        name="Probing transfers to CAMUS",
        section="section 4.2, Table 4",
        says="A head on CoReEcho's frozen encoder is significantly better than one on EchoCoTr's.",
        printed="MAE 6.28 against 7.00 (good and medium), 8.42 against 9.84 (poor)",
        leaves_open="No interval and no number of runs is given; 47 of 500 four-chamber views are poor.",
        kind="transfer",
        measure="MAE, good and medium pictures, over all folds",
        rows=("table4/probe-coreecho", "table4/probe-echocotr"),
        page="table4",
    ),
    Claim(
        name="Fine-tuning transfers to CAMUS",
        section="section 4.2, Table 4",
        says="Fine-tuning from CoReEcho is better than from EchoCoTr.",
        printed="MAE 5.29 against 5.33 (good and medium), 6.81 against 7.49 (poor)",
        leaves_open="Good and medium pictures: 0.04 EF points, no interval. What is left is seen in 47 poor ones.",
        kind="transfer",
        measure="MAE, good and medium pictures, over all folds",
        rows=("table4/finetune-coreecho", "table4/finetune-echocotr"),
        page="table4",
    ),
    Claim(
        name="Probing transfers to HMC-QU",
        section="section 4.2, Table 5",
        says="A head on CoReEcho's frozen encoder has significantly higher F1 and accuracy than one on EchoCoTr's.",
        printed="accuracy 85.18 against 75.20, F1 89.55 against 78.90",
        leaves_open="By the printed rates 93 and 82 of 109 patients are right, in folds that are not published.",
        kind="transfer",
        measure="accuracy, mean of per-fold values",
        rows=("table5/probe-coreecho", "table5/probe-echocotr"),
        page="table5",
    ),
    Claim(
        name="Fine-tuning transfers to HMC-QU",
        section="section 4.2, Table 5",
        says="Fine-tuning from CoReEcho has the highest F1 and accuracy of all single models.",
        printed="accuracy 90.64 against 89.77, F1 92.91 against 92.96",
        leaves_open="One patient of 109 makes the difference (by the printed rates 99 and 98 are right), and the "
        "higher F1 is EchoCoTr's.",
        kind="transfer",
        measure="accuracy, mean of per-fold values",
        rows=("table5/finetune-coreecho", "table5/finetune-echocotr"),
        page="table5",
    ),
    Claim(
        name="The embedding is continuous in EF",
        section="section 4.1, Figure 1",
        says="Unlike EchoCoTr, CoReEcho lays out the test videos continuously by EF.",
        printed="a picture, no numbers",
        leaves_open="All of it: a UMAP layout depends on its seed and on the number of neighbours.",
        kind="continuity",
        measure="rank correlation of EF difference and distance of embeddings, over all pairs of test videos",
        rows=("table1/coreecho", "table1/echocotr"),
        page="figure1",
    ),
    Claim(
        name="Grad-CAM lies on the ventricle",
        section="section 4.1, Figure 3",
        says="CoReEcho looks more at the left ventricle and less at the background than EchoCoTr.",
        printed="samples, no numbers",
        leaves_open="All of it: how the samples were chosen is not said, nor what an even map would have.",
        kind="focus",
        measure="share of the map's mass inside the traced ventricle, of what raises the EF, over all test videos",
        rows=("table1/coreecho", "table1/echocotr"),
        page="figure3",
    ),
    Claim(
        name="Inference in real time",
        section="section 4.1",
        says="At its time for a clip, CoReEcho is suitable for real-time processing.",
        printed="5.95 ± 0.14 ms per clip on an RTX 4090",
        leaves_open="Little, since a clip lasts 2.8 s; but neither batch nor precision is given, nor whether decoding "
        "counts.",
        kind="speed",
        measure="time that a clip lasts minus time that its EF takes, one clip at a time, decoding not counted; the "
        "interval holds 95 % of passes; every device measured has to be faster",
        page="efficiency",
    ),
)
