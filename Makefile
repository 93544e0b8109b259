# `make demo` and `make test` do all their own set-up; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
OUT ?= demo-output
SOURCES := amlp service worker tests benchmarks examples

.PHONY: demo up test test-faults test-quick check format lock clean

demo: $(VENV)/.runtime  ## the main job, end to end, on phantoms or on DATA=DIR
	@$(BIN)/python -m examples.demo --out "$(OUT)" $(if $(DATA),--data "$(DATA)")

up: $(VENV)/.runtime  ## the embedded service, in the foreground
	@$(BIN)/python -m service up

test: $(VENV)/.dev  ## every test, of the fault matrix its quickest rows
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not faults"

test-faults: $(VENV)/.dev  ## the fault matrix: kill, freeze and starve every part; a table at the end
	OMP_NUM_THREADS=1 AMLP_FAULT_REPORT=fault-matrix.json \
	  $(BIN)/python -m pytest tests/faults --color=no

check: $(VENV)/.dev  ## lint, types, import rules, spelling
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --config .importlinter
	$(BIN)/codespell $(SOURCES) docs deploy README.md CHANGELOG.md CONTRIBUTING.md Makefile

format: $(VENV)/.dev  ## rewrite the sources in the house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: $(VENV)/.bootstrap  ## resolve the requirements anew
	for set in bootstrap runtime dev bench; do \
	  target=requirements-$$set.txt; [ $$set = runtime ] && target=requirements.txt; \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	    --no-emit-index-url --custom-compile-command "make lock" \
	    requirements/$$set.in -o $$target || exit 1; \
	done

clean:  ## remove the environment, caches and what the demo wrote
	rm -rf $(VENV) demo-output fault-matrix.json build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.bootstrap: requirements-bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# uv installs in parallel; pip is the fallback where only pip is configured for the local index
$(VENV)/.runtime: requirements.txt $(VENV)/.bootstrap
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $< \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r $<
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $< \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@
