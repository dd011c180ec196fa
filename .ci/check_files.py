"""Checks on files of every kind: size, last line, private keys.

    python .ci/check_files.py [FILE ...]        without files: all that git tracks or would add

Prints one line per finding and exits with status 1 if there is any.
"""

import subprocess
import sys
from pathlib import Path

LARGEST = 500_000
# Folders whose files may be larger: the vendored MathJax, the demo checkpoint, records and what notebooks draw.
LARGER = ("book/_static/", "checkpoints/", "figures/", "runs/", "notebooks/", "tests/fixtures/")
BINARY = {".avi", ".dcm", ".gz", ".npz", ".parquet", ".png", ".pt", ".safetensors", ".woff", ".woff2", ".xlsx"}
PRIVATE_KEY = "PRIVATE" + " KEY-----"


def findings(path: Path) -> list[str]:
    found = []
    vendored = path.as_posix().startswith("book/_static/")
    size = path.stat().st_size
    if size > LARGEST and not path.as_posix().startswith(LARGER):
        found.append(f"{path}: {size:,} bytes, more than {LARGEST:,}; data and weights stay out of git")
    if path.suffix in BINARY or vendored:
        return found
    text = path.read_text(encoding="utf-8")
    if PRIVATE_KEY in text:
        found.append(f"{path}: holds a private key")
    if path.suffix != ".json" and text and (not text.endswith("\n") or text.endswith("\n\n")):
        found.append(f"{path}: does not end with exactly one newline")
    if any(line != line.rstrip() for line in text.splitlines()) and path.suffix not in {".md", ".ipynb", ".svg"}:
        found.append(f"{path}: has spaces at the end of a line")
    return found


def main(arguments: list[str]) -> int:
    if not arguments:
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        arguments = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    found = [line for name in arguments if name and Path(name).is_file() for line in findings(Path(name))]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
