"""A folder on disk -> `Study` records: one module per data set, the same code for the real one and its phantom."""

from coreecho.datasets.echonet import read_echonet
from coreecho.datasets.study import Dataset, Study

__all__ = ["Dataset", "Study", "read_echonet"]
