"""The evidence under Figure 1: the measures of every seed, paired gaps, verdicts by the rule, and honest labels."""

import dataclasses

import fabricated
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from coreecho import appendix, tables
from coreecho.continuity import measures as continuity
from coreecho.continuity import tables as continuity_tables
from coreecho.errors import DataError, RecordError
from coreecho.place import Place

CORE, ECHO, ADA = "table1/coreecho", "table1/echocotr", "table1/adacon"
NOISE = {ADA: 3.0, ECHO: 1.0, CORE: 0.2}
OURS = "phantom, tiny"


def read(record, place):
    """Embeddings by system and seed, as if kept beside the record."""
    row = {run.method: row for row, run in fabricated.METHODS.items()}[record.run.method]
    return fabricated.embeddings(NOISE[row], record.run.seed)


@pytest.fixture
def records(tmp_path):
    return fabricated.records(tmp_path)


@pytest.fixture
def measured(records, monkeypatch):
    monkeypatch.setattr(continuity_tables, "RESAMPLES", 100)
    return continuity_tables.measure(records, Place(), read)


def cell(table, measure, system, column):
    lines = table.display[(table.display["Measure"] == continuity_tables.MEASURES[measure].title)]
    (value,) = lines.loc[lines["System"] == system, column]
    return value


def test_each_seed_is_measured_by_itself(measured, records):
    for row in records:
        for number, record in enumerate(records[row]):
            vectors = appendix.features(read(record, None)).astype(float)
            gaps, distances = pdist(fabricated.LABELS[:, None], "cityblock"), pdist(vectors)
            expected = spearmanr(gaps, distances).statistic
            assert measured.by_seed(row, "correlation")[number] == pytest.approx(expected, abs=1e-12)
            error = np.abs(continuity.knn_predictions(vectors, fabricated.LABELS) - fabricated.LABELS).mean()
            assert measured.by_seed(row, "neighbours")[number] == pytest.approx(error)
            assert measured.by_seed(row, "probe")[number] <= 100


def test_the_mean_over_seeds_lies_in_its_interval_and_the_cell_shows_every_seed(measured):
    shown = continuity_tables.table(measured)
    for key, kind in continuity_tables.MEASURES.items():
        values = measured.by_seed(CORE, key)
        mean = measured.mean(CORE, key)
        assert mean.estimate == pytest.approx(np.mean(values))
        assert mean.low < mean.estimate < mean.high
        seeds = ", ".join(f"{value:.{kind.digits}f}" for value in values)
        text = f"{mean.estimate:.{kind.digits}f} [{mean.low:.{kind.digits}f}, {mean.high:.{kind.digits}f}] ({seeds})"
        assert cell(shown, key, "CoReEcho", OURS) == text
    number = shown.numbers.query("row == @CORE and metric.str.startswith('Rank')").iloc[0]
    assert number["value"] == pytest.approx(measured.mean(CORE, "correlation").estimate, abs=1e-4)
    assert (number["data"], number["source"], number["seeds"]) == ("phantom", "tiny", "0 1")


def test_a_gain_is_positive_towards_the_better_system_and_turns_with_the_order(measured):
    for key in continuity_tables.MEASURES:
        gain, loss = measured.gain(CORE, ECHO, key), measured.gain(ECHO, CORE, key)
        values = [np.mean(measured.by_seed(row, key)) for row in (CORE, ECHO)]
        assert gain.estimate == pytest.approx(continuity_tables.MEASURES[key].sign * (values[0] - values[1]))
        assert gain.low <= gain.estimate <= gain.high
        assert (loss.low, loss.high) == pytest.approx((-gain.high, -gain.low))
        assert gain.estimate > 0


def test_a_verdict_needs_the_interval_and_every_seed(measured):
    found = continuity_tables.verdicts(measured, CORE, ADA)
    assert {key: verdict.word for key, verdict in found.items()} == dict.fromkeys(continuity_tables.MEASURES, "holds")
    assert {verdict.seeds for verdict in found.values()} == {2}
    turned = continuity_tables.verdicts(measured, ADA, CORE)
    assert {verdict.word for verdict in turned.values()} == {"does not hold"}
    itself = continuity_tables.verdicts(measured, CORE, CORE)
    assert {verdict.word for verdict in itself.values()} == {"undecided"}
    # One seed that disagrees leaves a claim undecided whose interval still excludes 0.
    values = measured.correlations[ECHO].copy()
    values[:, 1] = measured.correlations[CORE][:, 1] + 1e-6
    torn = dataclasses.replace(measured, correlations={**measured.correlations, ECHO: values})
    verdict = continuity_tables.verdicts(torn, CORE, ECHO)["correlation"]
    assert verdict.gap.low > 0
    assert verdict.word == "undecided"


def test_the_comparison_says_how_much_and_the_verdict(measured):
    shown = continuity_tables.comparison(measured, CORE, ECHO)
    assert list(shown["Measure"]) == [kind.title for kind in continuity_tables.MEASURES.values()]
    gain = measured.gain(CORE, ECHO, "neighbours")
    (text,) = shown.loc[shown["Measure"].str.startswith("Error"), "CoReEcho better than EchoCoTr by"]
    assert text == f"{gain.estimate:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
    assert set(shown["Verdict"]) <= {"holds", "does not hold", "undecided"}


def test_hearts_have_a_column_of_their_own_that_no_phantom_enters(measured, records):
    shown = continuity_tables.table(measured)
    assert set(shown.display[tables.REPRODUCED]) == {"not yet run"}
    phantom_only = continuity_tables.table(measured, measured)
    assert set(phantom_only.display[tables.REPRODUCED]) == {"not yet run"}
    assert set(phantom_only.numbers["data"]) == {"phantom"}
    hearts = dataclasses.replace(
        measured,
        records={
            row: [dataclasses.replace(record, data={**record.data, "label": "EchoNet-Dynamic"}) for record in own]
            for row, own in records.items()
        },
    )
    shown = continuity_tables.table(measured, hearts)
    assert cell(shown, "probe", "CoReEcho", tables.REPRODUCED) == cell(shown, "probe", "CoReEcho", OURS)


def test_the_paper_profile_has_one_column_and_it_says_whose_data_it_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(continuity_tables, "RESAMPLES", 5)
    paper = dataclasses.replace(fabricated.TINY, name="paper")
    own = {CORE: [fabricated.record(tmp_path, CORE, profile=paper)]}
    shown = continuity_tables.table(continuity_tables.measure(own, Place(), read))
    assert list(shown.display) == ["Measure", "System", "phantom, paper"]


def test_a_row_without_records_reads_not_yet_run_and_has_no_number(records, monkeypatch):
    monkeypatch.setattr(continuity_tables, "RESAMPLES", 20)
    measured = continuity_tables.measure({**records, ADA: []}, Place(), read)
    shown = continuity_tables.table(measured)
    assert cell(shown, "correlation", "AdaCon", OURS) == "not yet run"
    assert ADA not in set(shown.numbers["row"])


def test_the_order_of_a_table_of_embeddings_does_not_matter(measured, records, monkeypatch):
    def shuffled(record, place):
        return read(record, place).sample(frac=1, random_state=record.run.seed)

    again = continuity_tables.measure(records, Place(), shuffled)
    assert again.by_seed(CORE, "neighbours") == pytest.approx(measured.by_seed(CORE, "neighbours"))
    assert again.by_seed(CORE, "probe") == pytest.approx(measured.by_seed(CORE, "probe"))


def test_kept_embeddings_are_read_from_beside_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(continuity_tables, "RESAMPLES", 5)
    own = {row: [fabricated.record(tmp_path, row)] for row in (ECHO, CORE)}
    for (record,) in own.values():
        appendix.kept(record, "embeddings", lambda record=record: read(record, None))
    measured = continuity_tables.measure(own, Place(runs_dir=tmp_path))
    assert measured.by_seed(CORE, "neighbours")[0] < measured.by_seed(ECHO, "neighbours")[0]


def test_what_cannot_be_measured_or_compared_is_refused(measured, records):
    with pytest.raises(RecordError, match="no records whose embeddings"):
        continuity_tables.measure({CORE: []}, Place(), read)
    with pytest.raises(RecordError, match="embeddings of other videos"):
        continuity_tables.measure(records, Place(), lambda record, place: read(record, place)[record.run.seed :])
    with pytest.raises(DataError, match="3 videos; this measure of an embedding needs at least"):
        continuity_tables.measure(records, Place(), lambda record, place: read(record, place)[:3])
    for other in ({**records, ECHO: records[ECHO][:1]}, {**records, ECHO: []}):
        with pytest.raises(RecordError, match="run both in the same seeds"):
            continuity_tables.verdicts(dataclasses.replace(measured, records=other), CORE, ECHO)
