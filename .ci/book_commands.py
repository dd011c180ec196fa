"""Write each command's `--help` into its place in book/commands.md.

    python .ci/book_commands.py

A place is a block that begins with a line `$ coreecho ... --help`. Line breaks are those that the locked Python's
argparse makes at 80 columns.
"""

import os
import re
from pathlib import Path

os.environ["COLUMNS"] = "80"
PAGE = Path("book/commands.md")


def main() -> None:
    from coreecho.cli import build_parser

    def filled(match: re.Match[str]) -> str:
        parser = build_parser()
        for word in match[2].split():
            parser = parser.commands()[word]
        return f"{match[1]}\n{parser.format_help().rstrip()}\n```"

    text = PAGE.read_text(encoding="utf-8")
    block = r"(\$ coreecho([a-z ]*) --help)\n.*?```"
    PAGE.write_text(re.sub(block, filled, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
