"""The book's example of a new system is one short file, and is trained, recorded and scored like any other."""

import dataclasses
import importlib
import re
import types
from pathlib import Path

import pytest
import torch
from helpers import TINY, tiny_place

from coreecho import baselines, runs
from coreecho.baselines import SYSTEMS, System
from coreecho.errors import SettingsError
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.stages import METHODS, stages

PAGE = Path(__file__).resolve().parents[1] / "book/systems/adding.md"
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)


@pytest.fixture
def rare(monkeypatch):
    module = types.ModuleType("rare")
    exec(compile(EXAMPLE, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(SYSTEMS, module.SYSTEM.method, module.SYSTEM)
    return module


def test_the_example_has_thirty_lines():
    code = [line for line in EXAMPLE.splitlines() if line.strip()]
    assert len(code) <= 30


def test_the_page_names_what_is_there(rare):
    text = PAGE.read_text(encoding="utf-8")
    references = (PAGE.parents[1] / "references.bib").read_text(encoding="utf-8")
    cited = set(re.findall(r"\{cite(?::\w+)?\}`([\w,]+)`", text)) | {rare.SYSTEM.reference}
    assert not [key for key in cited if f"{{{key}," not in references]

    root = PAGE.parents[2]
    names = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
    paths = {name for name in names if re.fullmatch(r"[\w./]+/(\w+\.\w+)?", name)} - {"coreecho/baselines/rare.py"}
    assert {"coreecho/baselines/", "coreecho/experiments.py", "book/references.bib"} <= paths
    assert not [path for path in paths if not (root / path).exists()]
    assert not [n for n in names if re.fullmatch(r"\w+\.py", n) and not list((root / "coreecho/baselines").glob(n))]
    for name in names:
        if re.fullmatch(r"coreecho(\.\w+)+", name):
            module, _, last = name.rpartition(".")
            assert hasattr(importlib.import_module(module), last), name
    fields = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
    assert fields
    assert fields <= {field.name for field in dataclasses.fields(System)}


def test_the_list_that_the_page_speaks_of_takes_the_example(rare):
    text = PAGE.read_text(encoding="utf-8")
    told = re.search(r"`(rare\.\w+)` to the list `(\w+)` in\s+`coreecho/baselines/__init__.py`", text)
    assert told[1] == "rare.SYSTEM"
    listed = getattr(baselines, told[2])
    assert all(isinstance(system, System) for system in (*listed, rare.SYSTEM))
    assert {system.method for system in listed} <= set(SYSTEMS)


def test_the_example_is_trained_recorded_and_scored(rare, phantom_folder, tmp_path):
    place = tiny_place(phantom_folder, tmp_path)
    (record,) = runs.ensure([Run(method="rare", views="one")], TINY, place)
    assert [entry["stage"] for entry in record.history] == ["rare", "rare"]
    assert record.folder.name.startswith("echonet-rare-seed0-")
    assert set(record.predictions("first")["video"]) == set(record.predictions("fixed3")["video"])
    assert {"mae", "r2"} <= set(record.metrics["fixed3"])
    assert runs.ensure([Run(method="rare", views="one")], TINY, place)[0].key == record.key


def test_the_example_weighs_rare_labels_by_their_share(rare, phantom_data):
    objective = rare.Rare(torch.nn.Identity(), [55.0, 56.0, 57.0, 21.0])
    assert objective.weight[[5, 2, 9]].tolist() == pytest.approx([4 / 3, 4.0, 4.0])
    (stage,) = stages(Plan(run=Run(method="rare"), profile=TINY, data=phantom_data))
    assert stage.name == "rare"


def test_an_unknown_method_is_refused_with_those_that_exist():
    with pytest.raises(SettingsError, match=r"no method 'raer'; methods: .*coreecho.*adacon"):
        stages(Plan(run=Run(method="raer"), profile=TINY))
    assert not set(METHODS) & set(SYSTEMS)


def test_every_system_has_a_name_of_its_own_and_cites_a_paper_of_the_bibliography():
    references = (PAGE.parents[1] / "references.bib").read_text(encoding="utf-8")
    for method, system in SYSTEMS.items():
        assert method == system.method
        assert f"{{{system.reference}," in references
    titles = [system.title for system in SYSTEMS.values()]
    assert len(set(titles)) == len(titles)
