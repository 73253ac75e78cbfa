#!/bin/sh
# Instruction counts of the hot rows against benches/gate.txt. usage: scripts/gate.sh [--record]
# The harness is built as the library ships, in a folder of its own: an rlib beside the library in target/ would replace it
# by one without link-time optimisation.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh python3 valgrind
mkdir -p build/gate
if [ ! -f build/gate/payloads/index.json ] || [ benches/gen_payloads.py -nt build/gate/payloads/index.json ]; then
  python3 benches/gen_payloads.py build/gate/payloads > /dev/null
fi
# The toolchain's own standard library: the harness is a program with panics of its own.
OWN_STD=0
. scripts/native_env.sh
cargo build --quiet --profile bench --bench gate --no-default-features --target-dir build/gate/target
program=$(find build/gate/target/release/deps -name 'gate-*' -type f -perm -u+x -printf '%T@ %p\n' | sort -rn | head -1 | cut -d' ' -f2)
python3 scripts/gate.py "$@" "$program" build/gate/payloads
