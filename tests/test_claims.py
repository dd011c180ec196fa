"""Verdicts on the claims: every word reachable, errors turned the right way, nothing from a part of the runs."""

import re
import types

import fabricated
import numpy as np
import pandas as pd
import pytest

from coreecho import appendix, claims, compared, efficiency, spread
from coreecho.claims import findings
from coreecho.claims.text import CLAIMS
from coreecho.continuity import tables as continuity_tables
from coreecho.experiments import all_rows
from coreecho.ledger import folder_of, known_key
from coreecho.lineage import parent
from coreecho.place import Place
from coreecho.profiles import get_profile
from coreecho.records import Record, run_key, write_record
from coreecho.rows import published
from coreecho.timing import Timing

DEMO, PAPER = get_profile("demo"), get_profile("paper")
CORE, ECHO, ADA = "table1/coreecho", "table1/echocotr", "table1/adacon"
PATIENTS = 120


@pytest.fixture
def place(tmp_path):
    return Place(runs_dir=tmp_path)


def write(place, row, error, *, seeds=(0, 1, 2), scale=DEMO, label="phantom"):
    """Records of a row where `findings` looks for them, whose predictions miss the labels by some ``error``."""
    made = []
    for run in all_rows()[row].runs(seeds):
        above = parent(run, scale)
        key = known_key(run, scale) or run_key(run, scale, "f", "aa" if above else "")
        fold, size = (run.fold or 0), 20 if run.fold is not None else PATIENTS
        number = np.arange(size)
        labels = number % 2 if run.dataset == "hmcqu" else np.round(55 + 12 * fabricated.scatter(fold, size), 1)
        stream = 500 + 40 * sorted(all_rows()).index(row) + 5 * fold + run.seed
        own = error[run.seed] if isinstance(error, tuple) else error
        missed = labels + own * fabricated.scatter(stream, size)
        clips = pd.DataFrame({"video": [f"f{fold}v{each:03d}" for each in number], "label": labels.astype(float)})
        clips = clips.assign(protocol=scale.protocol_of(run), clip=0, start=0, fold=fold, truth=clips["label"])
        clips["prediction"] = np.clip(missed, 0, 1) if run.dataset == "hmcqu" else missed
        clips["quality"] = np.where(number % 4 == 0, "Poor", "Good")
        clips["quality_patient"] = clips["quality"]
        data = {"name": run.dataset, "label": label, "fingerprint": "f", "parent": "aa" if above else ""}
        origin = {"device": "cpu", "commit": "0" * 40}
        folder = folder_of(run, scale, place, key)
        record = Record(folder, key, run, scale, data, [{"seconds": 1.0}], {}, origin)
        folder.mkdir(parents=True)
        write_record(record, clips)
        made.append(record)
    return made


def found(place, name, scale=DEMO, **options):
    (claim,) = [each for each in CLAIMS if each.name.startswith(name)]
    (finding,) = findings.survey(scale, place, claims=[claim], **options)
    return finding


def test_without_records_nothing_is_judged_and_every_column_names_its_data(place):
    surveys = [findings.survey(get_profile(name), place) for name in ("demo", "gpu", "paper")]
    table = claims.table(surveys)
    assert list(table.display) == [
        "Claim", "Published", "demo (phantom)", "gpu (phantom)", "paper (EchoNet-Dynamic, CAMUS, HMC-QU)",
    ]  # fmt: skip
    cells = table.display.iloc[:, 2:].to_numpy().ravel()
    assert len(table.display) == 13
    assert {cell.partition(";")[0] for cell in cells} == {"not yet run"}
    assert set(table.numbers["verdict"]) == {"not yet run"}
    assert table.numbers["estimate"].isna().all()
    assert claims.summary(surveys[0]).endswith("13 claims: holds 0, does not hold 0, undecided 0, not yet run 13")
    assert not list(place.runs_dir.iterdir()), "looking for records trains and writes nothing"


@pytest.mark.parametrize(
    ("errors", "word", "against"),
    [
        ((2.0, 6.0, 6.0), "holds", ""),
        ((6.0, 2.0, 2.0), "does not hold", ""),
        ((4.0, 2.0, 8.0), "does not hold", "EchoCoTr"),
        ((4.0, 8.0, 4.02), "undecided", "AdaCon"),
    ],
)
def test_a_smaller_mae_favours_the_claim_and_every_rival_has_to_be_behind(place, errors, word, against):
    for row, error in zip((CORE, ECHO, ADA), errors, strict=True):
        write(place, row, error)
    finding = found(place, "State of the art")
    assert finding.word == word
    comparison, verdict = finding.deciding
    assert comparison.startswith("against ")
    assert comparison.endswith(against)
    assert verdict.gap.low <= verdict.gap.estimate <= verdict.gap.high
    assert word == "undecided" or (verdict.gap.estimate > 0) == (word == "holds")
    assert set(finding.verdicts) == {"against EchoCoTr", "against AdaCon"}
    assert finding.cell.startswith(f"{word}: ")
    assert "EF points, 3 seeds, against" in finding.cell
    line = claims.table([[finding]]).numbers.iloc[0]
    assert (line["verdict"], line["data"], line["seeds"]) == (word, "phantom", 3)
    assert len(line["runs"].split()) == 9


def test_one_missing_seed_leaves_a_claim_open_with_its_count(place):
    write(place, "table3/full", 2.0)
    write(place, "table3/one-clip", 6.0, seeds=(0, 2))
    assert found(place, "Two clips").cell == "not yet run (5 of 6 runs)"
    assert found(place, "Two clips", seeds=(0, 2)).word == "holds"
    assert found(place, "Augmentation").cell == "not yet run (3 of 6 runs)"


def test_seeds_that_disagree_leave_a_claim_open_and_it_says_so(place):
    write(place, "table3/full", (2.0, 2.0, 4.0))
    write(place, "table3/one-clip", (6.0, 6.0, 3.5))
    finding = found(place, "Two clips")
    assert finding.word == "undecided"
    assert finding.deciding[1].gap.low > 0
    assert finding.cell.endswith("3 seeds, which disagree")


def test_weights_that_stand_in_for_k400_are_named_where_the_claim_is_about_them(place):
    write(place, "table2/stage-one", 2.0)
    write(place, "table2/stage-one-scratch", 6.0)
    finding = found(place, "K400")
    assert finding.word == "holds"
    assert finding.cell.endswith("; *pretext* weights, not K400")
    assert "*pretext* weights, not K400" in claims.paragraph([finding])
    assert "pretext" not in found(place, "Augmentation").cell
    assert "pretext" not in found(place, "K400", PAPER).cell


@pytest.mark.parametrize(
    ("label", "word"), [("EchoNet-Dynamic", "holds"), ("phantom", "not yet run"), ("own data", "not yet run")]
)
def test_only_the_papers_own_data_enter_its_column(place, label, word):
    write(place, "table3/full", 2.0, scale=PAPER, label=label)
    write(place, "table3/one-clip", 6.0, scale=PAPER, label=label)
    finding = found(place, "Two clips", PAPER)
    assert finding.word == word
    assert finding.data == (label if word == "holds" else "")
    assert found(place, "Two clips").word == "not yet run", "another profile's records are not this one's"


def test_the_second_stage_is_judged_by_the_scatter_over_seeds(place):
    write(place, "table2/full", (4.0, 4.001, 4.0))
    write(place, "table2/stage-one", (2.0, 4.0, 8.0))
    finding = found(place, "The second stage")
    (verdict,) = finding.verdicts.values()
    own = {row: found(place, "The second stage").records[row] for row in finding.claim.rows}
    ratio = spread.steadier(own, "table2/full", "table2/stage-one")
    assert (verdict.word, verdict.gap.estimate, verdict.seeds) == (ratio.word, ratio.ratio, 3)
    assert finding.no_effect == 1
    assert "times the SD" in finding.cell
    assert "disagree" not in finding.cell
    assert found(place, "The second stage", seeds=(0,)).word == "not yet run", "one seed has no scatter"


@pytest.mark.parametrize(("own", "other", "word"), [(1, 9, "holds"), (9, 1, "does not hold")])
def test_transfer_needs_all_folds_and_turns_mae_but_not_accuracy(place, own, other, word):
    write(place, "table4/probe-coreecho", own, seeds=(0,))
    theirs = write(place, "table4/probe-echocotr", other, seeds=(0,))
    finding = found(place, "Probing transfers to CAMUS")
    assert finding.word == word
    assert (finding.deciding[1].gap.estimate > 0) == (word == "holds")
    assert finding.deciding[1].seeds == 1
    write(place, "table5/finetune-coreecho", 0.04 * own, seeds=(0,))
    write(place, "table5/finetune-echocotr", 0.2 * other, seeds=(0,))
    accuracy = found(place, "Fine-tuning transfers to HMC-QU")
    assert (accuracy.deciding[1].gap.estimate > 0) == (0.04 * own < 0.2 * other)
    assert "percentage points, 1 seed" in accuracy.cell
    (theirs[3].folder / "record.json").unlink()
    assert found(place, "Probing transfers to CAMUS").cell == "not yet run (19 of 20 runs)"


def test_a_row_without_skill_is_named_at_its_claim(place):
    write(place, "table5/probe-coreecho", 0.04, seeds=(0,))
    for record in write(place, "table5/probe-echocotr", 0.04, seeds=(0,)):
        write_record(record, pd.read_parquet(record.folder / "predictions.parquet").assign(prediction=1.0))
    finding = found(place, "Probing transfers to HMC-QU")
    assert finding.remark == (
        "calling every case an infarction takes no skill; not above its accuracy of 50.0 %: "
        "mlp probing from EchoCoTr (50.0); not above its F1 of 66.7 %: mlp probing from EchoCoTr (66.7)"
    )
    assert finding.remark in claims.paragraph([finding])


def embedded(noise, record):
    table = fabricated.embeddings(noise, record.run.seed)
    return lambda: table


def test_the_embedding_is_judged_from_what_lies_beside_the_records_alone(place, monkeypatch):
    monkeypatch.setattr(continuity_tables, "RESAMPLES", 50)
    records = {row: write(place, row, 4.0) for row in (CORE, ECHO)}
    assert found(place, "The embedding").cell == "not yet run (all runs, 0 of 6 tables of embeddings)"
    for noise, own in zip((0.2, 3.0), records.values(), strict=True):
        for record in own:
            appendix.kept(record, "embeddings", embedded(noise, record))
    finding = found(place, "The embedding")
    assert finding.word == "holds"
    assert finding.deciding[1].unit == "of rank correlation"


def looked_at(shares):
    frame = {"video": [f"v{each}" for each in range(len(shares))], "sign": "raises"}
    measures = ("share_ed", "share_es", "point", "wall", "wall_point", "outside")
    areas = ("area", "area_ed", "area_es", "wall_area", "sector")
    return pd.DataFrame({**frame, "share": shares, **dict.fromkeys(measures, np.nan), **dict.fromkeys(areas, 0.1)})


@pytest.mark.parametrize(("gain", "word"), [(0.2, "holds"), (-0.2, "does not hold"), (0.0, "undecided")])
def test_saliency_is_judged_from_what_lies_beside_the_records_alone(place, gain, word):
    records = {row: write(place, row, 4.0) for row in (CORE, ECHO)}
    assert found(place, "Grad-CAM").cell == "not yet run (all runs, 0 of 6 tables of focus)"
    for number, own in enumerate(records.values()):
        for record in own:
            shares = 0.4 + 0.05 * fabricated.scatter(7 * number + record.run.seed, 40) + (gain if number == 0 else 0)
            appendix.kept(record, "focus", lambda shares=shares: looked_at(shares))
    finding = found(place, "Grad-CAM")
    assert finding.word == word
    assert finding.deciding[1].gap.estimate == pytest.approx(100 * gain, abs=5)
    assert "percentage points, 3 seeds" in finding.cell
    said = claims.paragraph([finding])
    assert "the maps have 2 x 2 cells; inside lie " in said
    assert "of EchoCoTr, where an even map has 10.0 %, and both lie above it" in said


def timed(device, ms, sd):
    timings = [Timing(batch=size, warmup=1, timed=5, mean_ms=mean, sd_ms=sd) for size, mean in ((1, ms), (16, 1.0))]
    return types.SimpleNamespace(device=device, clip=DEMO.clip, fps=25.0, timings=timings)


@pytest.mark.parametrize(
    ("ms", "sd", "word"), [(20.0, 1.0, "holds"), (2000.0, 10.0, "does not hold"), (1230.0, 50.0, "undecided")]
)
def test_inference_is_real_time_where_a_clip_lasts_longer_than_it_takes(place, monkeypatch, ms, sd, word):
    lasts = 1e3 * DEMO.clip.span / 25
    measured = [timed("fast card", 2.0, 0.1), timed("slow card", ms, sd)]
    monkeypatch.setattr(efficiency, "measured", lambda profile, runs_dir: measured if profile.name == "demo" else [])
    finding = found(place, "Inference")
    comparison, verdict = finding.deciding
    assert (finding.word, comparison) == (word, "on slow card")
    assert verdict.gap.estimate == pytest.approx(lasts - ms)
    assert verdict.gap.high - verdict.gap.low == pytest.approx(2 * 1.96 * sd, rel=1e-3)
    assert finding.cell.endswith("on slow card")
    assert "seed" not in finding.cell
    assert found(place, "Inference", PAPER).word == "not yet run"


def test_printed_numbers_are_the_papers():
    values = {f"{value:.2f}" for value in numbers(published())}
    for claim in CLAIMS:
        printed = re.findall(r"\d+\.\d+", claim.printed)
        assert {f"{float(each):.2f}" for each in printed} <= values, claim.name


def numbers(content):
    if isinstance(content, dict | list):
        return [each for part in (content.values() if isinstance(content, dict) else content) for each in numbers(part)]
    return [content] if isinstance(content, int | float) else []


def test_what_the_printed_numbers_leave_open_is_computed_from_them():
    gaps = {claim.name: claims.printed_gap(claim) for claim in CLAIMS}
    noise = {name for name, gap in gaps.items() if gap is not None and gap.low <= 0 <= gap.high}
    assert noise == {"L_1st over L1", "The second stage steadies", "Two clips are crucial"}
    assert {name for name, gap in gaps.items() if gap is not None} - noise == {
        "K400 weights raise R2",
        "Augmentation is crucial",
    }
    text = {claim.name: claim.leaves_open for claim in CLAIMS}
    steady = spread.spread_ratio(0.43, 0.18, (3, 3))
    assert (
        f"{steady.ratio:.2f} with a 95 % interval of {steady.low:.2f} to {steady.high:.1f}"
        in text["The second stage steadies"]
    )
    assert f"{81.59 + 2 / 3**0.5 * 0.18:.1f}" == "81.8" in text["State of the art on EchoNet-Dynamic"]
    right = {name: sum(counts) for name, counts in published()["table5_counts_implied"]["rows"].items()}
    assert (
        f"{right['fine-tuning CoReEcho']} and {right['fine-tuning EchoCoTr']} are"
        in text["Fine-tuning transfers to HMC-QU"]
    )
    assert (
        f"{right['mlp probing CoReEcho']} and {right['mlp probing EchoCoTr']} of" in text["Probing transfers to HMC-QU"]
    )


def test_every_row_exists_and_a_paragraph_says_it_all(place):
    surveys = [findings.survey(scale, place) for scale in (DEMO, PAPER)]
    for own in zip(*surveys, strict=True):
        text, claim = claims.paragraph(own), own[0].claim
        assert set(claim.rows) <= set(all_rows())
        for part in (claim.name, claim.section, claim.says, claim.printed, claim.leaves_open, f"({claim.page}.html)"):
            assert part in text
        assert text.count("**not yet run**") == 2
        assert "- demo (phantom): " in text
        assert ("- On the phantom: " in text) == bool(claim.caution)


def test_how_far_apart_two_clips_can_lie_on_the_phantom_stands_at_their_claim(place):
    own = [found(place, "Two clips"), found(place, "Two clips", scale=PAPER)]
    assert compared.views_apart(DEMO) in claims.paragraph(own)
