#!/bin/sh
# Projects that depend on what we publish: scripts/consumers.sh [PROJECT...] of examples/consumers. Publishes to build/m2 first,
# unless KEEP_PUBLISHED=1 says that it is there. Without a name: those that need no libraries of other platforms.
set -eu
cd "$(dirname "$0")/.."
repository=$PWD/build/m2
work=$PWD/build/consumers
mkdir -p "$work"
passed=0
skipped=0

if [ "${KEEP_PUBLISHED:-0}" != 1 ]; then
  # shellcheck disable=SC2086  # options are words
  gradle --no-daemon -q publishToMavenLocal ${PUBLISH_OPTIONS:-} "-Dmaven.repo.local=$repository" > "$work/publish.log" 2>&1 ||
    { cat "$work/publish.log"; exit 1; }
fi

consume() { # NAME COMMAND...   the command must say that a trace arrived
  name=$1
  shift
  "$@" > "$work/$name.log" 2>&1 || { tail -40 "$work/$name.log"; echo "consumers: $name failed"; exit 1; }
  grep 'arrived through ' "$work/$name.log" || { tail -40 "$work/$name.log"; echo "consumers: nothing arrived with $name"; exit 1; }
  passed=$((passed + 1))
}
skip() { echo "consumers: SKIPPED $1"; skipped=$((skipped + 1)); }
copied() { # PROJECT   a copy, so that nothing is written into the sources
  rm -rf "${work:?}/$1"
  mkdir -p "$work/$1"
  cp -R "examples/consumers/app" "$work/"
  cp -R "examples/consumers/$1/." "$work/$1"
}
maven() { # PROJECT GOAL...
  project=$1
  shift
  mvn -q -B -Dstyle.color=never -f "$work/$project/pom.xml" "-Dmaven.repo.local=$repository" "$@"
}
run_maven() { # PROJECT   its classes with its dependencies
  maven "$1" compile org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath "-Dmdep.outputFile=$work/$1.path" &&
    java -cp "$work/$1/target/classes:$(cat "$work/$1.path")" consumer.Main
}
run_packaged() { # PROJECT   its JAR alone
  maven "$1" package && java -jar "$work/$1/target/consumer-1.jar"
}

for project in ${*:-gradle gradle-bom gradle-kotlin-dsl maven maven-shaded}; do
  copied "$project"
  case "$project" in
    gradle) consume "$project" gradle --no-daemon -q -p "$work/gradle" "-Prepository=$repository" consume ;;
    gradle-bom)
      consume "$project" gradle/gradle8/gradle8.sh -q -p "$work/gradle-bom" "-Prepository=$repository" --warning-mode fail consume
      ;;
    gradle-kotlin-dsl)
      # Debian's Gradle has no Kotlin DSL.
      if ls "$(dirname "$(readlink -f "$(command -v gradle)")")"/../lib/gradle-kotlin-dsl-[0-9]*.jar > /dev/null 2>&1; then
        consume "$project" gradle --no-daemon -q -p "$work/gradle-kotlin-dsl" "-Prepository=$repository" consume
      else
        skip "$project: this Gradle has no Kotlin DSL"
      fi
      ;;
    maven | maven-classifier) consume "$project" run_maven "$project" ;;
    maven-shaded) consume "$project" run_packaged "$project" ;;
    spring-boot) consume "$project" run_packaged "$project" ;;
    *) echo "consumers: no project $project" >&2; exit 2 ;;
  esac
done
echo "consumers: $passed passed, 0 failed, $skipped skipped"
