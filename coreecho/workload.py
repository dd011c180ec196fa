"""What a run computes: clips that are learned from and clips that are only looked at, from its recipe (section 2.2).

Epochs x batches x clips of a video; three passes' worth of operations for a clip that is learned from and one for a
clip in a frozen stage, in validation or in the test.
"""

from __future__ import annotations

from dataclasses import dataclass

from coreecho.clips import legal_starts
from coreecho.errors import SettingsError
from coreecho.flops import TRAINING, forward_flops
from coreecho.optimisation import drops_last
from coreecho.plan import Plan
from coreecho.settings import Profile, Run
from coreecho.stages import stages

MEDIAN_FRAMES = 171
"""Of EchoNet-Dynamic's videos; only the protocol that scores all clips depends on it."""


@dataclass(frozen=True)
class Videos:
    """How many videos a run has in each split."""

    train: int
    val: int
    test: int


ECHONET = Videos(7460, 1288, 1276)
"""The listed and traced videos of EchoNet-Dynamic: 7,465, 1,288 and 1,277 less six without tracings."""
CAMUS = Videos(400, 50, 50)
"""Each of the ten official folds of 500 patients."""
HMCQU_FOLDS = (23, 23, 21, 21, 21)
"""Test echos of the five folds of the 109 with an outlined wall; there is no validation split."""


def real_videos(run: Run) -> Videos:
    """Sizes of the real data set that a run uses.

    Raises:
        SettingsError: it has none (the pretext task's moving shapes).
    """
    if run.dataset == "hmcqu":
        test = HMCQU_FOLDS[run.fold or 0]
        return Videos(sum(HMCQU_FOLDS) - test, 0, test)
    if run.dataset == "motions":
        raise SettingsError(f"{run.slug} uses moving shapes; give its number of videos")
    return CAMUS if run.dataset == "camus" else ECHONET


@dataclass(frozen=True)
class Work:
    """What a run computes, in clips."""

    learned: int
    """Clips that go forward and back."""
    seen: int
    """Clips that only go forward: in frozen stages, in validation and in the test."""
    flops: int
    """Operations of a clip's forward pass."""

    @property
    def total(self) -> int:
        """Operations in all."""
        return (TRAINING * self.learned + self.seen) * self.flops


def work(run: Run, profile: Profile, videos: Videos | None = None) -> Work:
    """What training and scoring a run computes, if nothing of a frozen stage is remembered from epoch to epoch.

    Args:
        run: what is trained.
        profile: at which scale.
        videos: sizes of its data (default: of the real data set).
    """
    videos = videos or real_videos(run)
    recipe, clip = profile.recipe(run), profile.clip_settings(run)
    shown = videos.train - videos.train % recipe.batch_size if drops_last(videos.train, recipe) else videos.train
    learned = seen = 0
    for stage in stages(Plan(run=run, profile=profile)):
        clips = stage.epochs * shown * (1 if stage.views == "one" else 2)
        learned, seen = (learned, seen + clips) if stage.frozen else (learned + clips, seen)
        seen += stage.epochs * videos.val * recipe.selection_clips
    each = {"first": 1, "fixed3": 3, "even5": 5, "all": legal_starts(MEDIAN_FRAMES, clip)}
    seen += videos.test * sum(each[protocol] for protocol in {"first", profile.protocol_of(run)})
    return Work(learned, seen, forward_flops(profile, run))
