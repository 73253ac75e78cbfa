#!/bin/sh
# The crate as crates.io would have it. usage: scripts/crate.sh
#   package  `cargo package`: the file holds all that the crate needs, and builds by itself
#   oldest   what was unpacked from that file, under the Rust that Cargo.toml names as the oldest (rust-version), with
#            every set of features that somebody builds
#   semver   the public surface against the last tagged version, by cargo-semver-checks
# What cannot be had on this machine is skipped, and said to be.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
target=${CARGO_TARGET_DIR:-target}
unpacked=$target/package/data-pipeline-$version
passed=0

# A tree with changes is packaged as it lies here; who publishes does so from a clean one.
cargo package --quiet --allow-dirty
passed=$((passed + 1))
echo "crate: the package of $version builds from its own file ($(wc -c < "$unpacked.crate") bytes)"

under() { rustup run "$oldest" "$@"; }
if under rustc --version > /dev/null 2>&1 || rustup toolchain install "$oldest" --profile minimal > /dev/null 2>&1; then
  for features in "" "--all-features" "--no-default-features" "--no-default-features --features capi,reserve" \
    "--no-default-features --features full,webpki-roots"; do
    # shellcheck disable=SC2086  # words
    under cargo check --quiet --manifest-path "$unpacked/Cargo.toml" --target-dir "$target/oldest" $features
    passed=$((passed + 1))
  done
  echo "crate: $(under rustc --version) builds it with every set of features"
else
  echo "crate: oldest SKIPPED: Rust $oldest is not there, and could not be fetched"
fi

before=$(git tag --list 'v*' --sort=-v:refname 2> /dev/null | head -1)
if [ -z "$before" ]; then
  echo "crate: semver SKIPPED: no version is tagged yet, so there is none to compare with"
elif cargo semver-checks --version > /dev/null 2>&1; then
  cargo semver-checks --baseline-rev "$before"
  passed=$((passed + 1))
  echo "crate: the surface is what $before and the version number promise"
else
  echo "crate: semver SKIPPED: cargo-semver-checks is not there (cargo install cargo-semver-checks)"
fi
echo "crate: $passed passed"
