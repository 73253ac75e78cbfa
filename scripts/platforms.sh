# shellcheck shell=bash
# A library for each of our platforms, whatever face it has; sourced by natives.sh (Java) and capi.sh (C) in the root of the
# checkout. Who sources it says
#   speaker        who speaks
#   library        words for cargo: --crate-type …, --no-default-features …
#   place          a function of PLATFORM FROM TO: what cargo left in FROM becomes, in TO, what is shipped
#   check          a function of PLATFORM DIR: whether what is there may be shipped, by scripts/native_gate.py
# and calls every_platform. A platform whose target or linker cannot be had is skipped loudly; with STRICT=1 that is an error.
# With TWICE=1 each is built a second time from nothing and must come out the same. FEATURES is what is built in. As many are
# built at once as there are cores, four at most, since the optimizer of each uses one; JOBS=1 builds one after the other.
every="linux-x86_64 linux-aarch64 windows-x86_64 macos-aarch64 macos-x86_64"

say() { printf '%s: %s\n' "$speaker" "$*"; }

target_of() {
  case "$1" in
    linux-x86_64) echo x86_64-unknown-linux-gnu ;;
    linux-aarch64) echo aarch64-unknown-linux-gnu ;;
    windows-x86_64) echo x86_64-pc-windows-gnu ;;
    macos-aarch64) echo aarch64-apple-darwin ;;
    macos-x86_64) echo x86_64-apple-darwin ;;
    *) echo "$speaker: no platform $1" >&2; exit 2 ;;
  esac
}
# The file name of a shared library.
shared_of() { # PLATFORM STEM
  case "$1" in
    linux-*) echo "lib$2.so" ;;
    windows-*) echo "$2.dll" ;;
    macos-*) echo "lib$2.dylib" ;;
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
# The library without its symbols, and a file of these in build/symbols/<platform>: for debuggers, which find it by the build id.
split() { # PLATFORM BUILT TO
  local symbols=build/symbols/$1/${3##*/}
  mkdir -p "${3%/*}" "${symbols%/*}"
  case "$1" in
    macos-*)
      # Its line numbers stay in the objects of the build; names are all there is.
      cp "$2" "$symbols.symbols"
      objcopy --discard-all --strip-debug "$2" "$3" ;;
    *)
      objcopy --only-keep-debug "$2" "$symbols.debug"
      objcopy --strip-all "$2" "$3" ;;
  esac
}

# What a build of this platform needs beside Rust is there, or is installed now.
have_linker() { # PLATFORM
  case "$1" in
    linux-aarch64) command -v aarch64-linux-gnu-gcc > /dev/null || scripts/setup.sh aarch64 ;;
    windows-*) command -v x86_64-w64-mingw32-gcc > /dev/null || scripts/setup.sh mingw ;;
    macos-*) [ -x build/zig/bin/cargo-zigbuild ] || scripts/setup.sh zig ;;
  esac
}

build_for() { # PLATFORM TARGET DIR
  local platform=$1 target=$2 dir=$3
  local -a cargo=(cargo rustc)
  case "$platform" in
    linux-aarch64) export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc ;;
    windows-*) export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc ;;
    macos-*)
      export PATH="$PWD/build/zig/bin:$PATH" MACOSX_DEPLOYMENT_TARGET=11.0 ZIG_GLOBAL_CACHE_DIR="$PWD/build/zig/cache"
      cargo=(cargo-zigbuild rustc) ;;
  esac
  export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only DATA_PIPELINE_SYMBOLS=1
  with_std "${cargo[@]}" --release --lib --quiet "${library[@]}" --target "$target" --target-dir "$dir"
}

# Builds one, and leaves how it went in the file STATE: built, skipped or refused, and why.
one_platform() { # PLATFORM OUT TARGET-DIR STATE
  local platform=$1 out=$2 dir=$3 state=$4 target again=build/$speaker-again/$1
  target=$(target_of "$platform")
  if ! (build_for "$platform" "$target" "$dir"); then
    say "$platform: the build failed"
    echo "skipped the build failed" > "$state"
    return
  fi
  rm -rf "${out:?}/$platform"
  echo refused > "$state"
  place "$platform" "$dir/$target/release" "$out/$platform"
  check "$platform" "$out/$platform" || return 0
  if [ "${TWICE:-0}" = 1 ]; then
    rm -rf "$again"
    (build_for "$platform" "$target" "$again/target")
    place "$platform" "$again/target/$target/release" "$again/$platform"
    diff -r "$again/$platform" "$out/$platform" || { say "$platform: two builds differ"; return 0; }
    rm -rf "$again"
    say "$platform: two builds are the same bytes"
  fi
  echo built > "$state"
}

every_platform() { # OUT TARGET-DIR [PLATFORM...]
  local out=$1 dir=$2 platform work jobs started skipped="" built="" refused="" word why
  started=$(date +%s)
  minutes() { printf '%d min %02d s' $((($(date +%s) - started) / 60)) $((($(date +%s) - started) % 60)); }
  shift 2
  # shellcheck disable=SC2086  # words
  [ $# -gt 0 ] || set -- $every
  work=$(mktemp -d)
  for platform; do target_of "$platform" > /dev/null; done
  # One after the other: what installs may not be run twice at once.
  for platform; do
    if ! have_target "$(target_of "$platform")"; then
      echo "skipped the Rust target $(target_of "$platform") could not be installed" > "$work/$platform"
    elif ! have_linker "$platform"; then
      echo "skipped its linker could not be installed" > "$work/$platform"
    fi
  done
  . scripts/native_env.sh
  # Takes what nobody has taken yet. (The shell of macOS cannot wait for whoever is first.)
  worker() {
    for platform; do
      if [ ! -s "$work/$platform" ] && mkdir "$work/$platform.taken" 2> /dev/null; then
        say "$platform ($(minutes) since the start)"
        one_platform "$platform" "$out" "$dir/$platform" "$work/$platform"
      fi
    done
  }
  jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)}
  [ "$jobs" -le 4 ] || jobs=4
  while [ "$jobs" -gt 0 ]; do
    worker "$@" &
    jobs=$((jobs - 1))
  done
  wait
  for platform; do
    read -r word why < "$work/$platform" || word=refused
    case "$word" in
      built) built="$built $platform" ;;
      skipped)
        say "SKIPPED $platform: $why"
        skipped="$skipped $platform" ;;
      *) refused="$refused $platform" ;;
    esac
  done
  rm -rf "$work"
  say "built:$built in $(minutes)${skipped:+; SKIPPED:$skipped}"
  [ -z "$refused" ] || { say "REFUSED by the gate:$refused"; exit 1; }
  [ -z "$skipped" ] || [ "${STRICT:-0}" != 1 ]
}
