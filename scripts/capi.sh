#!/usr/bin/env bash
# The library for C. usage: scripts/capi.sh build [all | PLATFORM...] | install PREFIX [PLATFORM] | test | memcheck | address
#   build     for this machine: build/capi/libdata-pipeline-ffi.{so,a} (.dylib on macOS); the gate of scripts/native_gate.py says
#             what it exports and needs
#   build all the platforms of the JAR, or those that are named (scripts/platforms.sh): build/capi/<platform>/ with include, lib
#             and bin as `install` lays them out, to be used where it lies, and the same as an archive in build/libs. Symbols
#             for debuggers are in build/symbols/<platform>. TWICE=1 and STRICT=1 as for scripts/natives.sh
#   unpack PLATFORM    build/capi/PLATFORM from its archive
#   install   headers, libraries, pkg-config file and CMake package under PREFIX
#   test      the programs of tests/c with the reference's headers' names, warnings are errors; C99 and C++17 read the headers
#   memcheck  the same under valgrind: no error, no leak
#   address   the same, library and programs, with AddressSanitizer and its leak check (nightly Rust)
# With DEV=1 the library of this machine is built without optimization, in a tenth of the time. It has what the JAR's has (TLS
# and compression); another list of features is given in FEATURES.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/capi speaker=capi
export FEATURES=${FEATURES-full,reserve}
features=capi${FEATURES:+,$FEATURES}
library=(--no-default-features --features "$features" --crate-type "cdylib,staticlib")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
. scripts/platforms.sh
# Of this machine. What is no platform of ours is taken for a Unix.
case "$(uname -sm)" in
  "Darwin arm64") host=macos-aarch64 ;;
  Darwin*) host=macos-x86_64 ;;
  "Linux aarch64") host=linux-aarch64 ;;
  *) host=linux-x86_64 ;;
esac
shared=$(shared_of "$host" data-pipeline-ffi)

build() { # [CARGO ARGUMENT...]
  local profile=release
  [ "${DEV:-0}" = 1 ] && profile=debug
  mkdir -p "$out"
  local target from OWN_STD=${OWN_STD:-1}
  target=$(rustc -vV | sed -n 's/^host: //p')
  from=target/capi/$target/$profile
  if [ "$profile" = release ]; then set -- --release "$@"; else OWN_STD=0; fi
  . scripts/native_env.sh
  with_std cargo rustc --quiet --lib "${library[@]}" --target "$target" --target-dir target/capi "$@"
  cp "$from/$(shared_of "$host" data_pipeline)" "$out/$shared"
  objcopy --strip-debug "$from/libdata_pipeline.a" "$out/libdata-pipeline-ffi.a" 2> /dev/null ||
    cp "$from/libdata_pipeline.a" "$out/libdata-pipeline-ffi.a"
  if [ "$profile" = release ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
    python3 scripts/native_gate.py "$host" "$out/$shared" exports-c.txt
  fi
}

# The pkg-config file of this platform for this prefix.
package() { # PLATFORM PREFIX
  local private
  case "$1" in
    linux-*) private="-lpthread -ldl -lm -lgcc_s" ;;
    macos-*) private="-lm" ;;
    windows-*) private="-lws2_32 -luserenv -lntdll -lbcrypt -ladvapi32" ;;
  esac
  sed -e "s|@PREFIX@|$2|" -e "s|@VERSION@|$version|" -e "s|@PRIVATE@|$private|" native/capi/data-pipeline-ffi.pc.in
}

# Everything but the libraries. The prefix is what the pkg-config file names.
lay_out() { # PLATFORM PREFIX PLACE
  local cmake=$3/lib/cmake/data-pipeline-ffi doc=$3/share/doc/data-pipeline-ffi
  mkdir -p "$3/include/datadog" "$3/lib/pkgconfig" "$cmake" "$doc"
  cp include/data-pipeline.h "$3/include/"
  cp include/datadog/*.h "$3/include/datadog/"
  package "$1" "$2" > "$3/lib/pkgconfig/data-pipeline-ffi.pc"
  cp native/capi/data-pipeline-ffi-config.cmake "$cmake/"
  sed -e "s|@VERSION@|$version|" native/capi/data-pipeline-ffi-config-version.cmake.in > "$cmake/data-pipeline-ffi-config-version.cmake"
  cp LICENSE licences/* "$doc/"
}

install_to() { # PREFIX [PLATFORM]
  local prefix=$1
  case "$prefix" in /*) ;; *) prefix=$PWD/$prefix ;; esac
  local place=${DESTDIR:-}$prefix
  if [ -n "${2:-}" ]; then
    [ -d "$out/$2" ] || { say "$out/$2 is missing; run scripts/capi.sh build $2 first"; exit 2; }
    mkdir -p "$place"
    cp -R "$out/$2/." "$place/"
  else
    mkdir -p "$place/lib"
    cp "$out/$shared" "$out/libdata-pipeline-ffi.a" "$place/lib/"
  fi
  lay_out "${2:-$host}" "$prefix" "$place"
  say "installed to $place"
}

# What platforms.sh asks for.
place() { # PLATFORM FROM TO
  local shared built
  shared=$(shared_of "$1" data-pipeline-ffi)
  built=$2/$(shared_of "$1" data_pipeline)
  mkdir -p "$3/lib"
  # Where it lies is where the pkg-config file lies.
  # shellcheck disable=SC2016  # pkg-config's variable
  lay_out "$1" '${pcfiledir}/../..' "$3"
  objcopy --strip-debug "$2/libdata_pipeline.a" "$3/lib/libdata-pipeline-ffi.a"
  case "$1" in
    windows-*)
      split "$1" "$built" "$3/bin/$shared"
      # Rust's own import library names the file as Rust calls it. This one is read by GNU's linker and by Microsoft's, who look
      # for two names.
      { echo "LIBRARY $shared"; echo EXPORTS; grep -v '^#' native/exports-c.txt; } > "$2/data-pipeline-ffi.def"
      "$(find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld)" -flavor link /lib /machine:x64 \
        "/def:$2/data-pipeline-ffi.def" "/out:$3/lib/libdata-pipeline-ffi.dll.a"
      cp "$3/lib/libdata-pipeline-ffi.dll.a" "$3/lib/data-pipeline-ffi.lib" ;;
    *) split "$1" "$built" "$3/lib/$shared" ;;
  esac
}
check() { # PLATFORM DIR
  local file files
  files=$(find "$2" -name '*.so' -o -name '*.dylib' -o -name '*.dll' -o -name '*.a' -o -name '*.lib' | sort)
  for file in $files; do
    python3 scripts/native_gate.py "$1" "$file" exports-c.txt || return 1
  done
}
# An archive of each, the same bytes from the same tree.
archive() { # PLATFORM...
  local platform stem
  mkdir -p build/libs
  for platform; do
    [ -d "$out/$platform" ] || continue
    stem=data-pipeline-ffi-$version-$platform
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rw,go-w,a+rX --transform "s|^\./|$stem/|" \
      -C "$out/$platform" -cf - ./include ./lib ./share $(cd "$out/$platform" && ls -d ./bin 2> /dev/null) | gzip -9n > "build/libs/$stem.tar.gz"
    say "build/libs/$stem.tar.gz, $(wc -c < "build/libs/$stem.tar.gz") bytes"
  done
}
build_all() { # PLATFORM...
  every_platform "$out" target/capi-all "$@"
  archive "$@"
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
  build)
    shift
    # shellcheck disable=SC2086  # words
    case "${1:-}" in
      "") build ;;
      all) build_all $every ;;
      *) build_all "$@" ;;
    esac
    ;;
  unpack)
    [ -n "${2:-}" ] || { echo "capi: unpack PLATFORM" >&2; exit 2; }
    rm -rf "${out:?}/$2" && mkdir -p "$out/$2"
    tar -xzf "build/libs/data-pipeline-ffi-$version-$2.tar.gz" --strip-components=1 -C "$out/$2"
    ;;
  install)
    [ -n "${2:-}" ] || { echo "capi: make install PREFIX=/usr/local" >&2; exit 2; }
    [ -n "${3:-}" ] || [ -f "$out/$shared" ] || build
    install_to "$2" "${3:-}"
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
    ONLY=fork ROUNDS=${ROUNDS:-20} HANDLES=${HANDLES:-5000} LIMIT=600 run valgrind --quiet --error-exitcode=9 --leak-check=no --trace-children=yes
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
  *) sed -n '2,15s/^# //p' "$0" >&2; exit 2 ;;
esac
