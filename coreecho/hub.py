"""A model in the Hugging Face hub's layout, in a local folder; and the encoder under a name in timm's registry.

    model.save_pretrained("folder", description)    # config.json, model.safetensors, README.md
    CoReEcho.from_pretrained("folder")
    timm.create_model("uniformer_small_video", num_classes=400)

Nothing here reaches for a network: a model on a hub is downloaded with the hub's own tools, and its folder given here.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from coreecho import checkpoints
from coreecho.checkpoints import HEADER, WEIGHTS_FILE, CheckpointInfo
from coreecho.errors import CheckpointError, SettingsError
from coreecho.files import replace_file
from coreecho.model import CoReEcho
from coreecho.settings_text import to_dict
from coreecho.uniformer import UniFormer, uniformer_small

CONFIG_FILE, CARD_FILE = "config.json", "README.md"
CARD = """---
library_name: coreecho
pipeline_tag: video-classification
license: {licence_tag}
license_name: {licence_name}
tags:
- echocardiography
- ejection-fraction
- regression
---
# CoReEcho: {what} from an apical four-chamber video

Trained on: {training_data}.
Clips: {clip}.
Encoder: {backbone}, widths {widths}, depths {depths}; regressor: {head}.

```python
from coreecho import CoReEcho, predict
model = CoReEcho.from_pretrained("this folder")  # normalised clips (B, 3, T, H, W) -> (B,)
predict("clip.avi", checkpoint="this folder")
```

{notice}
"""


def save_folder(model: CoReEcho, folder: str | Path, description: Mapping[str, Any]) -> CheckpointInfo:
    """Writes ``config.json``, ``model.safetensors`` and ``README.md``, a model card.

    Args:
        model: the network.
        folder: made if missing; the three files in it are replaced.
        description: as `coreecho.checkpoints.save` takes it.

    Raises:
        CheckpointError: the description does not fit.
        CoReEchoError: the folder cannot be written.
    """
    folder = Path(folder)
    info = checkpoints.save(model, folder / WEIGHTS_FILE, description)
    config = json.dumps({"library_name": HEADER, "architectures": ["CoReEcho"], **to_dict(info)}, indent=2)
    replace_file(folder / CONFIG_FILE, lambda path: path.write_text(config + "\n", encoding="utf-8"))
    replace_file(folder / CARD_FILE, lambda path: path.write_text(_card(info), encoding="utf-8"))
    return info


def load_folder(folder: str | Path) -> CoReEcho:
    """The model of such a folder, in eval mode.

    Raises:
        CheckpointError: it is no folder, or its files are missing, damaged or contradict each other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is no folder; download the model first (huggingface_hub.snapshot_download) and give its folder"
        )
    model, info = checkpoints.load(folder)
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise CheckpointError(f"{folder} has no readable {CONFIG_FILE}; download or save the model again") from None
    facts = to_dict(info)
    for name in ("backbone", "encoder", "head", "task"):
        if not isinstance(config, dict) or config.get(name) != facts[name]:
            raise CheckpointError(
                f"{folder / CONFIG_FILE} differs from the description in {WEIGHTS_FILE} ({name}); save the model again"
            )
    return model


def _card(info: CheckpointInfo) -> str:
    known = info.licence.lower() == "apache-2.0"
    clip = info.clip
    return CARD.format(
        licence_tag="apache-2.0" if known else "other",
        licence_name=info.licence,
        what="ejection fraction" if info.task == "ef" else "myocardial infarction",
        training_data=info.training_data,
        clip=f"{clip.frames} frames, one in {clip.stride}, {clip.size} x {clip.size} pixels" if clip else "not stated",
        backbone=info.backbone,
        widths=", ".join(map(str, info.encoder.widths)),
        depths=", ".join(map(str, info.encoder.depths)),
        head=info.head,
        notice=info.notice,
    )


def uniformer_small_video(pretrained: bool = False, **options: Any) -> UniFormer:
    """The entry in timm's registry: `coreecho.uniformer.uniformer_small` with timm's names for its options.

    Args:
        pretrained: must be false; the published weights are a file of the user's (``checkpoint_path``).
        options: ``num_classes``, ``drop_rate``, and fields of `coreecho.settings.EncoderSettings`.

    Raises:
        SettingsError: weights were asked for, the clips are not RGB, or an option does not exist.
    """
    if pretrained:
        raise SettingsError("no weights are downloaded; give the published file as checkpoint_path instead")
    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(name, None)
    if options.pop("in_chans", 3) != 3:
        raise SettingsError("uniformer_small_video takes clips of three channels; leave in_chans out")
    if "drop_rate" in options:
        options["dropout"] = options.pop("drop_rate")
    return uniformer_small(options.pop("num_classes", 400), **options)


def register_with_timm() -> None:
    """Puts the encoder into timm's registry: now if timm is loaded, else as soon as it is.

    Loading timm takes longer than loading all of this package, and most of its users never need it.
    """
    if "timm" in sys.modules:
        _register()
    elif not any(isinstance(finder, _TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TimmFinder())


def _register() -> None:
    from timm.models import is_model, register_model

    if not is_model(uniformer_small_video.__name__):
        register_model(uniformer_small_video)


class _TimmFinder(importlib.abc.MetaPathFinder):
    """Waits for ``import timm``, lets the usual finders find it, and registers once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "timm":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
