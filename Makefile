# The words used everywhere: demo, test, check, bench, ci. Each creates what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BENCH  := .venv-bench
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
CHECK_PATHS := src tests examples benchmarks

.PHONY: help demo test unit e2e backends suites faults faults-short faults-peers check format bench docs clean

help:  ## Show these words
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

# One environment; remade when the project's own files change what belongs in it.
$(VENV)/.made: pyproject.toml
	@echo "» creating the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --editable . --group demo
	@touch $@

$(VENV)/.made-test: $(VENV)/.made
	@echo "» adding what the tests need"
	@$(PIP) install --group test
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made-test
	@echo "» adding the development tools"
	@$(PIP) install --group dev
	@touch $@

# The peers have an environment of their own: one of them starts threads when it is imported,
# another pins a prometheus_client of 2023, and goes in without its pins.
$(BENCH)/.made: pyproject.toml
	@echo "» creating the environment of the peers in $(BENCH)"
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install --editable . --group bench
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps "autometrics>=1"
	@touch $@

$(VENV)/.made-backends: $(VENV)/.made-test
	@echo "» adding the clients of the real backends"
	@$(PIP) install --group backends
	@touch $@

demo: $(VENV)/.made  ## Run the example shop through an outage and a kill, and count what arrived
	@$(BIN)/python examples/shop/demo.py

test: unit e2e  ## Run all tests that need no backend server

unit: $(VENV)/.made-test
	@echo "» tests of the rooms"
	@$(BIN)/python -m pytest -q -n 2 -m "not e2e and not backend"

e2e: $(VENV)/.made-test
	@echo "» tests with real processes: gunicorn, fork, kill -9"
	@$(BIN)/python -m pytest -q -n 2 -m "e2e and not alone and not backend" tests
	@$(BIN)/python -m pytest -q -m "alone and not backend" tests

backends: $(VENV)/.made-backends  ## Install the real backend servers and run the tests against them
	@tests/backends/install.sh
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "backend and not suites" tests

suites: $(VENV)/.made  ## Run other people's test suites with every function timed, and compare
	@$(BIN)/python tests/instrument/suites.py var/suites

check: $(VENV)/.made-dev  ## Lint, format, types, import walls, spelling
	@echo "» ruff";         $(BIN)/ruff check $(CHECK_PATHS)
	@echo "» ruff format";  $(BIN)/ruff format --check $(CHECK_PATHS)
	@echo "» mypy";         $(BIN)/mypy
	@echo "» pyright";      $(BIN)/pyright
	@echo "» import walls"; $(BIN)/lint-imports
	@echo "» codespell";    $(BIN)/codespell src tests docs examples benchmarks README.md CHANGELOG.md CONTRIBUTING.md

format: $(VENV)/.made-dev  ## Let ruff format everything
	@$(BIN)/ruff check --fix $(CHECK_PATHS); $(BIN)/ruff format $(CHECK_PATHS)

faults-short: $(VENV)/.made-test
	@echo "» the rows of the fault matrix, a sample of each"
	@PROBEKIT_FAULTS_RECORD=var/faults $(BIN)/python -m pytest -q -m "row and not backend" --durations=20 tests

# A stale figure is worse than none: each run begins with an empty folder.
faults: $(VENV)/.made-backends  ## Inject every fault everywhere, half an hour; remake the page of it
	@tests/backends/install.sh
	@rm -rf var/faults && mkdir -p var/faults
	@export PROBEKIT_FAULTS=long PROBEKIT_FAULTS_RECORD=var/faults; \
	  $(BIN)/python -m pytest -q -m "row and alone" --durations=10 tests; one=$$?; \
	  $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "row and not alone" --durations=40 tests; \
	  done=$$(($$one + $$?)); $(BIN)/python tests/faults/page.py collect var/faults tests/faults/peers/measured.json; exit $$done

faults-peers: $(BENCH)/.made  ## Give other libraries the same outages, kills and forks, and count
	@PYTHONPATH=tests $(BENCH)/bin/python tests/faults/peers/run.py tests/faults/peers/measured.json

bench: $(BENCH)/.made  ## Measure against the peers, ten minutes, and judge the sixteen goals
	@$(BENCH)/bin/python benchmarks/run.py

clean:  ## Remove what the words above created
	rm -rf $(VENV) .venv-* build dist var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
