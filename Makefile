# `make demo` and `make test` set up their own environment in .venv and need Python alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow check docs format clean

demo: $(STAMP)
	rm -rf demo-workspace
	$(BIN)/prune sweep --demo --task sst2 qqp mnli --strategy global layerwise -w demo-workspace
	$(BIN)/prune compare -w demo-workspace
	$(BIN)/prune report --format md -w demo-workspace

# A process for each core; the tests of one file share what it made. What is compiled is kept, since
# dozens of tests start a process.
test: $(STAMP)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) docs

# Into site/; a link that leads nowhere is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-workspace site
