"""Nguyen 2023: two segmenters, quartic boundaries, logistic regression with a threshold from the training fold."""

import numpy as np
import pytest
import torch
from helpers import TINY
from test_degerli import told, weights
from torchvision.models import mobilenet_v3_large
from torchvision.models.segmentation import DeepLabV3_MobileNet_V3_Large_Weights

from coreecho import phantom
from coreecho.baselines.nguyen import SYSTEM, DeepLab, load_imagenet, nearest_corner, on_polynomial
from coreecho.batches import Batch
from coreecho.datasets import read_hmcqu
from coreecho.errors import CheckpointError
from coreecho.phantom_settings import HmcquPhantomSettings
from coreecho.plan import Plan
from coreecho.profiles import PAPER
from coreecho.settings import Run
from coreecho.settings_text import override

RUN = Run(dataset="hmcqu", method="nguyen", init="k400", views="one", fold=1)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hmcqu") / "phantom"
    phantom.write_hmcqu(folder, HmcquPhantomSettings(echos=40), workers=1, progress=False)
    profile = override(TINY, ["phantom_hmcqu.echos=40", "hmcqu.clip.size=32"])
    return Plan(run=RUN, profile=profile, data=read_hmcqu(folder, fold=1))


@pytest.fixture(scope="module")
def full():
    return SYSTEM.network(Plan(run=RUN, profile=PAPER))


def test_the_full_size_segmenters_have_the_stated_weights(full):
    published = DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]
    auxiliary = 40 * 10 * 9 + 2 * 10 + 10 * 21 + 21  # a head that only training on those classes uses
    assert weights(full.encoder.segmenters["deeplab"]) == published - auxiliary - 20 * 257 == 11_020_337
    assert weights(full.encoder.segmenters["unet"]) == 7_763_041
    assert full.encoder.width == full.head.in_features == 12


def test_both_segmenters_keep_the_picture_size(plan):
    small = SYSTEM.network(plan).encoder.segmenters
    assert [weights(each) for each in small.values()] == [11_713, 486_553]
    x = torch.rand(2, 3, 48, 48)
    assert {each(x).shape for each in small.values()} == {(2, 48, 48)}
    assert weights(DeepLab(48)) == 14_049
    with torch.device("meta"):
        assert DeepLab(224).net[:-2](torch.empty(2, 3, 224, 224)).shape == (2, 16, 28, 28)  # before its pyramid
    with torch.device("meta"):
        assert DeepLab().eval()(torch.empty(1, 3, 224, 224)).shape == (1, 224, 224)


def test_published_weights_fill_the_encoder_of_the_first_segmenter(full, tmp_path):
    torch.manual_seed(1)
    published = mobilenet_v3_large(weights=None)
    torch.save(published.state_dict(), tmp_path / "weights.pth")
    before = {name: value.clone() for name, value in full.encoder.segmenters["unet"].state_dict().items()}
    load_imagenet(full, tmp_path / "weights.pth")
    backbone = full.encoder.segmenters["deeplab"].net.backbone.eval()
    x = torch.rand(1, 3, 64, 64)
    first = published.features[0].eval()(x)
    assert torch.equal(backbone["0"](x), first)
    loaded = backbone.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in published.features.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in full.encoder.segmenters["unet"].state_dict().items())


def test_other_weights_are_refused(full, tmp_path):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"no weight named features\.\*"):
        load_imagenet(full, tmp_path / "other.pth")


def test_a_quartic_side_is_met_exactly_and_a_rough_one_smoothed():
    rows = np.arange(200.0)[::-1]
    curve = 50 + 1e-7 * (rows - 90) ** 4 - 0.1 * rows
    exact = on_polynomial(np.stack([curve, rows], axis=1))
    assert np.allclose(exact[..., 0], 50 + 1e-7 * (exact[..., 1] - 90) ** 4 - 0.1 * exact[..., 1])
    noise = np.random.default_rng(0).normal(0, 2, len(rows))
    rough = on_polynomial(np.stack([curve + noise, rows], axis=1))
    assert np.abs(rough - exact).max() < 1.5 < np.abs(noise).max()


@pytest.mark.parametrize(
    ("labels", "values", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], 0.6),  # the corner itself
        ([0, 1, 0, 1, 1], [0.1, 0.3, 0.5, 0.7, 0.9], 0.7),  # (0, 2/3) is nearer than (1/2, 1)
        ([1, 1, 0, 0], [0.1, 0.2, 0.6, 0.9], 0.1),  # nothing is near: all positive before nothing positive
    ],
)
def test_the_threshold_is_the_nearest_point_to_no_errors(labels, values, threshold):
    assert nearest_corner(labels, values) == threshold


def test_predictions_are_cut_at_the_training_threshold_and_the_head_keeps_the_regression(plan, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        "coreecho.baselines.nguyen.measure_fold", told(plan, lambda label: rng.normal(0.4 - 0.1 * label, 0.03, 12))
    )
    model = SYSTEM.network(plan)
    table = SYSTEM.score(model, plan, torch.device("cpu"))
    right = (table["prediction"] >= 0.5) == (table["label"] == 1)
    assert right.mean() > 0.8
    assert table["prediction"].between(0, 1).all()
    moving, still = (model.head(torch.full((1, 12), value)).item() for value in (0.4, 0.3))
    assert moving < 0 < still


def test_each_segmenter_learns_under_an_optimiser_of_its_own(plan):
    torch.manual_seed(0)
    model = SYSTEM.network(plan)
    (stage,) = SYSTEM.stages(plan)
    items, objective = stage.items(plan), stage.objective(model)
    assert set(objective.groups()) == {"deeplab", "unet"}
    optimizers = [torch.optim.AdamW(each, lr=1e-2, weight_decay=0) for each in objective.groups().values()]
    batch = Batch.collate([items[0, index] for index in range(0, len(items), 40)])
    history = []
    for _ in range(20):
        losses = objective(batch.clips, batch.labels, **batch.extra)
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
        sum(losses.values()).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert all(history[-1][name] < 0.5 * history[0][name] for name in ("deeplab", "unet"))
    table = SYSTEM.score(model, plan, torch.device("cpu"))
    assert list(table.columns) == ["video", "clip", "start", "label", "dice", "prediction", "protocol"]
