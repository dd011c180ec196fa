"""What a check found out about one data set, as text for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from coreecho.datasets import Study
from coreecho.datasets.pediatric import FoldRule

SHOWN = 5
"""Names that the text gives of a group; JSON has them all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a folder is looked at; the first three as a run would be told."""

    skip_bad: bool = False
    """Unusable rows are left out and do not count as a fault."""
    untraced: Literal["drop", "keep"] = "drop"
    """Whether videos without tracings are left out, the paper's rule."""
    folds: FoldRule | None = None
    """Which fold numbers of EchoNet-Pediatric are training, validation and test."""
    decode: bool = False
    """Decode every video and outline."""


@dataclass(kw_only=True)
class Report:
    """What one data set holds. Names are those of the list, or of the file."""

    name: str
    """Data set: EchoNet-Dynamic, EchoNet-Pediatric, CAMUS, HMC-QU, a phantom, or files without a list."""
    release: str
    """Which release or layout of it."""
    root: Path
    usable: int = 0
    """Studies that a run would use."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """How many of them are in each split (the first fold's, where there are folds)."""
    folds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Split -> its size in each fold."""
    published: Mapping[str, int] = field(default_factory=dict)
    """The counts that the data set's publication or the paper leads to expect."""
    counted: Mapping[str, int] = field(default_factory=dict)
    """The same counts here."""
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Sizes of groups that tables are split by (quality, infarction)."""
    dropped: dict[str, list[str]] = field(default_factory=dict)
    """Left out by rule, or there but of no use; harmless."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """What would make a run fail or its numbers wrong; ``--skip-bad`` leaves these out."""
    empty_splits: list[str] = field(default_factory=list)
    """Those of training, validation and test, where a list names them, without a usable video; runs need all three."""
    damaged: list[str] = field(default_factory=list)
    """Files that cannot be read, and why; only a new copy, or their removal, helps."""
    remarks: list[str] = field(default_factory=list)
    fingerprint: str | None = None
    studies: tuple[Study, ...] = ()
    """The usable studies, for decoding."""

    def wrong(self, options: Options) -> bool:
        """Whether runs on this folder would fail or give wrong numbers."""
        faulty = bool(self.faults) and not options.skip_bad
        nothing = not self.usable and self.fingerprint is not None
        return bool(self.damaged) or bool(self.empty_splits) or faulty or nothing

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        names = [name for name in self.__dataclass_fields__ if name != "studies"]
        return {name: getattr(self, name) for name in names} | {"root": str(self.root)}

    def text(self, options: Options) -> str:
        """A few lines for the terminal; faulty rows are wrong, or left out where the options ask for that."""
        faulty = "left out" if options.skip_bad else "WRONG"
        lines = [f"{self.root}: {self.name}, {self.release}: {self.usable} usable videos"]
        lines += [f"  {split:5} {count}" for split, count in self.splits.items()]
        lines += [f"  {split:5} by fold: {' '.join(map(str, sizes))}" for split, sizes in self.folds.items()]
        for what, expected in self.published.items():
            here = self.counted.get(what, 0)
            lines.append(f"  {what}: {here}, as published" if here == expected else f"  {what}: {here} of {expected}")
        for group, sizes in self.groups.items():
            lines.append(f"  {group}: {', '.join(f'{name} {count}' for name, count in sizes.items())}")
        lines += [f"  left out, {reason}: {_some(names)}" for reason, names in self.dropped.items()]
        lines += [f"  {faulty}, {reason}: {_some(names)}" for reason, names in self.faults.items()]
        empty = ", ".join(self.empty_splits)
        lines += [f"  WRONG, no usable video in split {empty}: training and scoring need all three"] if empty else []
        lines += [f"  DAMAGED: {_some(self.damaged, '; ')}"] if self.damaged else []
        lines += [f"  note: {remark}" for remark in self.remarks]
        lines += [f"  fingerprint {self.fingerprint[:16]}"] if self.fingerprint else []
        return "\n".join(lines)


def _some(names: list[str], separator: str = ", ") -> str:
    more = f"{separator}..." if len(names) > SHOWN else ""
    return f"{len(names)} ({separator.join(names[:SHOWN])}{more})"
