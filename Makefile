# Two commands for a fresh machine with git, Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint figures clean

demo: $(VENV)/ready
	$(BIN)/velotime demo -o demo

test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest

lint: $(VENV)/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Of simulated cells; FIGURES_FROM=pancreas.h5ad draws those of a file.
figures: $(VENV)/ready
	$(BIN)/python docs/figures.py $(FIGURES_FROM)

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --group test --group lint
	touch $@

clean:
	rm -rf $(VENV) demo
