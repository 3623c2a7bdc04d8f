# Four commands on a fresh machine, each installs what it needs: `make up`, `make demo`, `make check`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup up demo check test browser bench pretrain clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Rankscope needs Python 3.11 or newer; pass PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,web,data,smol,postgres,dev]'
	touch $@

up: setup
	$(BIN)/rankscope up

demo: setup
	$(BIN)/rankscope demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Long tests first, as the folders go: what is short fills the gaps at the end.
test: setup browser $(VENV)/.oracle
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The scorers that ours are checked against, apart from everything else.
$(VENV)/.oracle: tests/oracle/requirements.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/oracle --requirement $<
	touch $@

# Tests drive a real Chromium; root on Debian gets it from apt, others are told what to do.
browser: setup
	@$(BIN)/python -m tests.helpers.chromium || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

bench: setup
	$(BIN)/python -m benchmarks.science --preset quick

pretrain: setup
	$(BIN)/python -P -m rankscope.models.vlms.embedded.pretrain

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
