#!/bin/sh
# The crate as crates.io would have it. usage: scripts/crate.sh [PART...]
#   package  `cargo package`: the file holds all that the crate needs, and builds by itself
#   oldest   what was unpacked from that file, under the Rust that Cargo.toml names as the oldest (rust-version), with
#            every set of features that somebody builds
#   semver   the public surface against the last tagged version: no name is gone (Rust, Java, C), and cargo-semver-checks,
#            where it is there, compares the types
# What cannot be had on this machine is skipped, and said to be.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
target=${CARGO_TARGET_DIR:-target}
unpacked=$target/package/data-pipeline-$version
passed=0

# A tree with changes is packaged as it lies here; who publishes does so from a clean one.
package() {
  cargo package --quiet --allow-dirty
  passed=$((passed + 1))
  echo "crate: the package of $version builds from its own file ($(wc -c < "$unpacked.crate") bytes)"
}

under() { rustup run "$oldest" "$@"; }
oldest() {
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
}

semver() {
  before=$(git tag --list 'v*' --sort=-v:refname 2> /dev/null | head -1)
  if [ -z "$before" ]; then
    echo "crate: semver SKIPPED: no version is tagged yet, so there is none to compare with"
    return
  fi
  names "$before"
  if cargo semver-checks --version > /dev/null 2>&1; then
    # The features that somebody builds for Rust; `parts` shows rooms that no version promises.
    cargo semver-checks --baseline-rev "$before" --only-explicit-features --features full,webpki-roots
    passed=$((passed + 1))
    echo "crate: the surface is what $before and the version number promise"
  else
    echo "crate: semver of types SKIPPED: cargo-semver-checks is not there (cargo install --locked cargo-semver-checks)"
  fi
}

# Names that are gone: only a new major version may do that, before 1.0 a new minor one.
names() { # TAG
  was=${1#v} work=$(mktemp -d)
  for list in docs/public_api.txt docs/java_api.txt native/exports-c.txt; do
    git show "$1:$list" 2> /dev/null | grep -v '^#' | sort > "$work/before" || true
    grep -v '^#' "$list" | sort > "$work/now"
    comm -23 "$work/before" "$work/now" | sed "s|^|$list: |" >> "$work/gone"
  done
  gone=$(cat "$work/gone")
  rm -rf "$work"
  if [ -n "$gone" ] && [ "$(compatible "$was")" = "$(compatible "$version")" ]; then
    echo "crate: $version promises what $1 has, and these are gone or changed:"
    echo "$gone"
    exit 1
  fi
  passed=$((passed + 1))
  echo "crate: every name of $1 is still there${gone:+, but for what the new version number announces}"
}
compatible() { case "$1" in 0.*) echo "$1" | cut -d. -f1,2 ;; *) echo "$1" | cut -d. -f1 ;; esac; }

for part in ${*:-package oldest semver}; do
  case "$part" in
    package | oldest | semver) "$part" ;;
    *) echo "crate: no part $part" >&2; exit 2 ;;
  esac
done
echo "crate: $passed passed"
