# otpd: what can be built and run here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One build at a time: SwiftPM locks its folder.
.NOTPARALLEL:

SWIFT ?= swift
# The tests that make test-one runs, a regular expression: make test-one FILTER=SettingsTests
FILTER ?=
# More arguments for the Swift tests under the sanitizers: make sanitize TESTS='--filter SettingsTests'
TESTS ?=
# More arguments for the chaos harness: make chaos CHAOS='--only failover --seed 1 --verbose'
CHAOS ?=

# More arguments for the benchmarks: make bench BENCH='throughput --runs 1'
BENCH ?=
# What make bench-check compares
BASE ?=
HEAD ?=

# Python with the library that the table of phone numbers comes from, in the version that the generator names.
NUMBERS_VENV = .ci/venv phonenumbers phonenumbers==$$(python3 migrations/tools/generate_numbers.py --version) unicodedata2==18.0.0

.PHONY: help deps build release unit test-one test numbers settings chaos lint format demo bench bench-check sanitize fuzz leaks deb test-systemd test-prometheus test-dashboard clean

help: ## Lists these targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-15s %s\n' "$$name" "$$text"; done

deps: ## Installs the Debian packages that are missing (root or sudo); says which
	@.ci/deps

build: deps ## Builds everything, for debugging
	@.ci/swift-build debug

release: deps ## Builds otpd, twilio-simulator and otpd-bench as they are shipped
	@.ci/swift-build release

unit: ## Builds, and runs the tests that need neither a PostgreSQL server nor Debian packages installed here
	@.ci/swift-build debug
	@$(SWIFT) test --skip-build --skip IntegrationTests

test-one: ## Builds, and runs the tests that match FILTER, alone; with a throwaway PostgreSQL where they need it
	@.ci/swift-build debug
	@.ci/test-one '$(FILTER)'

test: build ## Runs the unit tests, and the integration tests on a throwaway PostgreSQL
	@python=$$(.ci/venv twilio twilio==9.13.0); export OTPD_TWILIO_PYTHON="$$python"; \
	echo "==> Running the unit tests" >&2; \
	$(SWIFT) test --skip-build --skip IntegrationTests; \
	Tests/bench/run; \
	echo "==> Building the fuzz targets, without fuzzing" >&2; \
	OTPD_FUZZING=1 $(SWIFT) build --target OTPDFuzz --scratch-path .build-fuzz-check; \
	echo "==> Running the integration tests on a throwaway PostgreSQL (minutes)" >&2; \
	.ci/with-postgres $(SWIFT) test --skip-build --filter IntegrationTests; \
	echo "==> Searching for codes and numbers where they must not be: heap, WAL, dump, log" >&2; \
	unset OTPD_TWILIO_PYTHON; timeout 300 Tests/sql/secrecy; timeout 300 Tests/sql/secrecy --self-test; \
	echo "==> Holding SQL's phone numbers against libphonenumber's: 1.3 million, every region and type (minutes)" >&2; \
	python=$$($(NUMBERS_VENV)); "$$python" migrations/tools/generate_numbers.py --check; \
	.ci/with-postgres timeout 900 "$$python" Tests/sql/phone_numbers.py; \
	.ci/with-postgres timeout 300 "$$python" Tests/sql/phone_numbers.py --self-test; \
	echo "==> Running the examples: a Django backend, psql, Python, Ruby" >&2; \
	.ci/with-postgres Tests/examples/run .build/debug; \
	.ci/with-postgres Tests/examples/statements .build/debug; \
	echo "==> Following the five minutes of README.md" >&2; \
	.ci/with-postgres timeout 600 Tests/examples/walkthrough; \
	echo "==> Killing, stopping and cutting off otpd, and counting (90 seconds)" >&2; \
	Tests/chaos/run --short .build/debug

numbers: ## Writes migrations/numbers.sql, the table of phone numbers, from the library's version that the generator names
	@python=$$($(NUMBERS_VENV)); "$$python" migrations/tools/generate_numbers.py
	@git diff --stat -- migrations/numbers.sql

settings: ## Writes what documents say of settings, from Sources/otpd/Settings/SettingReference.swift
	@.ci/swift-build debug otpd
	@.ci/write-settings .build/debug/otpd

chaos: build ## Attacks otpd in every way for half an hour, and counts what it sent
	@Tests/chaos/run .build/debug $(CHAOS)

lint: ## Checks the format, the arrows between targets, that warnings are errors, and links between pages
	@echo "==> Checking the format" >&2
	@$(SWIFT) format lint --strict --parallel --recursive Sources Tests Package.swift
	@echo "==> Checking the arrows between targets" >&2
	@.ci/lint-arrows --self-test
	@.ci/lint-arrows
	@echo "==> Checking the links between pages" >&2
	@.ci/lint-links --self-test
	@.ci/lint-links
	@echo "==> Checking the systemd unit" >&2
	@.ci/lint-unit --self-test
	@.ci/lint-unit

format: ## Formats the sources in place
	@$(SWIFT) format format --in-place --parallel --recursive Sources Tests Package.swift

demo: deps ## Sends codes from INSERT to a simulated Twilio and back, and shows every step
	@.ci/swift-build debug otpd
	@.ci/swift-build debug twilio-simulator
	@echo "==> Starting a throwaway PostgreSQL" >&2
	@.ci/with-postgres deploy/demo/run .build/debug

bench: release ## Measures throughput, latency, CPU and more, about 10 minutes; BENCH='--backlog 10000000 --runs 5' for more
	@.ci/deps wrk
	@mkdir -p bench-results; json=bench-results/$$(date -u +%Y%m%d-%H%M%S).json; \
	BENCH_JSON=$$json deploy/bench/run $(BENCH); \
	deploy/bench/report --pictures bench-results $$json >$${json%.json}.md; \
	echo "Beside it: $${json%.json}.md, and pictures" >&2

bench-check: release ## Compares BASE=revision with HEAD=revision (the working tree without), pair by pair, for review
	@deploy/bench/check $(if $(BASE),"$(BASE)") $(if $(HEAD),"$(HEAD)") $(BENCH)

deb: ## Makes the Debian package, checks it with lintian, and says what it is made of
	@.ci/deps debhelper lintian
	@.ci/swift-build release otpd
	@deploy/debian/build

test-systemd: deb ## Boots a Debian 12 under systemd, and installs, attacks, upgrades and purges the package there
	@.ci/deps debootstrap systemd-container
	@.ci/swift-build release twilio-simulator
	@Tests/systemd/run

test-prometheus: deps ## Has Debian's Prometheus scrape otpd under load, and fires its alerts
	@Tests/prometheus/install
	@.ci/swift-build debug otpd
	@.ci/swift-build debug twilio-simulator
	@.ci/with-postgres Tests/prometheus/run .build/debug

test-dashboard: deps ## Looks at the dashboard with a headless Chromium: content, live update, phone, dark, keyboard, outage
	@.ci/deps chromium fonts-dejavu-core prometheus
	@.ci/swift-build debug otpd
	@Tests/dashboard/run .build/debug/otpd

sanitize: deps ## Runs the Swift tests (but SQL's and the model's) under ThreadSanitizer, then AddressSanitizer; 10 to 20 min
	@Tests/sanitize/run thread $(TESTS)
	@Tests/sanitize/run address $(TESTS)

fuzz: deps ## Fuzzes every parser of foreign bytes, FUZZ_SECONDS (20) each
	@Tests/fuzz/run

leaks: release ## Compares otpd's memory after 200,000 sends with that after 20,000
	@Tests/sanitize/leaks

clean: ## Deletes what was built
	@$(SWIFT) package clean
