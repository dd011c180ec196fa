"""All synthetic data sets by their settings: which format is written follows from the class of the settings."""

from __future__ import annotations

from pathlib import Path

from coreecho.phantom import camus, echonet, hmcqu, motions
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, MotionSettings, PhantomSettings

AnySettings = PhantomSettings | CamusPhantomSettings | HmcquPhantomSettings | MotionSettings


def fingerprint(settings: AnySettings) -> str:
    """SHA-256 (hex) over settings, ranges of acquisition and generator version: what decides the phantom's content."""
    if isinstance(settings, CamusPhantomSettings):
        return camus.camus_fingerprint(settings)
    if isinstance(settings, HmcquPhantomSettings):
        return hmcqu.hmcqu_fingerprint(settings)
    if isinstance(settings, MotionSettings):
        return motions.motions_fingerprint(settings)
    return echonet.fingerprint(settings)


def is_complete(folder: Path, settings: AnySettings) -> bool:
    """Whether ``folder`` holds this very phantom with all its files."""
    if isinstance(settings, CamusPhantomSettings):
        return camus.camus_is_complete(folder, settings)
    if isinstance(settings, HmcquPhantomSettings):
        return hmcqu.hmcqu_is_complete(folder, settings)
    if isinstance(settings, MotionSettings):
        return motions.motions_are_complete(folder, settings)
    return echonet.is_complete(folder, settings)


def write_phantom(
    folder: str | Path, settings: AnySettings, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Write a phantom into ``folder`` in its data set's format, unless it is there already; return ``folder``.

    Raises:
        SettingsError: ``settings`` ask for nothing that can be made.
        DataError: ``folder`` holds something else, or a file cannot be written.
    """
    folder = Path(folder)
    if isinstance(settings, CamusPhantomSettings):
        return camus.write_camus(folder, settings, workers=workers, progress=progress)
    if isinstance(settings, HmcquPhantomSettings):
        return hmcqu.write_hmcqu(folder, settings, workers=workers, progress=progress)
    if isinstance(settings, MotionSettings):
        return motions.write_motions(folder, settings, workers=workers, progress=progress)
    return echonet.write_echonet(folder, settings, workers=workers, progress=progress)
