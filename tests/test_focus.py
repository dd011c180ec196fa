"""Where a network looks: outlines lie on the ventricle, measures say what they claim, systems are paired by video."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, cavity_mask, sector_frames, tiny_model, tiny_place

from coreecho import appendix, focus, phantom
from coreecho.clips import GREY, normalise
from coreecho.datasets import Dataset, Study, read_camus, read_hmcqu
from coreecho.errors import DataError, RecordError
from coreecho.explain import Axis, Saliency
from coreecho.focus import outlined
from coreecho.focus import tables as focus_tables
from coreecho.focus.maps import explained
from coreecho.focus.outlined import Outlined, nearest_start, outlined_studies
from coreecho.focus.samples import choose, samples, shown_frames
from coreecho.runs import ensure
from coreecho.settings import ClipSettings, Run
from coreecho.settings_text import override

CLIP = ClipSettings(frames=8, stride=4, size=32)
WHOLE = ClipSettings(frames=8, stride=1, size=32, resample=True)


# The clip: the first that shows the traced frames, or comes nearest.


@pytest.mark.parametrize(
    ("traced", "frames", "start", "places"),
    [
        ((0, 8), 60, 0, (0, 2)),
        ((9, 21), 60, 1, (2, 5)),  # start 1 is the first with both on its grid
        ((40, 12), 60, 12, (7, 0)),  # end-systole first
        ((5, 7), 60, 0, (1, 2)),  # no clip has both: each is off by 1
        ((2, 10), 20, 2, (0, 2)),  # shorter than a clip: 32 frames are made up, starts 0 to 3
        ((0, 33), 60, 2, (0, 7)),  # too far apart: off by 2 and 3
        ((1, 55), 60, 1, (0, 7)),  # much too far apart: one of them is shown
    ],
)
def test_the_clip_is_the_first_that_comes_nearest_to_the_traced_frames(traced, frames, start, places):
    assert nearest_start(traced, frames, CLIP) == (start, places)


def test_empty_frames_past_the_end_are_never_taken_for_a_traced_one():
    start, places = nearest_start((19, 17), 20, CLIP)
    assert all(start + 4 * place < 20 for place in places)


# The outlines: of each data set, where the ventricle is.


def test_echonets_outlines_lie_on_the_dark_cavity_in_a_clip_with_both_moments(phantom_data):
    truth = phantom.read_truth(phantom_data.root)
    found = list(outlined_studies(phantom_data, TINY.clip))
    assert [seen.study.id for seen in found] == [study.id for study in phantom_data.split("test")]
    for seen in found:
        assert seen.frames.shape == (8, 32, 32, 3)
        assert seen.apart <= 2
        for name, column in (("ed", "EDFrame"), ("es", "ESFrame")):
            if name in seen.moments:
                video_frame = seen.start + 2 * seen.measured[seen.moments[name]]
                assert abs(video_frame - truth.loc[seen.study.id, column]) <= seen.apart
        if len(seen.moments) == 2:
            assert seen.ventricle[0].sum() > seen.ventricle[1].sum()
        assert seen.sector is not None
        assert (seen.ventricle & ~seen.sector).sum() <= 0.05 * seen.ventricle.sum()


PROBING = override(
    TINY,
    [
        "phantom_camus.patients=20",
        "phantom_camus.reversed_share=0.5",
        "phantom_hmcqu.echos=20",
        *(f"{data}.{part}" for data in ("camus", "hmcqu") for part in ("clip.frames=4", "clip.size=32")),
        *(f"{data}.probe.{part}" for data in ("camus", "hmcqu") for part in ("epochs=1", "batch_size=4")),
    ],
)


def test_a_traced_frame_that_the_clip_does_not_reach_is_not_measured(phantom_data):
    short = dataclasses.replace(TINY.clip, frames=4, stride=1)
    found = list(outlined_studies(phantom_data, short))
    assert len(found) == 5
    for seen in found:
        assert len(seen.measured) == len(seen.ventricle) == len(seen.moments)
        assert seen.apart <= 1
        assert seen.inside == short.frames
    assert any(len(seen.measured) == 1 for seen in found)


def test_a_clip_beyond_its_video_is_explained_with_the_padding_it_was_trained_with(tiny_records, phantom_data):
    (record, *_), model = tiny_records["table1/echocotr"], tiny_model().eval()
    own = dataclasses.replace(record.profile.recipe(record.run), padding="grey")
    long = dataclasses.replace(record.profile.clip_settings(record.run), frames=24, stride=2)
    profile = dataclasses.replace(record.profile, own={"echocotr": own}, own_clips={"echocotr": long})
    (seen, prediction, _), *_ = explained(dataclasses.replace(record, profile=profile), model, phantom_data)
    assert 0 < seen.inside < 24
    assert (seen.frames[seen.inside :] == GREY).all()
    clip = normalise(torch.from_numpy(seen.frames.transpose(3, 0, 1, 2))[None], model.levels)
    clip[:, :, seen.inside :] = 0
    with torch.no_grad():
        assert prediction == float(model(clip)[0])


@pytest.fixture(scope="module")
def camus(phantom_folder):
    settings = PROBING.phantom_camus
    folder = phantom_folder.parent / f"phantom-camus-{phantom.fingerprint(settings)[:8]}"
    return phantom.write_camus(folder, settings, workers=1, progress=False)


@pytest.fixture(scope="module")
def hmcqu(phantom_folder):
    settings = PROBING.phantom_hmcqu
    folder = phantom_folder.parent / f"phantom-hmcqu-{phantom.fingerprint(settings)[:8]}"
    return phantom.write_hmcqu(folder, settings, workers=1, progress=False)


def levels(seen, region):
    """Mean grey level of a region of the outlined frames."""
    return float(seen.frames[list(seen.measured)].mean(axis=-1)[region].mean())


def test_camus_is_outlined_in_every_frame_from_end_diastole_to_end_systole(camus):
    found = [seen for fold in range(10) for seen in outlined_studies(read_camus(camus, fold=fold), WHOLE)]
    assert any(seen.study.reverse for seen in found)
    for seen in found:
        assert seen.measured == tuple(range(8))
        assert seen.moments == {"ed": 0, "es": 7}
        assert seen.ventricle[0].sum() > seen.ventricle[7].sum()
        assert not (seen.ventricle & seen.wall).any()
        assert levels(seen, seen.ventricle) < 0.9 * levels(seen, seen.wall)


def test_hmcqus_ventricle_is_the_wall_and_what_it_encloses_after_the_central_crop(hmcqu):
    clip = dataclasses.replace(WHOLE, crop=0.8)
    found = [seen for fold in range(5) for seen in outlined_studies(read_hmcqu(hmcqu, fold=fold), clip)]
    assert found
    for seen in found:
        assert seen.moments == {}
        assert (seen.wall & seen.ventricle).sum() > 0.95 * seen.wall.sum()
        assert seen.wall.sum() < 0.6 * seen.ventricle.sum()
        assert levels(seen, seen.ventricle & ~seen.wall) < 0.7 * levels(seen, seen.wall)


def test_a_speck_beside_the_wall_does_not_stretch_what_it_encloses():
    wall = cavity_mask(1, 64, 64)[0] == 2
    alone = outlined._enclosed(wall)
    wall[2:4, 60:62] = True
    assert (outlined._enclosed(wall) == alone).all()
    assert alone[29, 32]  # the cavity's middle
    assert not outlined._enclosed(np.zeros((8, 8), bool)).any()


def test_data_without_outlines_are_refused_by_name(tmp_path, camus):
    data = read_camus(camus, fold=0)
    bare = tuple(dataclasses.replace(study, mask=None) for study in data.studies)
    with pytest.raises(DataError, match="no test video has an outline"):
        list(outlined_studies(dataclasses.replace(data, studies=bare), WHOLE))
    lists = Dataset(name="echonet", root=tmp_path, studies=data.studies)
    with pytest.raises(DataError, match=r"VolumeTracings\.csv"):
        list(outlined_studies(lists, CLIP))


# The measures.


def seen_clip(moments=True):
    """A clip of 4 frames of 8 x 8 pixels, outlined in frames 0 and 2: a 4 x 4 square at the upper left, then 2 x 2."""
    ventricle = np.zeros((2, 8, 8), bool)
    ventricle[0, :4, :4] = ventricle[1, :2, :2] = True
    sector = np.zeros((8, 8), bool)
    sector[:, :6] = True
    return Outlined(
        study=Study(id="a", path=None, label=50.0, split="test"),
        frames=np.zeros((4, 8, 8, 3), np.uint8),
        start=0,
        measured=(0, 2),
        ventricle=ventricle,
        wall=None,
        sector=sector,
        moments={"ed": 0, "es": 1} if moments else {},
        apart=0,
        inside=4,
    )


def as_map(values):
    values = np.asarray(values, np.float32)
    return Saliency(values, not values.any(), "raises", values)


def test_an_even_map_has_the_shares_of_area():
    row = focus.measure(as_map(np.ones((4, 8, 8))), seen_clip())
    assert row["share"] == row["point"] == row["area"] == pytest.approx(20 / 128)
    assert row["share_ed"] == row["area_ed"] == pytest.approx(16 / 64)
    assert row["share_es"] == row["area_es"] == pytest.approx(4 / 64)
    assert row["outside"] == pytest.approx(0.25)
    assert row["sector"] == pytest.approx(0.75)
    assert np.isnan(row["wall"])


def test_only_outlined_frames_count_for_the_ventricle_and_all_for_the_sector():
    values = np.zeros((4, 8, 8))
    values[0, 1, 1], values[0, 7, 2], values[1, 0, 7] = 0.6, 0.2, 1.0
    row = focus.measure(as_map(values), seen_clip())
    assert row["share"] == row["share_ed"] == pytest.approx(0.75)
    assert np.isnan(row["share_es"])  # the map has nothing there
    assert row["point"] == 1
    assert row["outside"] == pytest.approx(1 / 1.8)
    unknown = focus.measure(as_map(values), dataclasses.replace(seen_clip(moments=False), sector=None))
    assert np.isnan(unknown["share_ed"])
    assert np.isnan(unknown["outside"])
    assert unknown["share"] == row["share"]


def test_the_maximum_is_a_place_and_not_a_mass():
    values = np.full((4, 8, 8), 0.5)
    values[0, 0, 0], values[2, 7, 7] = 1, 1
    row = focus.measure(as_map(values), seen_clip())
    assert row["point"] == 0.5
    assert row["share"] < 0.2


def test_an_empty_map_has_no_share():
    row = focus.measure(as_map(np.zeros((4, 8, 8))), seen_clip())
    assert np.isnan(row["share"])
    assert np.isnan(row["point"])
    assert np.isnan(row["outside"])
    assert row["area"] > 0


def test_the_wall_is_measured_where_it_is_outlined():
    seen = seen_clip()
    wall = np.zeros_like(seen.ventricle)
    wall[:, 0, :] = True
    row = focus.measure(as_map(np.ones((4, 8, 8))), dataclasses.replace(seen, wall=wall))
    assert row["wall"] == row["wall_point"] == row["wall_area"] == pytest.approx(1 / 8)


def test_of_an_infarction_the_logit_is_explained_and_the_probability_told():
    model = tiny_model().eval()
    with torch.no_grad():
        model.head[-1].weight.mul_(8)
        model.head[-1].bias.fill_(12.0)  # a probability whose gradient has all but vanished
    frames = sector_frames(8, 32, 32)[0][..., None].repeat(3, axis=-1)
    ef, plain = focus.explain(model, model.levels, frames, "ef")
    probability, logit = focus.explain(model, model.levels, frames, "mi")
    assert probability == pytest.approx(1 / (1 + np.exp(-ef)))
    np.testing.assert_array_equal(plain["raises"].map, logit["raises"].map)
    np.testing.assert_allclose(plain["raises"].cells, -plain["lowers"].cells, rtol=1e-4, atol=1e-6)


# A run's measures.


@pytest.fixture(scope="module")
def place(phantom_folder, tiny_records):
    return tiny_place(phantom_folder, tiny_records["table1/coreecho"][0].folder.parents[1])


@pytest.fixture(scope="module")
def measured(tiny_records, place):
    own = focus.measured(tiny_records["table1/coreecho"], place)
    return own, focus.measured(tiny_records["table1/echocotr"], place)


def test_every_test_video_of_every_seed_is_measured_for_both_signs_and_kept(tiny_records, measured):
    own, _ = measured
    record = tiny_records["table1/coreecho"][0]
    assert (record.folder / "focus.parquet").exists()
    assert own.groupby(["seed", "sign"])["video"].nunique().tolist() == [5] * 4
    assert (own["fold"] == -1).all()
    shares = own[["share", "share_ed", "share_es", "point", "outside", "area", "sector"]]
    assert (shares.isna() | ((shares >= 0) & (shares <= 1))).all(axis=None)
    assert own["empty"].eq(own["outside"].isna()).all()
    recorded = record.predictions("first").set_index("video")
    first = own[(own["seed"] == 0) & (own["start"] == 0)]
    np.testing.assert_allclose(first["prediction"], recorded.loc[first["video"], "prediction"], atol=1e-4)


def test_probing_models_on_camus_and_hmcqu_are_measured_fold_by_fold(place, camus, hmcqu):
    runs = [Run(dataset="camus", method="probe", init="coreecho", views="one", fold=fold) for fold in (0, 1)]
    runs.append(Run(dataset="hmcqu", method="probe", init="coreecho", views="one", fold=0))
    *patients, echo = ensure(runs, PROBING, place)
    table = focus.measured(patients, place)
    assert table.groupby("fold")["video"].nunique().tolist() == [2, 2]
    assert table["wall"].notna().any()
    first = set(table[table["fold"] == 0]["video"])
    assert {sample.video for sample in samples(patients[0], place)} == first
    echos = focus.measured([echo], place)
    assert echos["share_ed"].isna().all()
    assert echos["prediction"].between(0, 1).all()
    shown = samples(echo, place)
    assert {sample.label for sample in shown} == {0.0, 1.0}
    assert all(sample.ventricle.any(axis=(1, 2)).all() for sample in shown)


# Two systems, paired.


def fabricated(gap=0.0, seeds=(0, 1), videos=40, noise=0.02, seed=0):
    """Measures of a system whose share of mass inside is ``gap`` above that of gap 0, video by video."""
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(99).uniform(0.1, 0.5, videos)
    rows = [
        {
            "video": f"v{number:02d}", "label": 50.0, "prediction": 50.0, "sign": sign, "start": 0, "apart": 0,
            "empty": False, **dict.fromkeys(focus.MEASURES, np.nan), **dict.fromkeys(focus.AREAS.values(), 0.2),
            "share": hard[number] + gap + rng.normal(0, noise), "outside": 0.3, "seed": each, "fold": -1,
        }
        for each in seeds for sign in focus.SIGNS for number in range(videos)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("gap", "verdict"), [(0.05, "holds"), (-0.05, "does not hold"), (0.0, "undecided")])
def test_pairing_by_video_finds_a_difference_that_videos_would_hide(gap, verdict):
    own, theirs = fabricated(gap), fabricated(0.0, seed=1)
    found = focus.claim(own, theirs)
    assert found.verdict == verdict
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(gap, abs=0.01)
    assert found.difference == pytest.approx(found.own - found.theirs)
    assert found.high - found.low < 0.03  # the videos' own spread would give 0.1
    assert found.videos == 40
    assert found.chance == pytest.approx(0.2)
    assert len(found.by_seed) == 2
    # shuffled rows are the same videos
    again = focus.claim(own.sample(frac=1, random_state=0), theirs)
    assert again == found


def test_one_seed_that_disagrees_leaves_the_claim_undecided():
    own, theirs = fabricated(0.05), fabricated(0.0, seed=1)
    own.loc[own["seed"] == 1, "share"] -= 0.06
    own.loc[own["seed"] == 0, "share"] += 0.06
    found = focus.claim(own, theirs)
    assert found.low > 0
    assert min(found.by_seed) < 0
    assert found.verdict == "undecided"


def test_empty_maps_are_left_out_in_pairs_and_counted():
    own, theirs = fabricated(0.05), fabricated(0.0, seed=1)
    gone = own["video"].isin(["v00", "v01"])
    own.loc[gone, ["share", "outside"]] = np.nan
    own.loc[gone, "empty"] = True
    found = focus.claim(own, theirs)
    assert found.videos == 38
    assert "4 of 80 maps of what raises the prediction are empty" in focus_tables.counts(own)
    assert "0 of 80" in focus_tables.counts(theirs)
    own["share"] = np.nan
    with pytest.raises(RecordError, match="no test video"):
        focus.claim(own, theirs)


def test_an_interval_has_the_coverage_that_it_claims(monkeypatch):
    monkeypatch.setattr(focus.maps, "RESAMPLES", 500)
    hits = 0
    for trial in range(40):
        found = focus.claim(fabricated(0.0, seed=1000 + trial, noise=0.1), fabricated(0.0, seed=trial, noise=0.1))
        hits += found.low <= 0 <= found.high
    assert 33 <= hits <= 40


def test_systems_on_different_videos_are_refused():
    with pytest.raises(RecordError, match="different videos"):
        focus.compare(fabricated(videos=5), fabricated(videos=6))


def test_the_table_for_readers_tells_measure_means_chance_and_interval(measured):
    gaps = focus.compare(*measured) + focus.compare(*measured, sign="lowers")
    table = focus_tables.comparison(gaps, "A", "B")
    assert table["Share (%)"].isin(focus.MEASURES.values()).all()
    assert "mass outside the sector" in table["Share (%)"].tolist()
    assert {"A", "B", "Even map", "Difference", "By seed", "Videos"} <= set(table.columns)
    assert table["Difference"].str.fullmatch(r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]").all()


# Samples.


def test_samples_are_the_middle_of_each_quarter_of_the_ef_whatever_the_order():
    studies = [Study(id=f"v{n}", path=None, label=float(n), split="test") for n in range(20)]
    assert choose(studies, "ef") == ["v2", "v7", "v12", "v17"]
    assert choose(studies[::-1], "ef") == choose(studies, "ef")
    assert choose(studies[:3], "ef") == ["v0", "v1", "v2"]
    echos = [Study(id=f"e{n}", path=None, label=float(n % 3 == 0), split="test") for n in range(9)]
    assert choose(echos[::-1], "mi") == ["e1", "e2", "e0", "e3"]


@pytest.mark.parametrize(("count", "panels"), [(36, 9), (16, 8), (12, 6)])
def test_as_many_frames_are_shown_as_in_the_paper_with_the_traced_ones_among_them(count, panels):
    seen = dataclasses.replace(seen_clip(), frames=np.zeros((count, 8, 8, 3), np.uint8), measured=(count - 1, 3))
    shown = shown_frames(seen)
    assert len(shown) == panels
    assert {3, count - 1} <= set(shown)
    assert list(shown) == sorted(set(shown))
    close = dataclasses.replace(seen, measured=(4, 5))
    assert {4, 5} <= set(shown_frames(close))
    everywhere = dataclasses.replace(seen, measured=tuple(range(count)))
    assert shown_frames(everywhere) == tuple(range(0, count, count // panels))


def test_a_runs_samples_are_kept_and_small(tiny_records, place, phantom_data):
    record = tiny_records["table1/coreecho"][0]
    shown = samples(record, place)
    assert [sample.video for sample in shown] == choose(phantom_data.split("test"), "ef")
    assert (record.folder / "samples.parquet").stat().st_size < 200_000
    for sample in shown:
        assert sample.frames.shape == sample.ventricle.shape == sample.maps["raises"].shape
        named = [index for index, name in enumerate(sample.names) if name]
        assert named
        assert sample.ventricle[named].any(axis=(1, 2)).all()
        assert not sample.ventricle[[index for index in range(len(sample.shown)) if index not in named]].any()
    found = {seen.study.id: seen for seen in outlined_studies(phantom_data, TINY.clip)}
    for sample in shown:
        grey = found[sample.video].frames[list(sample.shown)][..., 0]
        assert np.abs(grey.astype(int) - sample.frames).max() <= 1


def test_the_grid_is_that_of_the_maps_and_decides_whether_their_maximum_is_shown(tiny_records, place, measured):
    record = tiny_records["table1/coreecho"][0]
    model, data, _ = appendix.trained(record, place)
    _, _, maps = next(explained(record, model, data))
    side = focus_tables.grid(record)
    assert maps["raises"].cells.shape[1:] == (side, side)
    gaps = focus.compare(*measured)
    for cells, shown in ((1, False), (2, False), (3, True), (0, True)):
        told = focus_tables.comparison(gaps, "A", "B", cells)["Share (%)"].tolist()
        assert ("maximum inside the ventricle" in told) == shown
        assert "mass inside the ventricle" in told
        assert bool(focus_tables.corner_note(cells)) != shown
    assert "on a grid of 2 x 2 cells it cannot be inside" in focus_tables.corner_note(2)


def test_a_map_of_two_cells_a_side_has_its_maximum_in_a_corner_whatever_it_shows():
    for side in (2, 3):
        cells = np.zeros((side, side))
        cells[1, 1] = 1.0
        weights = Axis(32 / side / 2, 32 / side).weights(side, 32)  # (pixels, cells)
        found = weights @ cells @ weights.T
        corner = max(found[0, 0], found[0, -1], found[-1, 0], found[-1, -1])
        assert (corner == found.max()) == focus_tables.cornered(side)


def test_the_sentence_of_the_verdict_counts_videos_and_empty_maps_and_names_the_even_map():
    own, theirs = fabricated(0.05), fabricated(0.0, seed=1)
    gone = theirs["video"].isin(["v00", "v01"])
    theirs.loc[gone, "share"] = np.nan
    theirs.loc[gone, "empty"] = True
    gap = focus.claim(own, theirs)
    said = focus_tables.sentence(gap, own, theirs, ("A", "B"))
    assert "38 of 40 videos have both maps, 4 of 80 maps of B are empty)" in said
    assert f"{100 * gap.own:.1f} % of A and {100 * gap.theirs:.1f} % of B, where an even map has 20.0 %" in said
    assert "both lie above it" in said
