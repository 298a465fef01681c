# Set-up happens by itself: every target first makes .venv from requirements.lock.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests run the whole pipeline, which waits now and then: one worker more than there are cores keeps them busy.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 1 : 8)))
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test test-all lint ui bench docs lock browser servers

run: $(READY)
	$(BIN)/revops run

test: $(READY) browser servers
	$(PYTEST)

# As `test`, over every combination of vendors and more companies.
test-all: $(READY) browser servers
	REVOPS_TEST_ALL=1 $(PYTEST)

# Pages are tested in a real browser. Where none may be installed, their tests are skipped and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "There is no Chromium and it cannot be installed here: tests of pages are skipped"

# What docs/production.md needs: its test starts them on ports and in a folder of its own.
servers:
	@{ ls /usr/lib/postgresql/*/bin/initdb || command -v initdb; } >/dev/null 2>&1 && PATH=$$PATH:/usr/sbin command -v nginx >/dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql nginx >/dev/null; } \
		|| echo "There is no PostgreSQL or nginx and they cannot be installed here: the test of docs/production.md is skipped"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 dbt_project

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
	uv pip compile pyproject.toml --extra dev --extra production --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE) -o requirements.lock
