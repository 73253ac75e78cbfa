#!/usr/bin/env python3
"""The public Rust surface, one line an item, from what `cargo doc` has written; compared with docs/public_api.txt.

usage: scripts/public_api.py [--write]     after `cargo doc --no-deps`
What is public is public on purpose: a change of the list is a change of this file in the same commit.
"""
import html
import os
import re
import sys

DOC = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "doc", "data_pipeline")
LIST = "docs/public_api.txt"


def items():
    """Paths of everything public, with the members of types and traits."""
    text = open(os.path.join(DOC, "all.html"), encoding="utf-8").read()
    for link in re.findall(r'<li><a href="([^"]+)"', text):
        path, _, file = link.rpartition("/")
        if not file.endswith(".html") or file.count(".") != 2:
            continue
        kind, name = file.split(".")[:2]
        item = "::".join([*path.split("/"), name] if path else [name])
        yield f"{item} ({kind})"
        page = open(os.path.join(DOC, link), encoding="utf-8").read()
        own = page.split('id="trait-implementations"')[0].split('id="implementors"')[0]
        members = r'id="(method|tymethod|associatedconstant|associatedtype|variant|structfield)\.([A-Za-z0-9_]+?)(?:-\d+)?"'
        for what, member in sorted(set(re.findall(members, own))):
            yield html.unescape(f"{item}::{member} ({'method' if what == 'tymethod' else what})")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    now = sorted(set(items()))
    if "--write" in sys.argv:
        open(LIST, "w", encoding="utf-8").write("\n".join(now) + "\n")
        return 0
    known = open(LIST, encoding="utf-8").read().split("\n")[:-1]
    for sign, some in (("+", sorted(set(now) - set(known))), ("-", sorted(set(known) - set(now)))):
        for item in some:
            print(f"public surface: {sign} {item}")
    if now != known:
        print(f"public surface: if that is meant, run scripts/public_api.py --write and commit {LIST}")
    return int(now != known)


sys.exit(main())
