"""The synthetic data sets as plain frozen data: what decides their content, nothing about where they are written."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import PositiveInt


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """The synthetic data set that stands in for EchoNet-Dynamic where the real one is not at hand."""

    train: PositiveInt = 1000
    """Number of training videos."""
    val: PositiveInt = 200
    """Number of validation videos."""
    test: PositiveInt = 200
    """Number of test videos."""
    size: int = 32
    """Side of the square picture in pixels (EchoNet-Dynamic: 112)."""
    min_frames: int = 36
    """Shortest video in frames."""
    max_frames: int = 36
    """Longest video in frames."""
    fps: float = 25.0
    """Frames per second (EchoNet-Dynamic: mostly 50)."""
    reader_sd: float = 4.0
    """Standard deviation in EF points of the reader's EF about the true one (inter-reader scatter of EF)."""
    seed: int = 2024
    """Seed of the whole data set; video ``i`` depends on (seed, i) only."""


@dataclass(frozen=True, kw_only=True)
class CamusPhantomSettings:
    """The synthetic data set that stands in for CAMUS (section 3; gaps D)."""

    patients: int = 500
    """Number of patients; at least one for each of the ten folds (CAMUS: 500)."""
    size: int = 32
    """Height of the picture in pixels; its width differs between patients, up to this (CAMUS: about 400 to 1000)."""
    min_frames: int = 16
    """Fewest frames from end-diastole to end-systole, both included (CAMUS: about 10)."""
    max_frames: int = 25
    """Most frames from end-diastole to end-systole, both included (CAMUS: about 40)."""
    reversed_share: float = 0.08
    """Share of patients whose sequence runs from end-systole to the next end-diastole, as some of CAMUS's do."""
    reader_sd: float = 4.0
    """Standard deviation in EF points of the listed EF about the true one, before it is rounded to a whole number."""
    seed: int = 2026
    """Seed of the whole data set; a patient's heart depends on (seed, number) only."""


@dataclass(frozen=True, kw_only=True)
class HmcquPhantomSettings:
    """The synthetic data set that stands in for HMC-QU's four-chamber echos (section 3; gaps E)."""

    echos: int = 162
    """Number of listed echos; 109 of 162 have an outlined wall and are those of the published figures."""
    size: int = 48
    """Height of the picture in pixels; it is half as wide again (HMC-QU: mostly 422 x 636)."""
    fps: float = 25.0
    """Frames per second (HMC-QU: 25)."""
    max_cycles: int = 2
    """Most whole cardiac cycles in a video; one of them is listed."""
    severity: tuple[float, float] = (0.7, 1.0)
    """Range of the share of its motion and thickening that an infarcted wall segment loses."""
    seed: int = 2027
    """Seed of the whole data set; an echo's heart depends on (seed, number) only."""


@dataclass(frozen=True, kw_only=True)
class MotionSettings:
    """The pretext task's videos: textured shapes in motion, in the place of Kinetics-400 (no heart is in them)."""

    train: PositiveInt = 2400
    """Number of training videos."""
    test: PositiveInt = 240
    """Number of test videos."""
    size: int = 32
    """Side of the square picture in pixels."""
    frames: int = 16
    """Frames in every video."""
    fps: float = 25.0
    """Frames per second."""
    seed: int = 2028
    """Seed of the whole data set; video ``i`` depends on (seed, i) only."""
