"""What the rows of a table share in every profile, what differs, and how far apart two views of a video lie."""

import numpy as np
import pytest

from coreecho import compared
from coreecho.baselines.echographs_items import all_windows
from coreecho.clips import ClipSettings, legal_starts, random_starts
from coreecho.echonet_rows import losses, table1
from coreecho.ledger import find
from coreecho.place import Place
from coreecho.profiles import DEMO, GPU, PAPER, PROFILES
from coreecho.settings import Run

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
OWN = "losses/rnc-original"


@every_profile
def test_rows_of_other_losses_share_backbone_clip_and_recipe(profile):
    rows = losses(profile)
    assert [row.system.partition(",")[0] for row in rows] == [row.system.partition(",")[0] for row in losses()]
    for row in rows:
        recipe = profile.recipe(row.run)
        assert (recipe.backbone, row.run.init, row.run.augment) == ("uniformer", "k400", True)
        assert profile.clip_settings(row.run) == profile.clip
        assert (recipe == profile.shared) == (row.name != OWN)
    told = compared.shared(rows, profile)
    assert "encoder, clip, initial weights" in told
    assert told.endswith("all of them but Rank-N-Contrast, own recipe.")


def test_without_a_recipe_of_their_own_the_rivals_rows_are_table_1s_and_have_their_records():
    assert losses(DEMO) == losses(GPU) == losses()
    assert all(find(run, DEMO, Place()) is not None for row in losses(DEMO) for run in row.runs([0, 1, 2]))
    names = {row.name for row in losses(PAPER)}
    assert {"table1/adacon-same-recipe", "table1/echocotr-same-recipe"} <= names
    assert not {"table1/adacon", "table1/echocotr"} & names


def test_rows_that_share_less_are_not_said_to():
    told = compared.shared([row for row in table1() if row.system in ("AdaCon", "CoReEcho")], PAPER)
    assert told.startswith("Alike in all rows (paper profile): initial weights.")
    assert told.endswith("but AdaCon.")


@every_profile
def test_views_head_and_stages_of_each_row_are_told(profile):
    rows = losses(profile)
    lines = compared.trainings(rows, profile).set_index("System").iloc
    by_name = {row.name: line for row, line in zip(rows, lines, strict=True)}
    assert set(compared.trainings(rows, profile)["Views of a video"]) == set(compared.VIEWS.values())
    first, second = by_name["table1/coreecho"].iloc[-1].split(", then ")
    assert f"({profile.shared.epochs} epochs" in first
    assert f"({profile.shared.refine_epochs} epochs, constant" in second
    assert by_name[OWN]["Head"] == "linear"
    assert [name for name, line in by_name.items() if ", then " in line.iloc[-1]] == [
        "table1/coreecho",
        OWN,
        "losses/supremix",
    ]


def test_two_views_of_the_demo_lie_as_far_apart_as_it_is_told():
    frames = DEMO.phantom.max_frames
    draw = random_starts(DEMO.clip, 2, 0)
    drawn = np.array([draw(f"video{number}", frames, 0) for number in range(3000)])
    gap = np.abs(drawn[:, 0] - drawn[:, 1])
    told = compared.views_apart(DEMO)
    assert f"spans {DEMO.clip.span} frames of a video of {frames}, which leaves 6 start frames" in told
    assert "coincide in 1 of 6 draws, and start 1.9 frames apart on average and 5 at most" in told
    assert np.mean(gap == 0) == pytest.approx(1 / 6, abs=0.03)
    assert (gap.mean(), gap.max()) == (pytest.approx(1.9, abs=0.1), 5)
    assert "4 to 80 start frames" in compared.views_apart(GPU)
    assert "depends on each video's length" in compared.views_apart(PAPER)


def test_the_demos_videos_are_one_window_of_echographs_and_six_starts():
    frames = DEMO.phantom.max_frames
    clip = DEMO.clip_settings(Run(method="echographs"))
    assert isinstance(clip, ClipSettings)
    assert [next(iter(window)) for window in all_windows(clip)("video", frames, 0)] == [0]
    assert legal_starts(frames, DEMO.clip_settings(Run(method="ouyang"))) == 6
