#!/usr/bin/env python3
"""The sizes of a JAR and of the native library in it, as rows of the benchmark.

usage: bench_sizes.py JAR SUFFIX OUT: writes jar_bytesSUFFIX and library_bytesSUFFIX to OUT
"""
import json
import os
import sys
import zipfile


def row(name, size):
    print(f"{name:<26} {size} bytes")
    return {"name": name, "payload": None, "unit": "bytes", "ours": size,
            "opponent_name": None, "opponent": None, "ratio": None, "allocations": None}


def main():
    jar, suffix, out = sys.argv[1:]
    with zipfile.ZipFile(jar) as archive:
        libraries = [e for e in archive.infolist() if e.filename.endswith((".so", ".dylib", ".dll"))]
    if len(libraries) != 1:
        sys.exit(f"bench_sizes.py: {jar} holds {len(libraries)} libraries, not one")
    rows = [row("jar_bytes" + suffix, os.path.getsize(jar)), row("library_bytes" + suffix, libraries[0].file_size)]
    with open(out, "w") as file:
        json.dump(rows, file, indent=1)


main()
