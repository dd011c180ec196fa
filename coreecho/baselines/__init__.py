"""The compared systems, one file each, written from the facts in their papers.

A system is added by a file that ends in its ``SYSTEM`` (or ``SYSTEMS``) and by its name in the list below.
"""

from coreecho.baselines import (
    adacon,
    clas,
    conr,
    degerli,
    echocardmae,
    echocotr,
    echographs,
    nguyen,
    ordinal_entropy,
    ouyang,
    rank_n_contrast,
    ranksim,
    saeed,
    supremix,
    uvt,
)
from coreecho.baselines.adacon import AdaCon
from coreecho.baselines.system import System

_FOUND = (
    adacon.SYSTEM,
    clas.SYSTEM,
    conr.SYSTEM,
    degerli.SYSTEM,
    echocardmae.SYSTEM,
    echocotr.SYSTEM,
    *echographs.SYSTEMS,
    nguyen.SYSTEM,
    ordinal_entropy.SYSTEM,
    ouyang.SYSTEM,
    rank_n_contrast.SYSTEM,
    ranksim.SYSTEM,
    saeed.SYSTEM,
    supremix.SYSTEM,
    *uvt.SYSTEMS,
)

SYSTEMS: dict[str, System] = {system.method: system for system in _FOUND}
"""The systems by `Run.method`."""

__all__ = ["SYSTEMS", "AdaCon", "System"]
