# Every target works from a bare checkout with Python 3.11+ and make: .venv is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run repl test check lint types fmt demo examples bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml proto/relay_proto/version.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Relay needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

install: $(STAMP)  ## make .venv with everything in it

run: $(STAMP)  ## start a relay on http://localhost:4850 with its data in ./data (ARGS="--port 5000")
	$(BIN)/relay serve --data data $(ARGS)

repl: $(STAMP)  ## talk to it
	$(BIN)/relay-repl $(ARGS)

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)  ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy --strict on sources, tests, bench and examples
	$(BIN)/mypy

fmt: $(STAMP)  ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test  ## what CI runs

demo: $(STAMP)  ## a review fleet on real input, with kills (ARGS="FOLDER")
	$(BIN)/python docs/examples/review_fleet.py $(ARGS)

examples: $(STAMP)  ## four patterns of a fleet, each a short program (docs/examples)
	$(BIN)/python docs/examples/delegation_chain.py
	$(BIN)/python docs/examples/knowledge_query.py
	$(BIN)/python docs/examples/status_report.py
	$(BIN)/python docs/examples/announcement.py

bench: $(STAMP)  ## sends and acks against NATS JetStream on this machine
	$(BIN)/python -m bench $(ARGS)

clean:  ## remove .venv, caches and ./data
	rm -rf $(VENV) data .pytest_cache .mypy_cache .ruff_cache
