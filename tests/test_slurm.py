"""The grid on a real Slurm of one node: four tiny runs, one of which fails at first and is tried again."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
from test_grid import ROOT, tiny_settings

from coreecho.records import list_records

NAMES = ["table1/adacon/seed0", "table1/coreecho/seed0", "table1/echocotr/seed0", "table2/stage-one/seed0"]
LACKING = [name for name in ("slurmctld", "slurmd", "munged", "sbatch", "srun") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(LACKING), reason=f"no {', '.join(LACKING)} here; .ci/install_slurm installs Slurm and munge"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Slurm of one's own is started as root only"),
]


def free_ports():
    """The lower of two neighbouring ports that no one listens on."""
    for port in range(27000, 28000, 2):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@pytest.fixture
def slurm(tmp_path):
    """The environment in which Slurm's commands find the node that was started."""
    folder = tmp_path / "slurm"
    script = str(ROOT / ".ci/slurm_node")
    try:
        # Nothing is captured: the daemons would hold the pipes open.
        subprocess.run([script, "start", str(folder), str(free_ports())], check=True, timeout=120)
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    finally:
        subprocess.run([script, "stop", str(folder)], check=False)


def test_four_runs_go_through_slurm_and_the_one_that_fails_is_tried_again(slurm, phantom_folder, tmp_path):
    tried, failed, runs_dir = tmp_path / "tried", tmp_path / "failed", tmp_path / "runs"
    script = tmp_path / "coreecho-that-fails-once"
    script.write_text(
        f'#!/bin/bash\nif [ "$1" = train ]; then\n  echo "$2 $SLURM_JOB_ID" >> {tried}\n'
        f'  if [ "$2" = {NAMES[0]} ] && [ ! -e {failed} ]; then touch {failed}; exit 1; fi\nfi\n'
        f'exec {sys.executable} -m coreecho "$@"\n'
    )
    script.chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--nocolor", "--jobs", "2"]
    command += ["--workflow-profile", ROOT / "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue"]
    command += ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10", "--set-threads", "train=1"]
    command += ["--default-resources", "slurm_partition=tests", "mem_mb=1500", "runtime=10"]
    command += ["--config", f"only={json.dumps(NAMES)}", f"set={json.dumps(tiny_settings())}", "device=cpu"]
    command += [f"runs_dir={runs_dir}", f"data_root={phantom_folder.parent}", f"command={script}"]
    log = tmp_path / "log"
    with log.open("w") as file:
        grid = subprocess.Popen([*map(str, command)], cwd=tmp_path, env=slurm, stdout=file, stderr=file)
    try:
        status = grid.wait(timeout=1200)
    finally:
        grid.kill()
    assert status == 0, log.read_text()
    assert len(list_records(runs_dir, "tiny")) == len(NAMES)
    attempts = [line.split() for line in tried.read_text().splitlines()]
    assert sorted(name for name, _ in attempts) == sorted([*NAMES, NAMES[0]])
    assert len({job for _, job in attempts}) == len(NAMES) + 1, "each attempt is a Slurm job of its own"
    assert failed.exists()
