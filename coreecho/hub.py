"""A model in the Hugging Face hub's layout, in a local folder.

    model.save_pretrained("folder", description)    # config.json, model.safetensors, README.md
    CoReEcho.from_pretrained("folder")

Nothing here reaches for a network: a model on a hub is downloaded with the hub's own tools, and its folder given here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreecho import checkpoints
from coreecho.checkpoints import HEADER, WEIGHTS_FILE, CheckpointInfo
from coreecho.errors import CheckpointError
from coreecho.files import replace_file
from coreecho.model import CoReEcho
from coreecho.settings_text import to_dict

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
