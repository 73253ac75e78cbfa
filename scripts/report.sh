#!/bin/sh
# The measured comparison: builds what it needs, then benches/report/run.py.
# usage: scripts/report.sh [--quick] [--only STEP,...]
# Fetches the peers: libdatadog's crates, OpenTelemetry's exporter, dd-trace-java (30 MB); matplotlib into build/plots.
# Wants a quiet machine. What cannot be fetched is left out, and the report says so.
set -eu
cd "$(dirname "$0")/.."
say() { printf 'report: %s\n' "$*"; }
scripts/setup.sh python3 gradle maven
mkdir -p build/clients build/bench/payloads
if [ ! -x build/plots/bin/python ]; then
  say "matplotlib in build/plots"
  python3 -m venv build/plots
  build/plots/bin/pip install -q --disable-pip-version-check matplotlib==3.11.2
fi
if ! ls build/otel/*sender-jdk*.jar > /dev/null 2>&1; then
  say "OpenTelemetry's exporter"
  mvn -q -f benches/otel dependency:copy-dependencies -DoutputDirectory="$PWD/build/otel" \
    > build/report-mvn.log 2>&1 ||
    say "OpenTelemetry's exporter could not be fetched"
fi
tracer=1.68.1
if [ ! -f build/clients/dd-java-agent-$tracer.jar ]; then
  say "dd-trace-java $tracer"
  mvn -q dependency:copy "-Dartifact=com.datadoghq:dd-java-agent:$tracer" -DoutputDirectory=build/clients \
    > build/report-mvn.log 2>&1 ||
    say "dd-trace-java could not be fetched"
fi
say "building (the first time some minutes)"
gradle --no-daemon -q jar opentelemetryJar benchClasses > build/bench-gradle.log 2>&1 || {
  cat build/bench-gradle.log
  exit 1
}
cargo build --release --quiet --example java_bench_peer --target-dir build/bench/target
cargo build --release --quiet --manifest-path benches/peers/Cargo.toml
cargo build --quiet --manifest-path benches/peers/Cargo.toml --features losses --bin losses
if [ ! -f build/bench/payloads/index.json ] || [ benches/gen_payloads.py -nt build/bench/payloads/index.json ]; then
  python3 benches/gen_payloads.py build/bench/payloads > /dev/null
fi
exec python3 benches/report/run.py "$@"
