#!/bin/sh
# Does a test depend on the machine's speed? Runs the suite ROUNDS times (20) beside three busy loops and prints how often
# and where it failed. usage: scripts/steady.sh [ROUNDS] [PART...]      parts: rust java; default rust
# BUSY=N other loops than three. Limits in tests are four times what a quiet machine needs; TEST_SLOWNESS=N for others.
set -eu
cd "$(dirname "$0")/.."
rounds="${1:-20}"
[ $# -eq 0 ] || shift
parts="${*:-rust}"
logs=build/steady
rm -rf $logs
mkdir -p $logs
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261123}"

for part in $parts; do
  case "$part" in
    rust) cargo test --quiet --no-run ;;
    java)
      scripts/setup.sh gradle maven jvms
      gradle --no-daemon -q testClassPath > $logs/gradle.log 2>&1 || { cat $logs/gradle.log; exit 1; }
      ;;
    *) echo "steady: no part $part (rust, java)" >&2; exit 2 ;;
  esac
done

loops=""
trap 'for loop in $loops; do kill "$loop" 2> /dev/null || true; done' EXIT
trap 'exit 1' INT TERM
for _ in $(seq "${BUSY:-3}"); do
  sh -c 'while :; do :; done' &
  loops="$loops $!"
done

failures=0
round=0
while [ "$round" -lt "$rounds" ]; do
  round=$((round + 1))
  for part in $parts; do
    log=$logs/$part-$round.log
    started=$(date +%s)
    case "$part" in
      rust) set -- cargo test --quiet --no-fail-fast ;;
      java) set -- scripts/test_jvms.sh 17 ;;
    esac
    if "$@" > "$log" 2>&1; then
      echo "round $round, $part: passed, $(($(date +%s) - started)) s"
    else
      failures=$((failures + 1))
      echo "round $round, $part: failed, $(($(date +%s) - started)) s: $log"
      grep -E "^    [a-z_:]+$|panicked at|=> org|MethodSource" "$log" | sort -u | head -20 || true
    fi
  done
done
echo "steady: $rounds rounds of $parts beside ${BUSY:-3} busy loops: $failures failures"
[ "$failures" -eq 0 ]
