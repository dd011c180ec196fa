"""The phantom CAMUS: read by CAMUS's reader, graded pictures, ten folds, the same bytes from two processes."""

import dataclasses
from collections import Counter

import nibabel
import numpy as np
import pandas as pd
import pytest
from helpers import digests

from coreecho import phantom
from coreecho.datasets import read_camus
from coreecho.errors import DataError, SettingsError
from coreecho.phantom.camus import camus_is_complete, draw_patient, write_camus
from coreecho.phantom.camus_case import sample_patient
from coreecho.phantom_settings import CamusPhantomSettings
from coreecho.study_video import read_mask, read_study

TINY = CamusPhantomSettings(patients=22, reversed_share=0.3, min_frames=8, max_frames=14, seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_camus(tmp_path_factory.mktemp("camus") / "set", TINY, workers=1, progress=False)


@pytest.fixture(scope="module")
def cases():
    """All patients of a data set of CAMUS's size, without pixels."""
    return [sample_patient(CamusPhantomSettings(), index)[0] for index in range(500)]


def test_every_fold_is_read_and_test_sets_partition_the_patients(folder):
    tested = []
    for fold in range(10):
        data = read_camus(folder, fold=fold)
        splits = Counter(study.split for study in data.studies)
        assert len(data.studies) == 22
        assert not data.dropped
        assert splits["test"] in (2, 3)
        assert splits["val"] in (2, 3)
        tested += [study.id for study in data.studies if study.split == "test"]
    assert sorted(tested) == [f"patient{number:04d}" for number in range(1, 23)]
    single = read_camus(folder, fold=0, folds="single")
    assert [study.id for study in single.studies if study.split == "test"] == ["patient0021", "patient0022"]


def test_the_ventricle_shrinks_from_the_first_frame_to_the_last_whichever_came_first(folder):
    studies = read_camus(folder, fold=0).studies
    assert 0 < sum(study.reverse for study in studies) < 22
    for study in studies:
        video, mask = read_study(study), read_mask(study)
        assert video.frames.shape[:3] == mask.shape
        assert 8 <= len(mask) <= 14
        assert set(np.unique(mask)) == {0, 1, 2, 3}
        area = (mask == 1).sum(axis=(1, 2))
        assert area[-1] < area[0]
        assert area[0] >= area.max() - 3  # pixels
        assert area[-1] <= area.min() + 3
        assert 10 < video.fps < 60


def test_the_end_frames_are_those_of_the_sequence(folder):
    for study in read_camus(folder, fold=0).studies[:6]:
        stem = study.path.name.removesuffix("_half_sequence.nii.gz")
        for ending, values in (("", read_study(study).frames[..., 0]), ("_gt", read_mask(study))):
            for part, place in (("ED", 0), ("ES", -1)):
                image = nibabel.load(study.path.parent / f"{stem}_{part}{ending}.nii.gz")
                np.testing.assert_array_equal(np.asarray(image.dataobj).T, values[place])


def test_listed_ef_is_a_reader_s_whole_number_and_the_truth_is_exact(folder):
    data = read_camus(folder, fold=0)
    truth = phantom.read_truth(data.root)
    np.testing.assert_allclose(truth["EF"], 100.0 * (truth["EDV"] - truth["ESV"]) / truth["EDV"], atol=1e-6)
    labels = pd.Series({study.id: study.label for study in data.studies})
    assert (labels == labels.round()).all()
    assert labels.equals(truth["ListedEF"].astype(float)[labels.index].rename(None))
    assert 0.5 < (labels - truth["EF"]).std() < 8.0
    areas = {study.id: (read_mask(study) == 1).sum(axis=(1, 2)) for study in data.studies}
    # Area goes with radius and length, volume with radius squared and length.
    shrunk = pd.Series({name: area[-1] / area[0] for name, area in areas.items()})
    assert np.corrcoef(shrunk, truth["EF"][shrunk.index])[0, 1] < -0.9


def test_distributions_are_camus_s(cases):
    listed = np.array([case.listed_ef for case in cases])
    assert listed.mean() == pytest.approx(44.4, abs=0.6)
    assert listed.std() == pytest.approx(11.9, abs=0.6)
    assert listed.min() >= 5
    assert listed.max() <= 81
    assert Counter(case.quality for case in cases) == {"Good": 288, "Medium": 165, "Poor": 47}
    assert 50 < sum(case.other_quality == "Poor" for case in cases) < 90
    for quality in ("Good", "Medium", "Poor"):  # errors on Poor views are not due to another range of EF
        group = [case.listed_ef for case in cases if case.quality == quality]
        assert np.mean(group) == pytest.approx(44.4, abs=2.0)
        assert np.std(group) == pytest.approx(11.9, abs=2.0)


def test_quality_is_what_can_be_seen(cases):
    contrast = {}
    for quality in ("Good", "Medium", "Poor"):
        seen = []
        for case in [case for case in cases if case.quality == quality][:14]:
            rng = np.random.default_rng(int(case.name[7:]))
            video, mask = draw_patient(dataclasses.replace(case, frames=4), rng, 32)
            cavity, wall = (video[(mask == label) & (video > 0)].astype(float) for label in (1, 2))
            seen.append((wall.mean() - cavity.mean()) / np.sqrt((wall.var() + cavity.var()) / 2.0))
        contrast[quality] = np.mean(seen)
    assert contrast["Good"] > contrast["Medium"] + 0.15
    assert contrast["Medium"] > contrast["Poor"] + 0.4
    assert contrast["Poor"] > 0.5  # hard, not hopeless


def test_two_processes_write_the_same_bytes_as_one(folder, tmp_path):
    again = write_camus(tmp_path / "again", TINY, workers=2, progress=False)
    assert digests(again) == digests(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_whole_folder_is_left_alone_and_another_is_refused(folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_camus(folder, TINY, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(DataError, match="Name another folder"):
        write_camus(folder, dataclasses.replace(TINY, seed=8), progress=False)
    assert not camus_is_complete(tmp_path, TINY)


@pytest.mark.parametrize("wrong", [{"patients": 9}, {"min_frames": 1}, {"min_frames": 15}])
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(SettingsError, match="cannot be made"):
        write_camus(tmp_path / "set", dataclasses.replace(TINY, **wrong), progress=False)
    assert list(tmp_path.iterdir()) == []
