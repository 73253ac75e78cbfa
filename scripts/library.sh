#!/bin/sh
# The native library of this machine, for the JAR. usage: scripts/library.sh PROFILE FEATURES TO
#   PROFILE   release, or dev: a quick library
#   FEATURES  what is built in beside the bare library, with commas; may be empty
# Called by Gradle (gradle/cargo.gradle), which knows where it goes. scripts/natives.sh builds those of all platforms.
set -eu
cd "$(dirname "$0")/.."
profile=$1 features=$2 to=$3
target=$(rustc -vV | sed -n 's/^host: //p')
dir=${CARGO_TARGET_DIR:-target}/library
out=$profile
if [ "$profile" = dev ]; then
  out=debug OWN_STD=0
fi
. scripts/native_env.sh
# One crate type: with an rlib beside it cargo builds without link-time optimisation, 0.2 MB larger and slower.
with_std cargo rustc --quiet --lib --crate-type cdylib --profile "$profile" ${features:+--features "$features"} \
  --target "$target" --target-dir "$dir"
cp "$dir/$target/$out/${to##*/}" "$to"
