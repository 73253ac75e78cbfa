#!/bin/sh
# Formatting, clippy, documentation, rooms and their imports, generated lists, versions. Changes nothing.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh python3 maven
mkdir -p build
bad=0
fail() { echo "lint: $*"; bad=1; }

cargo fmt --check > /dev/null || fail "rustfmt: run cargo fmt"
cargo clippy --quiet --all-targets -- -D warnings || fail "clippy"
cargo clippy --quiet --lib --no-default-features --features capi -- -D warnings || fail "clippy for C"
# What only some features use must not be a warning for those who build without them.
cargo clippy --quiet --lib --no-default-features --features tls -- -D warnings || fail "clippy with TLS alone"

# The program that packs JARs is a crate of its own.
packer=scripts/repack/Cargo.toml
cargo fmt --manifest-path $packer --check > /dev/null || fail "rustfmt: run cargo fmt --manifest-path $packer"
cargo clippy --quiet --all-targets --locked --manifest-path $packer --target-dir target/repack -- -D warnings || fail "clippy of $packer"

# Everything that is made from the table of settings.
python3 scripts/settings --check || fail "settings"

# Documentation: no broken link, nothing public without a line. Links to what is private are for us, and allowed.
RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --quiet --no-deps || fail "cargo doc"
# The public Rust surface, which the page just written shows.
scripts/public_api.py || fail "public surface"

# Who may import whom (ARCHITECTURE.md), circles, long files, wide lines, comments about files that are gone.
scripts/rooms.py || fail "rooms"
# Formats are listed in src/format/list.rs; who works with payloads knows none by name.
hits=$(grep -nE '(Output|Input)Format::V|\bv(04|05|1)::' src/pipeline/*.rs src/convert.rs src/show.rs | grep -vE ':\s*//' || true)
[ -z "$hits" ] || fail "a format is named outside src/format: $hits"
hits=$(grep -rnE '\bunsafe\b' src --include='*.rs' | grep -vE '^src/(face|jni|capi)/|unsafe_code|unsafe_op|//' || true)
[ -z "$hits" ] || fail "unsafe outside face, jni and capi: $hits"

# One version everywhere; the error numbers of Java are those of Rust.
version=$(sed -n 's/^version=//p' gradle.properties)
grep -q "^version = \"$version\"" Cargo.toml || fail "Cargo.toml has another version than gradle.properties"
grep -q "VERSION = \"$version\"" java/src/main/java/com/datadog/pipeline/TraceExporter.java || fail "TraceExporter.VERSION differs"
rust=$(sed -nE 's/^    [A-Za-z]+ = ([0-9]+), "([A-Z_]+)";/\2 \1/p' src/error.rs | sort)
java=$(sed -nE 's/^  ([A-Z_]+)\(([0-9]+)\)[,;]/\1 \2/p' java/src/main/java/com/datadog/pipeline/ErrorCode.java | sort)
[ -n "$rust" ] && [ "$rust" = "$java" ] || fail "ErrorCode.java and error.rs differ"
rust=$(sed -nE 's/^    [A-Za-z]+ = "([a-z_]+)";/\1/p' src/account/mod.rs | tr a-z A-Z)
java=$(sed -nE 's/^  ([A-Z_]+),?$/\1/p' java/src/main/java/com/datadog/pipeline/DropReason.java)
[ -n "$rust" ] && [ "$rust" = "$java" ] || fail "DropReason.java and account/mod.rs differ"

# The headers for C are made from src/capi.
python3 scripts/headers.py --check || fail "headers"
# A script that has the name of a module of Python's own is what others there import in its place.
python3 -c 'import pathlib, sys; sys.exit(bool(sys.stdlib_module_names & {p.stem for p in pathlib.Path("scripts").iterdir()}))' ||
  fail "a script has the name of a module of Python"
# The numbers that cross to Java stand in one list.
scripts/face_numbers.py --check || fail "run scripts/face_numbers.py"

# Java: Google Java Format, if its JAR can be had; warnings are errors in the build.
format=build/google-java-format.jar
[ -f $format ] || mvn -q dependency:copy -Dartifact=com.google.googlejavaformat:google-java-format:1.24.0:jar:all-deps \
  -DoutputDirectory=build -Dmdep.stripVersion=true -Dmdep.stripClassifier=true 2> /dev/null || true
if [ -f $format ]; then
  opens=""
  for p in api code file parser tree util; do opens="$opens --add-exports=jdk.compiler/com.sun.tools.javac.$p=ALL-UNNAMED"; done
  # shellcheck disable=SC2086  # the exports are words
  changed=$(java $opens -jar $format --dry-run $(git ls-files 'java/*.java' 'examples/*.java' 'benches/*.java' | grep -v module-info) 2>&1) ||
    fail "google-java-format did not run"
  [ -z "$changed" ] || fail "google-java-format: $changed"
else
  echo "lint: google-java-format could not be fetched; Java formatting is not checked"
fi
for script in scripts/*.sh gradle/gradle8/*.sh .ci/run; do
  sh -n "$script" 2> /dev/null || bash -n "$script" || fail "$script"
done
if [ $bad = 0 ]; then echo "lint: clean"; fi
exit $bad
