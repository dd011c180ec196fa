"""What every notebook opens with: from its parameters to a profile, a place for data and records, a folder for figures.

    from coreecho.opening import opening

    page = opening(profile, data_root=data_root, runs_dir=runs_dir, figures_dir=figures_dir, device=device)
    records = tables.filled(experiments.table1(), page.profile, page.place, seeds)

It is imported above all else: what is imported after it does not speak of progress bars.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from coreecho.files import project_root
from coreecho.place import Place
from coreecho.profiles import get_profile
from coreecho.settings import Profile

# Without ipywidgets, tqdm.auto says so in a notebook's output as soon as it is imported; timm and accelerate do that by
# way of huggingface_hub. A progress bar is not missed here.
warnings.filterwarnings("ignore", message="IProgress not found")


@dataclass(frozen=True)
class Opening:
    """What a notebook's parameters name."""

    profile: Profile
    """The scale at which its runs are trained."""
    place: Place
    """Where its data and records are, and on what it computes."""
    out: Path
    """Folder that its figures and tables are written to."""


def opening(
    profile: str = "demo", *, data_root: str = "", runs_dir: str = "", figures_dir: str = "", device: str = "auto"
) -> Opening:
    """What a notebook's parameters name; those that it lacks are left out, and an empty text stands for the default.

    Args:
        profile: demo, gpu or paper.
        data_root: folder of the data (see `coreecho.place.Place`).
        runs_dir: folder of the records (default: runs/ of the project).
        figures_dir: folder for figures and tables (default: figures/ of the project).
        device: auto, cpu or cuda.

    Raises:
        SettingsError: there is no such profile.
    """
    return Opening(
        profile=get_profile(profile),
        place=Place(
            data_root=Path(data_root) if data_root else None,
            runs_dir=Path(runs_dir) if runs_dir else None,
            device=device,
        ),
        out=Path(figures_dir) if figures_dir else project_root() / "figures",
    )
