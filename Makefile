.PHONY: deb help setup demo run test check bench test-faults lock
.DEFAULT_GOAL := help
PY := .venv/bin/python

help:  ## show the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: .venv/.ready  ## make .venv with gatepost and everything it needs

.venv/.ready: requirements/dev.txt pyproject.toml scripts/setup
	@scripts/setup

demo: setup  ## see it work: clean mail delivered, infected mail stopped
	@.venv/bin/gatepost demo

run: setup  ## run the demo company here with a made-up month, and the console
	@test -e .run/state/journal.sqlite || .venv/bin/gatepost demo --month .run --interview examples/widget/interview.txt
	@.venv/bin/gatepost run --site examples/widget/site.toml

check: setup  ## style, types, import rules, house rules
	@scripts/check

test: setup  ## everything: checks, unit tests, scenarios with real daemons
	@scripts/test

test-faults: setup  ## the whole fault matrix as a table, slow
	@$(PY) -m pytest tests/scenarios -m 'not slow' -k faults

bench: setup  ## speed against peers and floors, in one run
	@$(PY) -m tests.benchmarks

deb: setup  ## the Debian package and its bill of materials, in dist/ (KEY=file signs with your release key)
	@$(PY) scripts/build_deb.py $(KEY)

lock:  ## pin the dependencies again, with hashes
	@scripts/lock

docs: setup  ## the documentation as a web site, in dist/docs
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --clean
	@echo "dist/docs/index.html"
