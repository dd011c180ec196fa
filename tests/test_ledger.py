"""Looking for records on real data: only the run's own folders are read, and each file once until it changes."""

import dataclasses
from collections import Counter

import pandas as pd
import pytest
from fabricated import LABELS, VIDEOS

from coreecho import ledger
from coreecho.errors import RecordError
from coreecho.experiments import find_run
from coreecho.lineage import parent
from coreecho.place import Place
from coreecho.profiles import PAPER
from coreecho.records import PREDICTIONS, RECORD, Record, run_key, write_record

NAMES = ("table1/coreecho/seed0", "table4/probe-coreecho/seed0/fold0", "table4/probe-coreecho/seed0/fold1")
TABLE = pd.DataFrame(
    {"protocol": "first", "video": VIDEOS, "clip": 0, "start": 0, "label": LABELS, "prediction": LABELS}
)


def write(runs_dir, name, above=""):
    """A record of the paper profile on made-up data, in the folder that it belongs in."""
    run = find_run(name)
    key = run_key(run, PAPER, "0", above)
    record = Record(
        folder=ledger.folder_of(run, PAPER, Place(runs_dir=runs_dir), key),
        key=key,
        run=run,
        profile=PAPER,
        data={"label": "EchoNet-Dynamic", "fingerprint": "0", "parent": above},
        history=[{"seconds": 1.0}],
        metrics={},
        provenance={"device": "cpu"},
    )
    record.folder.mkdir(parents=True)
    write_record(record, TABLE)
    return record


@pytest.fixture
def shelf(tmp_path):
    """A folder of records: a system, and two runs that start from it."""
    above = write(tmp_path, NAMES[0])
    return [above, *(write(tmp_path, name, above.key) for name in NAMES[1:])], Place(runs_dir=tmp_path)


@pytest.fixture
def reads(monkeypatch):
    """How often each record's files are read."""
    counts = Counter()

    def counted(folder, read=ledger.read_record):
        counts[folder.name] += 1
        return read(folder)

    monkeypatch.setattr(ledger, "read_record", counted)
    return counts


def test_each_record_is_read_once_however_often_it_is_asked_for(shelf, reads):
    made, place = shelf
    assert parent(made[1].run, PAPER) == made[0].run
    for _ in range(3):
        assert [ledger.find(record.run, PAPER, place) for record in made] == made
    assert reads == {record.folder.name: 1 for record in made}


def test_only_folders_named_after_the_run_are_read(shelf, reads):
    (above, first, second), place = shelf
    (second.folder / RECORD).write_text("damaged")
    (above.folder.parent / f"{above.run.slug}0-00000000").mkdir()  # seed 00 is no seed 0
    (above.folder.parent / f"{above.run.slug}0-00000000" / RECORD).write_text("damaged")
    assert ledger.find(first.run, PAPER, place) == first
    assert set(reads) == {above.folder.name, first.folder.name}
    with pytest.raises(RecordError, match="not a complete record"):
        ledger.find(second.run, PAPER, place)


def test_a_record_that_changed_on_disk_is_read_again(shelf):
    (above, first, _), place = shelf
    assert ledger.find(first.run, PAPER, place) == first
    other = dataclasses.replace(first, metrics={"first": {"mae": 1.0}})
    write_record(other, TABLE)
    assert ledger.find(first.run, PAPER, place) == other
    TABLE.assign(prediction=0.0).to_parquet(first.folder / PREDICTIONS, index=False)
    for _ in range(2):
        with pytest.raises(RecordError, match="not the predictions"):
            ledger.find(first.run, PAPER, place)
    (first.folder / PREDICTIONS).unlink()
    with pytest.raises(RecordError, match="missing beside its record"):
        ledger.find(first.run, PAPER, place)
    (first.folder / RECORD).unlink()
    assert ledger.find(first.run, PAPER, place) is None
    assert ledger.find(above.run, PAPER, place) == above


def test_what_is_done_to_a_found_record_reaches_no_other(shelf):
    (above, *_), place = shelf
    found = ledger.find(above.run, PAPER, place)
    found.history.append({"seconds": 5.0})
    found.history[0]["seconds"] = 9.0
    found.data["label"] = "phantom"
    found.profile.own.clear()
    assert ledger.find(above.run, PAPER, place) == above
