"""The settings that a run was trained with, each with the sentence that its source has on it."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from coreecho import phantom_settings, settings
from coreecho.fixed import in_use, own_network, started, unused
from coreecho.plan import Plan
from coreecho.records import Record


@cache
def sentences() -> dict[str, dict[str, str]]:
    """The sentence below each field of the settings' classes, by class and field, as their source has it."""
    found: dict[str, dict[str, str]] = {}
    for module in (settings, phantom_settings):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            pairs = zip(owner.body, owner.body[1:], strict=False)
            found[owner.name] = {
                node.target.id: str(below.value.value)
                for node, below in pairs
                if isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            }
    return found


def plain(value: Any) -> str:
    """A setting's value as a reader writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_of(record: Record) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Heading and fields (name, value, sentence) of each group of settings that a run depends on.

    What a method does not read of them is left out: the profile's encoder where it brings its own, and fields of the
    recipe for a stage, a schedule or a loss that it does not have.
    """
    run, profile = record.run, record.profile
    own_encoder = own_network(run, profile) or profile.recipe(run).backbone != "uniformer"
    parts = {
        "Run": run,
        "Recipe": profile.recipe(run),
        "Clip": profile.clip_settings(run),
        "Encoder": None if own_encoder else profile.encoder,
        "Synthetic data": profile.phantom_of(run),
    }
    for heading, own in parts.items():
        if own is not None:
            known = sentences()[type(own).__name__]
            names = [field.name for field in dataclasses.fields(own)]
            lines = {name: (getattr(own, name), known.get(name, "")) for name in names}
            if heading == "Run" and started(run, profile) != run.init:
                lines["init"] = ("random", "Random weights; what stands for Kinetics-400's is not used by this system.")
            if heading == "Recipe":
                plan = Plan(run=run, profile=profile)
                if own_network(run, profile):
                    lines["backbone"] = ("own", lines["backbone"][1])
                left_out = unused(plan)
                lines = {name: line for name, line in (lines | in_use(plan)).items() if name not in left_out}
            yield heading, [(name, plain(value), sentence) for name, (value, sentence) in lines.items()]
