#!/usr/bin/env bash
# Published tracers, unmodified, through the bridge: scripts/clients.sh [--short] [TRACER-VERSION...] with JREs of build/jvms
# --short: the newest tracer on Java 17, three cases.
# Needs Maven for the tracers (30 MB each) and build/venv with msgpack. What cannot be had says so and counts as skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh gradle maven python jvms || exit 1
gradle --no-daemon -q bridgeJar || exit 1
version=$(sed -n 's/^version=//p' gradle.properties)
dir=build/clients
mkdir -p "$dir/app"
javac --release 8 -Xlint:-options -d "$dir/app" java/integrations/dd-trace-java/test/app/App.java || exit 1
cases=()
all="8 11 17 21 25"
if [ "${1:-}" = --short ]; then
  shift
  cases=(--case "bridge first" --case extension --case "library missing")
  all=17
  [ $# -gt 0 ] || set -- 1.68.1
fi
tracers=("$@")
[ ${#tracers[@]} -gt 0 ] || tracers=(1.68.1 1.45.2 1.30.1)
passed=0 failed=0 skipped=0
for tracer in "${tracers[@]}"; do
  jar=$dir/dd-java-agent-$tracer.jar
  if [ ! -f "$jar" ] && ! mvn -q dependency:copy "-Dartifact=com.datadoghq:dd-java-agent:$tracer" "-DoutputDirectory=$dir" > /dev/null 2>&1; then
    echo "clients: SKIPPED tracer $tracer: it could not be fetched"
    skipped=$((skipped + 1))
    continue
  fi
  # The newest tracer on every JVM, the others on one.
  jvms="17"
  [ "$tracer" != "${tracers[0]}" ] || jvms=$all
  for jvm in $jvms; do
    echo "== tracer $tracer on Java $jvm"
    if build/venv/bin/python scripts/clients.py "build/libs/data-pipeline-bridge-$version.jar" "$jar" "$dir/app" \
      --java "build/jvms/$jvm/bin/java" "${cases[@]}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
