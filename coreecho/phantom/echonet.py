"""The phantom written in EchoNet-Dynamic's on-disk format, so that the same loader reads both (section 3, data sets).

    FileList.csv  VolumeTracings.csv  Videos/PH000001.avi ...      what the real set has
    truth.csv  phantom.json                                        what only a synthetic set can have

The listed volumes are a reader's (`coreecho.phantom.case`); training never sees the true ones of ``truth.csv``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from coreecho.errors import SettingsError
from coreecho.phantom.case import Case, sample_case, tracing
from coreecho.phantom.ultrasound import render
from coreecho.phantom.view import Acquisition
from coreecho.phantom.writing import (
    TRUTH_FILE,
    describe,
    fill,
    holds,
    numbers,
    refuse_other,
    spread,
    write_avi,
    write_marker,
)
from coreecho.phantom_settings import PhantomSettings
from coreecho.settings_text import to_dict

PHANTOM_VERSION: int = 1
"""Version of the generator, raised by hand whenever the same settings give other files."""


def fingerprint(settings: PhantomSettings) -> str:
    """SHA-256 (hex) over settings, ranges of acquisition and generator version: what decides the phantom's content."""
    return str(_description(settings)["fingerprint"])


def _description(settings: PhantomSettings) -> dict[str, Any]:
    return describe(settings, to_dict(Acquisition()), PHANTOM_VERSION)


def is_complete(folder: Path, settings: PhantomSettings) -> bool:
    """Whether ``folder`` holds this very phantom with all its files."""
    lists = all((folder / name).is_file() for name in ("FileList.csv", "VolumeTracings.csv", TRUTH_FILE))
    count = settings.train + settings.val + settings.test
    return holds(folder, fingerprint(settings)) and lists and len(list((folder / "Videos").glob("*.avi"))) == count


def write_echonet(
    folder: Path, settings: PhantomSettings, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Write the phantom described by ``settings`` into ``folder``, unless it is there already; return ``folder``.

    The files are made in a sibling folder that takes its name only when all is written. The content depends on the
    settings alone, not on ``workers`` (processes; as many as there are processors when none is given).

    Raises:
        SettingsError: ``settings`` ask for no video or no frame.
        DataError: ``folder`` holds something else, or a video cannot be encoded.
    """
    folder = Path(folder)
    if is_complete(folder, settings):
        return folder
    refuse_other(folder, fingerprint(settings))
    count = settings.train + settings.val + settings.test
    if count < 1 or not 1 <= settings.min_frames <= settings.max_frames:
        raise SettingsError(
            f"A phantom of {count} videos of {settings.min_frames} to {settings.max_frames} frames cannot be made. "
            "Ask for at least one video, and min_frames from 1 to max_frames."
        )

    def make(root: Path) -> None:
        (root / "Videos").mkdir()
        job = partial(_write_video, root / "Videos", settings)
        _write_lists(root, settings, spread(job, count, workers=workers, progress=progress, unit="video"))

    return fill(folder, fingerprint(settings), partial(is_complete, folder, settings), make)


def _write_video(folder: Path, settings: PhantomSettings, index: int) -> Case:
    """Render video ``index`` into ``folder`` (Motion-JPEG, three equal channels) and return what it shows."""
    case, rng = sample_case(settings, index)
    video = render(
        rng, case.heart, case.beat, case.view, size=settings.size, frames=case.frames, fps=settings.fps
    )  # (T, H, W)
    write_avi(folder / f"{case.name}.avi", video, settings.fps)
    return case


def _write_lists(folder: Path, settings: PhantomSettings, cases: list[Case]) -> None:
    listed, truth, traced = [], [], []
    for case in cases:
        shape = {"FrameHeight": settings.size, "FrameWidth": settings.size, "FPS": settings.fps}
        volumes = {"EF": case.listed_ef, "ESV": case.listed_esv, "EDV": case.listed_edv}
        listed.append({"FileName": case.name, **volumes, **shape, "NumberOfFrames": case.frames, "Split": case.split})
        diastole, systole = case.beat.frames(case.frames, settings.fps)
        truth.append(
            {
                "FileName": case.name,
                "Split": case.split,
                "EF": case.heart.ejection_fraction,
                "ESV": case.heart.volume(1.0),
                "EDV": case.heart.volume(0.0),
                "EDFrame": diastole,
                "ESFrame": systole,
                "PixelSize": case.view.pixel_size(case.heart, settings.size),
                **numbers(case.heart, case.beat, case.view),
            }
        )
        for frame, at_systole in ((systole, True), (diastole, False)):
            for row in tracing(case, settings, systole=at_systole):
                traced.append((f"{case.name}.avi", *row, frame))
    pd.DataFrame(listed).to_csv(folder / "FileList.csv", index=False)
    pd.DataFrame(truth).to_csv(folder / TRUTH_FILE, index=False)
    columns = ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
    pd.DataFrame(traced, columns=columns).to_csv(folder / "VolumeTracings.csv", index=False, float_format="%.6f")
    write_marker(folder, _description(settings))
