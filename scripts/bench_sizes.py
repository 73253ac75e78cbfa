#!/usr/bin/env python3
"""The sizes of a JAR and of the native library in it, as rows of the benchmark.

usage: bench_sizes.py JAR SUFFIX OUT [LIBRARY]: writes jar_bytesSUFFIX and library_bytesSUFFIX to OUT, and capi_bytes, the
size of the library for C beside the one for Java, if that library is given
"""
import json
import os
import sys
import zipfile


def row(name, size, opponent_name=None, opponent=None):
    print(f"{name:<26} {size} bytes" + (f", {size - opponent:+} beside {opponent_name}" if opponent else ""))
    return {"name": name, "payload": None, "unit": "bytes", "ours": size, "opponent_name": opponent_name,
            "opponent": opponent, "ratio": opponent and round(opponent / size, 3), "allocations": None}


def main():
    jar, suffix, out, *for_c = sys.argv[1:]
    with zipfile.ZipFile(jar) as archive:
        libraries = [e for e in archive.infolist() if e.filename.endswith((".so", ".dylib", ".dll"))]
    if len(libraries) != 1:
        sys.exit(f"bench_sizes.py: {jar} holds {len(libraries)} libraries, not one")
    rows = [row("jar_bytes" + suffix, os.path.getsize(jar)), row("library_bytes" + suffix, libraries[0].file_size)]
    rows += [row("capi_bytes", os.path.getsize(file), "java", libraries[0].file_size) for file in for_c]
    with open(out, "w") as file:
        json.dump(rows, file, indent=1)


main()
