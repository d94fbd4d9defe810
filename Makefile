# Everything a developer or an operator types. `make` alone explains.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Replicas of the examples run this project's Python, whatever `python3` is elsewhere.
WITH_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"
# Some images forbid it; each of the hundreds of Tidegates that tests start would compile itself anew.
KEEP_COMPILED := PYTHONDONTWRITEBYTECODE=

# Public traces that are not part of this project: docs/benchmarks.md says which, and where they are.
TRACES ?= traces

.DEFAULT_GOAL := help
.PHONY: help setup run test check format loadtest bench-wake bench-sleeping bench-peers bench-pauses bench-knative bench-autoscaler bench-simulator agreement faults soak lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## virtual environment in .venv, with locked dependencies

# Runs again only when what it installs has changed.
$(READY): requirements.lock pyproject.toml hatch_build.py scripts/setup
	@scripts/setup $(VENV)
	@touch $@

run: $(READY)  ## the quickstart on http://127.0.0.1:8080
	@cat examples/quickstart/try-it.txt
	@exec env $(WITH_VENV) $(BIN)/tidegate run --config examples/quickstart/tidegate.yaml

test: $(READY)  ## all tests; those with Docker where an engine answers, else skipped with a reason
	@$(KEEP_COMPILED) $(BIN)/pytest --numprocesses 5 $(ARGS)

check: $(READY)  ## format, lint, types, architecture, lock file
	@echo "ruff format" && $(BIN)/ruff format --check --quiet .
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary examples/*/*.py hatch_build.py
	@echo "lint-imports" && $(BIN)/lint-imports --no-logo
	@echo "requirements.lock" && $(BIN)/pytest -q --no-header tests/architecture/test_requirements_lock.py

format: $(READY)  ## rewrite the code in the project's format
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

loadtest: $(READY)  ## locust against the quickstart for 30 s; SHAPE=steady|spike|herd
	@$(WITH_VENV) $(BIN)/python -m loadtests.run $(ARGS)

bench-wake: $(READY)  ## what a wake costs beyond the engine's own start; real Docker and processes
	@$(WITH_VENV) $(BIN)/python -m loadtests.wake $(ARGS)

bench-sleeping: $(READY)  ## what 10,000 sleeping services cost: start, memory, idle CPU
	@$(WITH_VENV) $(BIN)/python -m loadtests.sleeping $(ARGS)

bench-peers: $(READY)  ## beside nginx, HAProxy, Envoy, Traefik, Caddy; ARGS="--only tidegate,nginx --cases small"
	@$(WITH_VENV) $(BIN)/python -m loadtests.peers $(ARGS)

bench-pauses: $(READY)  ## how long the garbage collector stops a gateway with 10,000 connections
	@$(WITH_VENV) $(BIN)/python -m loadtests.pauses $(ARGS)

bench-knative: $(READY)  ## Knative's own performance suite as a scenario on real processes
	@$(WITH_VENV) $(BIN)/python -m loadtests.knative $(ARGS)

bench-autoscaler: $(READY)  ## scaling policies beside each other in virtual time; cost of a round
	@$(WITH_VENV) $(BIN)/python -m loadtests.autoscaler $(ARGS)

bench-simulator: $(READY)  ## policies on recorded and generated traffic, 3 million requests, learned sleep; TRACES=folder
	@$(BIN)/python -m loadtests.simulator --traces $(TRACES) $(ARGS)
	@$(BIN)/python -m loadtests.learned $(if $(wildcard $(TRACES)),--traces $(TRACES))

agreement: $(READY)  ## a simulated and a real run of one trace beside each other; real Docker and processes
	@$(WITH_VENV) $(BIN)/python -m loadtests.agreement $(ARGS)

faults: $(READY)  ## every fault on real replicas at full length, and the table of docs/reliability.md
	@TIDEGATE_FAULTS=long $(BIN)/pytest tests/faults -p no:randomly --timeout 900 $(ARGS); \
	    status=$$?; $(BIN)/python -m tests.faults.report && exit $$status

soak: $(READY)  ## half load for an hour, with kills, reloads and leaving clients; ARGS="--minutes 10"
	@$(BIN)/python -m tests.faults.soak $(ARGS)

lock:  ## resolve the dependencies anew into requirements.lock; ARGS=--upgrade takes newer ones
	@scripts/lock $(ARGS)

clean:  ## remove everything that was made here, the virtual environment too
	rm -rf $(VENV) .venv-peers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache loadtests/results tests/faults/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
