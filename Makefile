# make test and make demo set up all that they need; both can be repeated.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup system test demo bench lint docs clean

setup: .venv/.ready

.venv/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is missing"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install -q --python $(BIN)/python -e . --group dev
	@touch $@

system: setup
	@$(BIN)/python -m tests.testbed.system

test: system
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

demo: system
	@$(BIN)/python -m tests.testbed.demo

bench: system
	@$(BIN)/python -m tests.testbed.bench

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
