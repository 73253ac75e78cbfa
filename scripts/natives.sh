#!/usr/bin/env bash
# The native library for every platform of the JAR: scripts/natives.sh [PLATFORM...]
#   linux-x86_64 linux-aarch64 windows-x86_64 macos-aarch64 macos-x86_64 (all without an argument)
# Leaves build/natives/<platform>/<file> and says what it installs. Each library passes scripts/native_gate.py; with
# TWICE=1 it is built a second time from nothing and must come out the same. Its symbols come to build/symbols/<platform>:
# for debuggers, which find them by the build id. Built as the JAR ships it (feature full: TLS and compression, with a standard
# library of its own where rust-src can be had: scripts/native_env.sh); another
# list of features is given in FEATURES, none at all as FEATURES= for the size that is measured. A platform whose target cannot
# be had is skipped loudly; with STRICT=1
# that is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/natives
mkdir -p "$out"
skipped="" built="" refused=""
export FEATURES=${FEATURES-full,reserve}
. scripts/native_env.sh

say() { printf 'natives: %s\n' "$*"; }
skip() { say "SKIPPED $1: $2"; skipped="$skipped $1"; }

target_of() {
  case "$1" in
    linux-x86_64) echo x86_64-unknown-linux-gnu ;;
    linux-aarch64) echo aarch64-unknown-linux-gnu ;;
    windows-x86_64) echo x86_64-pc-windows-gnu ;;
    macos-aarch64) echo aarch64-apple-darwin ;;
    macos-x86_64) echo x86_64-apple-darwin ;;
    *) echo "natives: no platform $1" >&2; exit 2 ;;
  esac
}
file_of() {
  case "$1" in
    linux-*) echo libdata_pipeline.so ;;
    windows-*) echo data_pipeline.dll ;;
    macos-*) echo libdata_pipeline.dylib ;;
  esac
}
# The standard library of the target.
have_target() {
  rustup target list --installed 2> /dev/null | grep -qx "$1" && return
  say "installing the Rust target $1"
  rustup target add "$1" > /dev/null 2>&1
}

# LLVM's tool knows the formats of all platforms; Rust brings it along.
objcopy() {
  local root tool
  root=$(rustc --print sysroot)
  for tool in "$root"/lib/rustlib/*/bin/rust-objcopy; do
    if [ -x "$tool" ]; then
      LD_LIBRARY_PATH="$root/lib" "$tool" "$@"
      return
    fi
  done
  llvm-objcopy "$@"
}
# The library without its symbols, and a file of these.
split() { # PLATFORM BUILT TO
  mkdir -p "$3" "build/symbols/$1"
  local file=${2##*/}
  case "$1" in
    macos-*)
      # Its line numbers stay in the objects of the build; names are all there is.
      cp "$2" "build/symbols/$1/$file.symbols"
      objcopy --discard-all --strip-debug "$2" "$3/$file" ;;
    *)
      objcopy --only-keep-debug "$2" "build/symbols/$1/$file.debug"
      objcopy --strip-all "$2" "$3/$file" ;;
  esac
}

build() { # PLATFORM TARGET DIR
  local platform=$1 target=$2 dir=$3
  local -a cargo=(cargo rustc)
  case "$platform" in
    linux-aarch64)
      command -v aarch64-linux-gnu-gcc > /dev/null || scripts/setup.sh aarch64 || return 1
      export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc ;;
    windows-*)
      command -v x86_64-w64-mingw32-gcc > /dev/null || scripts/setup.sh mingw || return 1
      export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc ;;
    macos-*)
      [ -x build/zig/bin/cargo-zigbuild ] || scripts/setup.sh zig || return 1
      export PATH="$PWD/build/zig/bin:$PATH" MACOSX_DEPLOYMENT_TARGET=11.0 ZIG_GLOBAL_CACHE_DIR="$PWD/build/zig/cache"
      cargo=(cargo zigbuild rustc) ;;
  esac
  if [ "${cargo[1]}" = zigbuild ]; then cargo=(cargo-zigbuild rustc); fi
  if [ -n "$FEATURES" ]; then cargo+=(--features "$FEATURES"); fi
  export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only DATA_PIPELINE_SYMBOLS=1
  with_std "${cargo[@]}" --release --lib --quiet --crate-type cdylib --target "$target" --target-dir "$dir"
}

wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(linux-x86_64 linux-aarch64 windows-x86_64 macos-aarch64 macos-x86_64)
started=$(date +%s)
minutes() { printf '%d min %02d s' $((($(date +%s) - started) / 60)) $((($(date +%s) - started) % 60)); }
for platform in "${wanted[@]}"; do
  target=$(target_of "$platform")
  if ! have_target "$target"; then skip "$platform" "the Rust target $target could not be installed"; continue; fi
  file=$(file_of "$platform")
  say "$platform ($(minutes) since the start)"
  if ! (build "$platform" "$target" target/natives); then skip "$platform" "its linker could not be installed, or the build failed"; continue; fi
  split "$platform" "target/natives/$target/release/$file" "$out/$platform"
  python3 scripts/native_gate.py "$platform" "$out/$platform/$file" || { refused="$refused $platform"; continue; }
  if [ "${TWICE:-0}" = 1 ]; then
    rm -rf build/natives-again
    (build "$platform" "$target" build/natives-again)
    split "$platform" "build/natives-again/$target/release/$file" build/natives-again
    cmp "build/natives-again/$file" "$out/$platform/$file" || { say "$platform: two builds differ"; exit 1; }
    rm -rf build/natives-again
    say "$platform: two builds are the same bytes"
  fi
  built="$built $platform"
done
say "built:$built in $(minutes)${skipped:+; SKIPPED:$skipped}"
[ -z "$refused" ] || { say "REFUSED by the gate:$refused"; exit 1; }
[ -z "$skipped" ] || [ "${STRICT:-0}" != 1 ]
