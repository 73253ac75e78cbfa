#!/bin/sh
# The benchmark rows that need a JVM: build/bench/parts/java.json. usage: scripts/bench_java.sh [ROUNDS]
# Payloads must lie in build/bench/payloads (scripts/bench.sh puts them there).
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh gradle
mkdir -p build
quietly() { "$@" > build/bench-gradle.log 2>&1 || { cat build/bench-gradle.log; exit 1; }; }
version=$(sed -n 's/^version=//p' gradle.properties)
jar=build/libs/data-pipeline-$version.jar
mkdir -p build/bench/parts
# The sizes of what ships; then the bare library, without TLS and compression, which all other rows are about.
quietly gradle --no-daemon -q jar
quietly scripts/capi.sh build
python3 scripts/bench_sizes.py "$jar" _full build/bench/parts/full.json "$(ls build/capi/libdata-pipeline-ffi.so build/capi/*.dylib 2> /dev/null | head -1)"
quietly gradle --no-daemon -q -PcargoFeatures= jar benchClasses
# The opponents get the same compiler settings as the library in the JAR, in a directory of their own: an rlib beside the
# library would replace it by one without link-time optimisation.
cargo build --release --quiet --example java_bench_peer --target-dir build/bench/target
pin="" measured="" others=""
cores=$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)
if [ "$cores" -gt 1 ] && taskset -c $((cores - 1)) true 2> /dev/null; then
  measured=$((cores - 1)) others=0-$((cores - 2)) pin="taskset -c $measured"
fi
native=""
[ "$(java -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')" -lt 24 ] || native=--enable-native-access=ALL-UNNAMED
# shellcheck disable=SC2086  # words
exec $pin java $native -cp "$jar:build/classes/java/bench" com.datadog.pipeline.bench.JavaBench build/bench/payloads \
  build/bench/parts/java.json build/bench/target/release/examples/java_bench_peer "$jar" "$measured" "$others" "${1:-41}"
