#!/bin/sh
# The benchmark rows of the bridge and of the exporter for OpenTelemetry: build/bench/parts/clients.json.
# usage: scripts/bench_clients.sh [--rounds N] [--only bridge,otel,start] [--jvm N]...
# Fetches the opponents: the published tracer (36 MB) and OpenTelemetry's exporter. Payloads must lie in
# build/bench/payloads.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh gradle maven jvms
mkdir -p build/clients build/bench/parts
# As scripts/bench_java.sh: the bare library, without TLS and compression.
gradle --no-daemon -q -PcargoFeatures= jar bridgeJar opentelemetryJar > build/bench-gradle.log 2>&1 ||
  { cat build/bench-gradle.log; exit 1; }
tracer=1.68.1
[ -f build/clients/dd-java-agent-$tracer.jar ] ||
  mvn -q dependency:copy "-Dartifact=com.datadoghq:dd-java-agent:$tracer" -DoutputDirectory=build/clients \
    > /dev/null 2>&1 || true
ls build/otel/*sender-jdk*.jar > /dev/null 2>&1 ||
  mvn -q -f benches/otel dependency:copy-dependencies -DoutputDirectory="$PWD/build/otel" > /dev/null 2>&1 || true
echo "-- clients: ours, opponent, ratio = opponent / ours"
exec python3 benches/clients/run.py build/bench/parts/clients.json "$@"
