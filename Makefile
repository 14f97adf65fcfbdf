# make setup | demo | test | test-all | test-py38 | lint | bench | docs | dist.  Every target sets up .venv by itself, once.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -qq -c constraints.txt

# Without an NVIDIA GPU the CPU build of torch (0.2 GB instead of 3 GB) is taken where its index can be reached.
CPU_TORCH := https://download.pytorch.org/whl/cpu
TORCH_INDEX = $$(command -v nvidia-smi >/dev/null || [ "$$(uname -s)" != Linux ] \
	|| { curl -sfIm 5 -o /dev/null $(CPU_TORCH)/ 2>/dev/null && echo --extra-index-url $(CPU_TORCH); })

# MuJoCo 4 moved its files to mujoco-core, and pip removes them again when it replaces a MuJoCo 3 (or the other way round):
# another version than the pinned one goes before the new one comes.
DROP_OTHER_MUJOCO = have=$$($(BIN)/python -m pip show mujoco 2>/dev/null | sed -n 's/^Version: //p'); \
	test -z "$$have" || grep -qx "mujoco==$$have" constraints.txt \
	|| $(BIN)/python -m pip uninstall --disable-pip-version-check -qq -y mujoco mujoco-core mujoco-studio

# The GPU engine's packages come along where there is a GPU, and with the test tools: they run on CPUs, too.
EXTRAS = mujoco,pipeline$$(command -v nvidia-smi >/dev/null && echo ,gpu)

# Two workers suit two cores and up; torch's own threads would only fight with them. Where images of containers forbid
# bytecode, every one of the processes that tests start would compile the project again.
TEST_ENV := OMP_NUM_THREADS=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false PYTHONDONTWRITEBYTECODE=

.PHONY: help setup setup-dev setup-py38 demo test test-all test-py38 lint format bench docs dist clean

help:
	@sed -n '1s/^# //p' Makefile

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer (set PYTHON=/path/to/python3.11)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "setup: creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing torch (1 of 2)"
	@$(PIP_INSTALL) $(TORCH_INDEX) torch
	@echo "setup: installing MuJoCo, Prefect and the rest (2 of 2)"
	@$(DROP_OTHER_MUJOCO)
	@$(PIP_INSTALL) -e ".[$(EXTRAS)]"
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "setup: installing the test tools"
	@$(PIP_INSTALL) -e '.[mujoco,gpu,pipeline,dev]'
	@touch $@

demo: setup
	@$(BIN)/parc-tracker demo

# What takes long (marked slow: flows, deployments, killed and several processes, the browser) is left to test-all.
test: setup-dev
	@$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: setup-dev
	@$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile

# All that the trainer imports: not the engines of newer Pythons.
TRAINER_FILES = $$(find parc_core -name '*.py' -not -path '*warp*')

# The trainer under Isaac Gym's Python. torch for it comes from PyPI with CUDA: about 1.8 GB to fetch, 3.3 GB on disk.
PYTHON38 ?= $(shell for p in python3.8 $(HOME)/.pyenv/versions/3.8.*/bin/python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 8))' 2>/dev/null && echo $$p && break; done)
VENV38 := .venv38

setup-py38: $(VENV38)/.ready

$(VENV38)/.ready: constraints-py38.txt pyproject.toml
	@test -n "$(PYTHON38)" || { echo "make: needs Python 3.8 (set PYTHON38=/path/to/python3.8)" >&2; exit 1; }
	@test -x $(VENV38)/bin/python || $(PYTHON38) -m venv $(VENV38)
	@echo "setup: installing torch and MuJoCo for Python 3.8 (1.8 GB)"
	@$(VENV38)/bin/python -m pip install --disable-pip-version-check -qq -c constraints-py38.txt \
		'.[mujoco]' pytest pytest-timeout
	@$(VENV38)/bin/python -m pip uninstall --disable-pip-version-check -qq -y parc-tracker  # tests take the sources
	@touch $@

# Tests of what the trainer needs: they run on both Pythons. Left out is what needs newer packages: the command line,
# object stores, Warp.
TESTS38 := tests/learning tests/playback tests/training tests/envs tests/motion tests/terrain tests/character tests/golden \
	tests/config tests/engines/conformance tests/engines/mujoco tests/engines/test_effort.py tests/engines/test_memory.py \
	tests/system tests/test_rotations.py tests/test_train.py tests/supervisor/test_exit.py
NOT38 := tests/motion/dataset/test_remote_folders.py tests/envs/warp tests/golden/test_07_runs.py

test-py38: setup-dev setup-py38
	@$(TEST_ENV) $(VENV38)/bin/python -m pytest -p no:cacheprovider tests/py38/trainer.py $(TESTS38) \
		$(addprefix --ignore=,$(NOT38))
	@$(TEST_ENV) $(BIN)/python -m pytest tests/py38

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vermin --target=3.8- --violations --no-parse-comments --quiet $(TRAINER_FILES)
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/python -m tests.engines.isaac_gym.isaac_types

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	@$(BIN)/python -m benchmarks

$(VENV)/.ready-docs: $(VENV)/.ready
	@echo "setup: installing the docs' tools"
	@$(PIP_INSTALL) -e '.[docs]'
	@touch $@

docs: $(VENV)/.ready-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

# sdist and wheel in dist/.
dist: setup-dev
	@$(BIN)/python -m build

clean:
	rm -rf .parc/demo .pytest_cache .ruff_cache .mypy_cache build dist site
