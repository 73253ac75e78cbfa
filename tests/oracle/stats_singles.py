#!/usr/bin/env python3
"""How many odd single spans fall into the same group at the agent's concentrator and at ours?

usage: stats_singles.py OURS ORACLE [--seed N] [--count N] [--docs FILE] [-v]
OURS is examples/vectors, ORACLE the program of tests/oracle/go/stats. Prints how many are equal. --docs writes
that into docs/fidelity.md; -v prints the others. Exit 1 if there are any.
"""
import argparse, json, os, subprocess, sys

here = os.path.dirname(os.path.abspath(__file__))
p = argparse.ArgumentParser()
p.add_argument("ours"); p.add_argument("oracle")
p.add_argument("--seed", default="7"); p.add_argument("--count", default="2000"); p.add_argument("--docs"); p.add_argument("-v", action="store_true")
o = p.parse_args()


def ask(program, text): return [json.loads(line) for line in subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.split("\n") if line]


cases = subprocess.run([sys.executable, f"{here}/stats_cases.py", o.seed, o.count], capture_output=True, text=True, check=True).stdout
lines = cases.splitlines()
agent, ours = ask(o.oracle, cases), ask(o.ours, cases)
assert len(agent) == len(ours) == len(lines), (len(agent), len(ours), len(lines))
wrong = [(line, a, u) for line, a, u in zip(lines, agent, ours) if a != u]
refused = sum("error" in a for a in agent)
counted = sum(bool(a.get("value")) for a in agent)
n, equal = len(lines), len(lines) - len(wrong)
print(f"stats: {equal} of {n} odd single spans (seed {o.seed}) are equal, {100 * equal / n:.2f} %; the agent counts {counted} and refuses {refused}")
if o.v:
    for line, a, u in wrong[:20]: print(f"{line}\n  agent {json.dumps(a, sort_keys=True)}\n  ours  {json.dumps(u, sort_keys=True)}")
if o.docs:
    with open(o.docs, encoding="utf-8") as f: doc = f.read()
    row = f"| kind | cases | equal to the agent |\n|---|---|---|\n| stats of odd single spans | {n} | {100 * equal / n:.2f} % |\n"
    start, end = "<!-- stats -->\n", "<!-- end of stats -->\n"
    doc = doc[:doc.index(start) + len(start)] + row + doc[doc.index(end):]
    with open(o.docs, "w", encoding="utf-8") as f: f.write(doc)
sys.exit(1 if wrong else 0)
