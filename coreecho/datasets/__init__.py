"""A folder on disk -> `Study` records: one module per data set, the same code for the real one and its phantom."""

from coreecho.datasets.camus import read_camus
from coreecho.datasets.echonet import read_echonet
from coreecho.datasets.hmcqu import read_hmcqu
from coreecho.datasets.motions import MOTIONS, read_motions
from coreecho.datasets.study import Dataset, Study

__all__ = ["MOTIONS", "Dataset", "Study", "read_camus", "read_echonet", "read_hmcqu", "read_motions"]
