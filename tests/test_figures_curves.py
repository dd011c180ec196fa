"""Training curves: what a record's history says, in words, tables and figures."""

import dataclasses

import pytest
import torch
from fabricated import record

from coreecho import curves
from coreecho.errors import RecordError
from coreecho.figures import curves as drawn
from coreecho.losses import rnc_loss
from coreecho.profiles import get_profile
from coreecho.settings import Recipe, Run


def entry(stage, epoch, chosen, mae, **losses):
    seconds = {"seconds": 1.0, "val_seconds": 0.1}
    return {"stage": stage, "epoch": epoch, "chosen": chosen, "learning_rate": 1e-3, "val_mae": mae,
            "val_mse": mae**2, **losses} | seconds  # fmt: skip


def two_stages(losses=(2.9, 2.5, 2.6, 2.5, 2.4), shift=0.0):
    errors = [9.0, 7.0, 6.0, 5.5, 5.75]
    first = [
        entry("stage one", number, min(number, 3), mae + shift, rnc=loss, l1=mae)
        for number, (loss, mae) in enumerate(zip(losses, errors, strict=True))
    ]
    return first + [entry("stage two", number, 0, 5.25 + number + shift, error=5.0) for number in range(2)]


def one_stage():
    return [entry("end to end", number, number, 8.0 - number, error=60.0 - number) for number in range(3)]


@pytest.fixture
def records(tmp_path):
    demo = get_profile("demo")
    ranked = [
        dataclasses.replace(
            record(tmp_path, "table1/coreecho", seed, profile=demo), history=two_stages(shift=seed / 10)
        )
        for seed in (0, 1)
    ]
    plain = dataclasses.replace(record(tmp_path, "table1/echocotr", profile=demo), history=one_stage())
    return {"table1/echocotr": [plain], "table1/coreecho": ranked}


@pytest.mark.parametrize("views", ["one", "same-clip", "two-clips"])
def test_chance_is_the_loss_of_embeddings_that_say_nothing(views):
    copies = 1 if views == "one" else 2
    labels = torch.linspace(4.4, 8.9, 16, dtype=torch.float64).square().repeat(copies)  # no two pairs equally far
    loss = rnc_loss(torch.zeros(len(labels), 3, dtype=torch.float64), labels)
    assert curves.chance_level(Run(views=views), Recipe(batch_size=16)) == pytest.approx(float(loss))


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ((2.9, 2.5, 2.6, 2.5, 2.4), 4),  # an epoch back at chance counts against it
        ((2.4, 2.3, 2.3, 2.2, 2.2), 1),
        ((2.9, 2.58, 2.58, 2.58, 2.55), None),
    ],
)
def test_chance_is_left_when_the_loss_stays_below_it(records, losses, epoch):
    one = dataclasses.replace(records["table1/coreecho"][0], history=two_stages(losses))
    assert curves.left_chance(one) == epoch


def test_without_rank_n_contrast_there_is_no_chance_to_leave(records):
    assert curves.left_chance(records["table1/echocotr"][0]) is None


def test_curves_come_by_stage_with_their_units(records):
    found = [(curve.stage, curve.name, curve.label) for curve in curves.curves(records["table1/coreecho"][0])]
    assert found == [
        ("stage one", "rnc", "Rank-N-Contrast loss"),
        ("stage one", "l1", "absolute error of the head (EF points)"),
        ("stage one", "val_mae", "validation MAE (EF points)"),
        ("stage one", "learning_rate", "learning rate"),
        ("stage two", "error", "absolute error (EF points)"),
        ("stage two", "val_mae", "validation MAE (EF points)"),
        ("stage two", "learning_rate", "learning rate"),
    ]


def test_epochs_count_from_one_and_the_chosen_one_is_the_last_choice(records):
    rnc, *_ = curves.curves(records["table1/coreecho"][0])
    assert rnc.epochs == (1, 2, 3, 4, 5)
    assert rnc.chosen == 4


def test_the_loss_of_a_method_has_its_own_unit():
    assert curves.loss_label(Run(method="echocotr"), "error") == "squared error (EF points²)"
    assert curves.loss_label(Run(method="probe", dataset="hmcqu", fold=0), "error") == "binary cross-entropy"
    assert (
        curves.validation_label(Run(method="ouyang"), "outlining", "val_mae") == "validation: 1 - Dice of the outline"
    )


def test_the_table_and_the_sentences_tell_what_the_histories_hold(records):
    table = curves.summary(records).set_index("Row")
    assert table.loc["CoReEcho"].tolist() == ["2", "4, 4", "4, 4", "5.50, 5.60", "5.25, 5.35"]
    assert table.loc["EchoCoTr"].tolist() == ["1", "–", "3", "6.00", "–"]
    assert "(phantom, demo): CoReEcho in epochs 4, 4." in curves.plateau_sentence(records)
    told = curves.second_stage_sentence(records)
    assert "from 5.50 to 5.25, 5.60 to 5.35 EF points, lower in 2 of 2 seeds" in told
    alone = {"table1/echocotr": records["table1/echocotr"]}
    assert "None" in curves.plateau_sentence(alone)
    assert "None" in curves.second_stage_sentence(alone)


def test_runs_that_predict_no_ef_are_refused(records):
    history = [{name: value for name, value in each.items() if name != "val_mae"} for each in one_stage()]
    classes = {"table1/echocotr": [dataclasses.replace(records["table1/echocotr"][0], history=history)]}
    for told in (curves.summary, curves.second_stage_sentence, drawn.training_curves):
        with pytest.raises(RecordError, match="Tables 1 to 4"):
            told(classes)


def test_rows_of_one_training_are_shown_once(records):
    twice = records | {"table2/full": records["table1/coreecho"], "table1/adacon": []}
    assert list(curves.distinct(twice)) == ["table1/echocotr", "table1/coreecho"]


def test_every_row_has_a_loss_and_an_error_panel(records):
    figure = drawn.training_curves(records)
    left, right = figure.axes[2:]
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == ["EchoCoTr", "CoReEcho"]
    assert left.get_ylabel() == "Rank-N-Contrast\nloss"
    assert [text.get_text() for text in left.texts] == ["chance 2.58"]
    assert "EF points" in right.get_ylabel()
    assert len(right.lines) == 2 * 2 + 1  # a line and a ring per seed, and the mean
    assert right.lines[-1].get_ydata().tolist() == pytest.approx([9.05, 7.05, 6.05, 5.55, 5.8])
    assert figure.get_suptitle() == "phantom, demo"


def test_the_overview_draws_equal_first_stages_once(records):
    rows = {"table2/full": records["table1/coreecho"], "table2/stage-one": records["table1/coreecho"]}
    figure = drawn.training_overview(rows | {"table2/echocotr": records["table1/echocotr"]})
    assert [text.get_text() for text in figure.legends[0].texts] == ["L1 + L_1st, K400, LP", "EchoCoTr"]


def with_views(records, views):
    return [dataclasses.replace(own, run=dataclasses.replace(own.run, views=views)) for own in records]


def test_every_chance_level_has_one_line_and_its_label(records):
    ranked = records["table1/coreecho"]
    rows = {f"table2/{name}": with_views(ranked, views) for name, views in
            (("full", "two-clips"), ("stage-one", "one"), ("stage-one-scratch", "same-clip"))}  # fmt: skip
    for number, own in enumerate(rows.values()):  # equal first stages are drawn once
        own[:] = [dataclasses.replace(each, history=two_stages(shift=number)) for each in own]
    left = drawn.training_overview(rows).axes[0]
    assert [text.get_text() for text in left.texts] == ["chance 2.58", "chance 1.86"]
    levels = [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == ":"]
    assert levels == pytest.approx([2.5815, 1.86], abs=1e-4)
    panels = drawn.training_curves(rows).axes[::2]
    shown = [[text.get_text() for text in axes.texts] for axes in panels]
    assert shown == [["chance 2.58"], ["chance 1.86"], ["chance 2.58"]]


def test_a_second_stage_is_shown_beside_where_the_first_ended(records):
    left, right = drawn.second_stages(records).axes
    assert left.get_title(loc="left") == "CoReEcho: stage two"
    assert right.lines[-1].get_ydata()[0] == pytest.approx(5.55)
    with pytest.raises(RecordError, match="second stage"):
        drawn.second_stages({"table1/echocotr": records["table1/echocotr"]})
