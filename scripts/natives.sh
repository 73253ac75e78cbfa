#!/usr/bin/env bash
# The native library for every platform of the JAR: scripts/natives.sh [PLATFORM...]
#   linux-x86_64 linux-aarch64 windows-x86_64 macos-aarch64 macos-x86_64 (all without an argument)
# Leaves build/natives/<platform>/<file> and says what it installs. Each library passes scripts/native_gate.py; with
# TWICE=1 it is built a second time from nothing and must come out the same. Its symbols come to build/symbols/<platform>:
# for debuggers, which find them by the build id. Built as the JAR ships it (feature full: TLS and compression, with a standard
# library of its own where rust-src can be had: scripts/native_env.sh); another
# list of features is given in FEATURES, none at all as FEATURES= for the size that is measured. What is skipped, and what
# STRICT=1 does: scripts/platforms.sh, which has all that is not about Java.
set -euo pipefail
cd "$(dirname "$0")/.."
speaker=natives
export FEATURES=${FEATURES-full,reserve}
library=(--crate-type cdylib)
if [ -n "$FEATURES" ]; then library+=(--features "$FEATURES"); fi
. scripts/platforms.sh

place() { # PLATFORM FROM TO
  local file
  file=$(shared_of "$1" data_pipeline)
  split "$1" "$2/$file" "$3/$file"
}
check() { python3 scripts/native_gate.py "$1" "$2/$(shared_of "$1" data_pipeline)"; }

every_platform build/natives target/natives "$@"
