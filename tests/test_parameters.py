"""Notebook parameters: checked against the notebook's own defaults before anything runs."""

import json

import pytest

from coreecho import notebooks
from coreecho.errors import SettingsError

CODE = 'profile = "demo"\ndata_root = ""\nseeds = [0, 1, 2]\nclips = 3\nquick = False\n'


@pytest.fixture(autouse=True)
def notebook(tmp_path, monkeypatch):
    """A project folder with one notebook."""
    monkeypatch.setenv("COREECHO_HOME", str(tmp_path))
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("ran before its parameters were checked"))
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": CODE.splitlines(keepends=True)},
    ]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/sample.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "notebooks/sample.py").write_text("")


def test_defaults_are_read_from_the_tagged_cell():
    expected = {"profile": "demo", "data_root": "", "seeds": [0, 1, 2], "clips": 3, "quick": False}
    assert notebooks.defaults("sample") == expected


def test_values_take_the_type_of_their_default():
    texts = ["profile=gpu", "data_root=/data/x=y", "seeds=[4]", "clips=5", "quick=true"]
    expected = {"profile": "gpu", "data_root": "/data/x=y", "seeds": [4], "clips": 5, "quick": True}
    assert notebooks.parse_parameters("sample", texts) == expected
    assert notebooks.parse_parameters("sample", ["data_root=5"]) == {"data_root": "5"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs=3", "profile, data_root, seeds, clips, quick"),
        ("profile", "KEY=VALUE"),
        ("profile=huge", "demo, gpu, paper"),
        ("seeds=3", "[0, 1, 2]"),
        ("seeds=[]", "[0, 1, 2]"),
        ('seeds=["a"]', "[0, 1, 2]"),
        ("seeds=[0", "[0, 1, 2]"),
        ("clips=many", "clips"),
        ("clips=2.5", "clips"),
        ("clips=true", "clips"),
        ("quick=1", "quick"),
        ("=3", "KEY=VALUE"),
    ],
)
def test_an_unknown_name_or_another_type_is_refused_in_one_line(text, said):
    with pytest.raises(SettingsError) as caught:
        notebooks.parse_parameters("sample", [text])
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_notebook_is_refused_with_those_that_exist():
    with pytest.raises(SettingsError, match="sample"):
        notebooks.source("table99")
