"""Rows on EchoNet-Dynamic: Tables 1 to 3, the same encoder under other losses, and what came after the paper."""

from __future__ import annotations

import dataclasses

from coreecho import baselines
from coreecho.lineage import SYSTEMS
from coreecho.rows import Row, published
from coreecho.settings import Profile, Run

_TABLE1_RUNS = {
    ("EchoNet-Dynamic", "1 x single heartbeat"): (SYSTEMS["ouyang"], "first"),
    ("EchoNet-Dynamic", "full video"): (SYSTEMS["ouyang"], "beats"),
    ("UVT", "1 x single heartbeat"): (Run(method="uvt", views="one"), "beat"),
    ("UVT", "full video"): (Run(method="uvt", views="one"), "whole"),
    ("EchoGraphs", "1 x single heartbeat"): (Run(method="echographs-known", views="one"), "oracle"),
    ("EchoGraphs", "full video"): (Run(method="echographs", views="one"), "windows"),
    ("AdaCon", "3 x clips"): (SYSTEMS["adacon"], None),
    ("EchoCoTr", "3 x clips"): (SYSTEMS["echocotr"], None),
    ("CoReEcho", "3 x clips"): (SYSTEMS["coreecho"], None),
}
"""What fills each row of Table 1, and the protocol where it is the row's own."""
_TABLE1_NOTES = {
    ("EchoNet-Dynamic", "1 x single heartbeat"): "A clip from frame 0 on; no beat is detected.",
    ("UVT", "1 x single heartbeat"): "The traced ED and ES of the test video are given: they choose the beat.",
    ("EchoGraphs", "full video"): "Printed under UVT's citation number in the paper; the values are EchoGraphs'.",
}


def table1() -> list[Row]:
    """Table 1: EchoNet-Dynamic test set, comparison with the state of the art."""
    rows: list[Row] = []
    for entry in published()["table1_echonet_sota"]:
        place = entry["system"], entry["clips"]
        run, protocol = _TABLE1_RUNS[place]
        suffix = "" if protocol is None else f"-{entry['clips'].split()[-2]}"
        values = {"mae": entry["mae"], "rmse": entry["rmse"], "r2": entry.get("r2_exact", entry["r2"])}
        told = any(row.run.method == run.method for row in rows)
        differs = baselines.SYSTEMS[run.method].differs if protocol is not None and not told else ""
        rows.append(
            Row(
                name=f"table1/{entry['system'].lower()}{suffix}",
                system=entry["system"],
                reference=entry["reference"],
                clips=entry["clips"],
                published=values,
                run=run,
                protocol=protocol,
                single=not entry["reproduced_by_paper"],
                note=" ".join(filter(None, [_TABLE1_NOTES.get(place, ""), differs])),
            )
        )
    return rows


_SAME = "-same-recipe"


def same_recipe() -> list[Row]:
    """Table 1's rivals by CoReEcho's recipe in the place of their own: a second row each in the paper profile.

    The demo and gpu profiles have one recipe for all rows anyway, so nothing is run for it there.
    """
    return [
        dataclasses.replace(
            row,
            name=row.name + _SAME,
            system=f"{row.system}, CoReEcho's recipe",
            published={},
            run=dataclasses.replace(row.run, recipe="shared"),
            on_request=True,
        )
        for row in table1()
        if row.run.method in ("adacon", "echocotr")
    ]


_TABLE2_ROWS = {
    (False, False, False): ("l1", "L1 end to end", Run(method="l1", init="scratch")),
    (True, False, False): ("stage-one-scratch", "L1 + L_1st", Run(method="coreecho-stage1", init="scratch")),
    (True, True, False): ("stage-one", "L1 + L_1st, K400", Run(method="coreecho-stage1")),
    (True, True, True): ("full", "L1 + L_1st, K400, LP", SYSTEMS["coreecho"]),
}
_CONTROL = Row(
    name="table2/l1-k400",
    system="L1 end to end, K400",
    reference="",
    clips="",
    published={},
    run=Run(method="l1"),
    note="L1 end to end, K400: a control that the paper does not have; it shows what K400 adds without L_1st.",
)


def table2() -> list[Row]:
    """Table 2: losses, K400 and the second stage; last a control that the paper lacks (gaps C)."""
    rows = []
    for entry in published()["table2_ablation_r2"]:
        if "system" in entry:
            name, text, run = "echocotr", entry["system"], SYSTEMS["echocotr"]
        else:
            name, text, run = _TABLE2_ROWS[entry["l_1st"], entry["k400"], entry["lp"]]
        values = {"r2": entry["r2_mean"], "r2_sd": entry["r2_sd"]}
        rows.append(Row(name=f"table2/{name}", system=text, reference="maani2024", clips="", published=values, run=run))
    return [*rows, _CONTROL]


_STAGE_ONE = Run(method="coreecho-stage1", init="scratch")
_TABLE3_ROWS = {
    (True, True): ("full", "two clips, padded and cropped (A, 2xC)", _STAGE_ONE),
    (True, False): (
        "one-clip",
        "one clip, padded and cropped twice (A)",
        dataclasses.replace(_STAGE_ONE, views="same-clip"),
    ),
    (False, True): (
        "no-augmentation",
        "two clips, not padded (2xC)",
        dataclasses.replace(_STAGE_ONE, augment=False),
    ),
}


def table3() -> list[Row]:
    """Table 3: augmentation and clip sampling; stage one from random weights (gaps C: its first row is Table 2's)."""
    rows = []
    for entry in published()["table3_augmentation_r2"]:
        name, text, run = _TABLE3_ROWS[entry["augmentation"], entry["two_clips"]]
        values = {"r2": entry["r2_mean"], "r2_sd": entry["r2_sd"]}
        rows.append(Row(name=f"table3/{name}", system=text, reference="maani2024", clips="", published=values, run=run))
    return rows


_LOSSES = ("rnc-original", "supremix", "conr", "ranksim", "ordinal-entropy")


def losses(profile: Profile | None = None) -> list[Row]:
    """The same encoder, clips and initial weights under other losses; the paper does not have this table.

    One recipe for all but Rank-N-Contrast's row, which is about its own. What else differs is the method's: views,
    stages and head (`coreecho.compared.trainings`).

    Args:
        profile: where it has recipes of their own for AdaCon and EchoCoTr, their rows are those of `same_recipe`; none:
            Table 1's, as in the demo and gpu profiles.
    """
    own = [
        Row(
            name=f"losses/{method}",
            system=baselines.SYSTEMS[method].title,
            reference=baselines.SYSTEMS[method].reference,
            clips="",
            published={},
            run=Run(method=method),
            note=baselines.SYSTEMS[method].differs,
        )
        for method in _LOSSES
    ]
    known = {row.name: row for row in (*table1(), *table2())}
    if profile is not None:
        known |= {row.name.removesuffix(_SAME): row for row in same_recipe() if row.run.method in profile.own}
    return [known[name] for name in ("table2/l1-k400", "table1/echocotr", "table1/adacon", "table1/coreecho")] + own


def samplings() -> list[Row]:
    """UVT's rows trained by its other sampling, the mirrored beat; the paper does not say which one it quotes."""
    return [
        dataclasses.replace(
            row,
            name=row.name.replace("table1/uvt", "samplings/uvt-mirror"),
            system="UVT, mirrored",
            published={},
            run=dataclasses.replace(row.run, method="uvt-mirror"),
        )
        for row in table1()
        if row.run.method == "uvt"
    ]


def later() -> list[Row]:
    """What came after the paper."""
    system = baselines.SYSTEMS["echocardmae"]
    printed = next(entry for entry in published()["also_published"] if entry["system"] == "EchoCardMAE")
    return [
        Row(
            name="later/echocardmae",
            system=system.title,
            reference=system.reference,
            clips=printed["clips"],
            published={"mae": printed["mae"]},
            run=Run(method=system.method, views="one"),
            protocol="even5",
            single=True,
            note=system.differs,
        )
    ]
