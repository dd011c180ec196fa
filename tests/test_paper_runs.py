"""Runs on real data's formats: published test starts, labels of one's own and of children's data, packs of them."""

import pytest
from helpers import write_echonet_folder

from coreecho import cli, runs
from coreecho.errors import DataError
from coreecho.profiles import PAPER
from coreecho.runs import Place, ensure
from coreecho.settings import Run
from coreecho.settings_text import override
from coreecho.video.pack import open_pack

# The paper's clips of 36 frames at stride 4, small in every other way.
SMALL = [
    "encoder.widths=[8,8,16,16]",
    "encoder.depths=[1,1,1,1]",
    "encoder.strides=[4,2,1,1]",
    "encoder.head_width=8",
    "clip.size=16",
    "clip.pad=1",
    "shared.batch_size=2",
    "shared.epochs=1",
    "shared.refine_epochs=1",
    "shared.selection_clips=1",
    "k400=none",
]
PAPER_CLIPS = override(PAPER, SMALL)
QUICK = override(PAPER, [*SMALL, "clip.frames=4", "clip.stride=1"])
SPLITS = ["TRAIN"] * 2 + ["VAL"] + ["TEST"] * 2
STARTS = {"SYN3": (0, 7, 9), "SYN4": (8, 2, 5)}


def write_hearts(folder, frames, splits=SPLITS, **options):
    rows = [(f"SYN{number}", f"{40 + 5 * number}", "", "", split) for number, split in enumerate(splits)]
    return write_echonet_folder(folder, rows, size=16, frames=frames, **options)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root of the paper profile: five videos of 150 frames and the user's list of test starts."""
    root = tmp_path_factory.mktemp("root")
    write_hearts(root / "echonet", 150)
    (root / "lists").mkdir()
    return root


def write_starts(root, starts):
    lines = [f"{name},{','.join(map(str, values))}" for name, values in starts.items()]
    (root / "lists/test_start_indexes.csv").write_text("\n".join(["FileName,start0,start1,start2", *lines, ""]))


def test_published_starts_are_used_and_recorded(root, tmp_path):
    write_starts(root, STARTS)
    (record,) = ensure([Run()], PAPER_CLIPS, Place(data_root=root, runs_dir=tmp_path, device="cpu"))
    assert (record.data["starts"], record.data["label"]) == ("published", "EchoNet-Dynamic")
    assert record.predictions("fixed3").groupby("video")["start"].apply(tuple).to_dict() == STARTS
    assert set(record.predictions("first")["start"]) == {0}


def test_without_the_list_starts_are_drawn_and_the_record_says_so(root, tmp_path):
    (root / "lists/test_start_indexes.csv").unlink(missing_ok=True)
    (record,) = ensure([Run()], PAPER_CLIPS, Place(data_root=root, runs_dir=tmp_path, device="cpu"))
    assert record.data["starts"] == "drawn"
    table = record.predictions("fixed3")
    assert table.groupby("video")["start"].nunique().tolist() == [3, 3]
    assert table["start"].between(0, 150 - 141).all()


@pytest.mark.parametrize(
    ("starts", "said"), [({"SYN3": (0, 7, 9)}, "SYN4"), (STARTS | {"SYN4": (0, 1, 10)}, "start 10 is past")]
)
def test_a_list_that_does_not_fit_the_videos_leaves_no_record(root, tmp_path, starts, said):
    write_starts(root, starts)
    with pytest.raises(DataError, match=said):
        ensure([Run()], PAPER_CLIPS, Place(data_root=root, runs_dir=tmp_path, device="cpu"))
    assert not list(tmp_path.rglob("record.json"))


OWN, CHILDREN = {"untraced": "keep"}, {"folds": "0-1/2/3-4"}


@pytest.fixture(params=["own data", "EchoNet-Pediatric"])
def other_data(request, tmp_path):
    """A data root of another kind, its label, how a run is told about it, and the same as command-line options."""
    if request.param == "own data":
        folder = write_hearts(tmp_path / "root/echonet", 8)
        (folder / "VolumeTracings.csv").unlink()
        return tmp_path / "root", request.param, OWN, ("--untraced", "keep")
    write_hearts(tmp_path / "root/echonet/pediatric_echo_avi/A4C", 8, splits=["0", "1", "2", "3", "4"])
    return tmp_path / "root", request.param, CHILDREN, ("--folds", "0-1/2/3-4")


def test_other_data_are_labelled_as_what_they_are(other_data, tmp_path):
    root, label, options, _ = other_data
    (record,) = ensure([Run()], QUICK, Place(data_root=root, runs_dir=tmp_path / "runs", device="cpu", **options))
    assert record.data["label"] == label
    assert record.data["counts"] == {"train": 2, "val": 1, "test": 2}
    assert record.data["starts"] == "drawn"
    with pytest.raises(DataError, match=next(iter(options))):
        runs.load_data(Run(), QUICK, Place(data_root=root))


def test_other_data_are_packed_and_verified_with_the_options_of_their_runs(other_data, tmp_path, capsys):
    root, _, options, told = other_data
    pack = tmp_path / "packed"
    assert cli.main(["data", "pack", str(root), str(pack), *told]) == 0
    assert "5 videos" in capsys.readouterr().out
    assert cli.main(["data", "verify", str(pack), str(root), *told]) == 0
    assert "5 videos, all as they were packed" in capsys.readouterr().out
    data, _ = runs.load_data(Run(), QUICK, Place(data_root=root, pack=pack, **options))
    assert [study.pack for study in data.studies] == [pack.resolve()] * 5
    assert sorted(open_pack(pack)) == sorted(study.id for study in data.studies)
    for command in (["pack", str(root), str(tmp_path / "again")], ["verify", str(pack), str(root)]):
        assert cli.main(["data", *command]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "again").exists()
