# Two commands are enough: `make demo` and `make test`. Each makes the environment when it is missing.
#
#   make demo [SERVE=0]   environment, default model, the whole way through, then the dashboard (SERVE=0: stop before it)
#   make test             environment, all tests
#   make check [PYTEST=0] what CI runs: format, lint, types, layers, tests (PYTEST=0: without the tests)
#   make bench            speeds on this machine
#   make bench-peer       graphs beside circuit-tracer's, which gets an environment of its own
#   make model            fetch the default model (93 MB), so that tests that need it run
#   make clean            remove the environment and build files; never runs/ or the model cache

PYTHON ?= python3
VENV   ?= .venv
SERVE  ?= 1
PYTEST ?= 1
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEER   := $(VENV)/circuit-tracer
FETCH  := $(BIN)/python -c "from probe.embedded import default_model_folder as fetch; print(fetch())"

.PHONY: demo test check lint format bench bench-peer model env clean

demo: $(READY)
	$(BIN)/openwork demo $(if $(filter 0,$(SERVE)),--no-serve)

test: $(READY)
	@$(FETCH) >/dev/null || echo "make: without the default model its tests are skipped" >&2
	$(BIN)/python -m pytest $(ARGS)

check: lint $(if $(filter 0,$(PYTEST)),,test)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file" >&2; $(BIN)/python $$file $(ARGS); done

# circuit-tracer wants older libraries than ours. Only the torch is the same, so that the two can be compared.
bench-peer: $(READY)
	@test -x $(PEER)/bin/python || $(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install -qq --disable-pip-version-check "torch==2.13.0"
	@$(PEER)/bin/python -m pip install -qq --disable-pip-version-check "circuit-tracer==0.5.0"
	$(BIN)/python benchmarks/bench_graph.py --only peer --circuit-tracer $(PEER)/bin/python $(ARGS)

model: $(READY)
	@$(FETCH)

env: $(READY)

# Torch goes first and alone: asked for by a range, pip takes a CPU build where one is offered beside the registry's.
# -qq leaves errors visible. The stamp is written last, so an interrupted installation is taken up again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Openwork needs Python 3.11 or newer; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "make: making the environment in $(VENV) (a few minutes, once)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "make: installing torch" >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "torch>=2.11,<2.14"
	@echo "make: installing openwork and what it needs" >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e ".[dev]"
	@echo "make: installing the libraries that the exchange of dictionaries is tested against" >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
		sae-lens==6.54.12 eai-sparsify==1.3.3 dictionary-learning==0.1.0
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
