"""The book's first page: published and run here never share a column, and its clip is neither a success nor a slip."""

import fabricated
import numpy as np
import pandas as pd
import pytest

from coreecho import front
from coreecho.errors import RecordError
from coreecho.place import Place
from coreecho.tables import NOT_RUN, REPRODUCED


def test_headline_has_the_systems_that_the_paper_trained_each_kind_of_number_in_its_column():
    table = front.headline(Place())
    assert list(table["System"]) == ["AdaCon", "EchoCoTr", "CoReEcho"]
    published, reproduced, phantom = list(table.columns)[1:]
    assert (published, reproduced) == ("Published, EchoNet-Dynamic", REPRODUCED)
    assert "phantom, demo" in phantom
    assert table.iloc[2][published] == "R2 82.44; MAE 3.90"
    assert table[phantom].str.fullmatch(r"R2 [\d.]+ \[[\d.]+, [\d.]+\]; MAE [\d.]+ \[[\d.]+, [\d.]+\]").all()


def test_without_records_nothing_but_the_published_numbers_is_shown(tmp_path):
    table = front.headline(Place(runs_dir=tmp_path))
    assert (table.iloc[:, 2:] == NOT_RUN).all(axis=None)
    assert NOT_RUN in front.finding(Place(runs_dir=tmp_path))
    with pytest.raises(RecordError, match=r"no record of profile 'demo'.*coreecho train"):
        front.clip(Place(runs_dir=tmp_path))


def test_the_clip_is_that_of_the_median_error(tmp_path):
    own = fabricated.records(tmp_path)[front.SYSTEM]
    chosen = front.typical({front.SYSTEM: own})
    means = pd.concat([record.predictions("fixed3") for record in own]).groupby("video")[["label", "prediction"]].mean()
    errors = (means["prediction"] - means["label"]).abs()
    assert (errors < errors[chosen]).sum() == (len(errors) - 1) // 2


def test_no_patient_is_on_the_first_page(tmp_path, monkeypatch):
    own = fabricated.records(tmp_path, label="EchoNet-Dynamic")
    monkeypatch.setattr(front.tables, "existing", lambda *_: own)
    with pytest.raises(RecordError, match="pictures of patients"):
        front.clip(Place(runs_dir=tmp_path))


def test_the_clip_says_what_it_is():
    shown = front.clip(Place())
    assert "<echo-clip" in shown
    assert "phantom" in shown
    assert "saliency=" in shown
    assert "alt=" in shown


def test_claims_are_counted_by_profile_and_an_empty_profile_is_left_out():
    words = {"demo": ["holds", "undecided", "holds"], "gpu": [NOT_RUN] * 3, "paper": [NOT_RUN] * 3}
    numbers = pd.DataFrame(
        [{"claim": str(index), "profile": name, "verdict": word} for name, own in words.items()
         for index, word in enumerate(own)]
    )  # fmt: skip
    shuffled = numbers.iloc[np.argsort(numbers["claim"], kind="stable")]
    demo, paper = front.tally(shuffled)
    assert demo == "Phantom (demo profile), 3 claims: holds 2, undecided 1."
    assert paper.startswith("Paper profile")
    assert paper.endswith("3 claims: not yet run 3.")
