#!/usr/bin/env python3
"""Of several runs of the bench the one in the middle, for each case: scripts/bench.sh.

usage: bench_median.py RUNS OUT        RUNS/1/GROUP.json, RUNS/2/GROUP.json, … give OUT/GROUP.json; prints the rows
"""
import glob
import json
import os
import sys


def measure(rows):
    """What a case is judged by: another case of ours that ran in turn with it, a multiple of the walk, or the figure itself."""
    beside = [1 / row["ratio"] for row in rows if row["opponent_name"] == "v04_to_v05"]
    return beside[0] if beside else rows[0].get("times_walk") or rows[0]["ours"]


def cases(path):
    """(name, payload): its rows, one an opponent."""
    found = {}
    for row in json.load(open(path)):
        found.setdefault((row["name"], row.get("payload")), []).append(row)
    return found


def show(row):
    figures = [f"{row['ours']:>12} {row['unit']:<10}", f"{row['times_walk']:>8} x walk" if "times_walk" in row else " " * 15]
    if row["opponent_name"]:
        figures.append(f"{row['opponent_name']:<10} {row['opponent']:>12} {row['ratio']:>9}x")
    if row["allocations"] is not None:
        figures.append(f"{row['allocations']:>6} allocations")
    print(f"{row['name']:<26} {row['payload']:<14}", *figures)


def main():
    runs, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    for group in sorted({os.path.basename(path) for path in glob.glob(f"{runs}/*/*.json")}):
        all_runs = [cases(path) for path in sorted(glob.glob(f"{runs}/*/{group}"))]
        middle = []
        for case in all_runs[0]:
            of_case = sorted((run[case] for run in all_runs if case in run), key=measure)
            middle += of_case[len(of_case) // 2]
        print(f"-- {group[:-5]}: ours, opponent, ratio = opponent / ours, allocations a call")
        for row in middle:
            show(row)
        with open(f"{out}/{group}", "w") as to:
            json.dump(middle, to, indent=1)


main()
