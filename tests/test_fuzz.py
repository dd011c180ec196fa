"""Whatever a file holds, it is read or refused in the product's own words: no crash, hang, program run or file made."""

import os
from collections import Counter

import fuzz_seeds
import fuzzing
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")
pytest.importorskip("openpyxl")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return fuzz_seeds.write_all(tmp_path_factory.mktemp("fuzz") / "seeds")


def faults(results):
    """One line for each input that was neither read nor refused; `fuzzing` tells how to rebuild it."""
    bad = [result for result in results if result.outcome == "fault"]
    return "\n".join(f"{each.reader} {each.number} ({each.mutation}): {each.detail}" for each in bad)


def test_two_hundred_damaged_inputs(seeds, tmp_path):
    results = fuzzing.run(fuzzing.jobs(200), seeds, tmp_path / "work")
    assert not faults(results)
    counts = Counter(result.outcome for result in results)
    assert counts["refused"] > 60
    assert counts["read"] >= len(fuzz_seeds.READERS)
    assert [path.name for path in seeds.parent.iterdir()].count("secret.txt") == 1


@pytest.mark.slow
def test_thousands_of_damaged_inputs(seeds, tmp_path):
    count = int(os.environ.get("COREECHO_FUZZ_INPUTS", "2400"))
    results = fuzzing.run(fuzzing.jobs(count)[200:], seeds, tmp_path / "work")
    assert not faults(results)
