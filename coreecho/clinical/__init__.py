"""The clinical view: agreement, calibration, decisions at EF 40 and 50, errors by EF and picture, the worst cases.

The paper reports MAE, RMSE and R2 (section 4); a cardiologist asks what else the same saved predictions say. `scored`
takes them from records, `agreement`, `calibration`, `thresholds`, `classes` and `bands` hold the measures, `pictures`
groups by picture quality, `worst` finds the largest errors, `tables` and `words` tell it all. Intervals are those of
`coreecho.resampling`: patients are drawn jointly for all seeds, and a measure is averaged over seeds.
"""

from coreecho.clinical.scored import Scored, oracle, scored
from coreecho.clinical.worst import Case, cases

__all__ = ["Case", "Scored", "cases", "oracle", "scored"]
