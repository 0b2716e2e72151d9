# `make test` on a fresh clone sets up everything that it needs. All of these can be run again.

.PHONY: setup system test faults pairs mutations kills installs pictures lint demo bench docs clean
.DEFAULT_GOAL := test

BIN := .venv/bin

# The first Python that can make an environment for the tool itself.
FIND_PYTHON = for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& { echo "$$python"; exit; }; done; \
	echo "Python 3.10 or newer with venv is needed (Debian: python3-venv)" >&2; exit 1

setup: .venv/.stamp

.venv/.stamp: pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || { python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv; }
	@# Dependency groups came with pip 25.1; the one that a new environment holds may be older.
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

system: setup
	@$(BIN)/python tests/testbed/system.py

test: setup system
	@$(BIN)/python -m tests.testbed.platforms
	@# One more than the cores of a small machine: many tests wait for servers.
	$(BIN)/python -m pytest -n 3 --dist loadgroup $(PYTEST_ARGS)

# The table of faults and look-alikes, each with its verdict.
faults: setup system
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/test_faults.py -k "fault_is_found or look_alike" --table

# Every fault of one code with every fault of another: longer than `make test` may take.
pairs: setup system
	ALL_PAIRS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup tests/test_faults.py -k two_faults

# Ten thousand changed inputs for every parser.
mutations: setup
	SD_EXAMPLES=10000 $(BIN)/python -m pytest -q -n 2 --timeout 0 tests/test_mutations.py

# Two hundred fixes of live faults, each killed at a random moment.
kills: setup system
	SD_KILLS=200 $(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/test_kills.py

# The wheel by pip, pipx and uv on every Python that this machine has, of those it is for.
installs: setup
	ALL_INSTALLS=1 $(BIN)/python -m pytest -v -n 2 tests/test_installs.py

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

demo: setup system
	@$(BIN)/python -m tests.testbed.demo

bench: setup system
	@$(BIN)/python -m tests.testbed.bench

# The pictures of the HTML report in docs/images, by a real browser.
pictures: setup system
	$(BIN)/python -m tests.testbed.pictures

docs: setup
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find saas_doctor checks fixes tests examples -name __pycache__ -prune -exec rm -rf {} +
