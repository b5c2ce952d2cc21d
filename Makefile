# `make help` lists the targets. Everything runs in .venv, which is made and kept current by itself.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLIENTS := $(VENV)/.clients
BENCHES := $(VENV)/.bench
DOCS := $(VENV)/.docs
PEERS := build/peers
JOBS ?= 2
FUZZ_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help install serve demo test memory lint types imports audit check chaos ha bench peers docs package fuzz corpus schema lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "onceproxy needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

# Apart, so that nobody who wants to try the proxy waits for SDKs.
$(CLIENTS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[clients]'
	@touch $(CLIENTS)

$(BENCHES): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $(BENCHES)

$(DOCS): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $(DOCS)

install: $(STAMP) ## Set up .venv with onceproxy and all that developing it needs

serve: $(STAMP) ## Run the proxy on 127.0.0.1:8888 with the embedded Postgres
	$(BIN)/onceproxy serve

demo: $(STAMP) ## Play the story: a lost answer, a retry, one charge
	$(BIN)/python -m onceproxy.demo

test: $(STAMP) $(CLIENTS) ## Run the whole test suite
	$(BIN)/pytest -n $(JOBS) --dist loadgroup

memory: $(STAMP) ## Measure the memory of 200 answers of 10 MiB at once, and of as many replays
	ONCEPROXY_LARGE_ANSWERS=200 $(BIN)/pytest -s tests/faults/test_memory.py

lint: $(STAMP) ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## Check types
	$(BIN)/mypy

imports: $(STAMP) ## Check that imports point inwards only
	$(BIN)/lint-imports

audit: $(VENV)/.audit ## Look for known vulnerabilities in what is locked; without a network it says that it could not
	@$(VENV)/audit/bin/pip-audit --requirement locks/runtime.txt --require-hashes --disable-pip --timeout 5 --progress-spinner off --format json --output build/audit.json >build/audit.log 2>&1 || [ -s build/audit.json ] || echo '{"dependencies": []}' >build/audit.json
	@$(PYTHON) .ci/audit build/audit.json

$(VENV)/.audit: $(STAMP)
	@mkdir -p build && rm -f build/audit.json
	@$(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	@touch $@

check: lint types imports audit test ## All of it: what CI runs

chaos: $(STAMP) ## Break everything at random under load for some minutes, and count: CHAOS='--seconds 150 --seed 7'
	$(BIN)/python benchmarks/chaos.py $(CHAOS)

ha: $(STAMP) ## Kill the leader of a Patroni cluster under load, and count what that cost: HA='--kills 3'
	$(BIN)/python -m benchmarks.ha $(HA)

bench: $(BENCHES) ## Measure the cost of the guard, and write docs/performance.md: BENCH='http latency' for parts of it
	$(BIN)/python -m benchmarks $(BENCH)

peers: ## Install other proxies of PyPI, to be compared with by `make bench`; squid, tinyproxy, nginx are the system's
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check mitmproxy proxy.py

docs: $(DOCS) ## Write these pages as a site into build/docs; a link that leads nowhere fails it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

package: $(STAMP) ## Build the distributions and try the wheel in an environment of its own
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	rm -rf build/wheel-check && $(PYTHON) -m venv build/wheel-check
	build/wheel-check/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	cd build && wheel-check/bin/onceproxy --version && wheel-check/bin/onceproxy check && wheel-check/bin/onceproxy presets stripe | cmp - ../config/presets/stripe.yaml

fuzz: $(STAMP) ## Try new random inputs on all that reads, and keep in build/fuzz what fails: FUZZ_SECONDS=600
	$(BIN)/python tests/fuzz/run.py $(FUZZ_SECONDS)

corpus: $(STAMP) ## Write the corpus of hostile requests and answers anew from its sources
	PYTHONPATH=tests $(BIN)/python tests/security/generate.py

schema: $(STAMP) ## Write config/onceproxy.schema.json anew
	$(BIN)/python -m onceproxy.config.schema

PIN := build/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

lock: ## Write constraints.txt and locks/ anew from the newest versions that the ranges allow
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check '.[dev,clients,bench,docs]'
	build/lock/bin/pip freeze --exclude onceproxy > constraints.txt
	build/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	$(PIN) --constraint constraints.txt --output-file locks/runtime.txt pyproject.toml
	$(PIN) --only-build-deps --build-deps-for wheel --output-file locks/build.txt pyproject.toml

clean: ## Remove what was built; the data of the proxy stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
