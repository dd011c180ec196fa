"""EchoNet-Pediatric lists fold numbers, not splits, and ships no rule for them, so one has to be chosen by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from coreecho.datasets.study import SPLITS, Split
from coreecho.errors import DataError, SettingsError

FoldRule = str | Mapping[int, Split]
"""``0-7/8/9`` (training / validation / test), or a mapping from fold number to split."""
_RANGES = r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*"


def parse_folds(text: str) -> dict[int, Split]:
    """Reads ``0-7/8/9``: the fold numbers of training, validation and test; ``0,2-4/5/6`` works too.

    Raises:
        SettingsError: another form, or a number that is in two splits.
    """
    parts = text.replace(" ", "").split("/")
    if len(parts) != len(SPLITS) or not all(re.fullmatch(_RANGES, part) for part in parts):
        raise SettingsError(f"folds {text!r}: give those of training, validation and test, such as 0-7/8/9")
    rule: dict[int, Split] = {}
    for split, part in zip(SPLITS, parts, strict=True):
        for numbers in part.split(","):
            first, _, last = numbers.partition("-")
            for number in range(int(first), int(last or first) + 1):
                if number in rule:
                    raise SettingsError(f"folds {text!r}: fold {number} is in two splits")
                rule[number] = split
    return rule


def assign_folds(path: Path, numbers: Sequence[str], folds: FoldRule | None) -> list[Split]:
    """The split of each row by its fold number.

    Args:
        path: the list, for messages.
        numbers: the column Split, all digits.
        folds: the rule; none was chosen where this is none.

    Raises:
        DataError: no rule, or one that does not speak of a number that is there.
    """
    counts = Counter(map(int, numbers))
    told = ", ".join(map(str, sorted(counts)))
    if folds is None:
        raise DataError(
            f"{path}: Split holds fold numbers ({told}), as in EchoNet-Pediatric, not TRAIN, VAL and TEST; say "
            "which are which, such as --folds 0-7/8/9 (training, validation, test)"
        )
    rule = parse_folds(folds) if isinstance(folds, str) else folds
    unnamed = sorted(counts.keys() - rule.keys())
    if unnamed:
        raise DataError(f"{path}: the folds given do not say what {', '.join(map(str, unnamed))} is; found {told}")
    return [rule[int(number)] for number in numbers]
