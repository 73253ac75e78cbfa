#!/usr/bin/env python3
"""What the native library is made of, for those who have to know: the licences and a bill of materials (CycloneDX 1.5).

usage: release_facts.py [--check]      writes licences/THIRD-PARTY.txt and licences/sbom.cdx.json; --check compares only
Asks cargo for the library as it is shipped (feature full), on each of its platforms, and reads the licence files that crates
bring along.
"""
import json, os, re, subprocess, sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
OUT = os.path.join(HERE, "licences")
# Crates that give a choice are taken under the first of these that they offer.
PREFERRED = ["Apache-2.0", "MIT", "BSD-3-Clause", "ISC", "Zlib", "Unicode-3.0", "Unlicense", "BSL-1.0", "CC0-1.0"]
NAMES = re.compile(r"^(licen[cs]e|copying|notice|unlicense)", re.I)


# Where the library runs, and what is built into it there.
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "aarch64-apple-darwin",
           "x86_64-apple-darwin"]
FEATURES = "full"


def shipped():
    """The crate itself, and every crate of which something is in one of the libraries."""
    def cargo(*words):
        command = ["cargo", *words, "--locked", "--features", FEATURES]
        return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout
    meta = json.loads(cargo("metadata", "--format-version", "1"))
    packages = {(p["name"], p["version"]): p for p in meta["packages"]}
    own = next(p for p in meta["packages"] if p["id"] == meta["resolve"]["root"])
    used = set()
    for target in TARGETS:
        # A macro runs in the compiler, what tests need is not linked: nothing of them is in the library.
        tree = cargo("tree", "--edges", "normal,no-proc-macro", "--target", target, "--prefix", "none", "--format", "{p}")
        used.update((line.split()[0], line.split()[1].removeprefix("v")) for line in tree.splitlines())
    return own, [packages[key] for key in sorted(used - {(own["name"], own["version"])})]


def chosen(expression):
    if " AND " in expression and " OR " not in expression:
        return expression
    offered = re.findall(r"[A-Za-z0-9.-]+", re.sub(r"\b(OR|AND|WITH)\b", " ", expression.replace("/", " OR ")))
    for licence in PREFERRED:
        if licence in offered:
            return licence
    raise SystemExit(f"no licence of {expression!r} is among {PREFERRED}")


def text_of(package, licence):
    """The licence text that the crate brings along, the one of the licence chosen if there are several."""
    folder = os.path.dirname(package["manifest_path"])
    files = sorted(f for f in os.listdir(folder) if NAMES.match(f) and os.path.isfile(os.path.join(folder, f)))
    word = licence.split("-")[0].lower()
    picked = ([f for f in files if word in f.lower()] or files)[:1]
    if " AND " in licence:
        picked = files
    return [open(os.path.join(folder, f), encoding="utf-8", errors="replace").read().strip() for f in picked]


def third_party(packages):
    lines = ["The native library of data-pipeline contains the Rust standard library (Apache-2.0) and these crates.",
             "scripts/release_facts.py writes this file.", ""]
    texts = {}
    for p in packages:
        licence = chosen(p["license"])
        lines.append(f"{p['name']} {p['version']}: {licence} ({p.get('repository') or 'no repository named'})")
        for text in text_of(p, licence):
            texts.setdefault(text, []).append(p["name"])
    for text, names in sorted(texts.items(), key=lambda item: item[1]):
        lines += ["", "-" * 100, f"Licence of {', '.join(names)}", "-" * 100, "", text]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


def sbom(own, packages):
    def reference(p):
        return f"pkg:cargo/{p['name']}@{p['version']}"
    return json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "library", "bom-ref": reference(own), "name": own["name"], "version": own["version"],
                                   "licenses": [{"expression": own["license"]}], "purl": reference(own)}},
        "components": [{"type": "library", "bom-ref": reference(p), "name": p["name"], "version": p["version"],
                        "licenses": [{"expression": p["license"].replace("/", " OR ")}], "purl": reference(p)} for p in packages],
    }, indent=1) + "\n"


def main():
    own, packages = shipped()
    stale = False
    os.makedirs(OUT, exist_ok=True)
    for name, text in (("THIRD-PARTY.txt", third_party(packages)), ("sbom.cdx.json", sbom(own, packages))):
        path = os.path.join(OUT, name)
        known = open(path, encoding="utf-8").read() if os.path.exists(path) else None
        if known == text:
            continue
        if "--check" in sys.argv:
            print(f"licences/{name} is stale: run scripts/release_facts.py")
            stale = True
        else:
            open(path, "w", encoding="utf-8").write(text)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
