"""A synthetic beating heart written to disk in the real data sets' own formats: the *phantom*.

`heart` has the geometry and motion, `segments` an infarction, `beat` the timing, `view` how a study was taken, `case`
all of them and the reader's labels, `ultrasound` the picture, `outlines` the masks; `echonet`, `camus` and `hmcqu`
write folders in those data sets' formats; `moving_shapes` and `motions` make the pretext task's videos, which show no
heart; `sets` writes whichever the settings are for; `truth` reads what is true. Whatever is measured on it says nothing
about patients.
"""

from coreecho.phantom.camus import write_camus
from coreecho.phantom.echonet import PHANTOM_VERSION, write_echonet
from coreecho.phantom.hmcqu import write_hmcqu
from coreecho.phantom.motions import write_motions
from coreecho.phantom.moving_shapes import MOTIONS
from coreecho.phantom.sets import AnySettings, fingerprint, is_complete, write_phantom
from coreecho.phantom.truth import describe_labels, read_truth, sample_labels, true_ef

__all__ = [
    "MOTIONS",
    "PHANTOM_VERSION",
    "AnySettings",
    "describe_labels",
    "fingerprint",
    "is_complete",
    "read_truth",
    "sample_labels",
    "true_ef",
    "write_camus",
    "write_echonet",
    "write_hmcqu",
    "write_motions",
    "write_phantom",
]
