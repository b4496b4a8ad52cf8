# make help lists the targets. Everything is installed into .venv in this directory, once: a stamp file remembers it.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run notebooks desk test smoke matrix check site docs bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: .venv/experiments ## every lesson of the lecture; ends with the path of the report
	$(BIN)/python -m experiments run --all

notebooks: .venv/notebooks ## the lecture cell by cell, in JupyterLab
	@$(BIN)/jupytext-config --settings-file .venv/etc/jupyter/labconfig/default_setting_overrides.json set-default-viewer markdown
	$(BIN)/python -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_initial_loss.md

desk: .venv/desk ## a page to change one thing and see it
	$(BIN)/python -m experiments desk

test: .venv/test ## the whole suite, on all cores
	OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1} $(BIN)/python -m pytest -n auto -q $(TESTS)

smoke: .venv/test ## a handful of tests over every part, in seconds
	$(BIN)/python -m pytest -q -m smoke tests

matrix: .venv/matrix ## the suite on every Python, with two NumPys and every BLAS kernel: hours
	$(BIN)/python -m nox -s versions kernel plain -- $(TESTS)

check: .venv/experiments ## the certificate: every gradient against every oracle
	$(BIN)/python -m npgrad check

site: .venv/site ## the derivations as pages, in site/
	$(BIN)/python -m npgrad explain --html site

docs: .venv/docs ## the documentation, in docs/_build/html/
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: .venv/bench ## npgrad beside the same step written by hand
	$(BIN)/python -m benchmarks

clean: ## remove the environment and caches; runs/ and results/ are yours and stay
	rm -rf .venv .hypothesis .pytest_cache .mypy_cache .ruff_cache build dist site *.egg-info
	rm -rf docs/_build docs/coming-from docs/derivations docs/reference docs/tutorials
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the environment ---------------------------------------------------------------------------------------------------

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "npgrad needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# One stamp for each set of extras; installing one set does not undo another.
.venv/experiments .venv/notebooks .venv/desk .venv/site .venv/suite .venv/matrix .venv/docs .venv/bench .venv/dev: .venv/%: \
  setup.cfg pyproject.toml | .venv/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

# torch has no wheels for some machines: the suite runs without it, and says at its end what it left out.
.venv/test: .venv/suite
	$(BIN)/python -m pip install --quiet --editable '.[test]' || echo "torch cannot be installed here; going on without." >&2
	@touch $@
