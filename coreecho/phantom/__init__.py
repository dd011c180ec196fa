"""A synthetic beating heart written to disk in the real data sets' own formats: the *phantom*.

`heart` has the geometry and motion, `beat` the timing, `view` how a study was taken, `case` all three and the reader's
labels, `ultrasound` the picture, `echonet` the folder in EchoNet-Dynamic's format, and `truth` reads what is true.
Whatever is measured on it says nothing about patients.
"""

from coreecho.phantom.echonet import PHANTOM_VERSION, fingerprint, is_complete, write_echonet
from coreecho.phantom.truth import describe_labels, read_truth, sample_labels, true_ef

__all__ = [
    "PHANTOM_VERSION",
    "describe_labels",
    "fingerprint",
    "is_complete",
    "read_truth",
    "sample_labels",
    "true_ef",
    "write_echonet",
]
