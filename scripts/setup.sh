#!/bin/sh
# Finds or installs what the targets use, and says so. usage: scripts/setup.sh PART...
#   gradle   Gradle 4.4.1 or newer: the one on the PATH, else Debian's package
#   maven    Maven, which fetches single artifacts
#   python3  Python 3 alone
#   python   build/venv with msgpack and ddapm-test-agent
#   aarch64  the C compiler that links for Linux on arm64
#   mingw    the linker for Windows
#   zig      build/zig with cargo-zigbuild, the linker for macOS
#   jvms     JREs 8, 11, 17, 21, 25 in build/jvms
#   valgrind valgrind, for instruction counts and memory checks
#   rust-src the source of the standard library, for this toolchain; fails quietly where it cannot be had
set -eu
cd "$(dirname "$0")/.."

apt_install() {
  if [ "$(id -u)" != 0 ]; then
    echo "setup: please install $* (apt-get install $*)" >&2
    exit 1
  fi
  echo "setup: installing $*"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" > /dev/null
}

for part in "$@"; do
  case "$part" in
    gradle)
      command -v gradle > /dev/null || apt_install gradle
      ;;
    maven)
      command -v mvn > /dev/null || apt_install maven
      ;;
    valgrind)
      command -v valgrind > /dev/null || apt_install valgrind
      ;;
    python3)
      command -v python3 > /dev/null || apt_install python3
      ;;
    python)
      command -v python3 > /dev/null || apt_install python3
      if [ ! -x build/venv/bin/ddapm-test-agent ]; then
        echo "setup: Python packages in build/venv"
        mkdir -p build
        python3 -m venv build/venv 2> /dev/null || { apt_install python3-venv && python3 -m venv build/venv; }
        build/venv/bin/pip install -q --disable-pip-version-check ddapm-test-agent==1.69.1 msgpack requests
      fi
      ;;
    aarch64)
      command -v aarch64-linux-gnu-gcc > /dev/null || apt_install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
      ;;
    mingw)
      command -v x86_64-w64-mingw32-gcc > /dev/null || apt_install gcc-mingw-w64-x86-64-win32
      ;;
    zig)
      if [ ! -x build/zig/bin/cargo-zigbuild ]; then
        echo "setup: zig and cargo-zigbuild in build/zig"
        mkdir -p build
        python3 -m venv build/zig
        build/zig/bin/pip install -q --disable-pip-version-check ziglang==0.17.1 cargo-zigbuild==0.24.1
      fi
      ;;
    rust-src)
      source=$(rustc --print sysroot)/lib/rustlib/src/rust/library/std
      # What could not be had is not asked for again for an hour.
      if [ ! -d "$source" ] && [ -z "$(find build/rust-src-absent -mmin -60 2> /dev/null)" ]; then
        echo "setup: rust-src, the source of Rust's standard library" >&2
        timeout 120 rustup component add rust-src > /dev/null 2>&1 || { mkdir -p build && touch build/rust-src-absent; }
      fi
      [ -d "$source" ] || exit 1
      ;;
    jvms)
      command -v patchelf > /dev/null || apt_install patchelf
      scripts/jvms.sh build/jvms
      ;;
    *) echo "setup: no part $part" >&2; exit 2 ;;
  esac
done
