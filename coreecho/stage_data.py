"""What a stage learns from and what chooses its epoch: clips, or kept embeddings of clips that come again."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from accelerate import Accelerator
from torch.utils.data import DataLoader

from coreecho.batches import Batch
from coreecho.clips import Levels, generator, random_starts
from coreecho.frozen import FrozenClips
from coreecho.loading import ClipDataset, Items, make_loader
from coreecho.machine import Machine
from coreecho.model import CoReEcho
from coreecho.optimisation import drops_last
from coreecho.plan import Plan
from coreecho.protocols import predict_clips
from coreecho.schedule import Stage
from coreecho.settings import ClipSettings

VALIDATION_SEED = 10_000
"""Added to the run's seed for validation clips, so that they are not the training ones."""
STAGE_STRIDE = 1000
"""Epoch numbers of stage k start at k times this, so that its clips differ from the stage before."""
LEVEL_STREAM = 5000
"""Stream of `coreecho.clips.generator` for the videos whose grey levels are measured."""
LEVEL_CLIP = ClipSettings(frames=16, stride=2)
"""Of each of them one clip of this shape is looked at, at the run's size, as in EchoNet-Dynamic's code."""


class StageData:
    """The training and the validation videos of a stage; the test split is never opened here."""

    def __init__(
        self,
        number: int,
        stage: Stage,
        plan: Plan,
        model: CoReEcho,
        validation: ClipDataset,
        accelerator: Accelerator,
        machine: Machine,
    ) -> None:
        """Where the encoder stands still, embeddings take the place of clips that come again (`coreecho.frozen`)."""
        self.stage, self.plan, self.model = stage, plan, model
        self.accelerator, self.machine = accelerator, machine
        self.first = number * STAGE_STRIDE
        self.validation = validation
        self.items: Items = self._clips() if stage.items is None else stage.items(plan)
        self.kept: dict[str, FrozenClips] = {}
        if stage.frozen and isinstance(self.items, ClipDataset):
            self._keep("train", self.items)
            if plan.val:
                self._keep("val", self.validation)

    def _clips(self) -> ClipDataset:
        run, stage, recipe = self.plan.run, self.stage, self.plan.recipe
        return ClipDataset(
            self.plan.train,
            self.plan.clip,
            random_starts(self.plan.clip, 2 if stage.views == "two-clips" else 1, run.seed),
            seed=run.seed,
            augment=run.augment,
            same_clip=stage.views == "same-clip",
            padding=recipe.padding,
            crop_on_device=self.accelerator.device.type == "cuda",
        )

    def _keep(self, part: str, clips: ClipDataset) -> None:
        # All epochs of the stage and not only those that are left, so that a resumed run finds the same embeddings.
        epochs = range(self.first, self.first + self.stage.epochs)
        options = {"autocast": self.accelerator.autocast, "workers": self.machine.workers}
        kept = FrozenClips(clips, epochs, self.model, self.accelerator.device, **options)
        if kept.worth:
            self.kept[part] = kept

    def loader(self) -> DataLoader[Batch]:
        """Training batches; set the epoch of its ``batch_sampler`` before each pass."""
        kept, recipe = self.kept.get("train"), self.plan.recipe
        return make_loader(
            kept or self.items,
            recipe.batch_size,
            shuffle=True,
            drop_last=drops_last(len(self.items), recipe),
            workers=0 if kept else self.machine.workers,
        )

    def prepare(self, epoch: int) -> None:
        """Encodes what an epoch (0-based within the stage) learns from and has not been encoded before."""
        if "train" in self.kept:
            self.kept["train"].encode(self.first + epoch)

    def validate(self, epoch: int) -> dict[str, float]:
        """Mean absolute and squared error of the validation videos' mean predictions, and the time it took.

        Nothing where there are no such videos.
        """
        if not self.plan.val and self.stage.validate is None:
            return {}
        began = time.perf_counter()
        with self.accelerator.autocast():
            errors = self._errors(self.first + epoch)
        return errors | {"val_seconds": round(time.perf_counter() - began, 3)}

    def _errors(self, epoch: int) -> dict[str, float]:
        device = self.accelerator.device
        if self.stage.validate is not None:
            return self.stage.validate(self.model, self.plan, device, epoch)
        if "val" in self.kept:
            table = self.kept["val"].predictions(epoch)
        else:
            clips = self.validation
            table = predict_clips(
                self.model, clips.studies, clips.clip, clips.starts, device=device, epoch=epoch, dataset=clips
            )
        means = table.groupby("video")[["label", "prediction"]].mean()
        errors = (means["prediction"] - means["label"]).to_numpy()
        return {"val_mae": float(np.abs(errors).mean()), "val_mse": float(np.square(errors).mean())}


def validation_clips(plan: Plan) -> ClipDataset:
    """The validation videos, with clips drawn anew each epoch and never cropped."""
    seed = plan.run.seed + VALIDATION_SEED
    rule = random_starts(plan.clip, plan.recipe.selection_clips, seed)
    return ClipDataset(plan.val, plan.clip, rule, seed=seed, padding=plan.recipe.padding)


def measured_levels(plan: Plan) -> Levels:
    """Mean and standard deviation per channel of one random clip of each of some training videos, by the recipe.

    Frames past the end of a short video count as black ones, as in the authors' code.
    """
    seed, videos = plan.run.seed, plan.train
    count = min(plan.recipe.level_videos, len(videos))
    chosen = generator(seed, 0, "grey levels", LEVEL_STREAM).choice(len(videos), count, replace=False)
    shape = dataclasses.replace(LEVEL_CLIP, size=plan.clip.size)
    clips = ClipDataset([videos[index] for index in chosen], shape, random_starts(shape, 1, seed), cache_bytes=0)
    sums = np.zeros((2, 3))
    for index in range(count):
        x = clips[0, index].clips[0].numpy().astype(np.float64) / 255  # (3, T, H, W)
        sums += [x.mean((1, 2, 3)), np.square(x).mean((1, 2, 3))]
    mean, square = sums / count
    red, green, blue = mean.tolist()
    # A picture of one level has no spread; one of 255 then, so that nothing is divided by 0.
    sds = np.sqrt(np.maximum(square - mean**2, 1 / 255**2)).tolist()
    return (red, green, blue), (sds[0], sds[1], sds[2])
