"""CoReEcho: continuous representation learning for echocardiography, as a reproducible companion of the paper.

>>> from coreecho import Run, predict, rnc_loss, uniformer_small
>>> Run(method="coreecho", seed=1).slug
'echonet-coreecho-seed1'

A name is imported when it is first asked for, so that ``coreecho --help`` does not wait for PyTorch.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from coreecho.timm_entry import register_with_timm

if TYPE_CHECKING:
    from coreecho.inference import predict
    from coreecho.losses import rnc_loss
    from coreecho.model import CoReEcho
    from coreecho.settings import Run
    from coreecho.uniformer import uniformer_small

register_with_timm()
__version__ = "0.1.0"
__all__ = ["CoReEcho", "Run", "__version__", "predict", "rnc_loss", "uniformer_small"]
_HOMES = {
    "CoReEcho": "model",
    "Run": "settings",
    "predict": "inference",
    "rnc_loss": "losses",
    "uniformer_small": "uniformer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        if not name.startswith("_") and find_spec(f"coreecho.{name}"):
            return import_module(f"coreecho.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"coreecho.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
