# Set-up happens by itself: every target first makes .venv from requirements.lock.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-all lint ui bench docs lock

run: $(READY)
	$(BIN)/revops run

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# As `test`, over every combination of vendors and more companies.
test-all: $(READY)
	REVOPS_TEST_ALL=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project

ui: $(READY)
	$(BIN)/revops ui

bench: $(READY)
	$(BIN)/python -m benchmarks

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "revops-warehouse needs Python 3.11: '$(PYTHON)' was not found. Install it, or name it: make PYTHON=/path/to/python3.11 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# The pages of docs/sources, out of the connectors' docstrings, and the KPI dictionary, out of its models.
docs: $(READY)
	$(BIN)/python -m ingestion.pages
	$(BIN)/python -m orchestration.kpi_page

# Needs uv, on a developer's machine only. Pins stay as they are; UPGRADE=--upgrade moves them on.
lock:
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE) -o requirements.lock
