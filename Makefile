# One command for each thing that a person does here; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= examples/quickstart.yaml
ROUNDS ?= 300
SEEDS ?= 20000
# Fresh seeds each time; a failing one is printed.
START ?= $(shell date +%s)
JOBS ?= $(shell nproc)
N ?= 100
# Another one each time, which is printed.
SEED ?= $(START)
SECONDS ?= 600
MINUTES ?= 60

.PHONY: help run setup check format test bench fuzz vm peers soak storms seeds plants mistakes mutants sizes metrics dashboards wheels clean

help:  ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: $(VENV)/ready  ## Serve examples/quickstart.yaml: a replicated volume over iSCSI
	$(BIN)/tierce serve $(CONFIG)

setup: $(VENV)/ready $(VENV)/ready-dev  ## Make .venv with everything that development needs

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tierce needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) can't make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/ready-dev: pyproject.toml $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

check: setup  ## Format, lint, types, layers, unit tests with coverage of each package, wheels
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --cov --cov-report=term:skip-covered --cov-report=json:build/coverage.json -q
	PYTHONPATH=tests $(BIN)/python -m measures.covered build/coverage.json
	$(MAKE) --no-print-directory wheels

format: setup  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup  ## All tests but the long ones: real initiators, kills, a file system
	scripts/system-packages
	$(BIN)/pytest -m 'not long' $(TESTS)

bench: setup  ## Measure beside tgt and istgt; writes benchmarks/RESULTS.md
	scripts/system-packages --bench
	$(BIN)/python -m benchmarks.run --write

fuzz: setup  ## Fuzz the parsers of outside bytes for SECONDS
	$(BIN)/python tests/iscsi/fuzz_connection.py --seconds $(SECONDS)
	$(BIN)/python tests/jiva/fuzz_replica.py --seconds $(SECONDS)

vm: setup  ## Build the virtual machine in which tests run Linux's own initiator
	scripts/system-packages
	PYTHONPATH=tests $(BIN)/python -m system.vm.image

peers: setup  ## Build Jaeger and the OpenTelemetry collector that tests export to; needs Go
	PYTHONPATH=tests $(BIN)/python -m system.peers.built

soak: setup  ## Damage everything at random, ROUNDS times, then Linux at work for MINUTES; compare all
	scripts/system-packages
	TIERCE_SOAK_ROUNDS=$(ROUNDS) TIERCE_SOAK_SECONDS=$$((60 * $(MINUTES))) \
	  $(BIN)/pytest -m long -k soak -s tests/system

storms: setup  ## Hostile initiators by the hundred beside an honest one, whose waits are printed
	PYTHONPATH=tests $(BIN)/python -m system.storms

seeds: setup  ## Simulate SEEDS clusters with faults against the promise, from START on
	PYTHONPATH=tests $(BIN)/python -m jiva.seeds --seeds $(SEEDS) --start $(START) --jobs $(JOBS)

plants: setup  ## Look for a seed that finds each bug planted on purpose; writes their table
	PYTHONPATH=tests $(BIN)/python -m jiva.plants.search --jobs $(JOBS)

mistakes: setup  ## Make every mistake that a plugin can make; writes what its user reads of it
	PYTHONPATH=tests $(BIN)/python -m core.mistakes.page

metrics: setup  ## Write the page of metrics from the exporter's table
	PYTHONPATH=tests $(BIN)/python -m exporters.metrics_page

dashboards: setup  ## Write the dashboards for Grafana from their code
	$(BIN)/python -m tierce_exporters.dashboards.pages examples/grafana

mutants: setup  ## Change N lines of core and jiva at random, from SEED; 80 of 100 must be noticed
	PYTHONPATH=tests nice $(BIN)/python -m measures.mutants --count $(N) --seed $(SEED)

sizes: setup  ## Count modules, functions, tests to code, and circles of imports
	PYTHONPATH=tests $(BIN)/python -m measures.sizes

wheels: setup  ## Build the wheel and list the plugins from a bare environment
	rm -rf build/wheels build/bare
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheels .
	$(PYTHON) -m venv build/bare
	build/bare/bin/pip install --quiet --disable-pip-version-check build/wheels/*.whl
	build/bare/bin/tierce plugin list

clean:  ## Remove what was built; data folders are left alone
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
