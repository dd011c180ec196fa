# The whole project as a graph: runs -> records -> notebooks -> book.
#
#   snakemake -c all                                   train every missing run here, one at a time on all cores
#   snakemake --workflow-profile profiles/slurm        the same on a cluster, one job a run
#   snakemake -c1 notebooks                            execute every notebook again from the records; trains nothing
#   snakemake -c1 book                                 the same, then the book
#   snakemake -n ...                                   say what would be done
#
# Settings, as --config NAME=VALUE ...:
#   profile    demo (default), gpu or paper            data_root  folder of the data sets (paper)
#   only       list of runs, such as '["table1/*/seed0"]'          runs_dir   folder of the records (default: runs)
#   set        list of changes to the profile, such as '["shared.epochs=3"]'
#   device     auto (default), cpu or cuda             workers    loader processes of a training (default: 0)
#
# There is no logic here: names, paths and parents of runs come from `coreecho runs plan`. A record's path holds the key
# of all that decides its numbers, so a changed setting is a missing file, and file times, which a clone does not keep,
# count for nothing. Checkpoints stay undeclared: Snakemake deletes what is declared when a job fails, and a retried or
# restarted training goes on after its last finished epoch.
import hashlib
import json
import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError


def listed(name):
    """A setting that is a list of texts, or one; a quotation mark would not survive the way to a cluster's job."""
    found = config.get(name, [])
    found = [found] if isinstance(found, str) else found
    if any(not isinstance(each, str) or set(each) & {'"', "'"} for each in found):
        raise WorkflowError(f"{name} is {found}: give a list of texts without quotation marks, '[\"A\", \"B\"]'")
    return found


ROOT = Path(workflow.basedir)
RUNS = str(Path(config.get("runs_dir", "runs")))
COREECHO = config.get("command", f"{shlex.quote(sys.executable)} -m coreecho")
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))
BOOK = "build/book/_build/html/index.html"
OPTIONS = ["--profile", str(config.get("profile", "demo")), "--runs-dir", RUNS]
OPTIONS += [part for change in listed("set") for part in ("--set", change)]
OPTIONS += ["--data-root", str(config["data_root"])] if "data_root" in config else []
OPTIONS += ["--device", str(config.get("device", "auto")), "--workers", str(config.get("workers", 0))]

shell.prefix("set -euo pipefail; export MPLBACKEND=agg HF_HUB_OFFLINE=1; ")


def planned(*arguments):
    """`coreecho runs plan`; asked once by the process that was started, read by the jobs that it sends to a cluster."""
    path = Path(f".snakemake/coreecho/{hashlib.sha256(repr(arguments).encode()).hexdigest()[:16]}.json")
    if workflow.is_main_process or not path.exists():
        command = [*shlex.split(COREECHO), "runs", "plan", "--json", *arguments]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if answer.returncode:
            raise WorkflowError("the runs could not be planned; the line above says why")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(answer.stdout)
        partial.replace(path)
    return {run["record"]: run for run in json.loads(path.read_text())}


@cache
def plan():
    """The runs of this profile, by the path of their record."""
    return planned(*listed("only"), *OPTIONS)


def parent(wildcards):
    """The record that a missing run starts from; its time says nothing, its key is in the child's."""
    record = plan()[f"{RUNS}/{wildcards.run}/record.json"]["parent"]
    return ancient(record) if record else []


@cache
def committed():
    """What notebooks read; predictions and not records, since nothing here makes predictions on its own."""
    missing = [run["name"] for run in planned("--runs-dir", str(ROOT / "runs")).values() if run["state"] == "missing"]
    if missing:
        raise WorkflowError(f"{len(missing)} demo runs have no record, {missing[0]} for one: `snakemake -c all` first")
    return sorted(map(str, (ROOT / "runs").glob("*/*/predictions.parquet")))


localrules: runs, notebook, notebooks, book


rule runs:
    input: lambda wildcards: [path for path, run in plan().items() if run["wanted"]]


rule train:
    input: parent
    output: f"{RUNS}/{{run}}/record.json"
    params:
        name=lambda wildcards, output: plan()[output[0]]["name"],
        options=shlex.join(OPTIONS),
    message: "{params.name}: {output}"
    threads: lambda wildcards: workflow.cores
    shell: "{COREECHO} train {params.name} {params.options}"


rule notebook:
    input: ROOT / "notebooks/{name}.py", lambda wildcards: committed()
    output: touch("build/notebooks/{name}.done")
    shell: "{COREECHO} notebook {wildcards.name} --refresh"


rule notebooks:
    input: expand("build/notebooks/{name}.done", name=NOTEBOOKS)


rule book:
    input: rules.notebooks.input, ROOT / "_config.yml", ROOT / "_toc.yml", (ROOT / "book").glob("*.md")
    output: BOOK
    shell:
        "jupyter-book build {ROOT} --path-output build/book -W -n --keep-going && "
        "{sys.executable} {ROOT}/.ci/check_book.py build/book/_build/html"
