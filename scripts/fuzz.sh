#!/bin/sh
# Fuzzing. usage: scripts/fuzz.sh [SECONDS] [TARGET...]      60 seconds, every target
# Installs a nightly Rust and cargo-fuzz where they are missing. The corpus (fuzz/corpus) starts from the captured payloads,
# hand-made ones and what was found before; what is found goes to fuzz/artifacts: minimise it (`cargo fuzz tmin`), put it into
# fuzz/regressions/TARGET and mend it. Exit 0 if nothing was found.
set -eu
cd "$(dirname "$0")/.."
seconds="${1:-60}"
[ $# -eq 0 ] || shift
targets="${*:-v04 v05 v1 stages v05_in v1_in texts regexes}"

rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
command -v cargo-fuzz > /dev/null || {
  echo "fuzz: installing cargo-fuzz"
  cargo install --quiet --locked cargo-fuzz
}

# Hand-made payloads, accepted and refused, written by the tests that hold them.
FUZZ_SEEDS="$PWD/fuzz/corpus/seeds" cargo test --quiet --test accepted --test malformed --test input -- --ignored writes_fuzz_seeds > /dev/null
found=""
for target in $targets; do
  corpus="fuzz/corpus/$target"
  mkdir -p "$corpus"
  seeds="tests/fixtures/traces/*/*.msgpack fuzz/corpus/seeds/*"
  case "$target" in
    *_in) seeds="fuzz/corpus/seeds_$target/*" ;;
    texts | regexes) seeds="" ;;
  esac
  for file in $seeds "fuzz/regressions/$target"/*; do
    [ -f "$file" ] || continue
    name="$(echo "$file" | tr '/' '_')"
    if [ "$target" = stages ]; then
      # The first byte chooses the stages.
      { printf '\037'; cat "$file"; } > "$corpus/$name"
    else
      cp "$file" "$corpus/$name"
    fi
  done
  echo "fuzz: $target for $seconds s"
  # 1 GiB holds the sanitizer's own shadow; one allocation of 64 MiB for 16 KiB of input would be a defect.
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len="${MAX_LEN:-16384}" -timeout=10 \
    -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1 -verbosity=0 || found="$found $target"
done
if [ -n "$found" ]; then
  echo "fuzz: found something in$found; see fuzz/artifacts"
  exit 1
fi
echo "fuzz: clean: $targets, $seconds s each"
