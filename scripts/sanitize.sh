#!/bin/sh
# The tests under tools that see what tests do not: races, bytes out of bounds, undefined behaviour, leaks.
# usage: scripts/sanitize.sh [PART...]      parts: thread address miri memcheck c gc; none = all
#   thread    ThreadSanitizer (nightly Rust with rust-src: an uninstrumented standard library would make it report its
#             locks as races)
#   address   AddressSanitizer with leak check (nightly Rust)
#   miri      the unit tests of msgpack, trace, format, the sketch and C's handles, with small sizes (nightly Rust with miri and
#             rust-src)
#   memcheck  valgrind over the library's own tests
#   c         the programs of tests/c under valgrind and AddressSanitizer: no error, no leak
#   gc        every call of the JAR under heap pressure (GcStress), with Serial in 32 MB and with Shenandoah, -Xcheck:jni
# ONLY="lib spool" runs those tests of thread and address alone. What cannot be had on this machine is skipped, and said
# to be. PROPTEST_CASES (16) keeps generated cases few, TEST_SLOWNESS (40) is how slow everything may be.
# Not part of `make test`: it takes about half an hour on two cores.
set -eu
cd "$(dirname "$0")/.."
parts="${*:-thread address miri memcheck c gc}"
mkdir -p build/sanitize
export PROPTEST_CASES="${PROPTEST_CASES:-16}"
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261123}"
# Everything is some ten times slower here.
export TEST_SLOWNESS="${TEST_SLOWNESS:-40}"
target=$(rustc -vV | sed -n 's/^host: //p')
passed=0 failed="" skipped=""
began=$(date +%s)

skip() { echo "sanitize: $part skipped: $*"; skipped="$skipped $part"; }
nightly() { rustup run nightly rustc --version > /dev/null 2>&1; }
# A component of the nightly toolchain, fetched if it can be.
component() {
  rustup component list --toolchain nightly 2> /dev/null | grep -q "^$1.*(installed)" ||
    timeout 120 rustup component add --toolchain nightly "$1" > /dev/null 2>&1
}
run() { # NAME COMMAND...
  log=build/sanitize/$part-$1.log what="$part: $1" started=$(date +%s)
  shift
  if "$@" > "$log" 2>&1 && ! grep -q '^WARNING in native method' "$log"; then
    n=$(awk '/^test result: ok/ { n += $4 } /; nothing wrong$/ { n++ } /^capi: [0-9]+ programs passed/ { n += $2 } END { print n + 0 }' "$log")
    passed=$((passed + n))
    echo "sanitize: $what: $n passed, $(minutes "$started")"
  else
    failed="$failed $what;"
    grep -nE 'ERROR: |WARNING|error: Undefined|panicked|^==[0-9]+== (Invalid|Conditional|ERROR)' -A12 "$log" | head -80 ||
      tail -40 "$log"
    echo "sanitize: $what: failed after $(minutes "$started"), see $log"
  fi
}
minutes() { awk -v s="$1" -v now="$(date +%s)" 'BEGIN { printf "%.1f min", (now - s) / 60 }'; }
# Test binaries one by one, so that a finding names its own.
each() { # TESTS... ; the command is in $with
  for name in ${ONLY:-$*}; do
    if [ "$name" = lib ]; then which=--lib; else which="--test $name"; fi
    # shellcheck disable=SC2086  # words
    run "$name" env $with --target "$target" --no-default-features --features capi \
      --target-dir "build/sanitize/$part" $which
  done
}

for part in $parts; do
  case "$part" in
    thread)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      if ! component rust-src; then skip "rust-src of the nightly toolchain cannot be had"; continue; fi
      with="RUSTFLAGS=-Zsanitizer=thread cargo +nightly test -Zbuild-std"
      each lib asynchronous spool exporter stats_send agent_faults faults capi_races
      ;;
    address)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      with="RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=1 cargo +nightly test"
      each lib formats input malformed stages properties agent_faults faults hostile agent_send rewriting fuzz_regressions losses
      ;;
    miri)
      if ! nightly; then skip "no nightly Rust"; continue; fi
      if ! component miri || ! component rust-src; then skip "miri and rust-src of the nightly toolchain cannot be had"; continue; fi
      run lib env MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-deterministic-floats" cargo +nightly miri test --no-default-features \
        --features capi --target-dir build/sanitize/miri --lib -- msgpack:: trace:: format:: stats::sketch capi::slab capi::lock
      ;;
    memcheck)
      scripts/setup.sh valgrind
      cargo test --quiet --no-run --lib --no-default-features --target-dir build/sanitize/memcheck
      program=$(ls -t build/sanitize/memcheck/debug/deps/data_pipeline-* | grep -v '\.d$' | head -1)
      # Leaks are the address part's matter. One test asks where the system's allocator puts things; valgrind has its own.
      run lib valgrind --quiet --error-exitcode=9 --leak-check=no "$program" --test-threads=1 --skip the_body_is_never_copied
      ;;
    c)
      DEV=1 scripts/capi.sh build
      run memcheck scripts/capi.sh memcheck
      run address scripts/capi.sh address
      ;;
    gc)
      scripts/setup.sh gradle
      gradle --no-daemon -q jar testClasses > build/sanitize/gradle.log 2>&1 || { cat build/sanitize/gradle.log; exit 1; }
      version=$(sed -n 's/^version=//p' gradle.properties)
      stress() { # NAME FLAG...
        name=$1
        shift
        run "$name" timeout 300 java -Xcheck:jni "$@" -cp "build/libs/data-pipeline-$version.jar:build/classes/java/test" \
          com.datadog.pipeline.GcStress 20
      }
      stress serial -XX:+UseSerialGC -Xmx32m
      if java -XX:+UseShenandoahGC -version > /dev/null 2>&1; then
        stress shenandoah -XX:+UseShenandoahGC -Xmx64m
      else
        skip "this Java has no Shenandoah"
      fi
      ;;
    *) echo "sanitize: no part $part (thread, address, miri, memcheck, c, gc)" >&2; exit 2 ;;
  esac
done
[ -z "$skipped" ] || echo "sanitize: skipped:$skipped"
if [ -n "$failed" ]; then
  echo "sanitize: failed:$failed $(minutes "$began")"
  exit 1
fi
echo "sanitize: $passed passed, 0 findings, $(minutes "$began")"
