"""What each of two processes does for test_distributed.py: python two_processes.py FOLDER RANK.

It writes what it finds to FOLDER/RANK.pt. The same functions give the reference in the process of the tests.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from coreecho import distributed
from coreecho.baselines.adacon import AdaCon
from coreecho.model import CoReEcho, LinearHead, MLPHead
from coreecho.objectives import EndToEnd, HeadOnly, RankNContrast
from coreecho.settings import EncoderSettings
from coreecho.uniformer import UniFormer

LABELS = torch.tensor([30.0, 45.0, 55.0, 45.0, 70.0], dtype=torch.float64)
SHARES = {"even": (2, 2), "uneven": (3, 2), "one row": (4, 1)}
VIEWS = {"l1": 2, "mse": 1, "rnc": 2, "rnc, saving memory": 2, "head": 1, "embeddings": 2, "adacon": 2}
WIDTH = 16
GATHERED = {
    "float64": torch.arange(10, dtype=torch.float64).view(5, 2),
    "int64": torch.arange(5) + 2**40,
    "bool": torch.tensor([True, False, False, True, True]),
    "bfloat16": torch.arange(5, dtype=torch.bfloat16),
    "strided": torch.arange(30.0).view(3, 2, 5).permute(2, 1, 0),
}
LAYERS = {
    "far from zero": (nn.BatchNorm1d(3), 1e3 + torch.randn(5, 3, generator=torch.Generator().manual_seed(1))),
    "cumulative": (nn.BatchNorm1d(3, momentum=None), torch.arange(15.0).view(5, 3).square()),
    "without weights": (nn.BatchNorm3d(2, affine=False), torch.arange(240.0).view(5, 2, 2, 3, 4).sin()),
    "without statistics": (nn.BatchNorm1d(3, track_running_stats=False), torch.arange(15.0).view(5, 3).cos()),
    "half": (nn.BatchNorm1d(3), torch.arange(15.0).view(5, 3).sin().bfloat16()),
}


class Precise(CoReEcho):
    """A network in double precision, which takes the clips' single precision."""

    def embed(self, x):
        return super().embed(x.double())


def objective(name):
    """The objective of a case, with a tiny network in double precision and without dropout."""
    torch.manual_seed(0)
    scale = {"widths": (8, 8, 16, WIDTH), "depths": (1, 1, 1, 1), "strides": (4, 2, 2, 1), "head_width": 8}
    encoder = UniFormer(EncoderSettings(**scale, dropout=0.0), num_classes=0)
    model = Precise(encoder, LinearHead(WIDTH) if name == "adacon" else MLPHead(WIDTH, dropout=0.0))
    made = {
        "l1": lambda: EndToEnd(model, F.l1_loss),
        "mse": lambda: EndToEnd(model, F.mse_loss),
        "rnc": lambda: RankNContrast(model, temperature=0.7),
        "rnc, saving memory": lambda: RankNContrast(model, temperature=0.7),
        "head": lambda: HeadOnly(model, F.l1_loss),
        "embeddings": lambda: HeadOnly(model, F.l1_loss),
        "adacon": lambda: AdaCon(model, [30.0, 40.0, 45.0, 60.0]),
    }[name]()
    moving = {id(weight) for group in made.groups().values() for weight in group}
    for weight in made.parameters():
        weight.requires_grad_(id(weight) in moving)
    encoder.checkpointing = name.endswith("saving memory") and distributed.world() > 1  # one process goes without
    return made.double().train()


def batch(name, rows):
    """The rows of a case's batch of five videos, with their labels."""
    random = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (5, VIEWS[name], 3, 4, 32, 32), generator=random, dtype=torch.uint8)
    if name == "embeddings":
        clips = torch.randn(5, VIEWS[name], WIDTH, generator=random, dtype=torch.float64)
    return clips[rows], LABELS[rows]


def step(made, module, clips, labels):
    """Losses, gradients and statistics after one pass of ``module``, which is ``made`` or drives it."""
    losses = module(clips, labels)
    sum(losses.values()).backward()
    return {
        "losses": {name: value.detach() for name, value in losses.items()},
        "gradients": {name: weight.grad for name, weight in made.named_parameters() if weight.requires_grad},
        "buffers": dict(made.named_buffers()),
    }


def pull(x, rank):
    """A loss of gathered rows that differs from process to process."""
    return (x**3 * (rank + 2)).sum()


def own(rows, counts):
    """This process's share of some rows."""
    return rows.split(list(counts))[distributed.rank()]


def try_objectives():
    found = {}
    for name in VIEWS:
        for title, counts in SHARES.items():
            made = distributed.synchronise_batch_norm(objective(name))
            rows = own(torch.arange(sum(counts)), counts)
            found[name, title] = step(made, DistributedDataParallel(made), *batch(name, rows))
    return found


def try_layers():
    found = {}
    for name, (layer, x) in LAYERS.items():
        assert distributed.synchronise_batch_norm(layer) is layer
        share = own(x, (4, 1)).clone().requires_grad_()
        out = layer.train()(share)
        (out.float() ** 3).sum().backward()
        after = layer.eval()(x).detach()
        kept = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm3d)
        found[name] = {
            "out": out.detach(),
            "gradient": share.grad,
            "after": after,
            "state": layer.state_dict(),
            "kept": kept,
        }
    return found


class Sandwich(nn.Module):
    """A batch normalisation with something to compile on either side."""

    def __init__(self):
        super().__init__()
        self.before, self.norm, self.after = nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3), nn.Conv3d(3, 2, 1)

    def forward(self, x):
        return self.after(self.norm(self.before(x).relu())).relu()


def try_compiled():
    """A normalisation inside a compiled network; three times, for a second batch may compile anew."""
    torch.manual_seed(0)
    net = distributed.synchronise_batch_norm(Sandwich().train())
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(net, backend=counter)
    share = own(LAYERS["without weights"][1], (4, 1)).clone().requires_grad_()
    outs = [step(share) for step in (compiled, compiled, compiled, net)]
    gradients = [torch.autograd.grad((out**3).sum(), [share, *net.parameters()]) for out in outs]
    return {"outs": outs, "gradients": gradients, "state": net.state_dict(), "graphs": counter.frame_count}


def try_gather():
    found = {name: distributed.gather(own(x, (2, 3))) for name, x in GATHERED.items()}
    found["nothing here"] = distributed.gather(own(GATHERED["float64"], (0, 5)))
    share = own(GATHERED["float64"], (2, 3)).clone().requires_grad_()
    pull(distributed.gather(share), distributed.rank()).backward()
    return found | {"gradient": share.grad}


def try_barrier(folder):
    """Whether process 0 finds, after the barrier, what process 1 was slow to write before it."""
    if distributed.rank() == 1:
        time.sleep(0.3)
        (folder / "slow").touch()
    distributed.barrier()
    return (folder / "slow").exists()


def main(folder, rank):
    torch.set_num_threads(1)
    meeting = {"init_method": f"file://{folder}/meeting", "timeout": timedelta(seconds=200)}
    torch.distributed.init_process_group("gloo", **meeting, rank=rank, world_size=2)
    found = {
        "who": (distributed.world(), distributed.rank(), distributed.is_main(), distributed.silent()),
        "objects": distributed.gather_objects({"rank": rank, "more": "x" * 10 * rank}),
        "barrier": try_barrier(folder),
        "gather": try_gather(),
        "layers": try_layers(),
        "compiled": try_compiled(),
        "objectives": try_objectives(),
    }
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
