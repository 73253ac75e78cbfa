#!/bin/sh
# The scripts themselves: whatever part of the tests fails, `make test` is red and never prints its closing line.
# Tried with stand-ins for cargo, gradle and the other scripts, each of which fails in turn while its words claim success,
# in a folder that holds nothing but what git knows: no build/, no target/.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MAKELEVEL MFLAGS
checks=0

# A folder with our scripts, and stand-ins that say what the real ones say. FAIL names the one that fails.
lay_out() {
  rm -rf "$work/clone" "$work/bin"
  mkdir -p "$work/clone/gradle/gradle8" "$work/bin"
  cp -r "$root/scripts" "$root/Makefile" "$root/gradle.properties" "$work/clone/"
  for script in setup reproducible crac test_jvms test_agent gate; do
    stand_in "$work/clone/scripts/$script.sh" "$script" "$script: 3 runs"
  done
  stand_in "$work/clone/scripts/capi.sh" capi "capi: 3 programs passed"
  stand_in "$work/clone/scripts/crate.sh" crate "crate: 6 passed"
  stand_in "$work/clone/scripts/test_scripts.sh" test_scripts "scripts: 3 runs"
  stand_in "$work/clone/scripts/consumers.sh" consumers "consumers: 2 passed"
  stand_in "$work/clone/scripts/clients.sh" clients "1 passed, 0 failed, 0 skipped"
  stand_in "$work/clone/scripts/test_report.sh" test_report "report: 2 passed"
  stand_in "$work/clone/gradle/gradle8/gradle8.sh" gradle8 "4 passed, 0 failed, 0 skipped"
  for name in reach_child reach_java; do
    printf 'import os, sys\nprint("%s: fine")\nsys.exit(9 if os.environ["FAIL"] == "%s" else 0)\n' $name $name \
      > "$work/clone/scripts/$name.py"
  done
  stand_in "$work/bin/cargo" cargo "test result: ok. 7 passed; 0 failed; 0 ignored"
  stand_in "$work/bin/gradle" gradle "5 passed, 0 failed, 0 skipped"
}
stand_in() { # FILE NAME WORDS
  printf '#!/bin/sh\necho "%s"\n[ "${FAIL:-}" != "%s" ] || exit 9\n[ "${FAIL:-}" != "%s $1" ] || exit 9\n' "$3" "$2" "$2" > "$1"
  chmod +x "$1"
}
run() { # WHO FAILS
  (cd "$work/clone" && FAIL=$1 PATH="$work/bin:$PATH" make test > "$work/said" 2>&1)
}
wrong() {
  echo "test_scripts: $*"
  cat "$work/said"
  exit 1
}

lay_out
run nobody || wrong "red although nothing failed"
[ "$(tail -1 "$work/said")" = "57 passed, 0 failed" ] || wrong "the closing line is not 3 + 2 + 7 + 6 + 2 * 3 + 3 * 7 + 5 + 4 + 2 + 1 passed"
checks=$((checks + 1))

for who in "cargo tree" "cargo build" "cargo test" gradle gradle8 setup reproducible crac test_jvms test_agent gate test_report crate capi reach_child reach_java \
  test_scripts consumers clients; do
  lay_out
  if run "$who"; then wrong "green although $who failed"; fi
  if tail -1 "$work/said" | grep -q '0 failed'; then wrong "the closing line tells of success although $who failed"; fi
  checks=$((checks + 1))
done

# A test that fails, in the words and with the status of cargo; and a run that tells of no test at all.
lay_out
printf '#!/bin/sh\n[ "$1" != test ] || { echo "test result: FAILED. 6 passed; 1 failed"; exit 101; }\n' > "$work/bin/cargo"
if run nobody; then wrong "green although a test failed"; fi
lay_out
printf '#!/bin/sh\ntrue\n' > "$work/bin/cargo"
if run nobody; then wrong "green although no test ran"; fi
checks=$((checks + 2))
echo "scripts: $checks runs with stand-ins, red whenever a part fails"
