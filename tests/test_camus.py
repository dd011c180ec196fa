"""CAMUS as downloaded: both releases, direction of time, quality of the right view, folds that are checked, masks."""

import numpy as np
import pytest
from helpers import cavity_mask, write_camus_patient, write_mhd, write_nifti

from coreecho.datasets import read_camus
from coreecho.errors import DataError, VideoError
from coreecho.study_video import read_mask, read_study


def refusal(folder, fold=0, folds="contiguous", **options):
    with pytest.raises(DataError) as caught:
        read_camus(folder, fold=fold, folds=folds, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Forward, end-systole first, CRLF; database_split with a blank line."""
    root = tmp_path_factory.mktemp("camus")
    base = root / "CAMUS_public" / "database_nifti"
    write_camus_patient(base / "patient0001", 9, EF=56)
    write_camus_patient(base / "patient0002", 7, ed=7, es=1, EF=40)
    write_camus_patient(base / "patient0003", 6, EF=52.5, ImageQuality="Medium", newline="\r\n", suffix=".nii")
    split = root / "CAMUS_public" / "database_split"
    split.mkdir()
    for name, patient in (("training", 1), ("validation", 2), ("testing", 3)):
        (split / f"subgroup_{name}.txt").write_bytes(f"patient{patient:04d}\r\n\r\n".encode())
    return root


def test_every_clip_comes_back_upright_and_end_diastole_first(three):
    data = read_camus(three, fold=0, folds="single")
    assert [(s.id, s.label, s.split, s.quality) for s in data.studies] == [
        ("patient0001", 56.0, "train", "Good"),
        ("patient0002", 40.0, "val", "Good"),
        ("patient0003", 52.5, "test", "Medium"),
    ]
    for study in data.studies:
        video, mask = read_study(study), read_mask(study)
        assert video.frames.shape[1:] == (48, 64, 3)
        assert video.fps == 50
        assert mask.shape == video.frames.shape[:3]
        areas = (mask == 1).sum(axis=(1, 2))
        assert (np.diff(areas) <= 0).all()
        assert areas[0] > 1.3 * areas[-1]
        assert (video.frames[mask == 1] == 5).all()


def test_only_the_frames_between_ed_and_es_count(tmp_path):
    write_camus_patient(tmp_path / "patient0001", 9, ed=2, es=7)
    (study,) = read_camus(tmp_path, fold=0, folds="contiguous").studies
    assert (study.frames, len(read_study(study)), len(read_mask(study))) == ((1, 6), 6, 6)


def test_a_sequence_shorter_than_listed_is_refused(tmp_path):
    write_camus_patient(tmp_path / "patient0001", 9, es=12, NbFrame=12)
    (study,) = read_camus(tmp_path, fold=0, folds="contiguous").studies
    with pytest.raises(VideoError, match="frames 1 to 12 are listed, the video has 9"):
        read_study(study)


@pytest.fixture
def old(tmp_path):
    """The older release, whose two folders both begin with patient0001."""
    for part, ef in (("training", "LVedv: 110.0\nLVesv: 57.2\nLVef: 48.0\n"), ("testing", "")):
        folder = tmp_path / part / "patient0001"
        folder.mkdir(parents=True)
        write_mhd(folder / "patient0001_4CH_sequence.mhd", cavity_mask(6, 60, 40))
        (folder / "Info_4CH.cfg").write_text(f"ED: 1\nES: 6\nNbFrame: 6\nImageQuality: Poor\n{ef}")
    return tmp_path


def test_the_older_release_has_two_patients_of_one_name_and_ef_for_one(old):
    data = read_camus(old, fold=0, folds="contiguous")
    (study,) = data.studies
    assert (study.id, study.label, study.quality) == ("training/patient0001", 48.0, "Poor")
    assert data.dropped == {"no EF": ("testing/patient0001",)}
    video = read_study(study)
    assert video.frames.shape == (6, 60, 40, 3)
    assert video.spacing == (0.154, 0.308)


def test_the_published_folds_do_not_fit_the_older_release(old):
    assert "contiguous" in refusal(old, folds="official")


def test_a_training_patient_without_ef_is_refused(old):
    (old / "training/patient0001/Info_4CH.cfg").write_text("ED: 1\nES: 6\nNbFrame: 6\nImageQuality: Poor\n")
    assert "training/patient0001: no EF" in refusal(old)


def test_quality_is_the_four_chamber_views(tmp_path):
    write_camus_patient(tmp_path / "patient0001", 4, ImageQuality="Good", other_quality="Poor")
    write_camus_patient(tmp_path / "patient0002", 4, ImageQuality="Poor", other_quality="Good")
    data = read_camus(tmp_path, fold=0, folds="contiguous")
    assert [study.quality for study in data.studies] == ["Good", "Poor"]


BAD_INFO = {
    "EF is 'n/a'": {"EF": "n/a"},
    "EF 0.5 cannot": {"EF": 0.5},
    "EF 120 cannot": {"EF": 120},
    "no EF": {"EF": None},
    "ED 9, ES 8": {"ED": 9},
    "ED 1, ES missing": {"ES": None},
    "ED 0": {"ED": 0},
    "ImageQuality is 'Fair'": {"ImageQuality": "Fair"},
}


@pytest.mark.parametrize("said", BAD_INFO)
def test_a_patient_that_cannot_be_used_is_named_and_can_be_left_out(tmp_path, said):
    write_camus_patient(tmp_path / "patient0001", 0)
    write_camus_patient(tmp_path / "patient0002", 0, **BAD_INFO[said])
    message = refusal(tmp_path)
    assert f"patient0002: {said}" in message
    assert "--skip-bad" in message
    data = read_camus(tmp_path, fold=0, folds="contiguous", skip_bad=True)
    assert [study.id for study in data.studies] == ["patient0001"]
    assert data.dropped == {"unusable": ("patient0002",)}


def test_two_views_that_disagree_on_ef_and_a_missing_sequence_are_named(tmp_path):
    write_camus_patient(tmp_path / "patient0001", 0, other_quality="Good")
    info = tmp_path / "patient0001/Info_2CH.cfg"
    info.write_text(info.read_text().replace("EF: 50", "EF: 51"))
    write_camus_patient(tmp_path / "patient0002", 0)
    next((tmp_path / "patient0002").glob("*.nii.gz")).unlink()
    message = refusal(tmp_path)
    assert "EF is 50 in Info_4CH.cfg and 51 in Info_2CH.cfg" in message
    assert "patient0002: the four-chamber sequence is missing" in message


def test_mask_values_of_0_and_255_are_said_plainly(tmp_path):
    folder = write_camus_patient(tmp_path / "patient0001", 5)
    (study,) = read_camus(tmp_path, fold=0, folds="contiguous").studies
    assert set(np.unique(read_mask(study))) == {0, 1, 2, 3}
    write_nifti(study.mask, 255 * (cavity_mask(5, 48, 64) == 1).astype(np.uint8))
    with pytest.raises(VideoError, match=r"mask values 0, 255 instead of 0, 1, 2, 3"):
        read_mask(study)
    write_nifti(study.mask, np.zeros((5, 48, 64), np.uint8))
    with pytest.raises(VideoError, match="left ventricle"):
        read_mask(study)
    write_nifti(study.mask, cavity_mask(4, 48, 64))
    with pytest.raises(VideoError, match="4 frames for 5"):
        read_mask(study)
    assert folder.is_dir()


@pytest.fixture
def twenty(tmp_path):
    """Twenty patients under camus/, and ten folds of 16/2/2 in lists/ beside it."""
    names = [f"patient{number:04d}" for number in range(1, 21)]
    for number, name in enumerate(names):
        write_camus_patient(tmp_path / "camus" / name, 0, EF=40 + number)
    lists = tmp_path / "lists"
    lists.mkdir()
    for fold in range(10):
        test, val = names[fold::10], names[(fold + 1) % 10 :: 10]
        train = [name for name in names if name not in {*test, *val}]
        for part, chosen in (("training", train), ("validation", val), ("testing", test)):
            (lists / f"subGroup{fold + 1}_{part}.txt").write_text("\n".join(chosen) + "\n\n")
    return tmp_path


def test_official_folds_come_from_the_users_lists_and_test_each_patient_once(twenty):
    tested = []
    for fold in range(10):
        data = read_camus(twenty / "camus", fold=fold)
        counts = {split: len(data.split(split)) for split in ("train", "val", "test")}
        assert counts == {"train": 16, "val": 2, "test": 2}
        assert {study.fold for study in data.split("test")} == {fold}
        tested += [study.id for study in data.split("test")]
    assert sorted(tested) == [study.id for study in data.studies]
    assert read_camus(twenty / "camus", fold=3, lists=twenty / "lists").fingerprint() != data.fingerprint()


def test_contiguous_folds_are_blocks_of_sorted_names_without_validation(twenty):
    data = read_camus(twenty / "camus", fold=1, folds="contiguous")
    assert [study.id for study in data.split("test")] == ["patient0003", "patient0004"]
    assert len(data.split("train")) == 18
    with pytest.raises(DataError, match="'val'"):
        data.split("val")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


FOLD_DAMAGE = {
    "is in another list of the fold": lambda at: replace(at / "subGroup1_training.txt", "patient0003", "patient0001"),
    "in no list of this fold": lambda at: replace(at / "subGroup1_training.txt", "patient0003\n", ""),
    "test sets of folds 1 and 2": lambda at: [
        (at / f"subGroup2_{part}.txt").write_text((at / f"subGroup1_{part}.txt").read_text())
        for part in ("training", "validation", "testing")
    ],
    "lists of fold 5 are missing": lambda at: [path.unlink() for path in at.glob("subGroup5_*")],
    "test list of fold 2 is missing": lambda at: (at / "subGroup2_testing.txt").unlink(),
    "in no fold's test set": lambda at: [path.unlink() for path in at.glob("subGroup10_*")],
    "line 1 is 'case 7'": lambda at: (at / "subGroup3_testing.txt").write_text("case 7\n"),
    "named twice": lambda at: (at / "subGroup3_testing.txt").write_text("patient0003\npatient0003\n"),
    "not are there": lambda at: [path.unlink() for path in at.glob("*")],
}
FOLD_DAMAGE["are not there"] = FOLD_DAMAGE.pop("not are there")


@pytest.mark.parametrize("said", FOLD_DAMAGE)
def test_lists_that_are_not_what_folds_must_be_are_refused(twenty, said):
    FOLD_DAMAGE[said](twenty / "lists")
    assert said in refusal(twenty / "camus", folds="official")


def test_a_listed_patient_without_a_folder_is_named(twenty):
    for path in (twenty / "camus/patient0007").iterdir():
        path.unlink()
    (twenty / "camus/patient0007").rmdir()
    assert "patient0007: named in the fold lists but not in the folder" in refusal(twenty / "camus", folds="official")
    assert len(read_camus(twenty / "camus", fold=0, skip_bad=True).studies) == 19


def test_folders_that_are_not_camus_and_folds_that_are_not_there_are_refused(twenty, tmp_path):
    assert "no folder patient0001" in refusal(twenty / "lists")
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "no fold 10" in refusal(twenty / "camus", fold=10)
    write_camus_patient(twenty / "copy" / "patient0001", 0)
    assert "several data sets" in refusal(twenty)
