"""The weights that UVT's authors offer for download, under this package's names.

Four files hold them: either sampling (R, M), each with a phase that is regressed or classified. The two regressed ones
fit `coreecho.baselines.uvt_network.UVT`; classified phases are not made here. Their names come from the authors' code,
no such file has been opened for this package.

    model = UVT(PUBLISHED, ClipSettings(frames=128, stride=1, pad=0))
    load_published(model, "best.pt")
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from coreecho.baselines.uvt_network import UVT
from coreecho.weightfiles import State, fit, read_weights

NAMES = {
    r"AE\.encoder\.input_conv\.": "encoder.frame.first.",
    r"AE\.encoder\.res_blk_list\.(\d+)\.(\d+)\.residual_block\.([01])\.": r"encoder.frame.blocks.\1.\2.body.0.\3.",
    r"AE\.encoder\.res_blk_list\.(\d+)\.(\d+)\.residual_block\.3\.": r"encoder.frame.blocks.\1.\2.body.1.0.",
    r"AE\.encoder\.res_blk_list\.(\d+)\.(\d+)\.residual_block\.4\.": r"encoder.frame.blocks.\1.\2.body.1.1.",
    r"AE\.encoder\.conv_list\.": "encoder.frame.down.",
    r"AE\.encoder\.multi_res_skip_list\.": "encoder.frame.skip.",
    r"AE\.encoder\.output_conv\.": "encoder.frame.last.",
    r"AE\.fc1\.": "encoder.frame.flat.",
    r"T\.layer\.(\d+)\.attention\.output\.dense\.": r"encoder.layers.\1.self_attn.out_proj.",
    r"T\.layer\.(\d+)\.attention\.output\.LayerNorm\.": r"encoder.layers.\1.norm1.",
    r"T\.layer\.(\d+)\.intermediate\.dense\.": r"encoder.layers.\1.linear1.",
    r"T\.layer\.(\d+)\.output\.dense\.": r"encoder.layers.\1.linear2.",
    r"T\.layer\.(\d+)\.output\.LayerNorm\.": r"encoder.layers.\1.norm2.",
    r"extremas\.": "encoder.cycle.",
    r"ejection\.3\.": "head.",
    r"ejection\.": "encoder.ef.",
}
"""How the authors' names begin, and what takes the place of that beginning; the first that fits counts."""
QUERY = re.compile(r"T\.layer\.(\d+)\.attention\.self\.query\.(weight|bias)")


def load_published(model: UVT, path: str | Path) -> None:
    """Puts the authors' weights into a network of the published size.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
    """
    path = Path(path)
    fit(model, renamed(read_weights(path)["weights"]), path)


def renamed(weights: State) -> State:
    """The authors' weights under our names; what has no place here keeps its own."""
    left, state = dict(weights), {}
    for key in weights:
        if found := QUERY.fullmatch(key):
            parts = [left.pop(key.replace("query", part), None) for part in ("query", "key", "value")]
            joined = torch.cat([part for part in parts if part is not None])
            state[f"encoder.layers.{found[1]}.self_attn.in_proj_{found[2]}"] = joined
    for key, value in left.items():
        fitting = (pattern for pattern in NAMES if re.match(pattern, key))
        pattern = next(fitting, None)
        state[key if pattern is None else re.sub(pattern, NAMES[pattern], key, count=1)] = value
    return state
