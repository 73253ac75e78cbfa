#!/bin/sh
# The main job: builds the JAR, starts an agent, sends real traces from a Java program and shows what arrived.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh gradle
mkdir -p build
gradle --no-daemon -q jar testkitJar testClasses > build/demo-gradle.log 2>&1 || { cat build/demo-gradle.log; exit 1; }
version=$(sed -n 's/^version=//p' gradle.properties)
exec java -cp "build/libs/data-pipeline-$version.jar:build/libs/data-pipeline-testkit-$version.jar:build/classes/java/test" \
  com.datadog.pipeline.demo.Demo tests/fixtures
