#!/bin/sh
# Builds the JAR twice; the second time from nothing but the native library. The two must be byte-identical.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version=//p' gradle.properties)
jar=build/libs/data-pipeline-$version.jar
first=$(sha256sum < "$jar")
rm -rf build/libs build/classes build/native-resources build/tmp
gradle --no-daemon -q jar 2> /dev/null
[ "$first" = "$(sha256sum < "$jar")" ] || { echo "two builds of $jar differ"; exit 1; }
echo "two builds of $jar are identical"
