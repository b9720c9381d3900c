# Two commands for a fresh machine with git, Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test newest lint docs figures studies peers neighbours clean

demo: $(VENV)/ready
	$(BIN)/velotime demo -o demo

test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Cheap tests on the newest Python that pyenv has, with the newest release of everything, in .venv-newest; NEWEST=python3.14
# names another one.
NEWEST ?= $(or $(lastword $(shell ls -d $(HOME)/.pyenv/versions/3.*/bin/python 2>/dev/null | sort -V)),$(PYTHON))
newest: $(VENV)-newest/ready
	$(VENV)-newest/bin/python -m pytest --numprocesses 2 --dist loadfile tests/data tests/get tests/metrics tests/pl tests/pp tests/tl

$(VENV)-newest/ready: pyproject.toml
	$(NEWEST) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-newest/bin/python -m pip install --quiet --editable . --group test
	touch $@

lint: $(VENV)/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in docs/_build/html; every warning is an error. Its notebooks are executed when they or the package changed.
docs: $(VENV)/ready-for-docs
	$(BIN)/python -m sphinx -W --keep-going -n --quiet docs docs/_build/html

# Of simulated cells; FIGURES_FROM=pancreas.h5ad draws those of a file.
figures: $(VENV)/ready
	$(BIN)/python docs/figures.py $(FIGURES_FROM)

# scVelo in an environment of its own, .venv-peers, for the benchmarks that run it side by side.
peers: $(VENV)-peers/ready

$(VENV)-peers/ready: benchmarks/peers.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	touch $@

# Every number and figure of docs/studies, some minutes each; STUDIES=docs/studies/two_stages.py makes one of them. With
# one thread of linear algebra, as waiting threads count as processor time.
STUDIES ?= $(wildcard docs/studies/[a-z]*.py)
studies: $(VENV)/ready
	for script in $(STUDIES); do OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

# CellRank, scVelo and PAGA on our results, in an environment of their own.
neighbours: $(VENV)-neighbours/ready
	$(VENV)-neighbours/bin/python -m pytest tests/neighbours -W default

$(VENV)-neighbours/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-neighbours
	$(VENV)-neighbours/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-neighbours/bin/python -m pip install --quiet --editable . --group neighbours
	touch $@

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --group test --group lint
	touch $@

$(VENV)/ready-for-docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-newest $(VENV)-peers $(VENV)-neighbours demo docs/_build docs/api
