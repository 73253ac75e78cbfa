#!/bin/sh
# End to end against Datadog's own test agent with its checks on: the JAR's `send` over TCP and over a Unix socket, in every
# format. The agent is stricter than the real one about text (no nil, no binary, UTF-8 only), so payloads with that are left out.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version=//p' gradle.properties)
mkdir -p build
[ -f "build/libs/data-pipeline-$version.jar" ] ||
  gradle --no-daemon -q jar > build/test-agent.log 2>&1 || { cat build/test-agent.log; exit 1; }
export JAR="build/libs/data-pipeline-$version.jar"
exec python3 scripts/with_test_agent.py sh -c '
  files=$(ls tests/fixtures/traces/java/*.msgpack tests/fixtures/traces/python/*.msgpack tests/fixtures/traces/rust/*.msgpack)
  for url in "$TEST_AGENT_URL" "unix://$TEST_AGENT_SOCKET"; do
    for format in v0.4 v0.5 v1; do
      java -jar "$JAR" send --url "$url" --format $format $files > build/test-agent.log 2>&1 || { cat build/test-agent.log; exit 1; }
      echo "$format over ${url%%:*}: $(tail -1 build/test-agent.log)"
    done
  done
  cargo test --quiet --test test_agent -- stats telemetry --nocapture > build/test-agent.log 2>&1 || { cat build/test-agent.log; exit 1; }
  grep -E "hits|left out" build/test-agent.log || { echo "the test of stats was not run"; exit 1; }
  grep -E "events of telemetry|left out" build/test-agent.log || { echo "the test of telemetry was not run"; exit 1; }'
