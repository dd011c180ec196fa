"""CoReEcho: continuous representation learning for echocardiography, as a reproducible companion of the paper.

>>> from coreecho import Run, predict, rnc_loss, uniformer_small
>>> Run(method="coreecho", seed=1).slug
'echonet-coreecho-seed1'
"""

from coreecho.hub import register_with_timm
from coreecho.inference import predict
from coreecho.losses import rnc_loss
from coreecho.model import CoReEcho
from coreecho.settings import Run
from coreecho.uniformer import uniformer_small

register_with_timm()
__version__ = "0.1.0"
__all__ = ["CoReEcho", "Run", "__version__", "predict", "rnc_loss", "uniformer_small"]
