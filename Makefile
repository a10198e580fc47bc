# Every command sets up all it needs in .venv; nothing is installed outside of this folder.
# Needs Python 3.11 or newer with its venv module, and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt --build-constraint constraints.txt

# Tests of one file share its fixtures, and so one process.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: help venv dev demo test test-slow test-night test-compose mutants lint format bench bench-peers validate docs-tables clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

venv: .venv/.product  ## The product, installed into .venv

dev: .venv/.dev

demo: venv  ## Learn MNIST on an emulated chip; picture and figures in demo-output/
	$(BIN)/starlab demo $(DEMO)

test: lint .venv/.kernels  ## Lint, types, import rules and all quick tests
	$(BIN)/python -m pytest -q -m "not slow" $(PARALLEL) $(PYTEST)

test-slow: dev  ## Proofs that take minutes
	$(BIN)/python -m pytest -q -m slow $(PYTEST)

test-night: dev .venv/.kernels  ## All tests, with other random examples each time
	$(BIN)/python -m pytest -q $(PARALLEL) --hypothesis-profile night $(PYTEST)

test-compose: venv  ## Both containers, built and run for real
	$(BIN)/python tests/system/compose.py

mutants: dev .venv/.kernels  ## Which small mistakes the tests notice; writes docs/mutants.md
	$(BIN)/python -m tests.mutation $(MUTANTS)

lint: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev  ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: venv  ## Measure against the peers and the targets; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks $(BENCH)

bench-peers:  ## The peers' own environment, benchmarks/.peers (a quarter of an hour)
	benchmarks/peers.sh

validate: dev  ## Compare the emulated chip with references; writes docs/validation.md
	$(BIN)/python -m benchmarks.validation $(VALIDATE)

docs-tables: venv  ## Generated parts of the documentation
	$(BIN)/python -m docs.tables

clean:  ## Everything that these commands made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	rm -rf .mutants build dist demo-output benchmarks/.peers
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Older pips know neither dependency groups nor build constraints: the first step renews it.
.venv/.product: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "starlab needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python's venv module is missing: install python3-venv" >&2; exit 1; }
	$(PIP) install --quiet --constraint constraints.txt --upgrade pip
	$(INSTALL) --editable .
	@touch $@

.venv/.dev: .venv/.product
	$(INSTALL) --group dev
	@touch $@

# Compiled once for all test processes, and anew when a kernel or a constant in it has changed.
KERNELS := $(shell find firmware_sim/starlab_sim/chip -name '*.py') $(wildcard spec/starlab_spec/*.py)
.venv/.kernels: .venv/.dev $(KERNELS) tests/warm.py
	$(BIN)/python -m tests.warm
	@touch $@
