# Two commands are enough: `make demo` and `make test`. Each makes the environment when it is missing.
#
#   make demo [SERVE=0]   environment, default model, the whole way through, then the dashboard (SERVE=0: stop before it)
#   make test             environment, all tests
#   make quick            the tests of a minute: none that is slow or needs a browser or the default model
#   make check [PYTEST=0] what CI runs: format, lint, types, layers, tests (PYTEST=0: without the tests)
#   make measures         the table of CONTRIBUTING.md: sizes, circles, duplicates, seconds; ARGS=--names says which
#   make lock             resolve requirements.lock anew, from the ranges in pyproject.toml
#   make test-newest      the tests with the newest of every library, bounds or not: what would break
#   make docs             the site with guide, methods, studies and reference, to be read without a network: site/index.html
#   make notebooks        run the notebooks on the default model and store what they show; ARGS=06 one of them
#   make bench            speeds on this machine
#   make bench-peer       graphs beside circuit-tracer's, which gets an environment of its own
#   make architectures    the table of docs/architectures.md: every architecture beside transformers (some minutes)
#   make model            fetch the default model (93 MB), so that tests that need it run
#   make clean            remove the environment and build files; never runs/ or the model cache

PYTHON ?= python3
VENV   ?= .venv
SERVE  ?= 1
PYTEST ?= 1
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TORCH  := 2.13.0
NEWEST ?= .venv-newest
DOCS   ?= .venv-docs
PEER   := $(VENV)/circuit-tracer
FETCH  := $(BIN)/python -c "from probe.model.loading.default_model import default_model_folder as fetch; print(fetch())"

# Each process runs whole files: their tests share what is made once. `make test WORKERS=0` runs all in one.
WORKERS ?= logical
TESTS   := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick measures test-newest lock check lint format docs notebooks bench bench-peer architectures model env clean

demo: $(READY)
	$(BIN)/openwork demo $(if $(filter 0,$(SERVE)),--no-serve)

test: $(READY)
	@$(FETCH) >/dev/null || echo "make: without the default model its tests are skipped" >&2
	$(TESTS) $(ARGS)

quick: $(READY)
	$(TESTS) --quick $(ARGS)

check: lint $(if $(filter 0,$(PYTEST)),,test)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

measures: $(READY)
	@$(BIN)/python -m scripts.measures $(ARGS)

bench: $(READY)
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file" >&2; $(BIN)/python $$file $(ARGS); done

# Our own environment writes the pages, that of the docs builds them: it has mkdocs, reads our source and imports none of it.
docs: $(READY) $(DOCS)/.ready
	@$(BIN)/python -m scripts.documents
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict -f build/site/mkdocs.yml
	@$(BIN)/python -m scripts.documents --check
	@echo "make: open site/index.html, or serve it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8060" >&2

notebooks: $(READY)
	@$(FETCH) >/dev/null
	$(BIN)/python -m scripts.notebooks $(ARGS)

$(DOCS)/.ready: requirements-docs.lock
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@echo "make: installing what builds the site in $(DOCS)" >&2
	@$(DOCS)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements-docs.lock
	@touch $@

# circuit-tracer wants older libraries than ours. Only the torch is the same, so that the two can be compared.
bench-peer: $(READY)
	@test -x $(PEER)/bin/python || $(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install -qq --disable-pip-version-check "torch==2.13.0"
	@$(PEER)/bin/python -m pip install -qq --disable-pip-version-check "circuit-tracer==0.5.0"
	$(BIN)/python benchmarks/bench_graph.py --only peer --circuit-tracer $(PEER)/bin/python $(ARGS)

# Rows that are there stay; ARGS="gpt2 llama" makes some anew, ARGS=--again all.
architectures: $(READY)
	$(BIN)/python scripts/architectures.py $(ARGS)

model: $(READY)
	@$(FETCH)

env: $(READY)

# What is installed is written in requirements.lock, hashes and all, so that the same commands give the same environment on any day.
# Torch goes first, alone and without a hash, since its builds differ (CPU, CUDA): pip takes a CPU build where one is offered beside
# the registry's. -qq leaves errors visible. The stamp is written last, so an interrupted installation is taken up again.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Openwork needs Python 3.11 or newer; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "make: making the environment in $(VENV) (a few minutes, once)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "make: installing torch" >&2
	@$(PIP) "torch==$(TORCH)"
	@echo "make: installing what openwork needs, as locked" >&2
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The peers' own requirements are left out of the lock (pyproject.toml, tool.uv). Commit what comes out once `make test` is green.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra dev --group peers --universal --generate-hashes --no-annotate --upgrade --quiet \
		--no-emit-package torch --python-version 3.11 --custom-compile-command "make lock" -o requirements.lock
	$(BIN)/uv pip compile --group docs --universal --generate-hashes --no-annotate --upgrade --quiet \
		--python-version 3.11 --custom-compile-command "make lock" -o requirements-docs.lock

# Every upper bound and lock taken away, in an environment of its own: what the next release of a library would break.
test-newest:
	@test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install -qq --disable-pip-version-check "torch==$(TORCH)"
	$(NEWEST)/bin/python scripts/newest.py $(ARGS)

clean:
	rm -rf $(VENV) $(NEWEST) $(DOCS) build dist site *.egg-info .pytest_cache .ruff_cache .import_linter_cache
