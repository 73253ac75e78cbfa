#!/usr/bin/env python3
"""Do our conversions leave the real trace-agent as the same spans as the v0.4 payload they were made from?

usage: agent_compare.py AGENT CONVERT [--by ours|libdd] [--rules] [--payloads DIR] [--verbose]
AGENT is the program of tests/oracle/go/agent, CONVERT the binary `convert` of tests/oracle. Every payload of
tests/fixtures/traces (or DIR/*.msgpack) goes to an agent of its own as v0.4 as it was captured, and as our v0.4, v0.5 and v1.0; what reaches
the agent's intake is compared, once with every trace kept (so all spans are seen) and once as the agent samples (so
priority, mechanism and the decision are).
With --rules: the payload as captured through an agent that normalizes and obfuscates as a packaged one does, beside the
payload that ours has normalized and obfuscated through an agent that obfuscates as little as it can. Exit 0 if nothing differs but what the lists below name.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/traces"
OUT = ROOT / "build/oracle"
# The agent refuses these two as captured; ours are repaired, so they must be accepted and have nothing to be compared with.
REFUSED_AS_CAPTURED = {"node/003", "node/004"}
# Headers that say who computed what would change the agent's work the same way for every format; only the language goes along.
HEADERS = {"datadog-meta-lang", "datadog-meta-lang-version", "datadog-meta-tracer-version"}
NEGATIVE = 1 << 63


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("convert")
    parser.add_argument("--by", choices=("ours", "libdd"), default="ours")
    parser.add_argument("--payloads", type=pathlib.Path)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    agent, convert, by = options.agent, options.convert, options.by
    found = options.payloads.glob("*.msgpack") if options.payloads else FIXTURES.glob("*/*.msgpack")
    files = {f"{p.parent.name}/{p.stem}": p for p in sorted(found)}
    if options.rules:
        return rules(agent, convert, files, options.verbose)
    versions = {("v0.4", "captured"): {n: str(p) for n, p in files.items()}}
    for to in ("v0.4", "v0.5", "v1.0"):
        versions[to, by] = converted(convert, by, to, files)
    failures = []
    for keep in (True, False):
        answers = {key: ask(agent, key[0], paths, keep) for key, paths in versions.items()}
        compare(answers, by, keep, failures)
    for line in failures if options.verbose else failures[:20]:
        print(line)
    print(f"{len(files)} payloads x 3 formats x 2 samplings: {len(failures)} differences")
    return 1 if failures else 0


def rules(agent, convert, files, verbose):
    captured = ask(agent, "v0.4", {n: str(p) for n, p in files.items()}, True, "packaged")
    ours = ask(agent, "v0.4", converted(convert, "ours", "rewritten", files), True, "off")
    failures, spans = [], 0
    for name, reference in captured.items():
        if name in REFUSED_AS_CAPTURED:
            continue
        spans += sum(len(c["spans"]) for c in reference["chunks"])
        chunks = reference["chunks"] + ours[name]["chunks"]
        for c in chunks:
            # The agent takes it from the tag before it cuts tags, ours can only cut the tag.
            c["origin"] = c["origin"][:20_000]
        for s in (s for c in chunks for s in c["spans"]):
            # No agent can be kept from quantizing Redis resources, and twice leaves only the first command.
            if s["type"] in ("redis", "valkey"):
                s["resource"] = s["resource"].split(" ")[0]
        failures += [f"{name}: {d}" for d in differences(reference, ours[name], "v0.4")]
    for line in failures if verbose else failures[:20]:
        print(line)
    print(f"{len(files)} payloads, {spans} spans normalized and obfuscated there and here: {len(failures)} differences")
    return 1 if failures else 0


def converted(convert, by, to, files):
    names = {str(path): name for name, path in files.items()}
    command = [convert, "--by", by, "--to", to, "--out", str(OUT / by / to)] + list(names)
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    paths = {}
    for line in lines:
        source, target, *why = line.split("\t")
        if target == "-":
            print(f"{names[source]} to {to}: refused: {why[0]}")
        else:
            paths[names[source]] = target
    return paths


def ask(agent, form, paths, keep, rules=""):
    cases = []
    for name, path in paths.items():
        captured = FIXTURES / f"{name}.headers.json"
        sent = json.loads(captured.read_text())["headers"] if captured.exists() else []
        headers = [[k, v] for k, v in sent if k.lower() in HEADERS]
        cases.append(json.dumps({"id": name, "format": form, "file": path, "keep": keep, "headers": headers,
                                 "rules": rules}))
    run = subprocess.run([agent], input="\n".join(cases), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{agent} failed: {run.stderr[-2000:]}")
    # Not splitlines(): it also cuts at the line separators of Unicode, which stand in texts.
    return {a["id"]: a for a in map(json.loads, filter(None, run.stdout.split("\n")))}


def compare(answers, by, keep, failures):
    captured = answers["v0.4", "captured"]
    for (form, maker), of_form in answers.items():
        if maker != by:
            continue
        for name, reference in captured.items():
            place = f"{name} as {by}'s {form}{'' if keep else ', sampled'}"
            answer = of_form.get(name)
            if answer is None:
                failures.append(f"{place}: was not converted")
            elif answer["status"] != 200 or answer.get("error"):
                failures.append(f"{place}: {answer['status']} {answer['body'][:200]} {answer.get('error', '')}")
            elif name not in REFUSED_AS_CAPTURED:
                failures.extend(f"{place}: {d}" for d in differences(reference, answer, form))


def differences(reference, answer, form):
    """What differs, up to three places a payload."""
    theirs, ours = by_key(reference["chunks"]), by_key(answer["chunks"])
    found = [f"chunk {key} does not arrive" for key in theirs.keys() - ours.keys()]
    found += [f"chunk {key} arrives only from ours" for key in ours.keys() - theirs.keys()]
    for key in theirs.keys() & ours.keys():
        for field in ("trace_id", "priority", "origin", "mechanism", "dropped", "attributes"):
            if theirs[key][field] != ours[key][field]:
                found.append(f"chunk {key}: {field} {theirs[key][field]!r} becomes {ours[key][field]!r}")
        for i, (a, b) in enumerate(zip(theirs[key]["spans"], ours[key]["spans"])):
            if span(a, a, form) != span(b, a, form):
                parts = [f for f in a if span(a, a, form)[f] != span(b, a, form)[f]]
                shown = "; ".join(f"{f}: {part(span(a, a, form)[f], span(b, a, form)[f])}" for f in parts)
                found.append(f"chunk {key}, span {i}: {shown}")
    return found[:3]


def by_key(chunks):
    """Chunks by the ids of their spans: the agent may send them in any order."""
    keyed = {}
    for chunk in chunks:
        key = " ".join(s["span_id"] for s in chunk["spans"][:3]) + f" ({len(chunk['spans'])} spans)"
        while key in keyed:
            key += "'"
        keyed[key] = chunk
    return keyed


def span(s, reference, form):
    """The span without what is excepted for this format."""
    s = dict(s)
    # The agent's mark of what it converted from: v04, v05, and nothing where nothing was converted.
    s["attributes"] = {k: v for k, v in s["attributes"].items() if k != "_dd.convertedv1"}
    # A start before the year 2000 becomes "now - duration" or "now", which is another time in each run.
    for since, word in ((int(s["duration"]), "now - duration"), (0, "now")):
        if s["start"].isdigit() and abs(int(s["start"]) + since - time.time_ns()) < 1800e9:
            s["start"] = word
    if form == "v0.5":
        # v0.5 has no links, no events, no meta_struct; the first two travel as JSON in meta.
        s["links"] = s["events"] = None
        s["attributes"] = {k: v for k, v in s["attributes"].items()
                           if k not in ("_dd.span_links", "events") and v[0] not in ("bytes", "list")}
        # Its conversion in the agent leaves the kind open where no tag says it.
        if "span.kind" not in reference["attributes"]:
            s["kind"] = None
    if form == "v1.0":
        # v1 takes no negative times: ours clamps them, the agent's own conversion wraps them round.
        for field in ("start", "duration"):
            if int(reference[field]) >= NEGATIVE:
                s[field] = None
    return s


def part(a, b):
    """Only what differs of two attribute maps, else both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [k for k in {**a, **b} if a.get(k) != b.get(k)]
        return ", ".join(f"{k}: {str(a.get(k))[:120]} becomes {str(b.get(k))[:120]}" for k in keys[:4])
    return f"{str(a)[:200]} becomes {str(b)[:200]}"


if __name__ == "__main__":
    sys.exit(main())
