"""The published test starts: CSV or pickle, read as data; and what scoring does with them."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
from helpers import write_echonet_folder

from coreecho.datasets import read_echonet
from coreecho.datasets.starts import find_starts, read_starts, starts_for
from coreecho.errors import DataError
from coreecho.protocols import protocol_starts
from coreecho.scoring import published_starts
from coreecho.settings import ClipSettings

STARTS = {"SYN1": (0, 5, 9), "SYN2": (30, 2, 400)}
FORMS = {
    "lists": {name: list(values) for name, values in STARTS.items()},
    "tuples": dict(STARTS),
    "arrays": {f"{name}.avi": np.array(values) for name, values in STARTS.items()},
    "small big-endian arrays": {name: np.array(values, ">i2") for name, values in STARTS.items()},
    "numpy numbers": {name: [np.int64(value) for value in values] for name, values in STARTS.items()},
}


class Evil:
    def __reduce__(self):
        return (open, ("planted", "w"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", FORMS)
def test_pickles_of_every_protocol_are_read_without_being_loaded(tmp_path, monkeypatch, form, protocol):
    path = tmp_path / "test_start_indexes.pkl"
    path.write_bytes(pickle.dumps(FORMS[form], protocol))
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    assert read_starts(path) == STARTS


@pytest.mark.parametrize("header", ["FileName,start0,start1,start2\n", "\ufefffilename, Start0,start1,start2\r\n"])
def test_csv_is_read(tmp_path, header):
    path = tmp_path / "starts.csv"
    path.write_text(header + "SYN1.avi,0,5,9\n\nSYN2,30, 2,400\n", encoding="utf-8")
    assert read_starts(path) == STARTS


def nested():
    value = [1]
    for _ in range(30):
        value = [value] * 30
    return {"SYN1": value}


def looped():
    value = []
    value.append(value)
    return {"SYN1": value}


HOSTILE = {
    "code": {"SYN1": Evil()},
    "a class": {"SYN1": int},
    "an ordered dictionary": OrderedDict(SYN1=[1, 2, 3]),
    "floats in an array": {"SYN1": np.array([0.0, 1.0, 2.0])},
    "objects in an array": {"SYN1": np.array([1, "x", None], dtype=object)},
    "a set": {"SYN1": {1, 2, 3}},
    "values without end": nested(),
    "a loop": looped(),
    "no dictionary": [1, 2, 3],
    "other keys": {1: [1, 2, 3]},
    "nothing": {},
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_else_a_pickle_holds_is_refused_and_never_run(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "starts.pkl"
    path.write_bytes(pickle.dumps(HOSTILE[name], protocol))
    with pytest.raises(DataError, match=r"starts\.pkl"):
        read_starts(path)
    assert not (tmp_path / "planted").exists()


def test_damaged_pickles_are_refused(tmp_path):
    path = tmp_path / "starts.pkl"
    rng = np.random.default_rng(0)
    whole = pickle.dumps(FORMS["arrays"], 4)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError):
            read_starts(path)
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_starts(path)
        except DataError:
            continue


@pytest.mark.parametrize(
    "values", [[0, 5], [0, 5, 5], [0, -1, 2], [0, 1, 2, 3], [0, 1, 2.0], [True, 2, 3], "abc", None, [0, 1, 10**9]]
)
def test_starts_that_are_not_three_different_frames_are_named(tmp_path, values):
    path = tmp_path / "starts.pkl"
    path.write_bytes(pickle.dumps({"SYN1": [1, 2, 3], "SYN7": values}))
    with pytest.raises(DataError, match="SYN7"):
        read_starts(path)


CSV_DAMAGE = {
    "first line": "video,a,b,c\nSYN1,0,1,2\n",
    "'SYN1'": "FileName,start0,start1,start2\nSYN1,0,1,x\n",
    "listed twice": "FileName,start0,start1,start2\nSYN1,0,1,2\nSYN1.AVI,0,1,3\n",
    "names no video": "FileName,start0,start1,start2\n",
}


@pytest.mark.parametrize("said", CSV_DAMAGE)
def test_damaged_csv_is_refused(tmp_path, said):
    path = tmp_path / "starts.csv"
    path.write_text(CSV_DAMAGE[said])
    with pytest.raises(DataError, match=said):
        read_starts(path)


def test_missing_videos_are_named_and_case_does_not_matter(tmp_path):
    path = tmp_path / "starts.csv"
    assert starts_for(["syn1"], STARTS, path) == {"syn1": STARTS["SYN1"]}
    with pytest.raises(DataError, match=r"no starts for 1 of 2 test videos \(SYN9\)"):
        starts_for(["SYN1", "SYN9"], STARTS, path)


@pytest.fixture
def data_root(tmp_path):
    rows = [(f"A{i}", "50.0", "", "", split) for i, split in enumerate(("TRAIN", "VAL", "TEST"))]
    write_echonet_folder(tmp_path / "echonet", rows)
    (tmp_path / "lists").mkdir()
    return tmp_path


def test_scoring_uses_the_users_copy_for_clips_of_the_papers_shape_only(data_root):
    data = read_echonet(data_root / "echonet")
    assert published_starts(data, ClipSettings(), data_root) is None
    (data_root / "lists/test_start_indexes.pkl").write_bytes(pickle.dumps({"A2": [1, 2, 3]}))
    starts = published_starts(data, ClipSettings(), data_root)
    assert protocol_starts("fixed3", ClipSettings(), starts)("A2", 160, 0) == (1, 2, 3)
    assert protocol_starts("first", ClipSettings(), starts)("A2", 160, 0) == [0]
    assert published_starts(data, ClipSettings(frames=16), data_root) is None
    (data_root / "lists/test_start_indexes.csv").write_text("FileName,start0,start1,start2\nA2,4,5,6\n")
    assert find_starts(data_root / "lists").suffix == ".csv"
    assert published_starts(data, ClipSettings(), data_root) == {"A2": (4, 5, 6)}


def test_a_start_past_the_end_of_a_video_is_refused():
    with pytest.raises(DataError, match="start 99 is past"):
        protocol_starts("fixed3", ClipSettings(), {"A2": (0, 1, 99)})("A2", 150, 0)
