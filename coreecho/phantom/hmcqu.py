"""The phantom written in HMC-QU's later layout, so that the same loader reads both (section 3, data sets; Table 5).

A4C.xlsx                                          one row an echo: six wall segments, cycle, mask
HMC-QU/A4C/PH0001 _4CH_1.avi ...
LV Ground-truth Segmentation Masks/Mask_PH0001 _4CH_1.mat ...
truth.csv  phantom.json                           what only a synthetic set can have
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from coreecho.errors import SettingsError
from coreecho.phantom.hmcqu_book import write_book
from coreecho.phantom.hmcqu_case import ACQUISITION, HmcquCase, groups, sample_echo
from coreecho.phantom.hmcqu_picture import Screen, draw_echo, draw_wall
from coreecho.phantom.outlines import Mask
from coreecho.phantom.segments import SEGMENTS
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
from coreecho.phantom_settings import HmcquPhantomSettings
from coreecho.settings_text import to_dict

HMCQU_VERSION: int = 1
"""Version of this generator, raised by hand whenever the same settings give other files."""
BOOK_FILE, VIDEO_FOLDER, MASK_FOLDER = "A4C.xlsx", "HMC-QU/A4C", "LV Ground-truth Segmentation Masks"
WALL_KEY = "predicted"
"""Variable of the .mat files that holds the wall."""
MINIMUM = 20
"""Fewest echos, so that each of the five folds has both classes."""


def hmcqu_fingerprint(settings: HmcquPhantomSettings) -> str:
    """SHA-256 (hex) over settings, ranges of acquisition and generator version: what decides the phantom's content."""
    return str(_description(settings)["fingerprint"])


def _description(settings: HmcquPhantomSettings) -> dict[str, Any]:
    return describe(settings, to_dict(ACQUISITION), HMCQU_VERSION)


def hmcqu_is_complete(folder: Path, settings: HmcquPhantomSettings) -> bool:
    """Whether ``folder`` holds this very phantom with all its files."""
    masked = sum(masked for masked, _ in groups(settings))
    whole = (
        len(list((folder / VIDEO_FOLDER).glob("*.avi"))) == settings.echos
        and len(list((folder / MASK_FOLDER).glob("*.mat"))) == masked
        and all((folder / name).is_file() for name in (BOOK_FILE, TRUTH_FILE))
    )
    return holds(folder, hmcqu_fingerprint(settings)) and whole


def write_hmcqu(
    folder: Path, settings: HmcquPhantomSettings, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Write the phantom described by ``settings`` into ``folder``, unless it is there already; return ``folder``.

    The files are made in a sibling folder that takes its name only when all is written. The content depends on the
    settings alone, not on ``workers`` (processes; as many as there are processors when none is given).

    Raises:
        SettingsError: ``settings`` ask for too few echos, or for none of the rest.
        DataError: ``folder`` holds something else, a video cannot be encoded, or openpyxl is not installed.
    """
    folder = Path(folder)
    if hmcqu_is_complete(folder, settings):
        return folder
    refuse_other(folder, hmcqu_fingerprint(settings))
    if settings.echos < MINIMUM or settings.max_cycles < 1 or not 0.0 <= settings.severity[0] <= settings.severity[1]:
        raise SettingsError(
            f"A phantom of {settings.echos} echos of up to {settings.max_cycles} cycles, severity {settings.severity}, "
            f"cannot be made. Ask for at least {MINIMUM} echos and one cycle, and a severity from low to high."
        )

    def make(root: Path) -> None:
        for name in (VIDEO_FOLDER, MASK_FOLDER):
            (root / name).mkdir(parents=True)
        job = partial(_write_echo, root, settings)
        cases = spread(job, settings.echos, workers=workers, progress=progress, unit="echo")
        write_book(root / BOOK_FILE, cases)
        _truth(settings, cases).to_csv(root / TRUTH_FILE, index=False)
        write_marker(root, _description(settings))

    return fill(folder, hmcqu_fingerprint(settings), partial(hmcqu_is_complete, folder, settings), make)


def _write_echo(root: Path, settings: HmcquPhantomSettings, index: int) -> HmcquCase:
    case, rng = sample_echo(settings, index)
    screen = Screen(settings.size)
    write_avi(root / VIDEO_FOLDER / f"{case.name}.avi", draw_echo(case, rng, screen, settings.fps), settings.fps)
    if case.masked:
        _write_mat(root / MASK_FOLDER / f"Mask_{case.name}.mat", draw_wall(case, screen, settings.fps))
    return case


def _write_mat(path: Path, wall: Mask) -> None:
    import scipy.io

    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {WALL_KEY: wall}, do_compression=True)
    # The first 116 bytes are free text, in which scipy notes the time; without it the same wall gives the same bytes.
    text = b"MATLAB 5.0 MAT-file, the wall of a synthetic heart".ljust(116)
    path.write_bytes(text + buffer.getvalue()[116:])


def _truth(settings: HmcquPhantomSettings, cases: list[HmcquCase]) -> pd.DataFrame:
    rows = []
    for case in cases:
        values = numbers(case.heart, case.beat, case.view)
        shares = dict(zip(SEGMENTS, case.heart.shares, strict=True))
        rows.append(
            {
                "FileName": case.name,
                "EF": case.heart.regional_ef,
                "ESV": case.heart.volume(1.0),
                "EDV": case.heart.volume(0.0),
                "Infarcted": any(case.infarcted),
                **shares,
                "PixelSize": case.view.pixel_size(case.heart, Screen(settings.size).sector),
                **{key: value for key, value in values.items() if key != "shares"},
            }
        )
    return pd.DataFrame(rows)
