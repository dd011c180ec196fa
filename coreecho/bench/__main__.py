"""Runs one side of one benchmark once and prints its peak memory in MB; `coreecho.bench.peak` starts it."""

import sys

from coreecho.bench import available
from coreecho.bench.peak import growth_mb

if __name__ == "__main__":
    name, side = sys.argv[1:]
    with available()[name].prepare() as sides:
        action = sides.ours if side == "ours" else sides.literal
        assert action is not None
        print(growth_mb(action))
