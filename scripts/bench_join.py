#!/usr/bin/env python3
"""Joins build/bench/parts/*.json to build/bench/results.json and adds the sizes of what is built.

usage: bench_join.py [DIR, default build/bench]
Every part is a list of rows {name, payload, unit, ours, opponent_name, opponent, ratio, allocations}; a row that two
parts have is taken from the newer part. Sizes: library_bytes of the release library, jar_bytes of the newest JAR, each
only if the file is there.

Groups may have run at different times, on a machine that was faster or slower then. What they measured is ratios, so
each row that has `times_walk` is restated with one walk a payload: ours = times_walk * walk, opponent = ratio * ours. What
stands against another case of ours (an opponent that is the name of a row) is restated with that row in the same way.
"""
import glob
import json
import os
import sys


def sizes():
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    library = [f"{target}/library/libdata_pipeline.so"]
    jars = [j for j in glob.glob("build/libs/data-pipeline-*.jar") if not j.endswith(("-sources.jar", "-javadoc.jar"))]
    for name, paths in (("library_bytes", library), ("jar_bytes", jars)):
        paths = sorted(filter(os.path.exists, paths), key=os.path.getmtime)
        if paths:
            yield {"name": name, "unit": "bytes", "ours": os.path.getsize(paths[-1]),
                   "opponent_name": None, "opponent": None, "ratio": None, "allocations": None}


def restate(rows):
    walks = {}
    for row in rows:  # the walk that stands against its witnesses wins over those that other groups took beside
        if row["name"] == "walk" and (row["payload"] not in walks or row["opponent_name"]):
            walks[row["payload"]] = row["ours"]
    for row in rows:
        walk = walks.get(row.get("payload"))
        if row.get("times_walk") and walk:
            row["ours"] = round(row["times_walk"] * walk, 4)
            if row.get("ratio"):
                row["opponent"] = round(row["ratio"] * row["ours"], 4)
    # Where a group's memory lies moves all its cases: those that rules compare are compared as they ran, in turn.
    names = {}
    for row in rows:
        names.setdefault((row["name"], row.get("payload")), row)
    for row in rows:
        beside = names.get((row["opponent_name"], row.get("payload")))
        if beside and beside["name"] != row["name"] and row.get("ratio") and row.get("times_walk"):
            for each in rows:
                if (each["name"], each.get("payload")) == (row["name"], row.get("payload")):
                    each["times_walk"] = round(beside["times_walk"] / row["ratio"], 4)
                    each["ours"] = round(beside["ours"] / row["ratio"], 4)
                    each["opponent"] = each["ratio"] and round(each["ratio"] * each["ours"], 4)
    witnessed = {row["payload"] for row in rows if row["name"] == "walk" and row["opponent_name"]}
    return [r for r in rows if r["name"] != "walk" or r["opponent_name"] or r["payload"] not in witnessed]


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "build/bench"
    rows = {}
    for part in sorted(glob.glob(f"{folder}/parts/*.json"), key=os.path.getmtime):
        for row in json.load(open(part)):
            rows[row["name"], row.get("payload"), row.get("opponent_name")] = row
    for row in sizes():  # what the Java part found in the JAR is what ships
        row = rows.setdefault((row["name"], None, None), row)
        print(f"{row['name']:<26} {row['ours']} {row['unit']}")
    rows = restate(list(rows.values()))
    path = f"{folder}/results.json"
    with open(path + ".new", "w") as out:
        json.dump(rows, out, indent=1)
    os.replace(path + ".new", path)
    print(f"{len(rows)} rows in {path}")


main()
