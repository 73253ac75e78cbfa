#!/usr/bin/env python3
"""Are our stats those of the agent's own concentrator, and does an agent forward them as they are?

usage: stats_compare.py AGENT STATS DELIVER [--payloads DIR]
AGENT is the program of tests/oracle/go/agent, STATS and DELIVER are binaries of tests/oracle. First every payload of
tests/fixtures/traces and of DIR (those moved to times that every clock can live with) is counted by both: groups, hits,
errors, durations and top-level hits must be equal, quantiles within what the two sketches promise. Then the same
payloads go to a real agent through an exporter that computes stats: what leaves the agent must be these hits, errors and
durations, once. Exit 0 if nothing differs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "build/oracle"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("stats")
    parser.add_argument("deliver")
    parser.add_argument("--payloads", type=pathlib.Path)
    options = parser.parse_args()
    files = sorted(map(str, (ROOT / "tests/fixtures/traces").glob("*/*.msgpack")))
    if options.payloads:
        retimed = OUT / "retimed"
        retimed.mkdir(parents=True, exist_ok=True)
        for old in retimed.glob("*"):
            old.unlink()
        generated = sorted(map(str, options.payloads.glob("*.msgpack")))
        subprocess.run([options.agent, "retime", str(retimed)] + generated, check=True)
        files += sorted(map(str, retimed.glob("*.msgpack")))
    answers = by_both(options, files)
    failures = [f"{a['id']}: {d}" for a in answers for d in a["differences"]]
    # What the agent refuses whole has nothing to be compared with; ours repairs it.
    read = [(f, a) for f, a in zip(files, answers) if not a.get("refused")]
    sums = {key: sum(a[key] for _, a in read) for key in ("groups", "hits", "errors", "duration")}
    print(f"{len(read)} payloads, {sums['groups']} groups, {sums['hits']} hits counted by both: {len(failures)} differences")
    failures += end_to_end(options, [f for f, _ in read], sums)
    for line in failures[:20]:
        print(line)
    return 1 if failures else 0


def by_both(options, files):
    peers = subprocess.run([options.agent, "peer-tags"], check=True, capture_output=True, text=True).stdout.strip()
    command = [options.stats, "--peer-tags", peers, "--out", str(OUT / "stats")] + files
    cases = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    run = subprocess.run([options.agent, "stats"], input=cases, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in run.stdout.split("\n") if line]


def end_to_end(options, files, sums):
    agent = subprocess.Popen([options.agent, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = json.loads(agent.stdout.readline())["url"]
    lines = []
    # It must not wait for somebody to read what it prints.
    reader = threading.Thread(target=lambda: lines.extend(agent.stdout))
    reader.start()
    sent = subprocess.run([options.deliver, "--url", url] + files, capture_output=True, text=True)
    agent.stdin.close()  # It flushes and ends.
    agent.wait()
    reader.join()
    if sent.returncode:
        return [sent.stderr]
    said = json.loads(sent.stdout)
    ours = {"hits": 0, "errors": 0, "duration": 0}
    agents_own = 0
    for line in lines:
        payload = json.loads(line)
        if payload["kind"] != "stats":
            continue
        for client in payload["body"].get("stats") or []:
            for group in (g for bucket in client.get("stats") or [] for g in bucket.get("stats") or []):
                if payload["body"].get("clientComputed"):
                    for key in ours:
                        ours[key] += group.get(key, 0)
                else:
                    agents_own += group.get("hits", 0)
    print(f"through the agent: {said['counted']} spans counted, {said['sent']} sent in stats, {said['traces']} traces sent, "
          f"{said['sampled_out']} sampled out; it forwards {ours['hits']} hits, {ours['errors']} errors, {ours['duration']} ns, "
          f"and {agents_own} hits of its own")
    wrong = [f"the agent forwards {ours[key]} {key}, both counted {sums[key]}" for key in ours if ours[key] != sums[key]]
    if agents_own:
        wrong.append(f"the agent counted {agents_own} hits again")
    if said["counted"] != sums["hits"] or said["lost"] or not said["flushed"]:
        wrong.append(f"the exporter says {said}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
