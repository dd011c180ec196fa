"""Speed of this package's parts beside a literal version of each, in one run on one machine.

    coreecho bench                # a table of ratios
    coreecho bench --only rnc     # one of them

A literal version does what the equations or the published description say, step by step. The two take turns, and the
ratio is taken pair by pair, so that a machine whose speed drifts still gives a fair median.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from coreecho.clips import Frames, cut, random_starts
from coreecho.datasets import Study
from coreecho.errors import SettingsError
from coreecho.loading import ClipDataset
from coreecho.losses import rnc_loss
from coreecho.settings import ClipSettings

Action = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """Median times of the literal and of our version, and the median of their ratios."""

    name: str
    what: str
    literal_ms: float
    ours_ms: float
    ratio: float
    repeats: int


def compare(name: str, what: str, literal: Action, ours: Action, repeats: int) -> Result:
    """Times two actions in turn, after one untimed call of each."""
    times: list[tuple[float, float]] = []
    for _ in range(repeats + 1):
        pair = []
        for action in (literal, ours):
            began = time.perf_counter()
            action()
            pair.append(1e3 * (time.perf_counter() - began))
        times.append((pair[0], pair[1]))
    counted = times[1:]
    return Result(
        name=name,
        what=what,
        literal_ms=statistics.median(literal for literal, _ in counted),
        ours_ms=statistics.median(own for _, own in counted),
        ratio=statistics.median(literal / own for literal, own in counted),
        repeats=repeats,
    )


def literal_rnc(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Equation 1 with a loop over the positives of all anchors at once, temperature 1; stable, as ours is."""
    count = len(labels)
    other = ~torch.eye(count, dtype=torch.bool)
    similarity = -(embeddings[:, None] - embeddings[None]).norm(dim=-1)[other].view(count, count - 1)
    distance = (labels[:, None] - labels[None]).abs()[other].view(count, count - 1)
    loss = embeddings.new_zeros(())
    for positive in range(count - 1):
        farther = distance >= distance[:, positive : positive + 1]
        denominator = similarity.masked_fill(~farther, -torch.inf).logsumexp(dim=-1)
        loss = loss - (similarity[:, positive] - denominator).sum()
    return loss / (count * (count - 1))


def bench_rnc() -> Result:
    """Rank-N-Contrast, forward and backward, for 256 embeddings of 512 dimensions."""
    torch.manual_seed(0)
    embeddings, labels = torch.randn(256, 512), 100 * torch.rand(128).repeat(2)

    def run(loss: Callable[[Tensor, Tensor], Tensor]) -> Action:
        def action() -> None:
            loss(embeddings.clone().requires_grad_(), labels).backward()

        return action

    return compare("rnc", "RnC loss, M=256, D=512, forward + backward", run(literal_rnc), run(rnc_loss), 9)


def bench_items() -> Result:
    """Two clips of 36 frames from a 175-frame video: one decode as far as they reach, against the whole video twice."""
    clip = ClipSettings()
    with _video(175, clip.size) as path:
        study = Study(id="video", path=path, label=55.0, split="train")
        starts = random_starts(clip, 2, 0)
        data = ClipDataset([study], clip, starts, cache_bytes=0)

        def literal() -> None:
            for start in starts("video", 175, 0):
                cut(_decode_whole(path), start, clip)

        return compare("items", "two 36-frame clips of a 175-frame AVI, no cache", literal, lambda: data[(0, 0)], 15)


BENCHMARKS: dict[str, Callable[[], Result]] = {"rnc": bench_rnc, "items": bench_items}


def run_benchmarks(only: list[str] | None = None) -> list[Result]:
    """The named benchmarks, or all.

    Raises:
        SettingsError: an unknown name; the message lists those that exist.
    """
    unknown = [name for name in only or [] if name not in BENCHMARKS]
    if unknown:
        raise SettingsError(f"there is no benchmark {unknown[0]!r}; benchmarks: {', '.join(BENCHMARKS)}")
    return [BENCHMARKS[name]() for name in only or BENCHMARKS]


def _decode_whole(path: Path) -> Frames:
    capture = cv2.VideoCapture(str(path))
    frames: list[Frames] = []
    while True:
        more, frame = capture.read()
        if not more:
            return np.stack(frames)
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))


@contextmanager
def _video(frames: int, size: int) -> Iterator[Path]:
    """A temporary Motion-JPEG AVI of smooth noise."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (size, size))
        for _ in range(frames):
            coarse = rng.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
            writer.write(cv2.resize(coarse, (size, size)))
        writer.release()
        yield path
