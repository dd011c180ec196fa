"""The one exception family: everything that the person at the keyboard can mend.

Each message says what was found, where, and what to do. The command line prints it on one or two lines and exits with
status 2; a traceback therefore always means a defect of this package.
"""


class CoReEchoError(Exception):
    """Base of all errors that a user can mend; the command line exits with ``exit_status``."""

    exit_status = 2


class SettingsError(CoReEchoError):
    """A run, profile or option that does not exist or is out of range."""


class DataError(CoReEchoError):
    """A data set folder, list file or label that cannot be used."""


class VideoError(DataError):
    """A file that cannot be read as an echo clip."""


class CheckpointError(CoReEchoError):
    """Weights that are missing, damaged or of another architecture."""


class RecordError(CoReEchoError):
    """A run record that is missing, damaged, edited or of another schema."""
