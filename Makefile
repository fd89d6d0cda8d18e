# Builds, tests and packages otpd. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One build at a time, because SwiftPM locks its folder.
.NOTPARALLEL:

SWIFT ?= swift
# A regular expression for the tests of make test-one: make test-one FILTER=SettingsTests
FILTER ?=
# Further arguments for the Swift tests under the sanitizers: make sanitize TESTS='--filter SettingsTests'
TESTS ?=
# Further arguments for the chaos harness: make chaos CHAOS='--only failover --seed 1 --verbose'
CHAOS ?=
# Further arguments for the tests on a cluster of Patroni: make test-patroni PATRONI='--only switchover --seed 7'
PATRONI ?=

# Further arguments for the benchmarks: make bench BENCH='throughput --runs 1'
BENCH ?=
# The Debian that make test-systemd boots, and that make test-debian builds in: bookworm (12) or trixie (13)
SUITE ?= bookworm
# The revisions that make bench-check compares
BASE ?=
HEAD ?=

# The PostgreSQL that test-postgres runs on: 15, 17 or 18
VERSION ?= 17

# Python with the library that the table of phone numbers is generated from, in the generator's version.
NUMBERS_VENV = .ci/venv phonenumbers phonenumbers==$$(python3 migrations/tools/generate_numbers.py --version) unicodedata2==18.0.0

.PHONY: help deps build release unit test-one test numbers settings chaos chaos-long lint format demo bench bench-check sanitize fuzz leaks deb repeatable image test-debian test-image test-postgres test-patroni test-upgrade test-systemd test-prometheus test-tracing test-dashboard clean

help: ## Lists these targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-15s %s\n' "$$name" "$$text"; done

deps: ## Installs the missing Debian packages and names them (needs root or sudo)
	@.ci/deps

build: deps ## Builds all programs, with debug information
	@.ci/swift-build debug

release: deps ## Builds otpd, twilio-simulator and otpd-bench, optimized
	@.ci/swift-build release

unit: ## Builds, and runs the tests that need neither PostgreSQL nor further Debian packages
	@.ci/swift-build debug
	@$(SWIFT) test --skip-build --skip IntegrationTests

test-one: ## Builds, and runs only the tests that match FILTER, with a throwaway PostgreSQL if they need it
	@.ci/swift-build debug
	@.ci/test-one '$(FILTER)'

test: build ## Runs the unit tests, the integration tests on a throwaway PostgreSQL, and the examples
	@python=$$(.ci/venv twilio twilio==9.13.0); export OTPD_TWILIO_PYTHON="$$python"; \
	echo "==> Running the unit tests" >&2; \
	$(SWIFT) test --skip-build --skip IntegrationTests; \
	Tests/bench/run; \
	echo "==> Building the fuzz targets, without fuzzing" >&2; \
	OTPD_FUZZING=1 $(SWIFT) build --target OTPDFuzz --scratch-path .build-fuzz-check; \
	echo "==> Running the integration tests on a throwaway PostgreSQL (minutes)" >&2; \
	.ci/with-postgres $(SWIFT) test --skip-build --filter IntegrationTests; \
	echo "==> Searching heap, WAL, dump and log for codes and phone numbers, which must not be there" >&2; \
	unset OTPD_TWILIO_PYTHON; timeout 300 Tests/sql/secrecy; timeout 300 Tests/sql/secrecy --self-test; \
	echo "==> Comparing SQL's phone numbers with libphonenumber's: 1.3 million, every region and type (minutes)" >&2; \
	python=$$($(NUMBERS_VENV)); "$$python" migrations/tools/generate_numbers.py --check; \
	.ci/with-postgres timeout 900 "$$python" Tests/sql/phone_numbers.py; \
	.ci/with-postgres timeout 300 "$$python" Tests/sql/phone_numbers.py --self-test; \
	echo "==> Replaying attacks and honest days against the holds (a minute)" >&2; \
	OTP_SQL_SERVER=1 .ci/with-postgres timeout 900 Tests/fraud/run --check; \
	echo "==> Running the examples in Django, psql, Python, Ruby, Node and Swift" >&2; \
	.ci/with-postgres Tests/examples/run .build/debug; \
	.ci/with-postgres Tests/examples/statements .build/debug; \
	echo "==> Following the five minutes of README.md" >&2; \
	.ci/with-postgres timeout 600 Tests/examples/walkthrough; \
	echo "==> Killing, stopping and disconnecting otpd, then counting its messages (90 seconds)" >&2; \
	Tests/chaos/run --short .build/debug

numbers: ## Writes migrations/numbers.sql, the table of phone numbers, from libphonenumber in the generator's version
	@python=$$($(NUMBERS_VENV)); "$$python" migrations/tools/generate_numbers.py
	@git diff --stat -- migrations/numbers.sql

settings: ## Writes the tables and the example of settings from Sources/otpd/Settings/SettingReference.swift
	@.ci/swift-build debug otpd
	@.ci/write-settings .build/debug/otpd

chaos: build ## Disturbs otpd in many ways for three quarters of an hour, and counts the messages that it sent
	@Tests/chaos/run .build/debug $(CHAOS)

chaos-long: build ## Kills otpd 10,000 times on a busy machine, over a night; a run that was stopped continues
	@Tests/chaos/long .build/debug $(CHAOS)

lint: ## Checks the format, the dependencies between targets, the links between pages, and the systemd unit
	@echo "==> Checking the format" >&2
	@$(SWIFT) format lint --strict --parallel --recursive Sources Tests Package.swift
	@echo "==> Checking the dependencies between targets" >&2
	@.ci/lint-arrows --self-test
	@.ci/lint-arrows
	@echo "==> Checking the links between pages" >&2
	@.ci/lint-links --self-test
	@.ci/lint-links
	@echo "==> Checking the systemd unit" >&2
	@.ci/lint-unit --self-test
	@.ci/lint-unit

format: ## Formats the Swift sources in place
	@$(SWIFT) format format --in-place --parallel --recursive Sources Tests Package.swift

demo: deps ## Sends codes from INSERT to a simulated Twilio and back, and shows each step
	@.ci/swift-build debug otpd
	@.ci/swift-build debug twilio-simulator
	@echo "==> Starting a throwaway PostgreSQL" >&2
	@.ci/with-postgres deploy/demo/run .build/debug

bench: release ## Measures throughput, latency, CPU and more in 10 minutes; BENCH='--runs 5' adds arguments
	@.ci/deps wrk
	@mkdir -p bench-results; json=bench-results/$$(date -u +%Y%m%d-%H%M%S).json; \
	BENCH_JSON=$$json deploy/bench/run $(BENCH); \
	deploy/bench/report --pictures bench-results $$json >$${json%.json}.md; \
	echo "The report with its pictures is $${json%.json}.md" >&2

bench-check: release ## Compares BASE=revision with HEAD=revision (default: the working tree) in pairs, for a review
	@deploy/bench/check $(if $(BASE),"$(BASE)") $(if $(HEAD),"$(HEAD)") $(BENCH)

deb: ## Makes the Debian packages, checks them with lintian, and prints the size of otpd's parts
	@.ci/deps debhelper lintian
	@.ci/swift-build release otpd
	@.ci/swift-build release twilio-simulator
	@deploy/debian/build

image: ## Makes the OCI images of otpd and of the simulator, without a container engine
	@.ci/deps
	@.ci/swift-build release otpd
	@.ci/swift-build release twilio-simulator
	@deploy/image/build otpd
	@deploy/image/build twilio-simulator

test-image: image ## Runs both images without an engine, with a throwaway PostgreSQL, as compose.yaml and kubernetes.yaml do
	@.ci/deps python3-yaml
	@.ci/with-postgres Tests/image/run

repeatable: ## Builds the packages twice, in two folders, and compares them bit by bit (10 minutes)
	@.ci/deps debhelper lintian
	@.ci/repeatable

test-debian: deps ## Builds from source in a Debian 12, and runs the tests and the demo there; SUITE=trixie: in a Debian 13
	@.ci/deps mmdebstrap
	@Tests/debian/run '$(SUITE)'

test-postgres: build ## Runs the tests and an upgrade from 15 on another PostgreSQL: VERSION=17 or 18
	@.ci/deps mmdebstrap
	@Tests/postgres/run $(VERSION)

test-patroni: build ## Makes a cluster of Patroni fail in many ways for an hour, and counts otpd's messages
	@.ci/deps mmdebstrap iproute2
	@Tests/patroni/run .build/debug $(PATRONI)

test-upgrade: build ## Upgrades otpd from FROM=revision to the working tree and back under load, and counts the messages
	@older=$$(.ci/build-revision debug "$(FROM)") && Tests/chaos/run .build/debug --only upgrade --older "$$older" $(CHAOS)

test-systemd: deb ## Boots a Debian 12 and tests the packages there; SUITE=trixie boots a Debian 13
	@.ci/deps mmdebstrap systemd-container
	@SUITE='$(SUITE)' Tests/systemd/run

test-prometheus: deps ## Runs otpd under load with Debian's Prometheus, and checks the series and the alerts
	@Tests/prometheus/install
	@.ci/swift-build debug otpd
	@.ci/swift-build debug twilio-simulator
	@.ci/with-postgres Tests/prometheus/run .build/debug

test-tracing: deps ## Holds otpd's export of traces against the schema of OpenTelemetry's protocol
	@.ci/swift-build debug otpd
	@.ci/swift-build debug twilio-simulator
	@export=$$(mktemp) && trap 'rm -f "$$export"' EXIT && .ci/with-postgres deploy/captures/trace .build/debug "$$export" && Tests/tracing/schema "$$export"

test-dashboard: deps ## Tests the dashboard in a headless Chromium: content, updates, phone, dark, keyboard, outage
	@.ci/deps chromium fonts-dejavu-core prometheus
	@.ci/swift-build debug otpd
	@Tests/dashboard/run .build/debug/otpd

sanitize: deps ## Runs most Swift tests under ThreadSanitizer, then AddressSanitizer (10 to 20 minutes)
	@Tests/sanitize/run thread $(TESTS)
	@Tests/sanitize/run address $(TESTS)

fuzz: deps ## Fuzzes each parser of foreign input for FUZZ_SECONDS (20)
	@Tests/fuzz/run

leaks: release ## Compares otpd's memory after 40,000 sends with that after 200,000
	@Tests/sanitize/leaks

clean: ## Deletes the build results
	@$(SWIFT) package clean
