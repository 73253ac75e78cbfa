#!/bin/sh
# Measures and writes build/bench/results.json.
# usage: scripts/bench.sh [--big] [--rounds N] [GROUP...]      groups: main wire dialogue flat stats obfuscation sizes; none = all
# Generates the payloads (benches/gen_payloads.py), builds benches/peers (the first time some minutes: the reference's
# crates with fat LTO), runs it, and joins build/bench/parts/*.json. Other programs (the Java benchmarks) put their rows
# beside them as build/bench/parts/NAME.json in the same form, before or after.
set -eu
cd "$(dirname "$0")/.."
big="" rounds="" groups=""
while [ $# -gt 0 ]; do
  case "$1" in
    --big) big="--big" ;;
    --rounds) rounds="--rounds $2"; shift ;;
    *) groups="$groups $1" ;;
  esac
  shift
done
bench=build/bench
mkdir -p $bench/parts
# Generated anew when the generator is newer, or when the big payload is asked for and not there.
if [ ! -f $bench/payloads/index.json ] || [ benches/gen_payloads.py -nt $bench/payloads/index.json ] ||
   { [ -n "$big" ] && [ ! -f $bench/payloads/web_10000x10.msgpack ]; }; then
  echo "generating payloads in $bench/payloads"
  python3 benches/gen_payloads.py $big $bench/payloads > /dev/null
fi
rust=""
for group in $groups; do
  if [ "$group" != sizes ]; then rust="$rust $group"; fi
done
if [ -z "$groups" ] || [ -n "$rust" ]; then
  cargo build --release --quiet --manifest-path benches/peers/Cargo.toml
  # shellcheck disable=SC2086  # groups and rounds are words
  "${CARGO_TARGET_DIR:-benches/peers/target}/release/bench" --payloads $bench/payloads --out $bench/parts $rounds $rust
fi
python3 scripts/bench_join.py $bench
