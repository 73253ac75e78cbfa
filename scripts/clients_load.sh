#!/bin/sh
# A Spring Boot application under load with the bridge and stock, in turn, and OpenTelemetry's agent on the same one.
# usage: scripts/clients_load.sh [MINUTES each, default 5] [--pairs N] [--rate REQUESTS_A_SECOND]
# Fetches Spring Boot, the tracer and OpenTelemetry's agent. Wants a quiet machine; needs Java 17.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh gradle maven python
gradle --no-daemon -q bridgeJar opentelemetryJar
dir=build/clients
mkdir -p $dir
[ -d $dir/spring ] || mvn -q -f benches/clients/spring dependency:copy-dependencies -DoutputDirectory="$PWD/$dir/spring"
for artifact in com.datadoghq:dd-java-agent:1.68.1 io.opentelemetry.javaagent:opentelemetry-javaagent:2.23.0; do
  name=${artifact#*:}
  [ -f "$dir/$(echo "$name" | tr : -).jar" ] ||
    mvn -q dependency:copy "-Dartifact=$artifact" -DoutputDirectory=$dir > /dev/null 2>&1 || true
done
exec build/venv/bin/python benches/clients/load.py "$@"
