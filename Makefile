# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 7
DAYS ?= 365

.PHONY: demo test setup setup-test lint types imports torture bench year clean

demo: setup
	$(BIN)/menwei demo

setup: $(VENV)/.setup

$(VENV)/.setup: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	touch $@

setup-test: $(VENV)/.setup-test

$(VENV)/.setup-test: pyproject.toml tools/install-test-packages.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	sh tools/install-test-packages.sh
	touch $(VENV)/.setup $@

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-test
	$(BIN)/mypy

imports: setup-test
	$(BIN)/lint-imports

test: lint types imports
	sh tools/test.sh $(BIN)/pytest

torture: setup-test
	MENWEI_TORTURE=1 $(BIN)/pytest -m torture --timeout 7200 -s

bench: setup-test
	$(BIN)/python -m bench

year: setup
	$(BIN)/python -m sim.year --seed $(SEED) --days $(DAYS)

clean:
	rm -rf $(VENV) build bench/out demo-data .mypy_cache .ruff_cache .pytest_cache
