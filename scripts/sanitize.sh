#!/bin/sh
# The tests under tools that see what tests do not: races, bytes out of bounds, undefined behaviour, leaks.
# usage: scripts/sanitize.sh [PART...]      parts: thread address miri memcheck c; none = all
#   thread    ThreadSanitizer over the library's own tests and the asynchronous ones (nightly Rust with rust-src: an
#             uninstrumented standard library would make it report its locks as races)
#   address   AddressSanitizer with leak check over the tests of scan, formats, input and faults (nightly Rust)
#   miri      the unit tests of the rooms without sockets and clocks (nightly Rust with miri and rust-src)
#   memcheck  valgrind over the library's own tests
#   c         the programs of tests/c under valgrind and AddressSanitizer: no error, no leak
# What cannot be had on this machine is skipped, and said to be. PROPTEST_CASES (16) keeps generated cases few.
# Not part of `make test`: it takes about twenty minutes.
set -eu
cd "$(dirname "$0")/.."
parts="${*:-thread address miri memcheck c}"
mkdir -p build/sanitize
export PROPTEST_CASES="${PROPTEST_CASES:-16}"
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261123}"
# Everything is some ten times slower here.
export TEST_SLOWNESS="${TEST_SLOWNESS:-40}"
target=$(rustc -vV | sed -n 's/^host: //p')
passed=0 failed="" skipped=""

skip() { echo "sanitize: $part skipped: $*"; skipped="$skipped $part"; }
nightly() { rustup run nightly rustc --version > /dev/null 2>&1; }
# A component of the nightly toolchain, fetched if it can be.
component() {
  rustup component list --toolchain nightly 2> /dev/null | grep -q "^$1.*(installed)" ||
    timeout 120 rustup component add --toolchain nightly "$1" > /dev/null 2>&1
}
run() { # COMMAND...
  log=build/sanitize/$part.log
  echo "sanitize: $part: $*"
  if "$@" > "$log" 2>&1; then
    passed=$((passed + $(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$log")))
    awk -v part="$part" '/^test result: ok/ { n += $4 } END { print "sanitize: " part ": " n + 0 " passed" }' "$log"
  else
    failed="$failed $part"
    grep -nE 'ERROR: |WARNING: ThreadSanitizer|error: Undefined|panicked|^==[0-9]+== (Invalid|Conditional|ERROR)' -A12 "$log" |
      head -80 || tail -40 "$log"
    echo "sanitize: $part: failed, see $log"
  fi
}

for part in $parts; do
  case "$part" in
    thread)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      if ! component rust-src; then skip "rust-src of the nightly toolchain cannot be had"; continue; fi
      run env RUSTFLAGS="-Zsanitizer=thread" cargo +nightly test -Zbuild-std --target "$target" --no-default-features \
        --target-dir build/sanitize/thread --features capi --lib --test asynchronous --test exporter --test stats_send \
        --test capi_races
      ;;
    address)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      run env RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS="detect_leaks=1" cargo +nightly test --target "$target" \
        --no-default-features --target-dir build/sanitize/address --lib --test formats --test input --test malformed \
        --test agent_send --test rewriting --test stages --test fuzz_regressions
      ;;
    miri)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      if ! component miri || ! component rust-src; then skip "miri and rust-src of the nightly toolchain cannot be had"; continue; fi
      run env MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test --no-default-features \
        --target-dir build/sanitize/miri --lib -- msgpack:: trace:: format:: stats::sketch
      ;;
    memcheck)
      scripts/setup.sh valgrind
      cargo test --quiet --no-run --lib --no-default-features --target-dir build/sanitize/memcheck
      program=$(ls -t build/sanitize/memcheck/debug/deps/data_pipeline-* | grep -v '\.d$' | head -1)
      # Leaks are the address part's matter. One test asks where the system's allocator puts things; valgrind has its own.
      run valgrind --quiet --error-exitcode=9 --leak-check=no "$program" --test-threads=1 --skip the_body_is_never_copied
      ;;
    c)
      DEV=1 scripts/capi.sh build
      run scripts/capi.sh memcheck
      run scripts/capi.sh address
      ;;
    *) echo "sanitize: no part $part (thread, address, miri, memcheck, c)" >&2; exit 2 ;;
  esac
done
[ -z "$skipped" ] || echo "sanitize: skipped:$skipped"
if [ -n "$failed" ]; then
  echo "sanitize: failed:$failed"
  exit 1
fi
echo "sanitize: $passed passed, 0 failed"
