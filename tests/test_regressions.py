"""Numbers of the tables against a stored copy: a change of any of them has to be meant.

The records are fabricated by a formula. Point values may differ by rounding in the last of four decimals, ends of
intervals by twice the largest change under eight other seeds of the bootstrap: another stream of random numbers
passes, another interval does not. After a change that is meant, ``pytest tests/test_regressions.py --regen-all`` writes
the copies anew.
"""

from pathlib import Path

import fabricated
import pytest

from coreecho import evidence, tables
from coreecho.continuity import tables as continuity_tables
from coreecho.place import Place

STORED = Path(__file__).parent / "fixtures" / "regressions"
POINT = {"rtol": 0, "atol": 1.01e-4}
NOISE = {"table1/adacon": 3.0, "table1/echocotr": 1.0, "table1/coreecho": 0.2}


def by_metric(numbers, short):
    """One line a row of the table; for each metric its value and the ends of its interval."""
    ours = numbers[numbers["source"] == "tiny"]
    wide = ours.assign(metric=ours["metric"].map(short)).pivot_table(
        index="row", columns="metric", values=["value", "low", "high"], sort=False
    )
    wide.columns = [f"{metric} {part}" for part, metric in wide.columns]
    return wide.reset_index()


def check(regression, table, name, error):
    """Compares a table; ``error`` is the tolerance of an interval's ends by metric."""
    tolerances = {
        column: POINT if column.endswith(" value") else {"rtol": 0, "atol": error[column.rsplit(" ", 1)[0]]}
        for column in table.columns
        if column != "row"
    }
    regression.check(table, fullpath=STORED / f"{name}.csv", tolerances=tolerances)


@pytest.fixture
def records(tmp_path):
    return fabricated.records(tmp_path)


def test_table_1(dataframe_regression, records):
    numbers = tables.comparison(records).numbers
    short = {"MAE": "MAE", "RMSE": "RMSE", "R2 (%)": "R2"}
    check(dataframe_regression, by_metric(numbers, short), "table1", {"MAE": 0.03, "RMSE": 0.04, "R2": 0.25})


def test_evidence_under_figure_1(dataframe_regression, records):
    def read(record, place):
        row = {run.method: row for row, run in fabricated.METHODS.items()}[record.run.method]
        return fabricated.embeddings(NOISE[row], record.run.seed)

    numbers = continuity_tables.table(continuity_tables.measure(records, Place(), read)).numbers
    short = {kind.title: key for key, kind in continuity_tables.MEASURES.items()}
    error = {"correlation": 0.04, "neighbours": 0.12, "probe": 2.2}
    check(dataframe_regression, by_metric(numbers, short), "figure1", error)


def test_seed_by_seed(dataframe_regression, records):
    dataframe_regression.check(evidence.by_seed(records), fullpath=STORED / "by_seed.csv")
