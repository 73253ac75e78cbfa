#!/bin/sh
# Everything that must be green. Sets itself up; a line says what each part does. Parts may be named: scripts/test.sh rust java
# What a program prints is for people: its exit status decides, and the first part that fails ends the run.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
parts="${*:-scripts report rust crate c gate java jvms gradle8 consumers clients testagent}"
passed=0
mkdir -p build
# The same cases every time; a run of one's own choice: PROPTEST_RNG_SEED=... scripts/test.sh rust
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261123}"

say() { printf '\n== %s (%s s)\n' "$*" "$(($(date +%s) - started))"; }

# Runs a command with its output in build/NAME.log; shows the log when the command fails, and ends the run.
logged() { # NAME COMMAND...
  log=build/$1.log
  shift
  "$@" > "$log" 2>&1 || {
    status=$?
    grep -nE 'panicked|FAILED|^error|^failures|WARNING' -A6 "$log" | head -80 || true
    echo "... the end of $log:"
    tail -40 "$log"
    echo "test: failed with $status: $*"
    exit 1
  }
}

# Adds what an awk program counts in a log; a log without any count is a failure of its own.
count() { # LOG PROGRAM
  n=$(awk "$2 END { print n + 0 }" "$1")
  [ "$n" -gt 0 ] || { echo "test: $1 tells of no test that passed"; exit 1; }
  passed=$((passed + n))
}

for part in $parts; do
  case "$part" in
    scripts)
      say "scripts: a part that fails turns the run red"
      logged scripts scripts/test_scripts.sh
      count build/scripts.log '/^scripts: [0-9]+ runs/ { n = $2 }'
      tail -1 build/scripts.log
      ;;
    report)
      say "report: the simulation, and docs/report is made of its results"
      logged report scripts/test_report.sh
      count build/report.log '/^report: [0-9]+ passed/ { n = $2 }'
      echo "$n passed"
      ;;
    rust)
      say "Rust: the crate without JNI has no JNI in its tree; all tests"
      logged cargo-tree cargo tree --no-default-features --edges normal
      if grep -q ' jni ' build/cargo-tree.log; then
        echo "jni is in the tree of --no-default-features"
        exit 1
      fi
      logged cargo-build cargo build --quiet --no-default-features
      logged capi-tree cargo tree --no-default-features --features capi --edges normal
      if grep -q ' jni ' build/capi-tree.log; then
        echo "jni is in the tree of the library for C"
        exit 1
      fi
      logged cargo-test cargo test --quiet --no-fail-fast
      count build/cargo-test.log '/^test result: ok/ { n += $4 }'
      echo "$n passed"
      ;;
    crate)
      say "Rust: the packaged crate builds from its own file, and under the oldest Rust that it names"
      logged crate scripts/crate.sh
      count build/crate.log '/^crate: [0-9]+ passed/ { n = $2 }'
      grep -E 'SKIPPED|passed' build/crate.log
      ;;
    c)
      say "C: the library exports its list; the programs of tests/c; unit tests of the boundary"
      logged capi make capi
      count build/capi.log '/^capi: [0-9]+ programs passed/ { n += $2 }'
      echo "$n programs passed"
      logged capi-test sh -c 'cargo test --quiet --lib --no-default-features --features capi capi:: &&
        cargo test --quiet --no-default-features --features capi --test capi_races'
      count build/capi-test.log '/^test result: ok/ { n += $4 }'
      echo "$n passed"
      ;;
    gate)
      say "speed: instructions of the hot rows"
      scripts/gate.sh
      ;;
    java)
      scripts/setup.sh gradle maven
      say "Java: JUnit through the JAR, -Xcheck:jni; two builds are byte-identical; 60 class loaders; the example of a checkpoint"
      logged repack cargo test --quiet --locked --manifest-path scripts/repack/Cargo.toml --target-dir target/repack
      count build/repack.log '/^test result: ok/ { n += $4 }'
      logged gradle-build gradle --no-daemon -q build -PskipCargoTest -x cargoTest
      if grep -B2 -A4 WARNING build/gradle-build.log; then exit 1; fi
      count build/gradle-build.log '/^[0-9]+ passed, 0 failed/ { n = $1 }'
      echo "$n passed"
      scripts/reproducible.sh
      logged redeploy python3 scripts/reach_child.py "build/libs/data-pipeline-$(sed -n 's/^version=//p' gradle.properties).jar" --redeploy
      tail -1 build/redeploy.log
      scripts/crac.sh
      ;;
    jvms)
      scripts/setup.sh gradle maven jvms
      say "Java: the same tests on JREs 8, 11, 17, 21, 25"
      logged gradle-classes gradle --no-daemon -q testClassPath
      scripts/test_jvms.sh
      # 77: this JDK has no headers of JVMTI.
      logged graal sh -c 'python3 scripts/reach_java.py "$1" graal || [ $? = 77 ]' sh \
        "build/libs/data-pipeline-$(sed -n 's/^version=//p' gradle.properties).jar"
      tail -1 build/graal.log
      ;;
    gradle8)
      say "the build on a real Gradle 8.11.1 that fails on deprecations"
      scripts/setup.sh gradle maven
      logged gradle8 gradle/gradle8/gradle8.sh -p . build publishToMavenLocal -PskipCargoTest --warning-mode fail \
        "-Dmaven.repo.local=$PWD/build/m2"
      count build/gradle8.log '/^[0-9]+ passed, 0 failed/ { n = $1 }'
      echo "$n passed"
      ;;
    consumers)
      scripts/setup.sh gradle maven
      say "projects outside our build that depend on what is published: Gradle 4 and 8 with the BOM, Maven, shaded"
      # The part before has published.
      case " $parts " in *" gradle8 "*) export KEEP_PUBLISHED=1 ;; esac
      logged consumers scripts/consumers.sh
      count build/consumers.log '/^consumers: [0-9]+ passed/ { n = $2 }'
      grep consumers: build/consumers.log
      ;;
    clients)
      say "an unmodified Java tracer sends through the bridge: every span once (make clients has all cases)"
      logged clients scripts/clients.sh --short
      grep -E 'SKIPPED|spans' build/clients.log || true
      grep -q SKIPPED build/clients.log || count build/clients.log '/^[0-9]+ passed, 0 failed/ { n = $1 }'
      ;;
    testagent)
      scripts/setup.sh gradle python
      say "Datadog's test agent accepts what the JAR sends, on TCP and a Unix socket"
      scripts/test_agent.sh
      ;;
    *) echo "test: no part $part" >&2; exit 2 ;;
  esac
done
say "done"
echo "$passed passed, 0 failed"
