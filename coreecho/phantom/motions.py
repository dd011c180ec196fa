"""The pretext task's videos, in the place of Kinetics-400: textured shapes, to be told apart by how they move.

    motions.csv  Videos/MS000001.avi ...  phantom.json

The list names each video's motion; no heart is in any of them, and nothing in them has an ejection fraction.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coreecho.errors import SettingsError
from coreecho.phantom.moving_shapes import MOTIONS, Ranges, Values, draw_places, draw_pose, draw_shape
from coreecho.phantom.writing import describe, fill, holds, refuse_other, spread, write_avi, write_marker
from coreecho.phantom_settings import MotionSettings
from coreecho.settings_text import to_dict

MOTIONS_VERSION: int = 1
"""Version of this generator, raised by hand whenever the same settings give other files."""
LIST_FILE, VIDEO_FOLDER = "motions.csv", "Videos"
CANVAS = 64
"""Side of a texture's canvas in cells, over which it repeats."""


def motions_fingerprint(settings: MotionSettings) -> str:
    """SHA-256 (hex) over settings, ranges and generator version: what decides the content."""
    return str(_description(settings)["fingerprint"])


def _description(settings: MotionSettings) -> dict[str, Any]:
    return describe(settings, {**to_dict(Ranges()), "motions": list(MOTIONS)}, MOTIONS_VERSION)


def motions_are_complete(folder: Path, settings: MotionSettings) -> bool:
    """Whether ``folder`` holds these very videos, all of them, and their list."""
    count = len(list((folder / VIDEO_FOLDER).glob("*.avi")))
    listed = (folder / LIST_FILE).is_file() and count == settings.train + settings.test
    return listed and holds(folder, motions_fingerprint(settings))


def write_motions(folder: Path, settings: MotionSettings, *, workers: int | None = None, progress: bool = True) -> Path:
    """Write the videos described by ``settings`` into ``folder``, unless they are there already; return ``folder``.

    The files are made in a sibling folder that takes its name only when all is written. The content depends on the
    settings alone, not on ``workers`` (processes; as many as there are processors when none is given).

    Raises:
        SettingsError: ``settings`` ask for no video, or for pictures or videos too small to show a motion.
        DataError: ``folder`` holds something else, or a video cannot be encoded.
    """
    folder = Path(folder)
    if motions_are_complete(folder, settings):
        return folder
    refuse_other(folder, motions_fingerprint(settings))
    count = settings.train + settings.test
    if min(settings.train, settings.test) < 0 or count < 1 or settings.frames < 2 or settings.size < 8:
        raise SettingsError(
            f"{settings.train} and {settings.test} videos of {settings.frames} frames of {settings.size} pixels cannot "
            "be made. Ask for at least one video, two frames and 8 pixels."
        )

    def make(root: Path) -> None:
        (root / VIDEO_FOLDER).mkdir()
        job = partial(_write_video, root / VIDEO_FOLDER, settings)
        rows = spread(job, count, workers=workers, progress=progress, unit="video")
        pd.DataFrame(rows).to_csv(root / LIST_FILE, index=False)
        write_marker(root, _description(settings))

    return fill(folder, motions_fingerprint(settings), partial(motions_are_complete, folder, settings), make)


def motion_of(settings: MotionSettings, index: int) -> str:
    """The motion of video ``index``: each split goes through all of them in turn."""
    return MOTIONS[(index if index < settings.train else index - settings.train) % len(MOTIONS)]


def _write_video(folder: Path, settings: MotionSettings, index: int) -> dict[str, str]:
    """Write video ``index`` (Motion-JPEG, three equal channels) and return its row of the list."""
    name, motion = f"MS{index + 1:06d}", motion_of(settings, index)
    video = draw_motion(np.random.default_rng([settings.seed, index]), motion, settings)
    write_avi(folder / f"{name}.avi", video, settings.fps)
    return {"FileName": name, "Motion": motion, "Split": "TRAIN" if index < settings.train else "TEST"}


def draw_motion(rng: np.random.Generator, motion: str, settings: MotionSettings) -> NDArray[np.uint8]:
    """Grey frames (T, H, W) in which a few shapes carry out one motion over a ground that does not move."""
    ranges, size, frames = Ranges(), settings.size, settings.frames
    side = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    ground = np.broadcast_to(np.stack(np.meshgrid(side, side), axis=-1), (frames, size, size, 2))
    dark, bright = rng.uniform(0.02, 0.3), rng.uniform(0.45, 0.8)
    if rng.uniform() < 0.15:
        dark, bright = bright, dark
    picture = dark * (1.0 + rng.uniform(0.0, 0.6) * _texture(rng, ground, ranges))
    for middle in draw_places(rng, ranges):
        shape, pose = draw_shape(rng, ranges), draw_pose(rng, motion, middle, frames, ranges)
        points = pose.own(size)
        inner = shape.squeezed(points, pose)
        # Borders are as soft as a pixel is wide, whatever the size of the shape.
        pixel = (2.0 / size) / np.sqrt(np.abs(np.linalg.det(pose.matrix)))[:, None, None]
        cover = _step((1.0 - shape.level(points)) / pixel)
        if shape.hole:
            cover = cover * _step((shape.level(inner) - shape.hole) / pixel)
        body = bright * rng.uniform(0.8, 1.2) * (1.0 + rng.uniform(0.2, 0.6) * _texture(rng, inner, ranges))
        picture = picture + cover * (body - picture)
    gamma, gain = rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.2)
    picture = gain * np.clip(picture, 0.0, 1.5) ** gamma
    picture = picture + rng.uniform(*ranges.noise) * rng.standard_normal(picture.shape, dtype=np.float32)
    video: NDArray[np.uint8] = np.rint(255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)
    return video


def _step(distance: Values) -> Values:
    """Share of a pixel (...,) that lies inside a border at a distance in pixels, positive within."""
    share: Values = np.clip(distance + 0.5, 0.0, 1.0)
    return share


def _texture(rng: np.random.Generator, points: Values, ranges: Ranges) -> Values:
    """Noise or speckle of mean 0 and standard deviation 1 at points (T, H, W, 2) that are carried along: (T, H, W).

    It is mixed from two fields in a ratio that changes with time, so that still shapes are not still pictures.
    """
    grain, cells, speckle = rng.uniform(0.8, 2.0), rng.uniform(12.0, 20.0), int(rng.integers(2))
    fields = [_canvas(rng, grain) for _ in range(3)]
    phase = rng.uniform(*ranges.flicker) * np.linspace(0.0, 1.0, len(points))
    where = (points * cells + rng.uniform(0.0, CANVAS, 2).astype(np.float32)).astype(np.float32)
    frames = []
    for place, angle in zip(where, phase, strict=True):
        first, second, other = (
            cv2.remap(field, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            for field in fields
        )
        mixed = math.cos(angle) * first + math.sin(angle) * second
        # The magnitude of two such parts has a Rayleigh distribution, of mean 1.253 and deviation 0.655.
        frames.append((np.hypot(mixed, other) - 1.253) / 0.655 if speckle else mixed)
    return np.stack(frames).astype(np.float32)


def _canvas(rng: np.random.Generator, grain: float) -> Values:
    """Gaussian noise (N, N) of standard deviation 1, smooth over ``grain`` cells, that repeats without a seam."""
    white = rng.standard_normal((CANVAS, CANVAS), dtype=np.float32)
    edge = math.ceil(4 * grain)
    smooth = cv2.GaussianBlur(np.pad(white, edge, mode="wrap"), (0, 0), sigmaX=grain)[edge:-edge, edge:-edge]
    canvas: Values = (smooth / float(smooth.std())).astype(np.float32)
    return canvas
