# Everything happens in .venv; another Python for it: make run PYTHON=python3.13
PYTHON ?= python3
VENV := .venv
# Apart: what it needs renames processes, which other tests look for.
MUTATE := .venv-mutate
BIN := $(VENV)/bin
# What the machine has set for other projects must not choose our packages, nor end in the lock.
PIP := env -u PIP_REQUIREMENT -u PIP_CONSTRAINT -u PIP_TARGET -u PIP_USER \
	$(BIN)/python -m pip --disable-pip-version-check
PIP_COMPILE := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT \
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes \
	--allow-unsafe --strip-extras --build-deps-for editable \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test test-slow test-faults test-naive mutate bench lint format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## Start the service on http://127.0.0.1:8000, with its own PostgreSQL
	@exec $(BIN)/ome run

demo: $(VENV)/installed ## As run, with simulated traders
	@exec $(BIN)/ome run --demo

test: $(VENV)/installed-dev ## Run all tests
	$(BIN)/pytest $(ARGS)

test-slow: $(VENV)/installed-dev ## Run the tests that take minutes: 20 kills of each process
	$(BIN)/pytest -m slow -n 2 $(ARGS)

test-faults: $(VENV)/installed-dev ## Kill each process under load, any number of times: make test-faults N=100
	FAULTS=$(or $(N),20) $(BIN)/pytest -m slow -n 0 -s tests/integration/test_kills.py tests/integration/test_kafka_kills.py \
		$(ARGS)

test-naive: $(VENV)/installed-dev ## Compare the book with the naive one, over many commands: make test-naive N=1000000
	NAIVE_COMMANDS=$(or $(N),1000000) $(BIN)/pytest tests/domain/test_book_against_naive.py --timeout 0 $(ARGS)

mutate: $(MUTATE)/installed ## Change the model in every way, and see whether its tests notice: docs/testing.md
	@# Of memory 6 GB each: some mutants never end, and fill it.
	ulimit -v 6000000; PATH="$(CURDIR)/$(MUTATE)/bin:$$PATH" $(MUTATE)/bin/mutmut run $(ARGS)
	$(MUTATE)/bin/mutmut results

bench: $(VENV)/installed-dev ## Measure how fast it is; one benchmark: make bench NAME=book
	$(BIN)/ome bench $(or $(NAME),all) $(ARGS)

lint: $(VENV)/installed-dev ## Check style, types and the direction of dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev ## Have the formatter rewrite the code
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# With the oldest Python that is supported: it needs the most packages.
lock: $(VENV)/installed-dev ## Refresh the locked versions of all dependencies
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "The lock is made with Python 3.11: make clean lock PYTHON=python3.11" >&2; exit 1; }
	$(PIP_COMPILE) --upgrade -o requirements.txt pyproject.toml
	$(PIP_COMPILE) --upgrade --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml

clean: ## Remove what was installed and built, but no data
	rm -rf $(VENV) $(MUTATE) mutants build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache .kafka
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are in the virtual environment: whoever removes it removes them.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) is not there: install Python 3.11 or later." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed, and $(PYTHON) is `$(PYTHON) -V 2>&1`." \
		"Name another one: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) lacks its venv module: install it (on Debian and Ubuntu:" \
		"apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: requirements.txt pyproject.toml $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@# The command finds our packages by itself; in development everybody else shall, too.
	@echo "$(CURDIR)" >"`$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'`/checkout.pth"
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(MUTATE)/installed: requirements-dev.txt $(VENV)/installed-dev
	$(PYTHON) -m venv --clear $(MUTATE)
	$(MUTATE)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-dev.txt
	$(MUTATE)/bin/python -m pip --disable-pip-version-check install --quiet mutmut==3.8.1
	@touch $@
