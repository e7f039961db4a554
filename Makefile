# Every command a contributor or a user types. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# One machine may keep wheels in a folder; uv reads it from UV_FIND_LINKS, pip from PIP_FIND_LINKS.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export TONGUES_WORKSPACE ?= .tongues
# Where compiled modules are not kept, each process that a test starts compiles thousands of them again.
unexport PYTHONDONTWRITEBYTECODE
STAMP := .venv/.installed
# Tests that want a real pretrained model take the one that `make demo` fetched, where it has run.
FETCHED := $(firstword $(wildcard $(CURDIR)/.tongues/base/*/manifest.json))
export TONGUES_TEST_MODEL ?= $(patsubst %/manifest.json,%,$(FETCHED))

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with everything, and the translator's Debian packages
	@command -v apertium >/dev/null || ./scripts/install-apertium

$(STAMP): pyproject.toml constraints.txt
	@command -v uv >/dev/null || python3 -m pip install --quiet uv
	uv venv --quiet --allow-existing --python 3.11 .venv
	uv pip install --quiet --python .venv $$(./scripts/torch-flags) --constraint constraints.txt \
	  -e '.[all]' --group dev
	@touch $@

demo: setup ## the main job on this machine: translate, tune, evaluate, promote, serve, ask
	$(BIN)/tongues run recipes/quickstart.yaml
	$(BIN)/tongues serve quickstart@champion --beside-base --detach
	$(BIN)/tongues chat --compare
	$(BIN)/tongues serve base --stop
	@echo; echo "Now talk to it:   $(BIN)/tongues chat --lang es     (stop it: $(BIN)/tongues serve --stop)"

test: test-unit test-models test-components test-integration ## all tests that this machine can run

# They load torch, and train and run tiny models: longer together than all other unit tests.
MODELS := tests/unit/tuning $(addprefix tests/unit/evaluation/,test_local_model.py test_score_model.py test_served_model.py)

test-unit: setup ## fast and offline
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/unit $(MODELS:%=--ignore %) -m "not slow" -n 3 --dist worksteal

test-models: setup ## unit tests that take longer: tiny models, killed processes, statistics
	$(BIN)/python -m pytest $(MODELS)
	$(BIN)/python -m pytest tests/unit/methods tests/unit/stages tests/unit/evaluation tests/unit/serving -m slow

test-components: setup ## commands, pipelines, components, chart, manifests, docs
	$(BIN)/python -m pytest tests/cli tests/components tests/pipelines tests/deploy tests/docs

test-integration: setup ## real MLflow, vLLM, S3 over HTTP, KFP local, Apertium
	$(BIN)/python -m pytest tests/integration --timeout 900 --durations 15

images: ## build both images with docker, podman or buildah
	@components/images/build

lint: setup ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## every benchmark, quick
	set -e; for f in benchmarks/*.py; do $(BIN)/python $$f --quick --json; done

pins: setup ## rewrite constraints.txt from what stands in .venv
	(head -2 constraints.txt; uv pip freeze --python .venv | grep -vE '^-e|@ file' | sed 's/+cpu$$//' | sort -f) > .pins
	mv .pins constraints.txt

compile: setup ## compile the KFP pipelines into pipelines/compiled
	$(BIN)/tongues compile

manifests: setup ## render manifests/base, the chart's README and the table of network flows
	$(BIN)/python manifests/render.py
	$(BIN)/python helm/readme.py
	$(BIN)/python manifests/flows.py

verify-cluster: setup ## show every object to the current kubectl context (dry run); APPLY=1 installs for real
	./scripts/verify-cluster

docs: setup ## regenerate the reference pages
	$(BIN)/python -m docs.generate

.PHONY: help setup demo test test-unit test-models test-components test-integration images lint bench pins compile manifests docs verify-cluster
