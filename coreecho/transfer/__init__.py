"""Tables 4 and 5 from records: transfer to CAMUS and HMC-QU (section 4.2; gaps D, E).

`outoffold` pools the folds' predictions, `correlation` and `classification` hold the metrics and `resampling` their
intervals, `scores` compares systems, and `tables` prints.
"""

from coreecho.transfer.tables import by_fold, camus, hmcqu, system

__all__ = ["by_fold", "camus", "hmcqu", "system"]
