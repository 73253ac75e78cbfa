#!/bin/sh
# Everything that is measured, then build/bench/results.json and what falls short of the bounds. usage: scripts/bench_all.sh
# Wants a quiet machine; the first run builds the reference's crates, which takes some minutes.
set -eu
cd "$(dirname "$0")/.."
# The generators need msgpack, which `scripts/setup.sh python` puts here and nowhere else.
[ -d build/venv ] && PATH="$PWD/build/venv/bin:$PATH"
payloads=build/bench/payloads
mkdir -p $payloads
# The generator that the bounds were set with, if it lies beside the project; else the repository's, which writes the same
# payloads and some more.
shared=../shared/tools
if [ -f $shared/gen_payloads.py ]; then
  echo "bench: the generator beside the project is there; the payloads that both write are compared"
  mkdir -p build/bench/shared
  [ -f build/bench/shared/index.json ] || python3 $shared/gen_payloads.py build/bench/shared > /dev/null
else
  echo "bench: ../shared is not there; payloads come from benches/gen_payloads.py alone"
fi
if [ ! -f $payloads/index.json ] || [ benches/gen_payloads.py -nt $payloads/index.json ]; then
  python3 benches/gen_payloads.py $payloads > /dev/null
fi
if [ -d build/bench/shared ]; then
  for file in build/bench/shared/*.msgpack; do
    cmp -s "$file" "$payloads/${file##*/}" || { echo "bench: ${file##*/} is not what the shared generator writes"; exit 1; }
  done
fi
scripts/bench.sh "$@"
python3 scripts/bench_agent.py
scripts/bench_java.sh
scripts/bench_clients.sh
python3 scripts/bench_join.py build/bench
if [ -f $shared/check_bench.py ]; then
  # Some bounds belong to work that is not done yet: what falls short is printed, and is no failure of the measurement.
  python3 $shared/check_bench.py || true
else
  echo "bench: ../shared is not there; the bounds are not checked"
fi
