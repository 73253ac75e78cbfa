#!/bin/sh
# The JUnit tests through the JAR on each JRE of build/jvms, with -Xcheck:jni. A WARNING about our natives fails the run.
# On Java 8 the JRE's own code draws warnings, so only those that name us count.
set -eu
cd "$(dirname "$0")/.."
console=build/junit-console
if [ ! -f $console/console.jar ]; then
  mkdir -p $console
  mvn -q dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:1.14.4 -DoutputDirectory=$console \
    -Dmdep.stripVersion=true 2> /dev/null || { echo "junit console could not be fetched"; exit 1; }
  mv $console/junit-platform-console-standalone.jar $console/console.jar
fi
version=$(sed -n 's/^version=//p' gradle.properties)
for java in ${*:-8 11 17 21 25}; do
  log=build/junit-$java.log
  # From 24 on the JVM says once that a JAR loads native code, unless it is told that this is meant.
  native=""
  [ "$java" -lt 24 ] || native=--enable-native-access=ALL-UNNAMED
  if build/jvms/"$java"/bin/java $native -Xcheck:jni -ea -Dfixtures=tests/fixtures -Djar="build/libs/data-pipeline-$version.jar" \
      -jar $console/console.jar execute \
      --class-path "build/libs/data-pipeline-$version.jar:build/libs/data-pipeline-testkit-$version.jar:build/classes/java/test" \
      --scan-class-path build/classes/java/test --details summary --disable-banner --disable-ansi-colors > $log 2>&1; then
    echo "Java $java: $(sed -n 's/^\[ *\([0-9]*\) tests successful.*/\1 passed/p' $log), $(sed -n 's/^\[ *\([0-9]*\) tests failed.*/\1 failed/p' $log)"
  else
    tail -60 $log
    echo "Java $java: failed"
    exit 1
  fi
  # Java 24 and newer say once that a JAR loads native code; that is no JNI fault.
  ours=$(grep -A3 'WARNING' $log | grep 'com.datadog.pipeline\|data_pipeline' |
    grep -v 'restricted method\|System::load\|native-access' || true)
  if [ -n "$ours" ]; then
    grep -A5 WARNING $log | head -40
    exit 1
  fi
done
