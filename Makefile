# One command surface; CI calls it verbatim.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.run
DEV_STAMP := $(VENV)/.dev

.PHONY: app test check accuracy coverage schema presets languages picture bench load fuzz mutate lint clean browser

app: $(RUN_STAMP)  ## set up and open the dashboard
	$(BIN)/streamlit run app.py

test: $(DEV_STAMP) browser lint  ## set up and pass every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(RUN_STAMP)  ## verify every preset against its own expectation
	$(BIN)/python -m calculator check

accuracy: $(RUN_STAMP)  ## compare with public start-up figures; print the table and write docs/accuracy.md
	$(BIN)/python -m calculator.logs.proof.accuracy --write docs/accuracy.md

coverage: $(RUN_STAMP)  ## which types of transformers and vLLM are read; PYTHONPATH may name where those are installed
	$(BIN)/python -m calculator.engines.vllm.coverage --write docs/coverage.md

schema: $(RUN_STAMP)  ## write the JSON Schema of plan files
	$(BIN)/python -c 'from calculator.planning.files.plan_schema import json_schema; print(json_schema(), end="")' \
	  > calculator/catalogue/data/plan_file.schema.json

presets: $(RUN_STAMP)  ## write the page of all presets
	$(BIN)/python -m calculator models --format markdown > docs/presets.md

languages: $(DEV_STAMP)  ## bring the catalogues of other languages up to what the code says, and compile them
	$(BIN)/python -m tests.catalogues

picture: $(DEV_STAMP) browser  ## take the picture of the README
	$(BIN)/python -m tests.browser.picture docs/does_it_fit.png

bench: $(DEV_STAMP) browser  ## measure against the floor and print ratios
	$(BIN)/python -m benchmarks

load: $(DEV_STAMP)  ## let 50 readers use one server at once, for minutes (ARGS="--sessions 25 50 --minutes 2")
	$(BIN)/python -m benchmarks.load $(ARGS)

fuzz: $(DEV_STAMP)  ## spoil real configs for minutes; every one must be answered or refused
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n 2 -q tests/test_fuzz.py

mutate: $(DEV_STAMP)  ## spoil the calculator itself; which small faults do the tests let pass? (ARGS="--sample 300 --seed 1")
	$(BIN)/python -m tests.mutation $(ARGS)

lint: $(DEV_STAMP)  ## formatting, rules, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

browser:  ## the tests drive Debian's chromium; as root it is installed where it is missing
	@command -v chromium >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } \
	|| { echo "The tests need a browser: install Debian's package chromium, or put a chromium on the PATH." >&2; exit 1; }

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(DEV_STAMP): requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $(RUN_STAMP) $@

clean:  ## remove what was set up
	rm -rf $(VENV) build dist *.egg-info
