#!/bin/sh
# Measures and writes build/bench/results.json.
# usage: scripts/bench.sh [--big] [--theirs] [--rounds N] [GROUP...]
# groups: main wire dialogue flat stats real obfuscation bindings beyond sizes; none = all
# --theirs: the opponents built as their own release profile says, for size; they are then called libdd_s.
# The program runs three times, a third of the rounds (15) each: where a process's memory happens to lie makes some rows half
# as dear again, for both sides. Of each row the run in the middle counts (scripts/bench_median.py).
# Generates the payloads (benches/gen_payloads.py), builds benches/peers (the first time some minutes: the reference's
# crates with fat LTO), runs it, and joins build/bench/parts/*.json. Other programs (the Java benchmarks) put their rows
# beside them as build/bench/parts/NAME.json in the same form, before or after.
set -eu
cd "$(dirname "$0")/.."
big="" rounds=15 groups="" profile=release
while [ $# -gt 0 ]; do
  case "$1" in
    --big) big="--big" ;;
    --theirs) profile=theirs ;;
    --rounds) rounds=$2; shift ;;
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
  cargo build --profile $profile --quiet --manifest-path benches/peers/Cargo.toml
  out=$bench/parts
  [ $profile = release ] || out=$bench/parts-theirs
  mkdir -p $out
  rm -rf $bench/runs
  for run in 1 2 3; do
    # shellcheck disable=SC2086  # groups are words
    "${CARGO_TARGET_DIR:-benches/peers/target}/$profile/bench" --payloads $bench/payloads --out $bench/runs/$run \
      --rounds $(((rounds + 2) / 3)) $rust > $bench/run-$run.log
  done
  python3 scripts/bench_median.py $bench/runs $out
  if [ $profile = theirs ]; then
    python3 - $out $bench/parts << 'PYTHON'
import glob, json, os, sys
for part in glob.glob(sys.argv[1] + "/*.json"):
    rows = [dict(r, opponent_name="libdd_s") for r in json.load(open(part)) if r["opponent_name"] == "libdd"]
    json.dump(rows, open(os.path.join(sys.argv[2], "theirs_" + os.path.basename(part)), "w"), indent=1)
PYTHON
  fi
fi
python3 scripts/bench_join.py $bench
