#!/bin/sh
# What an agent that is away for DOWN seconds (10) costs us, libdd-data-pipeline and OpenTelemetry Java: scripts/losses.sh
# Each with its default settings; when the agent is away for longer than a queued payload is tried (`asyncBudget`, 60 s),
# ours also with a spool.
# The table is kept in build/losses-DOWN.txt. Speed is no part of this, so nothing is optimised.
set -eu
cd "$(dirname "$0")/.."
down="${DOWN:-10}"
log=build/losses.log
mkdir -p build
cargo build --quiet --manifest-path benches/peers/Cargo.toml --features losses --bin losses
losses="${CARGO_TARGET_DIR:-benches/peers/target}/debug/losses"
set -- "ours=$losses ours"
if [ "$down" -gt 60 ]; then
  rm -rf build/losses-spool
  set -- "$@" "ours with a spool=$losses ours-spool build/losses-spool"
fi
set -- "$@" "libdd=$losses libdd"
# Both of its HTTP clients lie in build/otel; this is its default.
sender=-Dio.opentelemetry.sdk.common.export.HttpSenderProvider=
sender=${sender}io.opentelemetry.exporter.sender.okhttp.internal.OkHttpHttpSenderProvider
if [ -d build/otel ] || mvn -q -f benches/otel dependency:copy-dependencies -DoutputDirectory="$PWD/build/otel" 2> /dev/null; then
  set -- "$@" "OpenTelemetry Java=java $sender -cp 'build/otel/*' benches/otel/Losses.java"
else
  echo "losses: OpenTelemetry's exporter could not be fetched; it is left out"
fi
table=build/losses-$down.txt
python3 scripts/losses.py "$down" "$@" 2> $log | tee "$table"
# A pipe hides what failed.
[ "$(grep -c ' lost ' "$table")" = $# ] || { tail -20 $log; exit 1; }
