#!/usr/bin/env python3
"""Asks two programs the same case lines and prints how often, and where, they differ.

usage: compare.py CASES SHOW OURS... -- ORACLE...      SHOW: how many differences to print
"""
import json, subprocess, sys

cases, show = sys.argv[1], int(sys.argv[2])
split = sys.argv.index("--")
KEYS = ("output", "output_b64", "outputs", "value")


def ask(command):
    with open(cases, "rb") as f:
        out = subprocess.run(command, stdin=f, stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(l) for l in out.decode("utf-8", "replace").split("\n") if l.strip()]


def essence(a):
    if "error" in a and not any(k in a for k in KEYS):
        return "refused"
    a = {k: a[k] for k in KEYS if k in a}
    if "outputs" in a:
        a["outputs"] = ["ERROR" if o.startswith("ERROR") else o for o in a["outputs"]]
    return a


ours, oracle = ask(sys.argv[3:split]), ask(sys.argv[split + 1:])
lines = [l for l in open(cases, encoding="utf-8").read().split("\n") if l]
assert len(ours) == len(oracle) == len(lines), (len(ours), len(oracle), len(lines))
different = [i for i in range(len(lines)) if essence(ours[i]) != essence(oracle[i])]
for i in different[:show]:
    print("case  ", lines[i])
    print("oracle", json.dumps(oracle[i], ensure_ascii=False))
    print("ours  ", json.dumps(ours[i], ensure_ascii=False), "\n")
print(f"{len(lines) - len(different)} of {len(lines)} equal ({100 * (1 - len(different) / len(lines)):.3f} %)")
