"""The paper's tables: every published cell, ours computed from predictions, and no number under a wrong label."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from coreecho import evidence, experiments, figures, table_notes, tables
from coreecho.errors import RecordError, SettingsError
from coreecho.experiments import all_runs, find_run, table1, table3
from coreecho.rows import published
from coreecho.runs import Place
from coreecho.settings import Run

OURS = "phantom, tiny"
PAPER_COLUMN = tables.REPRODUCED


@pytest.fixture
def shown(tiny_records):
    return tables.comparison(tiny_records, {row.name: [] for row in table1()})


def cell(table, system, column):
    (value,) = table.display.loc[table.display["System"].str.startswith(system), column]
    return value


def video_means(record):
    """Labels and clip-averaged predictions, straight from the saved file."""
    table = pd.read_parquet(record.folder / "predictions.parquet")
    means = table[table["protocol"] == "fixed3"].groupby("video")[["label", "prediction"]].mean()
    return means["label"], means["prediction"]


SCORES = {
    "MAE": mean_absolute_error,
    "RMSE": root_mean_squared_error,
    "R2 (%)": lambda labels, predictions: 100 * r2_score(labels, predictions),
}


@pytest.mark.parametrize("metric", SCORES)
def test_our_numbers_are_scikit_learns_on_the_saved_predictions(shown, tiny_records, metric):
    for row, system in (("table1/coreecho", "CoReEcho"), ("table1/echocotr", "EchoCoTr")):
        by_seed = [SCORES[metric](*video_means(record)) for record in tiny_records[row]]
        digits = 1 if metric == "R2 (%)" else 2
        estimate, low, high = map(float, re.findall(r"-?\d+\.\d+", cell(shown, system, f"{OURS}: {metric}")))
        assert estimate == pytest.approx(np.mean(by_seed), abs=0.51 * 10**-digits)
        assert low <= estimate <= high
        numbers = shown.numbers.query("row == @row and source == 'tiny' and metric == @metric").iloc[0]
        assert numbers["value"] == pytest.approx(np.mean(by_seed), abs=1e-4)
        assert [float(value) for value in numbers["by_seed"].split()] == pytest.approx(by_seed, abs=1e-4)
        assert numbers["data"] == "phantom"


def test_every_seed_is_shown_with_their_sd(tiny_records):
    scores = [100 * r2_score(*video_means(record)) for record in tiny_records["table1/coreecho"]]
    trained = {name: own for name, own in tiny_records.items() if own}
    line = evidence.by_seed(trained).set_index("System").loc["CoReEcho"]
    mean, sd = np.mean(scores), np.std(scores, ddof=1)
    assert line["R2 (%)"] == f"{scores[0]:.1f}, {scores[1]:.1f} (mean {mean:.1f}, SD {sd:.2f})"
    assert line["Seeds"] == "0, 1"


def test_the_order_of_methods_is_told_as_it_is(tiny_records):
    text = evidence.order_of_methods(tiny_records)
    own = {
        system: np.mean([mean_absolute_error(*video_means(record)) for record in tiny_records[row]])
        for row, system in (("table1/coreecho", "CoReEcho"), ("table1/echocotr", "EchoCoTr"))
    }
    ours = " < ".join(sorted(own, key=own.get))
    assert f"Here ({OURS}): {ours}" in text
    assert ("same order" in text) == (ours == "CoReEcho < EchoCoTr")


def test_every_published_cell_of_table_1_appears(shown):
    entries = published()["table1_echonet_sota"]
    assert len(shown.display) == len(entries) == 9
    for (_, line), entry in zip(shown.display.iterrows(), entries, strict=True):
        assert line["System"] == f"{entry['system']}, {entry['clips']}"
        assert float(line["Published MAE"]) == entry["mae"]
        assert float(line["Published RMSE"]) == entry["rmse"]
        assert round(float(line["Published R2 (%)"])) == round(entry["r2"])


def test_each_of_our_columns_says_that_it_is_the_phantom(shown):
    others = [name for name in shown.display if name not in ("System", PAPER_COLUMN)]
    assert all(name.startswith(("Published ", f"{OURS}: ")) for name in others)
    assert sum(name.startswith(OURS) for name in others) == 3


def test_a_row_without_a_record_has_no_number_of_ours(shown):
    for _, line in shown.display.iterrows():
        own = [line[f"{OURS}: {metric}"] for metric in SCORES]
        if line["System"].partition(", ")[0] in ("EchoCoTr", "CoReEcho"):
            assert all("[" in value for value in own)
        else:
            assert set(own) == {"not yet run"}


def test_rows_of_one_run_are_scored_by_their_own_protocols(tiny_records):
    record = tiny_records["table1/coreecho"][0]
    rows = {row.name: row for row in table1()}
    single, full = rows["table1/echonet-dynamic-single"], rows["table1/echonet-dynamic-full"]
    assert (single.run, single.protocol, full.protocol) == (full.run, "first", "beats")
    found = tables.stacked(single.name, [record])[1]
    assert np.array_equal(found, tables.stack([record], "first")[1])
    assert not np.array_equal(found, tables.stacked("table1/coreecho", [record])[1])
    with pytest.raises(RecordError, match="beats"):
        tables.stacked(full.name, [record])
    assert single.title != full.title


def test_without_paper_records_their_column_says_not_yet_run(shown):
    assert set(shown.display[PAPER_COLUMN]) == {"not yet run"}


def relabelled(records, label):
    return {
        name: [dataclasses.replace(record, data={**record.data, "label": label}) for record in own]
        for name, own in records.items()
    }


def test_paper_records_fill_their_column(tiny_records):
    shown = tables.comparison(tiny_records, relabelled(tiny_records, "EchoNet-Dynamic"))
    mae = np.mean([mean_absolute_error(*video_means(record)) for record in tiny_records["table1/coreecho"]])
    assert f"MAE {mae:.2f} [" in cell(shown, "CoReEcho", PAPER_COLUMN)


def test_a_phantom_run_of_the_paper_profile_does_not_enter_the_column_of_hearts(tiny_records):
    shown = tables.comparison(tiny_records, tiny_records)
    assert cell(shown, "CoReEcho", PAPER_COLUMN) == "not yet run"
    assert set(shown.numbers.loc[shown.numbers["data"] == "EchoNet-Dynamic", "source"]) == {"published"}


def test_nothing_is_trained_to_look_for_existing_records(tmp_path):
    rows = table1()
    assert tables.existing(rows, "paper", Place(runs_dir=tmp_path)) == {row.name: [] for row in rows}


def test_remarks_and_contradicting_literature_stand_under_the_table(shown):
    assert any("traced ED and ES of the test video are given" in note for note in shown.notes)
    also = [entry for entry in published()["also_published"] if entry["table"] == 1]
    assert sum(note.startswith("Also published") for note in shown.notes) == len(also) > 0


def test_a_table_is_written_for_readers_for_machines_and_for_papers(shown, tmp_path):
    shown.write(tmp_path, "table1")
    markdown = (tmp_path / "table1.md").read_text()
    assert "| CoReEcho" in markdown
    assert shown.notes[0] in markdown
    numbers = pd.read_csv(tmp_path / "table1.csv")
    assert numbers["value"].tolist() == pytest.approx(shown.numbers["value"].tolist())
    assert r"R2 (\%)" in (tmp_path / "table1.tex").read_text()


def test_differences_are_paired_and_point_where_they_say(tiny_records):
    (line,) = evidence.differences(tiny_records, "table1/coreecho").to_dict("records")
    assert line["Difference"] == "CoReEcho minus EchoCoTr"
    own = np.mean([mean_absolute_error(*video_means(record)) for record in tiny_records["table1/coreecho"]])
    other = mean_absolute_error(*video_means(tiny_records["table1/echocotr"][0]))
    assert float(line["MAE"].split()[0]) == pytest.approx(own - other, abs=0.006)


def test_the_oracle_is_scored_against_the_reader(tiny_records, phantom_folder):
    trained = {name: own for name, own in tiny_records.items() if own}
    table = evidence.against_truth(trained)
    truth = pd.read_csv(phantom_folder / "truth.csv").set_index("FileName")["EF"]
    labels, _ = video_means(tiny_records["table1/coreecho"][0])
    assert table["System"].tolist() == ["oracle (the true EF)", "CoReEcho", "EchoCoTr"]
    assert float(table["R2 against the reader (%)"][0]) == pytest.approx(
        100 * r2_score(labels, truth[labels.index]), abs=0.06
    )
    assert table["R2 against the truth (%)"][0] == "100.0"


def test_records_of_other_videos_are_not_stacked(tiny_records, tmp_path):
    first = tiny_records["table1/coreecho"][0]
    table = pd.read_parquet(first.folder / "predictions.parquet")
    table.assign(video=table["video"] + "x").to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(RecordError, match="other videos"):
        tables.stack([first, dataclasses.replace(first, folder=tmp_path)])


def test_run_names_and_rows_are_unique_and_found():
    names = [row.name for row in table1()]
    assert len(set(names)) == len(names)
    everything = all_runs()
    # 17 rows in three seeds and 9 in one; 60 runs on CAMUS and 45 on HMC-QU.
    assert len(everything) == 17 * 3 + 9 + 60 + 45
    assert all(find_run(name) == run for name, run in everything.items())
    assert find_run("table1/coreecho") == Run()
    assert find_run("table1/adacon/seed2") == Run(method="adacon", views="same-clip", seed=2)


@pytest.mark.parametrize("name", ["table1/vit", "coreecho", "table1/coreecho/seedx", "table1/coreecho/seed-1", ""])
def test_an_unknown_run_is_refused_with_where_the_known_ones_are(name):
    with pytest.raises(SettingsError, match=r"table1/coreecho/seed0.*coreecho runs status"):
        find_run(name)


def test_a_mistyped_run_is_answered_with_its_like():
    with pytest.raises(SettingsError, match=r"no run 'table1/corecho/seed1'; did you mean table1/coreecho"):
        find_run("table1/corecho/seed1")


def test_rows_that_the_paper_copied_are_trained_with_one_seed():
    for entry, row in zip(published()["table1_echonet_sota"], table1(), strict=True):
        assert row.single == (not entry["reproduced_by_paper"])
        assert len(row.runs([0, 1, 2])) == (1 if row.single else 3)


def test_the_same_data_give_the_same_figure_file(tiny_records, tmp_path):
    trained = {name: own for name, own in tiny_records.items() if own}
    for folder in ("a", "b"):
        figures.save(figures.predicted_against_listed(trained), tmp_path / folder, "scatter")
    for name in ("scatter.png", "scatter.svg"):
        content = (tmp_path / "a" / name).read_bytes()
        assert len(content) > 1000
        assert content == (tmp_path / "b" / name).read_bytes()
    assert OURS in (tmp_path / "a" / "scatter.svg").read_text()


def as_table_3(tiny_records):
    """Tiny records under Table 3's row names, one seed each."""
    first, second = tiny_records["table1/coreecho"]
    return {"table3/full": [first], "table3/one-clip": [second], "table3/no-augmentation": []}


def test_every_published_cell_of_table_3_appears(tiny_records):
    shown = tables.ablation(table3(), as_table_3(tiny_records), {}).display
    published_cells = [f"{e['r2_mean']:.2f} ± {e['r2_sd']:.2f}" for e in published()["table3_augmentation_r2"]]
    assert shown["Published R2 (%)"].tolist() == published_cells
    assert shown[PAPER_COLUMN].tolist() == ["not yet run"] * 3
    assert len({row.run for row in table3()}) == 3
    assert all(row.run.init == "scratch" for row in table3())


def test_the_ablation_shows_every_seed_for_three_clips_and_for_one(tiny_records):
    records = as_table_3(tiny_records) | {"table3/full": tiny_records["table1/coreecho"]}
    shown = tables.ablation(table3(), records).display.iloc[0]
    for protocol, column in (("fixed3", "three fixed clips"), ("first", "first clip")):
        scores = []
        for record in records["table3/full"]:
            table = pd.read_parquet(record.folder / "predictions.parquet")
            means = table[table["protocol"] == protocol].groupby("video")[["label", "prediction"]].mean()
            scores.append(100 * r2_score(means["label"], means["prediction"]))
        text = f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f} ({scores[0]:.1f}, {scores[1]:.1f})"
        assert shown[f"{OURS}: R2 (%), {column}"] == text
    assert tables.ablation(table3(), records).display.iloc[2].tolist()[2:] == ["not yet run"] * 2


def with_error(record, folder, size):
    """A copy of a record whose predictions miss every label by ``size`` EF points, to either side in turn."""
    table = pd.read_parquet(record.folder / "predictions.parquet")
    sign = table["video"].map({video: 1 - 2 * (number % 2) for number, video in enumerate(sorted(set(table["video"])))})
    folder.mkdir()
    table.assign(prediction=table["label"] + sign * size).to_parquet(folder / "predictions.parquet")
    return dataclasses.replace(record, folder=folder)


def test_a_verdict_follows_the_stated_rule(tiny_records, tmp_path):
    first = tiny_records["table1/coreecho"][0]
    good, bad = with_error(first, tmp_path / "good", 1.0), with_error(first, tmp_path / "bad", 6.0)

    def verdict(better, worse):
        return evidence.verdict({"a": better, "b": worse}, "a", "b")

    assert verdict([good], [bad]).startswith("holds (difference in R2 of ")
    assert verdict([bad], [good]).startswith("does not hold")
    assert verdict([good], [good]).startswith("undecided")
    assert verdict([good, good], [bad, dataclasses.replace(good)]).startswith("undecided")  # a seed does not agree
    assert verdict([], [good]) == "not yet run"


def test_an_ablation_takes_no_phantom_for_hearts(tiny_records):
    rows = [row for row in experiments.table2() if row.name == "table2/full"]
    own = {"table2/full": tiny_records["table1/coreecho"]}
    shown = tables.ablation(rows, own, paper_records=own)  # the paper profile was tried on a phantom's folder
    assert shown.display[PAPER_COLUMN].tolist() == ["not yet run"]
    assert (shown.numbers["source"] != "published").sum() == len(SCORES)


def test_rows_of_other_seeds_are_not_compared(tiny_records):
    first, second = tiny_records["table1/coreecho"]
    with pytest.raises(RecordError, match=r"a has seeds \[0\] and b has seeds \[1\]; run both in the same seeds"):
        evidence.verdict({"a": [first], "b": [second]}, "a", "b")


def test_the_line_above_a_table_names_data_and_profile_once(tiny_records):
    assert tables.made_on(tiny_records) == f"All numbers: {OURS}."
    assert tables.made_on({"table1/coreecho": []}) == "All numbers: not yet run."


def test_clips_a_video_and_seeds_are_counted_from_the_predictions(tiny_records, tmp_path):
    row = next(row for row in table1() if row.name == "table1/echonet-dynamic-full")
    base = pd.read_parquet(tiny_records["table1/coreecho"][0].folder / "predictions.parquet")
    videos = base["video"].unique()
    legal = [(video, start) for video in videos for start in range(5)]
    beats = [(video, 0) for video in videos[:-1]] + [(videos[-1], 2), (videos[-1], 4)]
    parts = [
        pd.DataFrame(own, columns=["video", "start"]).assign(protocol=name, clip=0, label=50.0, prediction=50.0)
        for name, own in (("all", legal), ("beats", beats))
    ]
    record = dataclasses.replace(
        tiny_records["table1/coreecho"][0], folder=tmp_path, metrics={"all": {}, "beats": {}, "first": {}}
    )
    pd.concat(parts).to_parquet(tmp_path / "predictions.parquet")
    told = table_notes.clips_seen(row, record)
    mean = f"{(len(videos) + 1) / len(videos):.3g}"
    assert f"{mean} clips a video; {len(videos)} of {len(videos) + 1} begin at the first or the last" in told
    one = parts[1].drop_duplicates("video", keep="first").query("start == 0")
    one.assign(protocol="beats").to_parquet(tmp_path / "predictions.parquet")
    assert "1 clip a video, the one from frame 0 on; nothing is averaged" in table_notes.clips_seen(row, record)
    assert any(table_notes.clips_seen(row, record) in note for note in table_notes.notes({row.name: [record]}, {}))


def test_the_seeds_of_every_row_stand_under_the_table_and_in_the_papers_file(tiny_records, shown, tmp_path):
    told = "Seeds: 0 of EchoCoTr; 0, 1 of CoReEcho; one seed shows no scatter over trainings."
    assert told in shown.notes
    shown.write(tmp_path, "table1")
    assert f"- {told}\n" in (tmp_path / "table1.md").read_text()
    assert f"% {told}\n" in (tmp_path / "table1.tex").read_text()
    (line,) = table_notes.seeds(table1(), {"table1/coreecho": tiny_records["table1/coreecho"]})
    assert line == "Seeds: 0, 1 of CoReEcho."
    assert not list(table_notes.seeds(table1(), {}))
