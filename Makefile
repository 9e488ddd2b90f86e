# `make demo` and `make test` set everything up by themselves, in .venv, from the Python package
# index. Only python3 (with venv and headers), make and a C++ compiler must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(PYTHON) scripts/setup_venv.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-run setup-sam6d demo test lint bench clean

help: ## Show the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## Create .venv with everything but the networks' libraries
	@$(SETUP) ros-wheels dev

setup-run:
	@$(SETUP) ros-wheels

setup-sam6d: ## Add the networks' libraries (torch) to .venv
	@$(SETUP) ros-wheels dev sam6d

demo: setup-run ## Poses of a made-up scene over a running ROS 2 graph
	@$(BIN)/sam6d demo $(DEMO_ARGS)

lint: setup ## ruff, mypy, import layers
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint

test: setup-sam6d ## Lint, then every test
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: setup-run ## Accuracy and time beside other libraries
	@$(SETUP) bench
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
