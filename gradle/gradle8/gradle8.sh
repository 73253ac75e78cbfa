#!/bin/sh
# A real Gradle 8.11.1, for the check that the build does not use what 9 removes: gradle8.sh -p PROJECT build --warning-mode fail
# Laid out from one artifact of Maven Central (the distribution site is not needed); 375 MB under build/gradle8, nothing of it
# is committed. Needs JDK 17 and any Gradle to fetch the artifact.
set -eu
here=$(cd "$(dirname "$0")" && pwd); b=$(cd "$here/../.." && pwd)/build/gradle8; mkdir -p "$b"; g8=$b/g8; v=8.11.1
if [ ! -e "$g8/ok" ]; then
  gradle --no-daemon -q -p "$here" parts
  rm -rf "$g8"
  python3 "$here/mkdist.py" "$b/parts/gradle-api-$v.jar" "$g8" $(ls "$b"/parts/*.jar | grep -E '/(groovy|ant|kotlin-stdlib)[^/]*$')
  javac -nowarn -proc:none --release 17 -cp "$b/parts/*" -d "$b/main" "$here/Main.java" # an entry class of our own, which the artifact lacks
  (cd "$b/main" && jar uf "$g8/lib/gradle-gradle-cli-$v.jar" org)
  mkdir -p "$g8/init.d"
  cat > "$g8/init.d/javac.gradle" <<'G'
allprojects { tasks.withType(JavaCompile).configureEach {
    options.fork = true
    options.forkOptions.executable = "${System.getProperty('java.home')}/bin/javac"
} }
G
  touch "$g8/ok"
fi
o=; for m in java.base/java.lang java.base/java.lang.invoke java.base/java.util java.base/java.nio.charset java.base/java.net; do o="$o --add-opens=$m=ALL-UNNAMED"; done
exec java $o -Xmx512m -Dfile.encoding=UTF-8 -cp "$g8/lib/gradle-base-services-$v.jar" org.gradle.launcher.GradleMain "$@"
