#!/usr/bin/env python3
"""Compares two answerers of case lines, kind by kind: compare_rules.py [-v] CASES OURS THEIRS (commands without arguments).

A difference counts as hidden where theirs lets a literal through and ours does not, in one of the two ways known: a URL
whose user and password net/url refuses or does not see, and a scalar behind a JSON object at the top of the text.
-v shows the other differences. Exit 0 if there are none.
"""
import base64, collections, json, os, re, subprocess, sys

verbose = "-v" in sys.argv and not sys.argv.remove("-v")
cases, ours, theirs = sys.argv[1:4]


def run(command):
    with open(cases) as lines:
        out = subprocess.run([command], stdin=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(l) for l in out.split("\n") if l]


def plain(v):
    """Fields that are empty or zero count as absent."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items() if x not in (None, "", 0, {}, [])}
    return [plain(x) for x in v] if isinstance(v, list) else v


def told(a):
    return {k: plain(v) for k, v in a.items() if k != "error"} or "refused"


def text(a):
    return base64.b64decode(a["output_b64"]) if "output_b64" in a else a.get("output", "").encode()


def hidden(case, ours, theirs):
    if not isinstance(case["input"] if "input" in case else "", str):
        return False
    given, a, b = base64.b64decode(case["input_b64"]) if "input_b64" in case else case["input"].encode(), text(ours), text(theirs)
    if case["kind"] == "http":
        return b"@" in given and (a == b"?" and b == given or a.count(b"@") < b.count(b"@"))
    if case["kind"] in ("mongo", "es", "opensearch"):
        same = len(os.path.commonprefix([a, b]))
        return any(a[max(0, i):].startswith(b'"?"') for i in range(same - 2, same + 1)) and re.search(rb"[}\]]\s*$", a[:same].rstrip(b'"')) is not None
    return False


total, equal, hides = (collections.Counter() for _ in range(3))
for line, a, b in zip(open(cases), run(ours), run(theirs), strict=True):
    case = json.loads(line)
    total[case["kind"]] += 1
    if told(a) == told(b):
        equal[case["kind"]] += 1
    elif hidden(case, a, b):
        hides[case["kind"]] += 1
    elif verbose:
        print(f"{case}\n  ours   {a}\n  theirs {b}")
for kind, n in total.items():
    print(f"{kind}: {equal[kind]} of {n} equal, {hides[kind]} hidden by ours only")
sys.exit(equal.total() + hides.total() != total.total())
