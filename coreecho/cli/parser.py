"""The parser of every command: help that ends in examples, and errors of one line with what was probably meant."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from coreecho.cli.suggest import guess


class Help(argparse.RawDescriptionHelpFormatter):
    """Examples stay as they are written; explanations are never broken at a hyphen, which may belong to an option."""

    def add_argument(self, action: argparse.Action) -> None:
        """As argparse, with room for the names of commands, which it sets further in than it measures them."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += 2

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False, break_long_words=False)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without repeating the whole usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Help, **options})
        self.examples: tuple[str, ...] = ()

    def show_examples(self, *examples: tuple[str, str]) -> None:
        """Ends the help in examples: what is typed, and what it does."""
        self.examples = tuple(line for line, _ in examples)
        self.epilog = "examples:\n" + "\n".join(f"  {line}\n      {meaning}" for line, meaning in examples)

    def error(self, message: str) -> NoReturn:
        """Exits with status 2."""
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"{self.prog}: {message}{end} see {self.prog} --help\n")

    def commands(self) -> dict[str, Parser]:
        """The parsers below this one, by name."""
        groups = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return {name: parser for group in groups for name, parser in group.choices.items()}

    def leaves(self) -> list[Parser]:
        """This parser, if it runs something itself, or those below it that do."""
        below = self.commands()
        return [leaf for parser in below.values() for leaf in parser.leaves()] if below else [self]

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse, but what is unknown is named by the command that does not know it, and options first of all."""
        words = list(args or [])
        if self.commands():
            return super().parse_known_args(words, namespace)
        self._refuse_unknown(words[: words.index("--")] if "--" in words else words)
        found, rest = super().parse_known_args(words, namespace)
        if rest:  # here, since the parser above would name its own help
            self.error(f"nothing is done with {' '.join(rest)!r}")
        return found, rest

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for name in (word.partition("=")[0] for word in words if word.startswith("--")):
            if not any(option.startswith(name) for option in known):
                self.error(f"there is no option {name}; {guess(name, known)}".rstrip("; "))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(name) for name in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            below = [f"{name} {action_name}" for name in names for action_name in action.choices[name].commands()]
            text = f"there is no command {value!r}; {guess(value, [*names, *below])}"
            self.error(f"{text}commands: {', '.join(names)}")
        raise argparse.ArgumentError(
            action, f"there is no {value!r}; {guess(str(value), names)}choose one of {', '.join(names)}"
        )


def add_quiet(parser: Parser) -> None:
    """``--quiet`` on a parser and on all below it; before or behind the command, it means the same."""
    parser.set_defaults(quiet=False)
    for each in (parser, *parser.leaves()):
        each.add_argument(
            "-q",
            "--quiet",
            action="store_true",
            default=argparse.SUPPRESS,
            help="only results and errors: no progress, no information",
        )
