# migration_guard: `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test lint core bench install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the demonstration on a throwaway server, which stays up (MG_RUN_STOP=1: it goes)
	@scripts/run.sh

test: ## lint and every suite on every Postgres at hand (MG_MAJORS, MG_SUITES, MG_ONLY narrow it)
	@scripts/test.sh

lint: ## formatting, clippy with warnings as errors, where unsafe and unwrap may stand
	@scripts/lint.sh

core: ## the tests of the pure core, in seconds and without Postgres
	@cargo test -p guard_core

bench: ## compare with bare Postgres, pgaudit and a PL/pgSQL logger; writes docs/benchmarks.md
	@benches/bench.sh

install: ## build and install into PG_CONFIG, or the pg_config on PATH
	@scripts/install.sh

clean: ## remove build output and the cached servers of this checkout
	@scripts/clean.sh
