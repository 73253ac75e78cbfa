#!/bin/sh
# Everything that must be green. Sets itself up; a line says what each part does. Parts may be named: scripts/test.sh rust java
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
parts="${*:-rust java jvms gradle8 testagent}"
passed=0
# The same cases every time; a run of one's own choice: PROPTEST_RNG_SEED=... scripts/test.sh rust
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261123}"
say() { printf '\n== %s (%s s)\n' "$*" "$(($(date +%s) - started))"; }
quiet_gradle() { gradle --no-daemon -q "$@" 2>&1 | grep -vE '^(openjdk version|OpenJDK |$)'; }

for part in $parts; do
  case "$part" in
    rust)
      say "Rust: the crate without JNI has no JNI in its tree; all tests"
      if cargo tree --no-default-features --edges normal 2> /dev/null | grep -q ' jni '; then
        echo "jni is in the tree of --no-default-features"
        exit 1
      fi
      cargo build --quiet --no-default-features
      cargo test --quiet 2>&1 | tee build/cargo-test.log 2> /dev/null | grep -E '^(test result|failures|error|    )' || true
      if grep -qE '^(error|test result: FAILED)|panicked' build/cargo-test.log; then
        grep -E 'panicked|^error' -A6 build/cargo-test.log | head -80
        exit 1
      fi
      passed=$((passed + $(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' build/cargo-test.log | paste -sd+ | bc)))
      ;;
    java)
      scripts/setup.sh gradle
      say "Java: JUnit through the JAR, -Xcheck:jni; two builds are byte-identical; the example of a checkpoint"
      out=$(quiet_gradle build -PskipCargoTest -x cargoTest) || { echo "$out"; exit 1; }
      echo "$out" | tail -1
      case "$out" in *"BUILD FAILED"*) echo "$out"; exit 1 ;; esac
      case "$out" in *WARNING*) echo "$out" | grep -B2 -A4 WARNING; exit 1 ;; esac
      passed=$((passed + $(echo "$out" | sed -n 's/^\([0-9]*\) passed, 0 failed.*/\1/p' | tail -1)))
      scripts/reproducible.sh
      scripts/crac.sh
      ;;
    jvms)
      scripts/setup.sh gradle jvms
      say "Java: the same tests on JREs 8, 11, 17, 21, 25"
      quiet_gradle testClassPath || true
      scripts/test_jvms.sh
      ;;
    gradle8)
      say "the build on a real Gradle 8.11.1 that fails on deprecations"
      scripts/setup.sh gradle
      gradle/gradle8/gradle8.sh -p . build publishToMavenLocal -PskipCargoTest --warning-mode fail \
        -Dmaven.repo.local="$PWD/build/m2" > build/gradle8.log 2>&1 || { tail -40 build/gradle8.log; exit 1; }
      grep -E 'passed, 0 failed|BUILD SUCCESSFUL' build/gradle8.log
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
