#!/usr/bin/env python3
"""Do our OTLP requests leave the real agent's OTLP receiver as the spans that the v0.4 payload leaves as?

usage: otlp_compare.py AGENT CONVERT [--payloads DIR] [--verbose]
As agent_compare.py, but each payload goes to an agent as v0.4 as it was captured and, as our OTLP in protobuf, to its
OTLP receiver; both agents obfuscate as little as they can. Exit 0 if nothing differs but what the receiver does by
rules of its own, which the names below say.
"""
import argparse
import json
import pathlib
import sys
import time

import agent_compare as agents

# What the receiver writes whatever the span says: who sent it, by which scope, the ids and the status as OpenTelemetry's.
WRITTEN = {
    "_dd.sdk.otlp_export", "datadog.sdk.semantics", "error.msg", "otel.library.name", "otel.library.version",
    "otel.scope.name", "otel.scope.version", "otel.status_code", "otel.status_description", "otel.trace_id", "span.kind",
    "telemetry.sdk.name", "w3c.tracestate", "_dd.span_events.has_exception",
}
# What it reads of a span for other tags, each with what it makes of it; and a tag without a name is none to it.
READ = {"http.status_code": "metrics http.status_code", "server.address": "http.server_name", "": ""}
MADE = {"db.name", "rpc.grpc.status_code", *READ.values()}
# Sampling: it puts the spans of one trace id together, whatever chunks they came in, and so finds another root.
ROOT = {"metrics _dd.prob_sr", "metrics _sample_rate", "metrics _top_level"}
# A span without a name or a service is given another one, names are in lower case and have underscores at other places; one
# that says 1970, or nothing, starts now, or then, by where it came, and one that ends beyond all times has no duration as
# v0.4.
NAMES = {"unnamed_operation", "unnamed-python-service"}
THE_YEAR_2000_NS = 946_684_800 * 10**9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("convert")
    parser.add_argument("--payloads", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    found = options.payloads.glob("*.msgpack") if options.payloads else agents.FIXTURES.glob("*/*.msgpack")
    files = {f"{p.parent.name}/{p.stem}": p for p in sorted(found)}
    captured = agents.ask(options.agent, "v0.4", {n: str(p) for n, p in files.items()}, True, "off")
    otlp = agents.converted(options.convert, "ours", "otlp-proto", files)
    otlp = agents.ask(options.agent, "otlp", otlp, True, "off")
    failures, count = [], 0
    for name, reference in captured.items():
        if name in agents.REFUSED_AS_CAPTURED or reference["status"] != 200:
            continue
        theirs, ours = spans(reference), spans(otlp[name])
        failures += [f"{name}: span {key} arrives only one way" for key in theirs.keys() ^ ours.keys()]
        for key in theirs.keys() & ours.keys():
            a, b = (reduced(span, theirs[key], ours[key]) for span in (theirs[key], ours[key]))
            count += 1
            failures += [f"{name}: span {key}: {f}: {agents.part(a[f], b[f])}" for f in a if a[f] != b[f]]
    for line in failures if options.verbose else failures[:20]:
        print(line)
    print(f"{len(files)} payloads, {count} spans as v0.4 and as our OTLP: {len(failures)} differences")
    return 1 if failures else 0


def spans(answer):
    """Spans by their ids; of one that comes twice the later ones get a mark."""
    keyed = {}
    for chunk in answer["chunks"]:
        for span in chunk["spans"]:
            key = span["span_id"] + "<" + span["parent_id"]
            while key in keyed:
                key += "'"
            keyed[key] = span
    return keyed


def reduced(span, v04, otlp):
    """A span that came both ways, without what the receiver adds or reads by its own rules."""
    span, tags = dict(span), dict(span["attributes"])
    span["links"], span["events"] = links(span, tags), events(span, tags)
    for key, value in list(tags.items()):
        if value[0] == "bytes" and key.startswith("meta_struct "):
            # It has no bytes: they are text in base64.
            tags[key.removeprefix("meta_struct ")] = ["text", tags.pop(key)[1]]
    # And their keys are then cut as those of tags are.
    tags = {key if len(key) < 150 else key[:150]: value for key, value in tags.items()}
    for key, value in tags.items():
        if value == ["double", "-0"]:
            tags[key] = ["double", "0"]
    span["attributes"] = {k: v for k, v in tags.items() if k not in WRITTEN | READ.keys() | MADE | ROOT}
    # An empty one it finds by itself.
    span["type"] = v04["type"] and span["type"]
    if otlp["service"] == "otlpresourcenoservicename":
        span["service"] = None
    if v04["name"] in NAMES or otlp["name"] in ("Internal", "Server"):
        span["name"] = span["resource"] = None
    elif v04["resource"] == v04["name"]:
        span["resource"] = None
    span["name"] = span["name"] and span["name"].lower().replace("_", "")
    now = min(abs(time.time_ns() - int(s["start"]) - d) for s in (v04, otlp) for d in (0, int(s["duration"])))
    too_long = int(otlp["start"]) + int(otlp["duration"]) >= 2**63 - 1
    if int(otlp["start"]) < THE_YEAR_2000_NS or now < 1800e9 or too_long:
        span["start"] = span["duration"] = None
    if not is_list(otlp, "_dd.span_links"):
        span["links"] = None
    if not is_list(otlp, "events"):
        span["events"] = None
    return span


def links(span, tags):
    """Links with the keys of their attributes, whichever way they are written."""
    text = parsed(tags, "_dd.span_links")
    if span["links"]:
        return [(int(k["trace_id"]), int(k["span_id"]), k["tracestate"], sorted(k["attributes"])) for k in span["links"]]
    return [(low(k["trace_id"]), low(k["span_id"]), k.get("tracestate") or "", sorted(k.get("attributes") or {}))
            for k in text]


def is_list(span, key):
    """Whether a tag is a list of objects: the receiver writes names into it as they are, so it may be no JSON."""
    try:
        found = json.loads(span["attributes"].get(key, ["text", "[]"])[1])
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(one, dict) for one in found)


def parsed(tags, key):
    """The list in a tag, which is taken out."""
    is_good = is_list({"attributes": tags}, key)
    text = tags.pop(key, ["text", "[]"])[1]
    return json.loads(text) if is_good else []


def low(n):
    """The lower half of an id, a number or text in hex."""
    return int(n, 16) % 2**64 if isinstance(n, str) else n % 2**64


def events(span, tags):
    """Times, names and keys of events; what their values become, the collector's receiver tells (tests/otlp_peer.rs)."""
    text = parsed(tags, "events")
    if span["events"]:
        return [(int(e["time"]), e["name"], sorted(e["attributes"])) for e in span["events"]]
    return [(e["time_unix_nano"], e.get("name", ""), sorted(e.get("attributes") or {})) for e in text]


if __name__ == "__main__":
    sys.exit(main())
