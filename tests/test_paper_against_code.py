"""The page that sets the paper against the code: every line and test that it names exists, and no block lacks either.

Last come the tests that the page needs and no other file has.
"""

import ast
import importlib.util
import re
import sys

import pytest
import torch
from helpers import TINY, tiny_model
from torch.nn import functional as F

from coreecho.clips import normalise
from coreecho.files import project_root
from coreecho.loading import EpochSampler
from coreecho.objectives import EndToEnd, HeadOnly
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.stages import stages

ROOT = project_root()
PAGES = {name: (ROOT / "book" / name).read_text(encoding="utf-8") for name in ("paper_against_code.md", "method.md")}
PAGE = PAGES["paper_against_code.md"]
STATUSES = ("as printed", "paper silent", "code differs", "at odds")
PARTS = ("Paper", "Code", "Proof", "Authors' code", "Known", "Here")
BLOCK = re.compile(
    r"^\((?P<anchor>against-[\w-]+)\)=\n### (?P<number>\d+)\. (?P<title>.+)\n\n\*(?P<place>.+) · (?P<status>.+)\*$"
)
# By hand, from the paper: its numbered equations, and the ones without a number by a piece of how they are printed.
EQUATIONS = (
    "equation (1)",
    "equation (2)",
    r"u &= \mathrm{BN}_2(W_1[\mathrm{BN}_1(E^n); 1])",
    r"c^{2n-1} \triangleq \mathcal{C}(V^n)",
    r"\mathcal{F}_R(\mathcal{SG}(E^n))",
    r"s(A, B) \triangleq \exp(-L_2(A, B) / \tau)",
    r"\mathcal{S}^{n,m} \triangleq",
)


@pytest.fixture(scope="module")
def roles():
    """The module behind the roles, which finds names by parsing."""
    place = importlib.util.spec_from_file_location("book_source_lines", ROOT / "book" / "_ext" / "source_lines.py")
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module  # where dataclasses look for it
    place.loader.exec_module(module)
    return module


def named(role, text):
    """What a role of a text names, whether it has words of its own or not."""
    found = re.findall(rf"{{{role}}}`([^`]+)`", text)
    return [re.sub(r"^.*<(.+)>$", r"\1", name, flags=re.DOTALL) for name in found]


def blocks():
    """Every block of the page: its heading and the text of its parts."""
    texts = re.split(r"^(?=\(against-[\w-]+\)=\n### )", PAGE, flags=re.MULTILINE)[1:]
    for text in texts:
        head = BLOCK.match("\n".join(text.splitlines()[:4]))
        assert head, f"no heading with number, title, place and status: {text[:200]}"
        parts = re.findall(
            r"^(\w[\w' ]*)\n: (.+?)(?=\n\n(?:\w[\w' ]*\n: |\(|#)|\Z)", text, flags=re.MULTILINE | re.DOTALL
        )
        yield head.groupdict() | {"parts": dict(parts), "text": text}


@pytest.mark.parametrize("page", PAGES)
def test_every_line_that_a_page_names_exists(page, roles):
    names = named("source", PAGES[page])
    assert len(names) > 10
    for name in names:
        assert roles.find_source(ROOT, name).path.startswith("coreecho/"), name


def test_every_test_that_the_page_names_exists_and_is_run(roles):
    names = named("test", PAGE)
    assert len(names) > 60
    for name in names:
        line = roles.find_test(ROOT, name)
        tree = ast.parse((ROOT / line.path).read_text(encoding="utf-8"))
        (test,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name.split("::")[1]]
        assert test.name.startswith("test_"), name
        marks = [ast.unparse(mark) for mark in test.decorator_list]
        assert not [mark for mark in marks if re.search(r"mark\.(skip\b(?!if)|xfail)", mark)], f"{name} is not run"


def test_an_unknown_name_is_noticed(roles):
    with pytest.raises(roles.UnknownNameError, match="near it: rnc_loss"):
        roles.find_source(ROOT, "coreecho.losses.rnc_los")
    with pytest.raises(roles.UnknownNameError):
        roles.find_test(ROOT, "tests/test_losses.py::test_nothing")


def test_every_block_has_a_line_and_a_test_and_says_what_the_paper_says():
    found = list(blocks())
    assert [int(block["number"]) for block in found] == list(range(1, len(found) + 1))
    assert len({block["anchor"] for block in found}) == len(found) >= 40
    for block in found:
        parts, where = block["parts"], f"{block['number']}. {block['title']}"
        assert list(parts) == [name for name in PARTS if name in parts], where
        assert set(parts) >= {"Paper", "Code", "Proof"}, where
        assert named("source", parts["Code"]), where
        assert named("test", parts["Proof"]), where
        assert block["status"] in STATUSES, where


def test_a_block_tells_what_its_status_promises():
    for block in blocks():
        where = f"{block['number']}. {block['title']}"
        if block["status"] == "code differs":
            assert "Authors' code" in block["parts"], where
        if block["status"] in ("paper silent", "code differs"):
            assert "Here" in block["parts"], where


def test_every_equation_of_the_paper_has_a_block():
    flat = [" ".join(block["text"].split()) for block in blocks()]
    for equation in EQUATIONS:
        assert any(equation in text for text in flat), equation


def test_quotations_are_short():
    for block in blocks():
        for quoted in re.findall(r'"([^"]+)"', block["parts"]["Paper"]):
            assert len(quoted.split()) <= 12, quoted


def test_the_overview_is_that_of_the_blocks():
    overview = PAGE[PAGE.index("(against-overview)=") : PAGE.index("\n## Abstract")]
    shown = re.findall(r"^\| \[(\d+)\. ([^\]]+)\]\(([\w-]+)\) \| (.+) \|$", overview, flags=re.MULTILINE)
    found = list(blocks())
    assert shown == [(block["number"], block["title"], block["anchor"], block["status"]) for block in found]
    for status in STATUSES:
        (count,) = re.findall(rf"^\| {status} \| .+ \| (\d+) \|$", overview, flags=re.MULTILINE)
        assert int(count) == sum(block["status"] == status for block in found)


def test_every_link_within_the_page_has_its_target():
    links = set(re.findall(r"\]\((against-[\w-]+)\)", PAGE))
    assert links <= set(re.findall(r"^\((against-[\w-]+)\)=$", PAGE, flags=re.MULTILINE))


# Tests that the page needs.


def test_an_epoch_is_a_random_order_of_whole_batches():
    sampler = EpochSampler(50, 16, seed=3, shuffle=True, drop_last=True)
    epochs = []
    for sampler.epoch in range(40):
        batches = [[index for _, index in batch] for batch in sampler]
        assert [len(batch) for batch in batches] == [16] * 3
        drawn = [index for batch in batches for index in batch]
        assert len(set(drawn)) == 48
        epochs.append(tuple(drawn))
    assert len(set(epochs)) == 40
    assert set().union(*epochs) == set(range(50))


def test_equation_2_is_the_mean_absolute_error_of_the_head_on_frozen_embeddings():
    model = tiny_model()
    objective = HeadOnly(model, F.l1_loss)
    objective.eval()
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (4, 1, 3, 8, 32, 32), generator=generator, dtype=torch.uint8)
    labels = [30.0, 45.0, 55.0, 70.0]
    loss = objective(clips, torch.tensor(labels))["error"]
    with torch.no_grad():
        predictions = [model(normalise(clip)).item() for clip in clips]
    gaps = [abs(label - prediction) for label, prediction in zip(labels, predictions, strict=True)]
    assert loss.item() == pytest.approx(sum(gaps) / 4, rel=1e-5)
    loss.backward()
    assert all(weight.grad is None for weight in model.encoder.parameters())
    assert any(weight.grad.any() for weight in model.head.parameters())


@pytest.mark.parametrize(("dataset", "error"), [("camus", F.mse_loss), ("hmcqu", F.binary_cross_entropy_with_logits)])
@pytest.mark.parametrize(("method", "objective"), [("probe", HeadOnly), ("finetune", EndToEnd)])
def test_transfer_minimises_the_squared_error_on_camus_and_the_cross_entropy_on_hmcqu(
    dataset, error, method, objective
):
    run = Run(dataset=dataset, fold=0, method=method, init="coreecho", views="one")
    (stage,) = stages(Plan(run=run, profile=TINY))
    made = stage.objective(tiny_model())
    assert type(made) is objective
    assert made.error is error
    assert list(made.groups()) == (["head"] if method == "probe" else ["all"])
