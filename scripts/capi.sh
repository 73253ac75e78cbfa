#!/usr/bin/env bash
# The library for C, for this machine. usage: scripts/capi.sh build | install PREFIX | test | memcheck | address | DEV=1 …
#   build     build/capi/libdata-pipeline-ffi.{so,a} (.dylib on macOS), a pkg-config file and a CMake package; the gate of
#             scripts/native_gate.py says what it exports and needs
#   install   headers, libraries, pkg-config file and CMake package under PREFIX, then a program is built against them
#   test      the programs of tests/c with the reference's headers' names, warnings are errors; C99 and C++17 read the headers
#   memcheck  the same under valgrind: no error, no leak
#   address   the same, library and programs, with AddressSanitizer and its leak check (nightly Rust)
# With DEV=1 the library is built without optimization, in a tenth of the time. It has what the JAR's has (TLS and compression);
# another list of features is given in FEATURES.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/capi
export FEATURES=${FEATURES-full,reserve}
features=capi${FEATURES:+,$FEATURES}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
case "$(uname -s)" in
  Darwin) shared=libdata-pipeline-ffi.dylib built=libdata_pipeline.dylib ;;
  *) shared=libdata-pipeline-ffi.so built=libdata_pipeline.so ;;
esac
say() { printf 'capi: %s\n' "$*"; }

build() { # [CARGO ARGUMENT...]
  local profile=release
  [ "${DEV:-0}" = 1 ] && profile=debug
  mkdir -p "$out"
  local target from OWN_STD=${OWN_STD:-1}
  target=$(rustc -vV | sed -n 's/^host: //p')
  from=target/capi/$target/$profile
  if [ "$profile" = release ]; then set -- --release "$@"; else OWN_STD=0; fi
  . scripts/native_env.sh
  with_std cargo rustc --quiet --lib --no-default-features --features "$features" --crate-type cdylib,staticlib \
    --target "$target" --target-dir target/capi "$@"
  cp "$from/$built" "$out/$shared"
  cp "$from/libdata_pipeline.a" "$out/libdata-pipeline-ffi.a"
  if command -v objcopy > /dev/null; then objcopy --strip-debug "$out/libdata-pipeline-ffi.a"; fi
  package "$PWD" > "$out/data-pipeline-ffi.pc"
  cp native/capi/data-pipeline-ffi-config.cmake "$out/"
  if [ "$profile" = release ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
    python3 scripts/native_gate.py linux-x86_64 "$out/$shared" exports-c.txt
  fi
}

# The pkg-config file for this prefix.
package() { sed -e "s|@PREFIX@|$1|" -e "s|@VERSION@|$version|" native/capi/data-pipeline-ffi.pc.in; }

install_to() { # PREFIX
  local prefix=$1
  case "$prefix" in /*) ;; *) prefix=$PWD/$prefix ;; esac
  local place=${DESTDIR:-}$prefix
  mkdir -p "$place/include/datadog" "$place/lib/pkgconfig" "$place/lib/cmake/data-pipeline-ffi"
  cp include/data-pipeline.h "$place/include/"
  cp include/datadog/*.h "$place/include/datadog/"
  cp "$out/$shared" "$out/libdata-pipeline-ffi.a" "$place/lib/"
  package "$prefix" > "$place/lib/pkgconfig/data-pipeline-ffi.pc"
  cp native/capi/data-pipeline-ffi-config.cmake "$place/lib/cmake/data-pipeline-ffi/"
  cat > "$place/lib/cmake/data-pipeline-ffi/data-pipeline-ffi-config-version.cmake" << VERSION
set(PACKAGE_VERSION "$version")
if("\${PACKAGE_FIND_VERSION}" VERSION_LESS_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
VERSION
  say "installed to $place"
}

flags="-Wall -Wextra -Werror -Iinclude -Itests/c -g"
# Builds the programs of tests/c; the rest of the arguments go to the compiler.
programs() {
  mkdir -p "$out/tests/tls"
  if command -v openssl > /dev/null; then
    [ -f "$out/tests/tls/client.pem" ] || sh tests/fixtures/tls/make.sh "$out/tests/tls" > /dev/null
    export TLS_FILES=$PWD/$out/tests/tls
  fi
  cp "$out/$shared" "$out/tests/"
  for source in tests/c/*.c; do
    name=$(basename "$source" .c)
    case "$name" in agent | layout) continue ;; esac
    # shellcheck disable=SC2086  # the flags are words
    ${CC:-cc} -std=gnu11 $flags "$source" tests/c/agent.c -o "$out/tests/$name" "$@"
  done
}
linked="-L$out/tests -ldata-pipeline-ffi -lpthread -Wl,-rpath,\$ORIGIN"

run() { # COMMAND BEFORE THE PROGRAM...
  local passed=0
  for source in tests/c/*.c; do
    name=$(basename "$source" .c)
    case "$name" in "${ONLY:-$name}") ;; *) continue ;; esac
    case " agent layout ${NOT:-} " in *" $name "*) continue ;; esac
    timeout "${LIMIT:-120}" "$@" "$out/tests/$name" || { say "$name failed ($*)"; exit 1; }
    passed=$((passed + 1))
  done
  say "$passed programs passed ${*:+under $1}"
}

# No error, no leak.
checked() {
  run valgrind --quiet --error-exitcode=9 --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect
}

case "${1:-}" in
  build) build ;;
  install)
    [ -n "${2:-}" ] || { echo "capi: make install PREFIX=/usr/local" >&2; exit 2; }
    [ -f "$out/$shared" ] || build
    install_to "$2"
    ;;
  test)
    [ -f "$out/$shared" ] || build
    for compiler in "${CC:-cc} -std=c99" "${CXX:-c++} -std=c++17 -x c++"; do
      # shellcheck disable=SC2086
      $compiler -pedantic $flags tests/c/layout.c -o "$out/layout" && "$out/layout" || { say "layout: $compiler"; exit 1; }
    done
    # shellcheck disable=SC2086
    programs $linked
    run
    # One of them under valgrind, where it is there; `memcheck` is all of them.
    if command -v valgrind > /dev/null; then ONLY=tracer LIMIT=600 checked; fi
    ;;
  memcheck)
    scripts/setup.sh valgrind
    [ -f "$out/$shared" ] || build
    # shellcheck disable=SC2086
    programs $linked
    # What ring's assembly has computed (keys of TLS) is not initialised in valgrind's eyes; `address` has this part.
    unset TLS_FILES
    # A process without memory has none for valgrind.
    NOT="fork short_memory" LIMIT=600 checked
    # The child of a fork has what threads of its parent had, and nobody who could free it.
    ONLY=fork ROUNDS=${ROUNDS:-20} LIMIT=600 run valgrind --quiet --error-exitcode=9 --leak-check=no --trace-children=yes
    ;;
  address)
    host=$(rustc -vV | sed -n 's/^host: //p')
    rustup run nightly rustc --version > /dev/null 2>&1 || { say "address skipped: no nightly Rust"; exit 0; }
    # The sanitizer has an allocator of its own.
    RUSTFLAGS="-Zsanitizer=address" cargo +nightly rustc --quiet --lib --no-default-features --features "${features%,reserve}" \
      --crate-type staticlib --target "$host" --target-dir build/sanitize/capi
    mkdir -p "$out/tests"
    programs -fsanitize=address "build/sanitize/capi/$host/debug/libdata_pipeline.a" -lpthread -ldl -lm
    # A process without memory has none for the sanitizer; see tests/c/fork.c for its load.
    NOT=short_memory LOAD=0 ASAN_OPTIONS=detect_leaks=1 LIMIT=600 run env
    ;;
  *) sed -n '2,10s/^# //p' "$0" >&2; exit 2 ;;
esac
