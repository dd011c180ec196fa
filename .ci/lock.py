"""Write requirements.lock from the packages of the running environment.

    python -m venv fresh && fresh/bin/pip install -e '.[all]' && fresh/bin/python .ci/lock.py > requirements.lock

Every package is pinned exactly, setuptools and wheel too, so that the package itself builds without a download. CUDA
libraries exist for Linux on x86_64 only and are marked so; elsewhere torch comes without them.
"""

import importlib.metadata
import re
import sys

HEADER = """\
# Exact versions of everything the package, its tests and its book use, for Python {python}.
# `make` installs them into .venv; `pip install -r requirements.lock && pip install --no-deps -e .` does the same.
# To renew: a fresh virtual environment, `pip install -e '.[all]'` in it, then `python .ci/lock.py > requirements.lock`.
"""
CUDA = re.compile(r"(nvidia|cuda)-|triton$")
MARKER = '; platform_system == "Linux" and platform_machine == "x86_64"'
LEFT_OUT = {"pip", "coreecho"}


def main() -> None:
    pins = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        version = distribution.version.split("+")[0]
        pins[name] = f"{name}=={version}" + (f" {MARKER}" if CUDA.match(name) else "")
    sys.stdout.write(HEADER.format(python="{}.{}".format(*sys.version_info)))
    sys.stdout.writelines(f"{pin}\n" for name, pin in sorted(pins.items()) if name not in LEFT_OUT)


if __name__ == "__main__":
    main()
