"""The files that name dependencies agree: pyproject.toml, requirements.lock, environment.yml and the Makefile."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK_TEXT = (ROOT / "requirements.lock").read_text()
LOCK = [Requirement(line) for line in LOCK_TEXT.splitlines() if line and not line.startswith("#")]
PINS = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in LOCK}
DECLARED = [
    Requirement(text)
    for text in PROJECT["dependencies"] + [t for group in PROJECT["optional-dependencies"].values() for t in group]
    if not text.startswith("coreecho[")
]


def locked_python() -> str:
    return re.search(r"for Python (\d+\.\d+)", LOCK_TEXT).group(1)


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_declared_dependency_is_locked_inside_its_range(requirement):
    assert canonicalize_name(requirement.name) in PINS
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_the_lock_holds_exact_pins_only():
    assert all(re.fullmatch(r"==[\w.!]+", str(pin.specifier)) for pin in LOCK)
    assert all(pin.url is None for pin in LOCK)
    assert not re.search(r"^\s*-", LOCK_TEXT, flags=re.MULTILINE)
    assert len(PINS) == len(LOCK)


def test_only_cuda_libraries_depend_on_the_platform():
    marked = {canonicalize_name(pin.name) for pin in LOCK if pin.marker}
    assert marked == {name for name in PINS if re.match(r"(nvidia|cuda)-|triton$", name)}
    mac = {"platform_system": "Darwin", "platform_machine": "arm64"}
    assert not any(pin.marker.evaluate(mac) for pin in LOCK if pin.marker)


def test_no_dependency_is_under_a_licence_the_package_avoids():
    assert not {"pylibjpeg-libjpeg", "albumentationsx", "decord"} & set(PINS)


def test_the_extra_all_holds_every_other_extra():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all"}


def test_conda_environment_agrees():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert conda == [f"python={locked_python()}", "pip"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}


def test_locked_python_is_supported_and_the_makefiles_default():
    assert SpecifierSet(PROJECT["requires-python"]).contains(locked_python())
    assert f"PYTHON  ?= python{locked_python()}\n" in (ROOT / "Makefile").read_text()


def test_makefile_help_names_every_verb():
    makefile = (ROOT / "Makefile").read_text()
    verbs = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE).group(1).split()
    described = re.findall(r"make ([\w-]+) ", "\n".join(re.findall(r"^# make.*", makefile, flags=re.MULTILINE)))
    assert set(verbs) - set(described) <= {"help", "install"}
