"""Tables beside a record: made once, read ever after, refused when they are damaged or another record's."""

import contextlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from helpers import TINY, tiny_place

from coreecho import appendix, runs
from coreecho.errors import CoReEchoError, RecordError, SettingsError
from coreecho.records import read_record
from coreecho.runs import Place


@pytest.fixture
def own(tiny_records, tmp_path):
    """A copy of a record that a test may write beside."""
    source = tiny_records["table1/coreecho"][0].folder
    return read_record(shutil.copytree(source, tmp_path / "tiny" / source.name))


def never():
    raise AssertionError("made again")


def test_a_table_is_made_once_and_comes_back_as_it_was(own):
    table = pd.DataFrame({"video": ["a", "b"], "value": [0.1, float("nan")], "picture": [b"\0\1", b""], "n": [1, 2]})
    first = appendix.kept(own, "sample-2", lambda: table)
    pd.testing.assert_frame_equal(first, table)
    pd.testing.assert_frame_equal(appendix.kept(own, "sample-2", never), table)
    assert (own.folder / "sample-2.parquet").exists()
    assert not list(own.folder.glob("*.partial"))


def test_a_failed_computation_leaves_no_file(own):
    with pytest.raises(AssertionError):
        appendix.kept(own, "sample", never)
    assert not (own.folder / "sample.parquet").exists()


def test_a_name_that_is_no_file_name_is_refused(own):
    for name in ("../sample", "Sample", "", "a b"):
        with pytest.raises(RecordError, match="cannot name"):
            appendix.kept(own, name, never)


def test_every_damaged_byte_is_refused_and_nothing_is_made_anew(own):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"video": [f"v{n}" for n in range(50)], "value": rng.normal(size=50)})
    appendix.kept(own, "sample", lambda: table)
    path = own.folder / "sample.parquet"
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        read = table  # a byte that carries nothing, such as a version's name, may be read over
        with contextlib.suppress(RecordError):
            read = appendix.kept(own, "sample", never)
        pd.testing.assert_frame_equal(read, table)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(RecordError, match="damaged"):
        appendix.kept(own, "sample", never)


def test_another_records_table_and_one_written_by_hand_are_refused(own, tiny_records, tmp_path):
    table = pd.DataFrame({"value": [1.0]})
    source = tiny_records["table1/coreecho"][1].folder
    other = read_record(shutil.copytree(source, tmp_path / "tiny" / source.name))
    appendix.kept(other, "sample", lambda: table)
    shutil.copy(other.folder / "sample.parquet", own.folder)
    with pytest.raises(RecordError, match=r"another record's"):
        appendix.kept(own, "sample", never)
    table.to_parquet(own.folder / "sample.parquet")
    with pytest.raises(RecordError, match="not written by this package"):
        appendix.kept(own, "sample", never)


def test_a_table_of_an_earlier_training_with_the_same_key_is_refused(own):
    appendix.kept(own, "sample", lambda: pd.DataFrame({"value": [1.0]}))
    path = own.folder / "record.json"
    content = json.loads(path.read_text())
    content["digest"] = content["digest"][::-1]
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="another record's"):
        appendix.kept(own, "sample", never)
    path.write_text("{}")
    with pytest.raises(RecordError, match="not a complete record"):
        appendix.kept(own, "sample", never)


def test_embeddings_are_the_test_splits_and_their_head_gives_the_records_predictions(
    tiny_records, phantom_folder, phantom_data
):
    record = tiny_records["table1/coreecho"][0]
    table = appendix.embeddings(record, tiny_place(phantom_folder, record.folder.parents[1]))
    recorded = record.predictions("first").set_index("video")
    assert list(table["video"]) == [study.id for study in phantom_data.split("test")]
    assert list(table.columns[:3]) == ["video", "label", "prediction"]
    assert appendix.features(table).shape == (5, TINY.encoder.widths[-1])
    assert appendix.features(table).dtype == np.float32
    np.testing.assert_allclose(table["prediction"], recorded.loc[table["video"], "prediction"], atol=1e-4)
    assert appendix.features(table).std(axis=0).max() > 0


def test_once_kept_neither_weights_nor_data_are_needed(own, tiny_records, phantom_folder, monkeypatch):
    record = tiny_records["table1/coreecho"][0]
    table = appendix.embeddings(record, tiny_place(phantom_folder, record.folder.parents[1]))
    shutil.copy(record.folder / "embeddings.parquet", own.folder)
    (own.folder / "model.safetensors").unlink()
    monkeypatch.setattr(runs, "train", never)
    pd.testing.assert_frame_equal(appendix.embeddings(own, Place()), table)


def test_a_layout_is_kept_and_needs_enough_embeddings(own, tiny_records, phantom_folder):
    pytest.importorskip("umap")
    place = tiny_place(phantom_folder, own.folder.parents[1])
    with pytest.raises(SettingsError, match="at least 6 embeddings; got 5"):
        appendix.layout(own, place)
    (own.folder / "embeddings.parquet").unlink()
    rng = np.random.default_rng(0)
    values = {f"e{n}": rng.normal(size=12).astype(np.float32) for n in range(3)}
    made = pd.DataFrame({"video": [f"v{n}" for n in range(12)], "label": 50.0, "prediction": 50.0, **values})
    appendix.kept(own, "embeddings", lambda: made)
    table = appendix.layout(own, place)
    assert list(table.columns) == ["video", "x", "y"]
    assert list(table["video"]) == list(made["video"])
    pd.testing.assert_frame_equal(appendix.layout(own, Place()), table)
    assert (own.folder / "layout.parquet").exists()


def test_other_data_than_the_records_are_refused(own, phantom_folder, monkeypatch):
    place = tiny_place(phantom_folder, own.folder.parents[1])
    monkeypatch.setattr(appendix, "load_data", lambda *_: (None, {"fingerprint": "other"}))
    with pytest.raises(CoReEchoError, match="other data"):
        appendix.trained(own, place)
