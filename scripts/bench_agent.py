#!/usr/bin/env python3
"""The agent's own packages (Go) beside our rows that do the same work: build/bench/parts/agent.json.

usage: scripts/bench_agent.py [ROUNDS, default 5]      after scripts/bench.sh, which builds our side and the payloads

In each round a row of ours runs right before the agent's; the ratio is the median over the rounds. Both take processor time.
Needs Go and its module proxy; without them it says so and leaves the rows out.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

BENCH = "build/bench"
PROGRAM = f"{BENCH}/agent"
OURS = os.path.join(os.environ.get("CARGO_TARGET_DIR", "benches/peers/target"), "release", "bench")
ROWS = {
    "main": ["scan"],
    "wire": ["v04_forward"],
    "stats": ["stats_only", "stats_only_43_peer_tags"],
    "obfuscation": ["sql", "redis", "json", "url", "cards"],
}
MILLIS = 300


def build():
    """Why there is no program; None if there is one."""
    if not shutil.which("go"):
        return "there is no Go on this machine"
    built = subprocess.run(
        ["go", "build", "-o", os.path.abspath(PROGRAM), "."],
        cwd="benches/agent",
        env=dict(os.environ, CGO_ENABLED="0"),
        capture_output=True,
        text=True,
    )
    return built.stderr.strip().splitlines()[-1] if built.returncode else None


def ours(group, name):
    """The row as our bench finds it now."""
    with tempfile.TemporaryDirectory() as out:
        command = [OURS, "--payloads", f"{BENCH}/payloads", "--out", out, "--rounds", "3", "--only", name, group]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = json.load(open(f"{out}/{group}.json"))
    return next(row for row in rows if row["name"] == name and row["payload"] == "web_100x10")


def theirs(name):
    command = [PROGRAM, f"{BENCH}/payloads", name, str(MILLIS)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    why = build()
    if why:
        print(f"bench: the agent's packages are left out: {why}")
        return
    rows = []
    for group, names in ROWS.items():
        for name in names:
            pairs = [(ours(group, name), theirs(name)) for _ in range(rounds)]
            row = sorted((row for row, _ in pairs), key=lambda row: row["ours"])[rounds // 2]
            ratio = statistics.median(theirs / row["ours"] for row, theirs in pairs)
            row = {key: row.get(key) for key in ("name", "payload", "unit", "ours", "allocations", "times_walk")}
            row.update(opponent_name="agent", opponent=round(ratio * row["ours"], 4), ratio=round(ratio, 4))
            rows.append(row)
            print(f"{name:<26} {row['ours']:>10} {row['unit']:<10} agent {row['opponent']:>12} {ratio:>8.2f}x")
    os.makedirs(f"{BENCH}/parts", exist_ok=True)
    with open(f"{BENCH}/parts/agent.json", "w") as out:
        json.dump(rows, out, indent=1)


main()
