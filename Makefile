# The daily commands; `make help` lists them. Each is a line or two: the work is in playbooks, packer and Python.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup rehearse lab lab-down test check lint unit integration molecule test-rehearsal test-faults bench docs clean

help: ## list these targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install what is missing: system packages, virtual environment
	@scripts/setup

rehearse: ## provision, bake, roll out and roll back on this machine, under load
	@began=$$(date +%s.%N); scripts/setup; python -m lab.rehearsal --began "$$began"

lab: setup ## start a rehearsal cloud for hands-on work: eval "$(lab env)"
	@lab up

lab-down: setup ## stop it and remove what it made
	@lab down

test: lint unit integration molecule test-rehearsal ## everything that CI proves

check: lint unit ## the fast part, for the inner loop

lint: setup ## ansible-lint, yamllint, ruff, mypy, generated documents
	@ruff check . && ruff format --check . && mypy && yamllint --strict . && ansible-lint --offline && checkop docs --check

unit: setup ## pure logic
	@python -m pytest -n auto tests/unit

integration: setup ## modules and playbooks against the local AWS API
	@python -m pytest -n 2 --dist loadfile tests/integration

molecule: setup ## every host role in containers
	@python -m tests.molecule

test-rehearsal: setup ## the rehearsal end to end, with a share of the faults
	@python -m pytest tests/rehearsal -m "not faults"

test-faults: setup ## the whole fault matrix
	@python -m pytest tests/rehearsal

bench: setup ## measure against baselines: build/bench/results.json
	@python -m tests.bench

docs: setup ## write the generated documents anew
	@checkop docs

clean: ## stop a lab and remove all state of this checkout but the virtual environment
	@if [ -x .venv/bin/lab ]; then lab down; fi; rm -rf build
