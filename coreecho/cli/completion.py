"""``coreecho completion SHELL``: a script that lets a shell complete commands, options, files and names.

The names are those that there are when the script is made, so that completing starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from coreecho import notebooks
from coreecho.cli.options import Commands
from coreecho.cli.parser import Parser
from coreecho.profiles import PROFILES

SHELLS = ("bash", "zsh", "tcsh")


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("completion", help="a script that makes a shell complete commands and names")
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.show_examples(
        ("coreecho completion bash > ~/.local/share/bash-completion/completions/coreecho", "for new shells"),
        ('eval "$(coreecho completion bash)"', "for this one"),
        ("coreecho completion zsh > ~/.zfunc/_coreecho", "zsh, with fpath+=~/.zfunc before compinit in ~/.zshrc"),
        ("coreecho completion tcsh > ~/.coreecho.tcsh", "tcsh, with source ~/.coreecho.tcsh in ~/.tcshrc"),
    )
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    from coreecho.cli import build_parser

    print(script(build_parser(), arguments.shell))
    return 0


def script(parser: Parser, shell: str) -> str:
    """The completion script of ``parser`` for one of `SHELLS`."""
    import shtab

    kinds = {"file": shtab.FILE, "folder": shtab.DIRECTORY}
    used: dict[str, list[str]] = {}
    for leaf in parser.leaves():
        for action in leaf._actions:
            kind = getattr(action, "completes", None)
            if kind in NAMES and kind not in used:
                used[kind] = NAMES[kind]()
            if kind is not None:
                action.complete = kinds.get(kind) or _by_name(kind)  # type: ignore[attr-defined]
    preamble = "\n".join(_DEFINE[shell](_variable(kind), " ".join(names)) for kind, names in used.items())
    text: str = shtab.complete(parser, shell, preamble=preamble)
    return text


def _variable(kind: str) -> str:
    return f"_coreecho_names_{kind}"


def _by_name(kind: str) -> dict[str, str]:
    """How each shell's script refers to a list of names; names hold a slash, which only a variable hides from tcsh."""
    return {"bash": _variable(kind), "zsh": _variable(kind), "tcsh": f"${_variable(kind)}"}


_DEFINE: dict[str, Callable[[str, str], str]] = {
    "bash": lambda name, words: f'{name}() {{\n  compgen -W "{words}" -- "$1"\n}}',
    "zsh": lambda name, words: f"{name}() {{\n  compadd -- {words}\n}}",
    "tcsh": lambda name, words: f"set {name} = ({words})",
}


def _runs() -> Iterator[str]:
    from coreecho.experiments import all_rows, all_runs

    yield from ("pretext", *all_rows(), *all_runs())


def _parts_of_tables() -> Iterator[str]:
    from coreecho.experiments import TABLES

    yield from (*TABLES, *_runs())


def _phantoms() -> Iterator[str]:
    from coreecho.cli.data import SMALL_SETS

    yield from (*(name for name, profile in PROFILES.items() if profile.phantom is not None), *SMALL_SETS)


def _benchmarks() -> Iterator[str]:
    from coreecho.bench import BENCHMARKS

    yield from BENCHMARKS


NAMES: dict[str, Callable[[], list[str]]] = {
    "profile": lambda: list(PROFILES),
    "phantom": lambda: list(_phantoms()),
    "notebook": notebooks.names,
    "run": lambda: list(_runs()),
    "runs": lambda: list(_parts_of_tables()),
    "benchmark": lambda: list(_benchmarks()),
}
"""Kinds of names, and what makes the list of each."""
