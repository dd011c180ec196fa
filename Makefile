# make demo     train Table 1 on the phantom with one seed, and compare with the committed records (about 5 minutes)
# make test     unit tests with coverage, every notebook against its committed outputs, the book in a browser
# make lint     ruff, mypy, file checks                make book       the Jupyter Book, without a network
# make pdf      the book as one PDF (needs Chromium)
# make table1   Table 1 from the committed records     make notebooks  every notebook, executed and normalised
# make runs     train what is missing (PROFILE=demo|gpu|paper)         make bench      speed and memory
# make clean    remove what make made, but the environment and data    make test-long  the slow tests too
# make test-slurm  the grid on a one-node Slurm, where slurm-wlm is installed (.ci/install_slurm)
#
# Every verb first builds .venv from requirements.lock. Without make: see "Without make" in README.md.

SHELL   := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON  ?= python3.11
PROFILE ?= demo
# More settings of the grid, such as CONFIG='data_root=DIR' (the list is at the head of Snakefile).
CONFIG  ?=
PYTEST_ARGS ?=
BOOK    := build/book

BIN       := .venv/bin
LOCKED    := .venv/.locked
INSTALLED := .venv/.installed
NOTEBOOKS = $(sort $(wildcard notebooks/*.py))
EXECUTED  = $(sort $(wildcard notebooks/*.ipynb))
# Apart from the tests: with --cov, nbval waits for its kernels until they time out. One thread for each kernel: those of
# several kernels would wait for each other, five times as long in all.
NBVAL     = OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --nbval-lax --nbval-current-env $(EXECUTED)

# Figures are drawn without a screen.
export MPLBACKEND := agg
# Nothing in these verbs needs a model hub; a library that asks one gets an error instead of a wait.
export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long test-slurm lint book pdf notebooks table1 runs bench clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

install: $(INSTALLED)

$(LOCKED): requirements.lock
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "building .venv with $$python from requirements.lock (some GB, some minutes)"; \
	    [ -x $(BIN)/pip ] || "$$python" -m venv .venv; \
	    exec $(BIN)/pip install --disable-pip-version-check -qq --requirement requirements.lock; \
	  fi; \
	done; \
	echo "No Python 3.11 or later with venv was found (tried $(PYTHON), python3.11 ... python3)." >&2; \
	echo "Install one (Debian: python3.11 python3.11-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
	exit 2
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(BIN)/pip install --disable-pip-version-check -qq --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/coreecho demo

# The book is built first, since a browser looks at it (tests/browser; skipped, with the reason, where there is none).
test: $(INSTALLED) book
	$(BIN)/pytest -n auto --dist loadfile --cov tests $(PYTEST_ARGS)
	$(NBVAL)

test-long: $(INSTALLED) book
	$(BIN)/pytest -m "slow or not slow" -n auto --dist loadfile --cov tests $(PYTEST_ARGS)
	$(NBVAL)

test-slurm: $(INSTALLED)
	$(BIN)/pytest -m slow tests/test_slurm.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_files.py

book: $(INSTALLED)
	$(BIN)/jupyter-book build . --path-output $(BOOK) -W -n --keep-going
	$(BIN)/python .ci/check_book.py $(BOOK)/_build/html

pdf: book
	$(BIN)/python .ci/print_book.py $(BOOK)/_build/html build/coreecho.pdf

notebooks: $(INSTALLED)
	@for source in $(NOTEBOOKS); do $(BIN)/coreecho notebook "$$(basename "$$source" .py)" --refresh; done

table1: $(INSTALLED)
	$(BIN)/coreecho notebook table1 -p figures_dir="$(CURDIR)/figures"
	@cat figures/table1.md

runs: $(INSTALLED)
	$(BIN)/snakemake --cores all runs --config profile=$(PROFILE) $(CONFIG)

bench: $(INSTALLED)
	$(BIN)/coreecho bench

clean:
	rm -rf build _build .snakemake .pytest_cache .mypy_cache .ruff_cache .coverage .hypothesis
	find coreecho tests notebooks -type d -name __pycache__ -prune -exec rm -rf {} +
