"""Tables 4 and 5 from records: scipy's and scikit-learn's numbers, honest columns, and refusals by name."""

import dataclasses
import itertools
import re

import numpy as np
import pandas as pd
import pytest
from helpers import TINY, formula
from scipy.stats import pearsonr

from coreecho import transfer
from coreecho.errors import RecordError, SettingsError
from coreecho.experiments import all_rows, table4, table5
from coreecho.records import Record, read_record, write_record
from coreecho.rows import published
from coreecho.transfer import scores as transfer_scores
from coreecho.transfer.correlation import LEAST
from coreecho.transfer.outoffold import finished, pool

PATIENTS = np.arange(120)
EF = (45 + 24 * formula(1, PATIENTS)).round()
# One patient in ten is Poor in the four-chamber view, another two in the other view only.
POOR, POOR_PATIENT = PATIENTS // 10 % 10 == 4, np.isin(PATIENTS // 10 % 10, (4, 5, 6))
FOLD_SIZES = (23, 23, 21, 21, 21)
INFARCTIONS = (15, 15, 14, 14, 14)
ERRORS = {"scratch": 8, "probe-echocotr": 9, "probe-coreecho": 5, "finetune-echocotr": 4, "finetune-coreecho": 4}


def write(folder, row, seed, fold, table, label="phantom", profile=TINY):
    """A written and read record of one fold whose predictions are ``table``'s."""
    run = dataclasses.replace(all_rows()[row].run, seed=seed, fold=fold)
    made = Record(
        folder=folder / f"{row.replace('/', '-')}-{seed}-{fold}-{label}",
        key=f"{seed}{fold}".rjust(8, "0"),
        run=run,
        profile=profile,
        data={"name": run.dataset, "label": label, "fingerprint": "0"},
        history=[{"seconds": 1.0}],
        metrics={},
        provenance={"device": "cpu", "commit": "0" * 40},
    )
    made.folder.mkdir()
    write_record(made, table.assign(protocol="first", clip=0, start=0, fold=fold))
    return read_record(made.folder)


def camus_records(folder, row, seeds=(0,), **options):
    """Records of the ten folds of a row; patient n is in fold n % 10 and is missed by the row's error."""
    table = pd.DataFrame(
        {
            "video": [f"patient{number:04d}" for number in PATIENTS],
            "label": EF,
            "quality": np.where(POOR, "Poor", np.where(PATIENTS % 2, "Good", "Medium")),
            "quality_patient": np.where(POOR_PATIENT, "Poor", "Good"),
        }
    )
    made = []
    for seed, fold in itertools.product(seeds, range(10)):
        noise = ERRORS[row.partition("/")[2]] * formula(20 + seed + 3 * list(ERRORS).index(row[7:]), PATIENTS)
        made.append(
            write(folder, row, seed, fold, table.assign(prediction=EF + noise)[fold == PATIENTS % 10], **options)
        )
    return made


def hmcqu_records(folder, row, right, seeds=(0,), **options):
    """Records of the five folds; ``right`` has the numbers of infarctions and of others called rightly, by fold."""
    made = []
    for seed, (fold, (found, spared)) in itertools.product(seeds, enumerate(right)):
        n, ill = FOLD_SIZES[fold], INFARCTIONS[fold]
        number = np.arange(n)
        called = np.where(number < ill, number < found, number - ill >= spared)
        table = pd.DataFrame(
            {
                "video": [f"echo{fold}-{each:02d}" for each in number],
                "label": (number < ill).astype(float),
                "prediction": np.where(called, 0.9, 0.1),
            }
        )
        made.append(write(folder, row, seed, fold, table, **options))
    return made


@pytest.fixture(scope="module")
def camus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camus")
    return {f"table4/{name}": camus_records(folder, f"table4/{name}", seeds=(0, 1)) for name in ERRORS}


RIGHT = [(14, 7), (14, 6), (13, 6), (13, 6), (13, 7)]
FEWER = [(12, 5), (11, 4), (11, 4), (10, 5), (12, 3)]


@pytest.fixture(scope="module")
def hmcqu(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hmcqu")
    own = {"finetune-coreecho": RIGHT, "scratch": FEWER, "finetune-k400": FEWER}
    return {f"table5/{name}": hmcqu_records(folder, f"table5/{name}", right) for name, right in own.items()}


def share(total, folds):
    """A number spread over folds as evenly as possible."""
    return [total // folds + (place < total % folds) for place in range(folds)]


def number(table, row, metric, source="tiny"):
    (value,) = table.numbers.query("row == @row and metric == @metric and source == @source")["value"]
    return value


@pytest.mark.parametrize(("grouping", "poor"), [("view", POOR), ("patient", POOR_PATIENT)])
def test_table_4_pools_the_folds_then_splits_by_quality(camus, grouping, poor):
    table = transfer.camus(camus, grouping=grouping)
    for row in ("table4/scratch", "table4/probe-coreecho"):
        saved = [
            pd.concat([one.predictions() for one in camus[row] if one.run.seed == seed]).sort_values("video")
            for seed in (0, 1)
        ]
        for name, chosen in (("Good & Medium", ~poor), ("Poor", poor)):
            mae = np.mean([np.abs(each["prediction"] - EF)[chosen].mean() for each in saved])
            corr = np.mean([pearsonr(each["prediction"][chosen], EF[chosen]).statistic for each in saved])
            assert number(table, row, f"MAE, {name}") == pytest.approx(mae, abs=1e-4)
            assert number(table, row, f"Corr., {name}") == pytest.approx(corr, abs=1e-4)
    (shown,) = table.display.loc[table.display["Training"] == "scratch", "phantom, tiny: MAE, Poor"]
    estimate, low, high = map(float, re.findall(r"\d+\.\d+", shown))
    assert low < estimate < high
    assert any("120 patients, 2 seeds" in note for note in table.notes)


def test_every_published_cell_is_printed_and_what_was_not_run_has_none_of_ours(camus, hmcqu):
    for table, rows in ((transfer.camus(camus), table4()), (transfer.hmcqu(hmcqu), table5())):
        for (_, line), row in zip(table.display.head(len(rows)).iterrows(), rows, strict=True):
            printed = [float(value) for name, value in line.items() if name.startswith("Published ")]
            assert printed == list(row.published.values())
            own = {value for name, value in line.items() if name.startswith("phantom, tiny: ")}
            if row.name not in camus | hmcqu:
                assert own == {"not yet run"}
            else:
                assert all("[" in value for value in own)


def test_the_paper_column_says_not_yet_run_until_all_folds_of_hearts_are_there(camus, tmp_path):
    row = "table4/scratch"
    hearts = camus_records(tmp_path, row, label="CAMUS", profile=dataclasses.replace(TINY, name="paper"))
    for paper, filled in (({}, False), ({row: hearts[:9]}, False), (camus, False), ({row: hearts}, True)):
        shown = transfer.camus(camus, paper).display.set_index("Training")["CAMUS, run here"]
        assert shown["scratch"].startswith("Corr., Good & Medium 0.") == filled
        assert filled or shown["scratch"] == "not yet run"
        assert shown["CLAS, regression"] == "not yet run"


def test_by_fold_gives_a_correlation_only_where_folds_have_patients_enough(camus):
    line = transfer.by_fold(camus).set_index("Training").loc["scratch"]
    saved = [one.predictions() for one in camus["table4/scratch"]]
    wanted = [each[each["quality"] != "Poor"] for each in saved]
    errors = [np.abs(each["prediction"] - each["label"]).mean() for each in wanted]
    assert line["MAE, Good & Medium"] == f"{np.mean(errors):.2f} (10 folds)"
    correlations = [pearsonr(each["prediction"], each["label"]).statistic for each in wanted]
    assert line["Corr., Good & Medium"] == f"{np.mean(correlations):.3f}"
    assert line["Corr., Poor"] == "too few patients in a fold"


def test_table_5_is_means_over_folds_first_and_pooled_second(hmcqu):
    row = "table5/finetune-coreecho"
    means, pooled = transfer.hmcqu(hmcqu), transfer.hmcqu(hmcqu, pooled=True)
    found, spared = np.transpose(RIGHT)
    other = np.subtract(FOLD_SIZES, INFARCTIONS)
    assert number(means, row, "Sensitivity") == pytest.approx(100 * np.mean(found / INFARCTIONS), abs=1e-4)
    assert number(means, row, "Specificity") == pytest.approx(100 * np.mean(spared / other), abs=1e-4)
    assert number(pooled, row, "Sensitivity") == pytest.approx(100 * found.sum() / 72, abs=1e-4)
    assert number(pooled, row, "Specificity") == pytest.approx(100 * spared.sum() / 37, abs=1e-4)
    assert number(pooled, row, "Accuracy") == pytest.approx(100 * (found + spared).sum() / 109, abs=1e-4)
    assert any("test sets of 23, 23, 21, 21, 21" in note for note in means.notes)
    assert "differ by 1 patient of 109" in means.notes[-1]


@pytest.mark.parametrize("pooled", [False, True])
def test_calling_every_case_an_infarction_is_table_5s_last_line(hmcqu, pooled):
    table, ill = transfer.hmcqu(hmcqu, pooled=pooled), np.array(INFARCTIONS) / FOLD_SIZES
    share = 100 * (sum(INFARCTIONS) / sum(FOLD_SIZES) if pooled else ill.mean())
    f1 = 100 * (2 * sum(INFARCTIONS) / (sum(INFARCTIONS) + 109) if pooled else (2 * ill / (ill + 1)).mean())
    wanted = {"Sensitivity": 100, "Specificity": 0, "Precision": share, "F1": f1, "Accuracy": share}
    for metric, value in wanted.items():
        assert number(table, "table5/all-infarction", metric) == pytest.approx(value, abs=1e-4)
    last = table.display.iloc[-1]
    assert last["Training"] == "all called infarction (no skill, not a system)"
    assert {value for name, value in last.items() if name.startswith("Published")} == {"not in the paper"}
    assert len(table.display) == len(table5()) + 1
    (said,) = [note for note in table.notes if "takes no skill" in note]
    assert f"not above its F1 of {f1:.1f} %: scratch (" in said
    assert "accuracy" not in said
    assert "fine-tuning from CoReEcho (" not in said
    only = {"table5/finetune-coreecho": hmcqu["table5/finetune-coreecho"]}
    assert not transfer_scores.no_better(only, pooled)
    assert not transfer_scores.no_better({})


def test_the_counts_behind_the_printed_table_5_give_its_numbers(tmp_path):
    """The counts of patients that `published.json` states reproduce three printed metrics of a row as fold means."""
    row, (ill, well) = "table5/finetune-coreecho", published()["table5_counts_implied"]["rows"]["fine-tuning CoReEcho"]
    printed = all_rows()[row].published
    for large, spared in itertools.product(range(31), range(17)):
        counts = [(share(large, 2), share(ill - large, 3)), (share(spared, 2), share(well - spared, 3))]
        found, right = ([value for part in side for value in part] for side in counts)
        rates = np.array([found, right]) / [INFARCTIONS, np.subtract(FOLD_SIZES, INFARCTIONS)]
        accuracy = np.mean(np.add(found, right) / FOLD_SIZES)
        close = np.abs(100 * np.array([*rates.mean(axis=1), accuracy]) - [printed[m] for m in ("sens", "spec", "acc")])
        if (close < 0.0051).all() and rates.max() <= 1 and rates.min() >= 0:
            break
    else:
        pytest.fail("no layout of the counts gives the printed metrics")
    table = transfer.hmcqu({row: hmcqu_records(tmp_path, row, list(zip(found, right, strict=True)))})
    for metric, name in (("sens", "Sensitivity"), ("spec", "Specificity"), ("acc", "Accuracy")):
        assert number(table, row, name) == pytest.approx(printed[metric], abs=0.0051)
        assert number(table, row, name, source="published") == printed[metric]


def test_what_stands_in_for_kinetics_is_named(hmcqu, tmp_path):
    pretext = dataclasses.replace(TINY, k400="pretext")
    row = "table5/finetune-k400"
    table = transfer.hmcqu({row: hmcqu_records(tmp_path, row, FEWER, profile=pretext)})
    name = "fine-tuning from K400 (tiny: *pretext*)"
    assert name in set(table.display["Training"])
    assert set(table.numbers.query("source == 'tiny' and row == @row")["system"]) == {name}
    assert any("*pretext* weights" in note for note in table.notes)
    assert "fine-tuning from K400 (tiny: random)" in set(transfer.hmcqu(hmcqu).display["Training"])


def test_verdicts_follow_the_rule_and_say_how_many_seeds(camus, hmcqu):
    probing, finetuning, scratch = transfer_scores.verdicts(camus, "table4")
    assert "probing (MAE, Good & Medium): holds (difference" in probing
    assert probing.endswith("EF points, 2 seeds).")
    assert "fine-tuning (MAE, Good & Medium): undecided" in finetuning
    assert "random weights (MAE, Good & Medium): holds" in scratch
    assert transfer_scores.judge(camus, "table4/scratch", "table4/probe-coreecho").word == "does not hold"
    lines = transfer_scores.verdicts(hmcqu, "table5")
    assert [line.endswith(": not yet run.") for line in lines] == [True, True, False]
    assert lines[2].endswith("percentage points, 1 seed).")
    found = transfer_scores.judge(hmcqu, "table5/finetune-coreecho", "table5/scratch")
    shown = [number(transfer.hmcqu(hmcqu), row, "Accuracy") for row in ("table5/finetune-coreecho", "table5/scratch")]
    assert found.gap.estimate == pytest.approx(shown[0] - shown[1], abs=1e-3)


def with_error(record, folder, size):
    """A copy of a record that misses every label by ``size`` EF points, to either side in turn."""
    table = record.predictions()
    sign = 1 - 2 * (np.arange(len(table)) % 2)
    moved = table[["video", "label", "quality", "quality_patient"]].assign(prediction=table["label"] + size * sign)
    return write(folder, "table4/finetune-coreecho", record.run.seed, record.run.fold, moved)


def test_a_seed_that_disagrees_leaves_a_claim_undecided(camus, tmp_path):
    """The mean over seeds is clearly ahead; one of the two seeds is behind."""
    behind = camus["table4/scratch"]  # misses by 4 in the mean
    ahead = [with_error(one, tmp_path, 0.1 if one.run.seed else 6) for one in behind]
    found = transfer_scores.judge({"table4/finetune-coreecho": ahead, "table4/scratch": behind},
                                  "table4/finetune-coreecho", "table4/scratch")  # fmt: skip
    assert found.gap.low > 0
    assert found.word == "undecided"


def test_rows_of_other_seeds_or_patients_are_not_compared(camus):
    rows = ("table4/probe-coreecho", "table4/scratch")
    one_seed = [one for one in camus[rows[1]] if one.run.seed == 0]
    with pytest.raises(RecordError, match=r"probe-coreecho has seeds \(0, 1\) and table4/scratch \(0,\)"):
        transfer_scores.judge({rows[0]: camus[rows[0]], rows[1]: one_seed}, *rows)
    with pytest.raises(SettingsError, match="table4 has no metric 'acc'; choose one of gm_corr"):
        transfer_scores.judge(camus, *rows, metric="acc")


def test_differences_are_first_row_minus_second(camus):
    lines = transfer_scores.differences(camus, "table4").set_index("Difference")
    table = transfer.camus(camus)
    rows = [f"table4/{name}" for name in ("probe-coreecho", "probe-echocotr")]
    gap = np.subtract(*[number(table, row, "MAE, Good & Medium") for row in rows])
    text = lines.loc["CoReEcho's encoder over EchoCoTr's, probing", "MAE, Good & Medium"]
    assert float(text.split()[0]) == pytest.approx(gap, abs=0.006)


def test_a_missing_fold_is_named_and_never_averaged_over(camus):
    row = "table4/scratch"
    nine = [one for one in camus[row] if (one.run.seed, one.run.fold) != (1, 3)]
    with pytest.raises(RecordError, match=r"table4/scratch/seed1: 9 of 10 folds, without fold3; .*seed1/fold3"):
        transfer.camus({row: nine})
    assert {one.run.seed for one in finished({row: nine})[row]} == {0}
    with pytest.raises(RecordError, match="seed1: 11 records for 10 folds"):
        pool(row, [*camus[row], camus[row][-1]])
    with pytest.raises(RecordError, match="table4/scratch: no records"):
        pool(row, [])


def changed(records, folder, place, change):
    """The records with one of them written anew, its predictions changed."""
    one = records[place]
    table = change(one.predictions().drop(columns=["clip", "start", "fold"]))
    row = next(name for name, row in all_rows().items() if row.run == dataclasses.replace(one.run, seed=0, fold=0))
    return [*records[:place], write(folder, row, one.run.seed, one.run.fold, table), *records[place + 1 :]]


def test_a_fold_of_one_class_is_refused_by_name(hmcqu, tmp_path):
    row = "table5/scratch"
    records = changed(hmcqu[row], tmp_path, 3, lambda table: table.assign(label=1.0))
    with pytest.raises(RecordError, match="table5/scratch/seed0/fold3: all 21 test cases are infarctions"):
        transfer.hmcqu({row: records})


@pytest.mark.parametrize(
    ("column", "grouping", "empty"),
    [("quality", "view", "four-chamber view"), ("quality_patient", "patient", "patient's two views")],
)
def test_an_empty_quality_group_is_refused_by_name(camus, tmp_path, column, grouping, empty):
    row = "table4/scratch"
    good = [one for one in camus[row] if one.run.seed == 0]
    for place in range(10):
        good = changed(good, tmp_path, place, lambda table: table.assign(**{column: "Good"}))
    with pytest.raises(RecordError, match=rf"scratch: 0 patients in the quality group Poor .*{empty}.*least {LEAST}"):
        transfer.camus({row: good}, grouping=grouping)


def test_a_patient_in_two_folds_or_of_another_label_is_refused(camus, tmp_path):
    row = "table4/scratch"
    twice = changed(camus[row], tmp_path, 4, lambda table: table.assign(video=[*table["video"][:-1], "patient0000"]))
    with pytest.raises(RecordError, match="seed0: patient0000 is in the test sets of folds 0 and 4"):
        pool(row, twice)
    other = changed(camus[row], tmp_path, 15, lambda table: table.assign(label=table["label"] + 1))
    with pytest.raises(RecordError, match="seed1: other patients, labels or folds than seed 0"):
        pool(row, other)


def test_records_without_a_quality_are_refused(camus, tmp_path):
    row = "table4/scratch"
    bare = [one for one in camus[row] if one.run.seed == 0]
    for place in range(10):
        bare = changed(bare, tmp_path, place, lambda table: table.drop(columns="quality"))
    with pytest.raises(RecordError, match="no column 'quality'"):
        transfer.camus({row: bare})


def test_the_tables_are_written_for_machines_too(camus, tmp_path):
    transfer.camus({"table4/scratch": camus["table4/scratch"]}).write(tmp_path, "table4")
    saved = pd.read_csv(tmp_path / "table4.csv")
    own = saved[saved["source"] == "tiny"]
    assert set(own["data"]) == {"phantom"}
    assert (own["low"] < own["value"]).all()
    assert (own["value"] < own["high"]).all()
    assert len(saved[saved["source"] == "published"]) == 24
