#!/bin/sh
# The long run of the asynchronous interface. usage: scripts/soak.sh [MINUTES]
set -eu
cd "$(dirname "$0")/.."
seconds=$((${1:-5} * 60))
cargo build --release --quiet --example soak
soak=target/release/examples/soak
spool=$(mktemp -d)
trap 'rm -rf "$spool"' EXIT
"$soak" flapping "$seconds"
"$soak" black-hole "$((seconds < 120 ? seconds : 120))"
"$soak" away 10
"$soak" away "$((seconds < 120 ? seconds : 120))" "$spool"
echo "soak: clean"
