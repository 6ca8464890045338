# `make demo` and `make test` are all a newcomer needs; both set everything up first.

PYTHON ?= python3
BIN := .venv/bin
EXTRAS := ultralytics,libreyolo,rfdetr,labels,dashboard,dask,serve,dev
# test modules side by side, the long ones first; each process has services of its own, some 3 GiB of memory in all
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
export WAFERGATE_HOME ?= $(CURDIR)/.wafergate
export UV_LINK_MODE ?= hardlink

.PHONY: help setup demo up down test unit check bench screenshots format clean

help:            ## list the targets
	@grep -hE '^[a-z]+: .*##|^[a-z]+:  +##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

setup: .venv/installed  ## make .venv; does nothing when it is up to date

.venv/installed: pyproject.toml constraints.txt overrides.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing wafergate and everything it needs into .venv"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --overrides overrides.txt -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: setup      ## the product's story in two acts, on a generated line
	@$(BIN)/wafergate up
	@$(BIN)/wafergate demo

up: setup        ## start the services
	@$(BIN)/wafergate up

down: setup      ## stop what runs
	@$(BIN)/wafergate down

test: setup      ## every test, on the real services
	$(PYTEST) --durations 20

unit: setup      ## the tests that need nothing
	$(PYTEST) -m unit

check: setup     ## style, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy platform/wafergate flows
	$(BIN)/lint-imports

bench: setup     ## tests/benchmarks as one table
	$(BIN)/python -m tests.benchmarks

screenshots: up  ## every page of the running dashboard in every language, size and theme
	$(BIN)/python -m tests.dashboards.screenshots $$($(BIN)/wafergate dashboard) $(WAFERGATE_HOME)/screenshots

format: setup    ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: down      ## remove the environment and what tools left; services' data stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
