#!/usr/bin/env python3
"""Do OpenTelemetry's own generated classes for Python read our OTLP, strictly, and is JSON the same as protobuf?

usage: otlp_protos.py CONVERT [--payloads DIR] [--java CLASSPATH]
With a class path, those for Java (OtlpProtos, tests/oracle/java) are asked the same.
CONVERT is the binary `convert` of tests/oracle. Python's protobuf refuses what the collector lets pass: text that is
not UTF-8; and bytes that are more than they need to be (padded lengths, fields that are written empty) are seen in the
length of what it writes itself. JSON is read with unknown fields denied.
"""
import argparse
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

import agent_compare as agents
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("convert")
    parser.add_argument("--payloads", type=pathlib.Path)
    parser.add_argument("--java")
    options = parser.parse_args()
    found = options.payloads.glob("*.msgpack") if options.payloads else agents.FIXTURES.glob("*/*.msgpack")
    files = {f"{p.parent.name}/{p.stem}": p for p in sorted(found)}
    protobuf = agents.converted(options.convert, "ours", "otlp-proto", files)
    text = agents.converted(options.convert, "ours", "otlp-json", files)
    spans = failures = 0
    for name, path in protobuf.items():
        try:
            spans += compare(pathlib.Path(path).read_bytes(), pathlib.Path(text[name]).read_bytes())
        except Exception as e:  # each says what it is about
            failures += 1
            print(f"{name}: {type(e).__name__}: {str(e)[:500]}")
    print(f"{len(protobuf)} payloads, {spans} spans read by OpenTelemetry's classes: {failures} failures")
    refused = options.java and in_java(options.java, protobuf, text)
    return 1 if failures or not spans or refused else 0


def in_java(classpath, protobuf, text):
    """Whether the classes for Java see a failure."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.writelines(f"{name}\t{path}\t{text[name]}\n" for name, path in protobuf.items())
        names.flush()
        return subprocess.run(["java", "-cp", classpath, "OtlpProtos", names.name]).returncode


def compare(protobuf, text):
    """Spans of a request; raises what is wrong with it."""
    read = ExportTraceServiceRequest.FromString(protobuf)
    again = read.SerializeToString(deterministic=True)
    # A key without a letter is written all the same.
    if len(again) + 2 * sum(a.key == "" for a in attributes(read)) != len(protobuf):
        raise ValueError(f"{len(protobuf)} bytes, {len(again)} would do")
    other = json_format.Parse(json.dumps(with_ids(json.loads(text))), ExportTraceServiceRequest())
    # Bytes, since NaN does not equal itself; JSON knows one NaN.
    for attribute in attributes(read):
        if attribute.value.double_value != attribute.value.double_value:
            attribute.value.double_value = float("nan")
    if other.SerializeToString(deterministic=True) != read.SerializeToString(deterministic=True):
        raise ValueError(f"JSON is another request: {difference(read, other)}")
    return sum(len(scope.spans) for resource in read.resource_spans for scope in resource.scope_spans)


def attributes(read):
    spans = [s for resource in read.resource_spans for scope in resource.scope_spans for s in scope.spans]
    return [attribute for s in spans for owner in (s, *s.links, *s.events) for attribute in owner.attributes]


def with_ids(value):
    """JSON with ids as protobuf's own mapping has them: OTLP writes them in hex, not in base64."""
    if isinstance(value, list):
        return [with_ids(v) for v in value]
    if isinstance(value, dict):
        return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in IDS else with_ids(v) for k, v in value.items()}
    return value


def difference(a, b):
    for resource, other in zip(a.resource_spans, b.resource_spans):
        for scope, other_scope in zip(resource.scope_spans, other.scope_spans):
            for span, other_span in zip(scope.spans, other_scope.spans):
                if span.SerializeToString(deterministic=True) != other_span.SerializeToString(deterministic=True):
                    return f"{span}\n{other_span}"
    return "not in its spans"


if __name__ == "__main__":
    sys.exit(main())
