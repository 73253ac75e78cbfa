#!/bin/sh
# Our answers beside those of code that we did not write. usage: scripts/oracle.sh PART...      none = all
#   (rust telemetry otlp otel agent stats singles rules regexes)
#   rust   differential tests against the libdd crates, on generated payloads and the captured ones: scan, stats, every format
#   otlp   our OTLP as others read it, the captured payloads and generated ones (ORACLE_SEED): OpenTelemetry's own classes for
#          Python (build/venv) and Java, the OTLP receiver of a real trace-agent (Go), and the OpenTelemetry Collector's
#          receiver, plain, compressed, under TLS (OTLP_PEER names the program, else it is built from
#          ../shared/tools/otlp-peer; Go). What is not there is said and left out.
#   otel   generated OpenTelemetry spans (20,000 cases; ORACLE_SEED, ORACLE_CASES) by the agent's OTLP receiver and by our
#          exporter for OpenTelemetry: every field of every span; and 2,000 of them through either as they leave a real agent.
#          Needs Go and a JDK.
#   telemetry  a message of instrumentation telemetry beside that of libdd-telemetry, of the same numbers: headers and JSON.
#   agent  the captured payloads, and 200 generated ones (ORACLE_SEED), through a real trace-agent: as captured, and as our v0.4, v0.5 and v1.0. Needs Go 1.26
#          and the Go module proxy; without Go it says so and is left out.
#   stats  stats of the same payloads by the agent's concentrator and by us, and what a real agent forwards of ours. Needs Go.
#   singles  2,000 odd single spans (ORACLE_SEED, ORACLE_SPANS) by the agent's concentrator and by us: how many are equal, also
#          into docs/fidelity.md. Needs Go.
#   rules  generated texts and spans (20,000 SQL statements, 5,000 of every other kind; ORACLE_SEED, ORACLE_SHARE in percent)
#          through the agent's own packages, through ours, and through the reference's crates: the table of docs/fidelity.md.
#          Needs Go.
#   regexes  patterns and texts (ORACLE_SEED) through Go's regexp and through ours. Needs Go.
# The first build of each takes a minute or so. Exit 0 if nothing differs but what the tests name.
set -eu
cd "$(dirname "$0")/.."
asked="${*:-rust telemetry otlp otel agent stats singles rules regexes}"
failed=""
manifest=tests/oracle/Cargo.toml
target="${CARGO_TARGET_DIR:-tests/oracle/target}"

# Whether there is Go, for a part that cannot do without.
has_go() {
  mkdir -p build/oracle
  command -v go > /dev/null || { echo "oracle: $1 left out, there is no Go on this machine"; return 1; }
}

build_agent() {
  (cd tests/oracle/go/agent && CGO_ENABLED=0 go build -o ../../../../build/oracle/agent .)
}

for part in $asked; do
  case "$part" in
    rust)
      cargo test --quiet --manifest-path $manifest || failed="$failed rust"
      ;;
    telemetry)
      cargo run --quiet --manifest-path tests/oracle/telemetry/Cargo.toml || failed="$failed telemetry"
      ;;
    otlp)
      mkdir -p build/oracle
      scripts/setup.sh python
      cargo build --quiet --manifest-path $manifest --bins
      rm -rf build/oracle/generated
      "$target/debug/generate" build/oracle/generated 500 "${ORACLE_SEED:-0}"
      in_java=""
      if scripts/setup.sh maven && mvn -q -f tests/oracle/java dependency:copy-dependencies \
        -DoutputDirectory="$PWD/build/oracle/java" > build/oracle/java.log 2>&1 &&
        javac -d build/oracle/java -cp 'build/oracle/java/*' tests/oracle/java/OtlpProtos.java; then
        in_java="--java build/oracle/java:build/oracle/java/*"
      else
        echo "oracle: OpenTelemetry's classes for Java left out, they could not be fetched or used"
      fi
      for more in "" "--payloads build/oracle/generated"; do
        # shellcheck disable=SC2086
        (set -f && build/venv/bin/python tests/oracle/otlp_protos.py "$target/debug/convert" $in_java $more) ||
          failed="$failed otlp-protos"
      done
      if ! command -v go > /dev/null; then
        echo "oracle: the agent and the collector left out, there is no Go on this machine"
        continue
      fi
      build_agent
      for more in "" "--payloads build/oracle/generated"; do
        # shellcheck disable=SC2086
        python3 tests/oracle/otlp_compare.py build/oracle/agent "$target/debug/convert" $more || failed="$failed otlp-agent"
      done
      peer="${OTLP_PEER:-$PWD/build/oracle/otlppeer}"
      source=../shared/tools/otlp-peer
      [ -x "$peer" ] || [ ! -d $source ] || (cd $source && CGO_ENABLED=0 go build -o "$peer" .)
      if [ -x "$peer" ]; then
        OTLP_PEER="$peer" cargo test --quiet --features full --test otlp_peer || failed="$failed otlp-collector"
      else
        echo "oracle: the collector left out, OTLP_PEER names no receiver"
      fi
      ;;
    otel)
      has_go otel || continue
      scripts/setup.sh gradle
      build_agent
      python3 tests/oracle/otel_cases.py "${ORACLE_SEED:-0}" "${ORACLE_CASES:-20000}" > build/oracle/otel-cases.jsonl
      build/oracle/agent mapping < build/oracle/otel-cases.jsonl > build/oracle/otel.jsonl
      gradle --no-daemon -q -PotelCases=build/oracle/otel.jsonl opentelemetryTest || failed="$failed otel"
      head -2000 build/oracle/otel.jsonl > build/oracle/otel-first.jsonl
      python3 tests/oracle/otel_delivery.py build/oracle/agent build/oracle/otel-first.jsonl || failed="$failed otel-delivery"
      ;;
    agent)
      has_go agent || continue
      build_agent
      cargo build --quiet --manifest-path $manifest --bins
      python3 tests/oracle/agent_compare.py build/oracle/agent "$target/debug/convert" || failed="$failed agent"
      rm -rf build/oracle/generated
      "$target/debug/generate" build/oracle/generated 200 "${ORACLE_SEED:-0}"
      python3 tests/oracle/agent_compare.py build/oracle/agent "$target/debug/convert" \
        --payloads build/oracle/generated || failed="$failed agent-generated"
      for more in "" "--payloads build/oracle/generated"; do
        # shellcheck disable=SC2086
        python3 tests/oracle/agent_compare.py build/oracle/agent "$target/debug/convert" --rules $more || failed="$failed agent-rules"
      done
      ;;
    stats)
      has_go stats || continue
      build_agent
      cargo build --quiet --manifest-path $manifest --bins
      "$target/debug/generate" build/oracle/generated 200 "${ORACLE_SEED:-0}"
      python3 tests/oracle/stats_compare.py build/oracle/agent "$target/debug/stats" "$target/debug/deliver" \
        --payloads build/oracle/generated || failed="$failed stats"
      ;;
    singles)
      has_go singles || continue
      (cd tests/oracle/go && CGO_ENABLED=0 go build -o ../../../build/oracle/rules-stats ./stats)
      cargo build --quiet --example vectors
      python3 tests/oracle/stats_singles.py "${CARGO_TARGET_DIR:-target}/debug/examples/vectors" build/oracle/rules-stats \
        --docs docs/fidelity.md --seed "${ORACLE_SEED:-7}" --count "${ORACLE_SPANS:-2000}" || failed="$failed singles"
      ;;
    regexes)
      has_go regexes || continue
      (cd tests/oracle/go && CGO_ENABLED=0 go build -o ../../../build/oracle/regexes ./regexes)
      build/oracle/regexes "${ORACLE_SEED:-7}" 40000 > build/oracle/regexes.jsonl
      REGEX_ANSWERS=build/oracle/regexes.jsonl cargo test --quiet --test regexes patterns_mean || failed="$failed regexes"
      ;;
    rules)
      has_go rules || continue
      for program in . rules spans; do
        (cd tests/oracle/go && CGO_ENABLED=0 go build -o "../../../build/oracle/rules-$(basename "$program" | tr . q)" "./$program")
      done
      cargo build --quiet --manifest-path $manifest --bins
      cargo build --quiet --example vectors
      python3 tests/oracle/fidelity.py "${CARGO_TARGET_DIR:-target}/debug/examples/vectors" "$target/debug/libdd_answers" \
        build/oracle/rules-q build/oracle/rules-rules build/oracle/rules-spans --docs docs/fidelity.md \
        --seed "${ORACLE_SEED:-7}" --share "${ORACLE_SHARE:-100}" || failed="$failed rules"
      ;;
    *) echo "oracle: no part $part (rust, telemetry, otlp, otel, agent, stats, singles, rules, regexes)" >&2; exit 2 ;;
  esac
done
if [ -n "$failed" ]; then
  echo "oracle: failed:$failed"
  exit 1
fi
echo "oracle: passed: $asked"
