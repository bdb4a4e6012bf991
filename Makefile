# `make demo` and `make test` are the two commands; both need git, make and Python >= 3.11, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# uv where it is on the PATH; else one of its own inside the virtual environment
UV     := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

.PHONY: help demo test check generate format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      the whole thing on embedded defaults: app on http://127.0.0.1:8501"
	@echo "make test      all tests"
	@echo "make check     ruff, pyright, import contract, generated files up to date"
	@echo "make generate  write the generated files anew"

demo: $(VENV)/.demo
	$(BIN)/tachograph demo $(DEMO)

test: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m tachograph.registry.generate --check
	$(BIN)/python -m tachograph.prices.generate --check
	$(BIN)/tachograph dashboards check
	$(BIN)/tachograph alerts check

generate: $(VENV)/.dev
	$(BIN)/python -m tachograph.registry.generate
	$(BIN)/tachograph dashboards build
	$(BIN)/tachograph alerts build

format: $(VENV)/.dev
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

clean:
	rm -rf $(VENV) dist .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tachograph needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 demo"; exit 2; }
	@if command -v uv >/dev/null 2>&1; then uv venv --quiet --python $(PYTHON) $(VENV); else \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; fi || \
	{ rm -rf $(VENV); echo "The virtual environment could not be made: install uv, or Python's venv (Debian: apt install python3-venv)."; exit 2; }

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(UV) pip install --quiet --python $(BIN)/python --editable '.[analytics]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(UV) pip install --quiet --python $(BIN)/python --editable . --group dev
	@touch $@ $(VENV)/.demo
