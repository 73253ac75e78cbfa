#!/usr/bin/env python3
"""Makes the two sides of the numbers that cross to Java out of src/face/numbers.txt.

usage: scripts/face_numbers.py [--check]        --check writes nothing, and fails if a file is not as it would be made
"""
import re
import sys

LIST = "src/face/numbers.txt"
RUST = "src/face/layout.rs"
JAVA = "java/src/main/java/com/datadog/pipeline/Numbers.java"
WIDTH = {"one": 1, "counts": 3}


def layouts():
    found = []
    for line in open(LIST, encoding="utf-8"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if re.match(r"\w+: ", line):
            name, arguments = line.split(": ", 1)
            found.append((name, arguments, []))
        else:
            found[-1][2].append(line.split(" ", 2))
    return found


def changes():
    """The names of the changes of normalization, in the order of their numbers."""
    text = open("src/account/normalization.rs", encoding="utf-8").read()
    names = re.findall(r"^    ([A-Z]\w+),$", text.split("pub enum Reason {")[1].split("}")[0], re.M)
    return [re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in names]


def rust():
    out = f"// Made by `scripts/face_numbers.py` from {LIST}. Change the list, not this file.\n\n"
    out += "//! The layout of the numbers that cross.\n\n"
    out += "use super::numbers::{Numbers, millis};\nuse crate::account::Metrics;\n"
    out += "use crate::asynchronous::FlushReport;\nuse crate::delivery::outbox::queue::QueueStatus;\nuse crate::delivery::response::LeftOut;\n"
    for name, arguments, numbers in layouts():
        out += f"\n/// The numbers of `{name}`, in the order of the list.\n"
        out += f"pub(crate) fn {name}({arguments}) -> Vec<i64> {{\n    let mut out = Numbers(Vec::with_capacity(96));\n"
        out += "".join(f"    out.{kind}({value});\n" for _, kind, value in numbers)
        out += "    out.0\n}\n"
    return out


def java():
    out = "package com.datadog.pipeline;\n\n"
    out += f"// Made by `scripts/face_numbers.py` from {LIST}. Change the list, not this file.\n\n"
    out += "/** Where each number stands in the arrays that the native side gives. */\n"
    out += "final class Numbers {\n  private Numbers() {}\n"
    for layout, _, numbers in layouts():
        at = 0
        out += "\n"
        for name, kind, _ in numbers:
            out += f"  static final int {layout.upper()}_{name.upper()} = {at};\n"
            at += WIDTH.get(kind, 0)
            if kind == "reasons":
                # What follows them has no fixed place.
                break
    out += "\n  /** The changes of normalization, in the order of their numbers. */\n"
    out += "  static final String[] CHANGES = {\n"
    out += "".join(f'    "{name}",\n' for name in changes())
    return out + "  };\n}\n"


bad = False
for path, text in ((RUST, rust()), (JAVA, java())):
    if "--check" in sys.argv[1:]:
        try:
            old = open(path, encoding="utf-8").read()
        except OSError:
            old = ""
        if old != text:
            print(f"{path} is not what scripts/face_numbers.py makes of {LIST}")
            bad = True
    else:
        open(path, "w", encoding="utf-8").write(text)
sys.exit(bad)
