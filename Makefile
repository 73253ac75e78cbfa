# data-pipeline: everything a person or CI runs. `make` alone lists the targets.
# Each target does its own set-up (scripts/setup.sh); a clone is enough.

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-gate report steady sanitize crate capi capi-all install bindings jar natives jar-all bridge otel testkit clients reach faults soak losses oracle fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: ## real traces from a Java program through the JAR to an agent (DD_TRACE_AGENT_URL for a real one)
	@scripts/demo.sh

test: ## everything that must be green: scripts, Rust, speed, Java through the JAR on five JREs, Gradle 8, the test agent
	@scripts/test.sh

lint: ## formatting, clippy, documentation, Java formatting, rooms and their imports, generated lists
	@scripts/lint.sh

bench: ## measure; writes build/bench/results.json and prints the table
	@scripts/setup.sh python gradle
	@scripts/bench_all.sh

bench-gate: ## instructions of the hot rows against benches/gate.txt: 3 % more fails (part of test)
	@scripts/gate.sh

report: ## everything side by side with every peer: docs/report with plots (an hour; QUICK=1 under 5 minutes once built)
	@scripts/report.sh $(if $(QUICK),--quick)

steady: ## the Rust tests ROUNDS (20) times beside three busy loops: does one depend on the machine's speed?
	@scripts/steady.sh $${ROUNDS:-20}

crate: ## `cargo package` builds from its own file, and under the oldest Rust that Cargo.toml names
	@scripts/crate.sh

capi: ## build/capi/libdata-pipeline-ffi.{so,a} for C, checked by the programs of tests/c; headers are in include/
	@scripts/capi.sh build && scripts/capi.sh test

capi-all: ## the library for C of all five platforms into build/capi/PLATFORM, checked, and as archives in build/libs (TWICE=1 builds again)
	@scripts/capi.sh build all

install: ## headers, library, pkg-config file and CMake package for C under PREFIX (/usr/local)
	@scripts/capi.sh install $${PREFIX:-$(or $(PREFIX),/usr/local)}

bindings: ## the examples in C, Python (ddtrace), Node, Go and Ruby, each as far as its tool is there
	@scripts/bindings.py

jar: ## build/libs/data-pipeline-VERSION.jar with the host's native library
	@scripts/setup.sh gradle
	@gradle --no-daemon -q jar && ls build/libs/*.jar

natives: ## the library of all five platforms into build/natives, each checked (installs targets, cross compilers, zig; TWICE=1 builds again)
	@scripts/natives.sh

jar-all: natives ## build/libs/data-pipeline-all-VERSION.jar, and one JAR a platform
	@scripts/setup.sh gradle
	@gradle --no-daemon -q jarAll && ls build/libs/*.jar

bridge: ## build/libs/data-pipeline-bridge-VERSION.jar: an unmodified dd-java-agent sends through the exporter
	@scripts/setup.sh gradle
	@gradle --no-daemon -q bridgeJar && ls build/libs/data-pipeline-bridge-*.jar

otel: ## build/libs/data-pipeline-opentelemetry-VERSION.jar: the exporter for OpenTelemetry, with what it needs of ours
	@scripts/setup.sh gradle
	@gradle --no-daemon -q opentelemetryJar && ls build/libs/data-pipeline-opentelemetry-*.jar

testkit: ## build/libs/data-pipeline-testkit-VERSION.jar: an agent for tests, an extension of JUnit 5
	@scripts/setup.sh gradle
	@gradle --no-daemon -q testkitJar && ls build/libs/data-pipeline-testkit-*.jar

clients: ## published Java tracers, unmodified, send through the bridge: every span exactly once (fetches the tracers)
	@scripts/clients.sh

reach: ## JAR and C libraries of all platforms on musl, arm64, Windows, an old glibc, in odd places (after make jar-all capi-all)
	@scripts/reach.sh

faults: ## the fault matrix: fault, received, sent, arrived, dropped by reason, ms; two destinations under kill and restart
	@cargo test --quiet --test faults --test failover_faults --test hostile -- --nocapture

soak: ## the asynchronous interface for MINUTES (5): an agent that flaps, answers nothing, is away
	@scripts/soak.sh $${MINUTES:-5}

losses: ## spans lost while the agent is away for DOWN seconds (10): ours, libdd-data-pipeline, OpenTelemetry Java
	@scripts/setup.sh python3 maven
	@scripts/losses.sh

oracle: ## our answers beside the reference's crates and a real trace-agent (needs Go for the latter)
	@scripts/setup.sh python
	@PATH="$(CURDIR)/build/venv/bin:$$PATH" scripts/oracle.sh

sanitize: ## the tests under ThreadSanitizer, AddressSanitizer, Miri and valgrind, the JAR under heap pressure, as far as can be had
	@scripts/sanitize.sh

fuzz: ## cargo-fuzz, SECONDS (60) a target
	@scripts/fuzz.sh $${SECONDS_PER_TARGET:-$${SECONDS:-60}}

clean: ## remove everything that was built
	@rm -rf build target tests/oracle/target benches/peers/target fuzz/target .gradle
