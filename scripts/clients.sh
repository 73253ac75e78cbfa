#!/usr/bin/env bash
# Published tracers, unmodified, through the bridge, with JREs of build/jvms.
# usage: scripts/clients.sh [--short | --stats | --first PAIRS] [--jvm N]... [--case NAME]... [TRACER-VERSION...]
# --short: the newest tracer on Java 17, three cases. --stats: native stats against the tracer's own, group by group.
# --first: when the first 100 spans of an application arrive, with the bridge and stock in turn.
# Without these also toward ddapm-test-agent and, with Go, a real trace-agent in process.
# Without --jvm: the newest tracer on all five, the others on 8, 17, 21 and 25. Some minutes a tracer and JVM.
# Needs Maven for the tracers (30 MB each) and build/venv. What cannot be had says so and counts as skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh gradle maven python jvms || exit 1
gradle --no-daemon -q bridgeJar || exit 1
version=$(sed -n 's/^version=//p' gradle.properties)
bridge=build/libs/data-pipeline-bridge-$version.jar
dir=build/clients
source=java/integrations/dd-trace-java
mkdir -p "$dir/app"
javac --release 8 -Xlint:-options -d "$dir/app" -sourcepath $source/test/app $source/test/app/*.java \
  $source/test/app/closed/common/writer/ddagent/DDAgentApi.java || exit 1
options=() tracers=() chosen=""
while [ $# -gt 0 ]; do
  case $1 in
    --short)
      options+=(--case "bridge first" --case extension --case "library missing")
      chosen=17
      tracers=(1.68.1)
      ;;
    --stats) options+=(--stats) chosen=${chosen:-17} ;;
    --first) options+=(--first "$2") chosen=${chosen:-17}; export START_MS=${START_MS:-0}; shift ;;
    --jvm) chosen="$chosen $2"; shift ;;
    --case) options+=(--case "$2"); shift ;;
    *) tracers+=("$1") ;;
  esac
  shift
done
[ ${#tracers[@]} -gt 0 ] || tracers=(1.68.1 1.45.2 1.30.1)

fetch() { # GROUP:NAME:VERSION
  name=${1#*:}
  [ -f "$dir/${name/:/-}.jar" ] || mvn -q dependency:copy "-Dartifact=$1" "-DoutputDirectory=$dir" > /dev/null 2>&1
}
if ! fetch com.h2database:h2:2.1.214; then
  echo "clients: SKIPPED, H2 could not be fetched"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi

# A copy of the bridge whose methods fail on request: each begins with a question to Faults.
faulty=$dir/faulty.jar
steps='send|endpoint|url|wantsStats|computesStats|traces|droppedTraces|droppedSpans|write|succeeded|count|rates|headers'
steps="$steps|config|discover|exporter|build|header"
begins="^  ((synchronized|private|private static) )?([A-Za-z][][A-Za-z<>]*) ($steps)\\("
if [ ! -f $faulty ] || [ "$bridge" -nt $faulty ]; then
  rm -rf $dir/faulty && mkdir -p $dir/faulty/src $dir/faulty/classes
  for class in Senders Tracer; do
    sed -E "s/com\.datadog\.pipeline\./com.datadog.bridge.pipeline./; s/$begins/  \/* \4 *\/&/" \
      "$source/java/com/datadog/bridge/$class.java" |
      awk '/^  \/\* [a-zA-Z]+ \*\// { step = $2 }
        { print }
        step && /\{$/ { print "    Faults.at(\"" step "\");"; step = "" }' > "$dir/faulty/src/$class.java"
  done
  cp "$bridge" $faulty.new
  javac --release 8 -Xlint:-options -cp "$bridge" -d $dir/faulty/classes $dir/faulty/src/*.java \
    $source/test/faults/Faults.java &&
    (cd $dir/faulty/classes && jar uf ../../faulty.jar.new com) && mv $faulty.new $faulty || exit 1
fi

# A real trace-agent in process, where there is Go.
agent=$PWD/build/oracle/agent
if [ ${#options[@]} -eq 0 ] && command -v go > /dev/null; then
  mkdir -p build/oracle && (cd tests/oracle/go/agent && CGO_ENABLED=0 go build -o "$agent" .)
fi

passed=0 failed=0 skipped=0
for tracer in "${tracers[@]}"; do
  if ! fetch "com.datadoghq:dd-java-agent:$tracer"; then
    echo "clients: SKIPPED tracer $tracer: it could not be fetched"
    skipped=$((skipped + 1))
    continue
  fi
  jvms=$chosen
  [ -n "$jvms" ] || { jvms="8 11 17 21 25"; [ "$tracer" = 1.68.1 ] || jvms="8 17 21 25"; }
  for jvm in $jvms; do
    echo "== tracer $tracer on Java $jvm"
    code=0
    build/venv/bin/python scripts/clients.py "$bridge" "$dir/dd-java-agent-$tracer.jar" \
      "$dir/app:$dir/h2-2.1.214.jar" --java "build/jvms/$jvm/bin/java" --faults $faulty \
      ${options[@]+"${options[@]}"} || code=$?
    case $code in
      0) passed=$((passed + 1)) ;;
      77) skipped=$((skipped + 1)); continue ;;
      *) failed=$((failed + 1)) ;;
    esac
    # The whole rerun goes to agents that we did not write, too.
    [ ${#options[@]} -eq 0 ] || continue
    ORACLE_AGENT=$agent scripts/with_test_agent.py build/venv/bin/python scripts/clients_agents.py "$bridge" \
      "$dir/dd-java-agent-$tracer.jar" "$dir/app:$dir/h2-2.1.214.jar" --java "build/jvms/$jvm/bin/java" ||
      failed=$((failed + 1))
  done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
