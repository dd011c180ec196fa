"""One name for three phantoms: the class of the settings decides which data set's format is written."""

import dataclasses

import pytest

from coreecho import phantom
from coreecho.datasets import read_camus, read_echonet, read_hmcqu
from coreecho.phantom import camus, hmcqu
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, PhantomSettings
from coreecho.settings_text import from_dict, to_dict

SETS = [
    (PhantomSettings(train=2, val=1, test=1, min_frames=30, max_frames=30), lambda folder: read_echonet(folder)),
    (CamusPhantomSettings(patients=10, max_frames=16), lambda folder: read_camus(folder, fold=0)),
    (HmcquPhantomSettings(echos=20, max_cycles=1), lambda folder: read_hmcqu(folder, fold=0)),
]


@pytest.mark.parametrize(("settings", "read"), SETS, ids=lambda value: type(value).__name__)
def test_each_phantom_is_written_read_and_marked(settings, read, tmp_path):
    folder = phantom.write_phantom(tmp_path / "set", settings, workers=1, progress=False)
    assert phantom.is_complete(folder, settings)
    data = read(folder)
    assert data.studies
    assert (data.root / "phantom.json").is_file()  # where whoever trains on it looks
    assert set(phantom.true_ef(data.root).index) >= {study.id for study in data.studies}
    data.studies[0].path.unlink()
    assert not phantom.is_complete(folder, settings)


def test_fingerprints_follow_settings_kind_and_version(monkeypatch):
    kinds = [PhantomSettings(), CamusPhantomSettings(), HmcquPhantomSettings()]
    changed = [dataclasses.replace(settings, seed=1) for settings in kinds]
    first = [phantom.fingerprint(settings) for settings in kinds]
    assert len({*first, *map(phantom.fingerprint, changed)}) == 6
    monkeypatch.setattr(camus, "CAMUS_VERSION", camus.CAMUS_VERSION + 1)
    monkeypatch.setattr(hmcqu, "HMCQU_VERSION", hmcqu.HMCQU_VERSION + 1)
    now = [phantom.fingerprint(settings) for settings in kinds]
    assert [before == after for before, after in zip(first, now, strict=True)] == [True, False, False]


def test_committed_records_still_belong_to_the_phantom():
    """The demo's records carry this fingerprint; a change of it means training all of them again."""
    assert phantom.fingerprint(PhantomSettings()).startswith("23e9d5165fe1")


@pytest.mark.parametrize("settings", [CamusPhantomSettings(), HmcquPhantomSettings()])
def test_settings_survive_being_written_as_json(settings):
    assert from_dict(type(settings), to_dict(settings)) == settings
