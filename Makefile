# Every target makes its own virtual environment first; only python3 is needed.
VENV ?= .venv-test
BIN := $(VENV)/bin

.PHONY: check test slow learn ray chaos sweep fuzz bench docs site package clean

check: $(VENV)/installed  ## format check, lint, types, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n logical

test: $(VENV)/installed  ## fast tests
	$(BIN)/pytest -n logical

slow: $(VENV)/installed  ## whole studies, and processes that are killed
	$(BIN)/pytest -n logical -m slow

learn: $(VENV)/installed  ## agents that must really learn, and searches that must find
	$(BIN)/pytest -n logical -m learning

ray: $(VENV)/installed  ## the executor on Ray clusters of this machine
	$(BIN)/pip install -q -e '.[test,ray]'
	$(BIN)/pytest -m ray

chaos: $(VENV)/installed  ## minutes of kills, outages and full disks
	$(BIN)/pytest -n 0 -m chaos -s --timeout 1800 tests/chaos tests/contracts

sweep: $(VENV)/installed  ## crashes and full disks at every place that writes; done points are kept in build/sweep.jsonl
	$(BIN)/python tests/sweep/sweep.py

fuzz: $(VENV)/installed  ## files, names and words of any content, for ten minutes
	$(BIN)/pytest -n 0 --timeout 1800 --hypothesis-profile=fuzz tests/fuzz

bench: $(VENV)/installed  ## training throughput against Stable-Baselines3
	$(BIN)/python benchmarks/throughput.py

docs: $(VENV)/installed  ## rewrite the tables of docs/hyperparameters.md
	$(BIN)/python docs/tables.py

package: ## wheel and sdist: built, checked, installed into clean environments; PYTHONS="python3.12 python3.13"
	.ci/package $(PYTHONS)

site: $(VENV)/installed  ## the documentation as a site, build/site/index.html; with a minute's pictures where there is Chromium
	test -e build/pictures || $(BIN)/python benchmarks/pictures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

clean:  ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(VENV)/installed: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install -q -e '.[test]'
	touch $@
