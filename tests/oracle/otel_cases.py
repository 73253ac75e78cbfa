#!/usr/bin/env python3
"""Spans as OTLP in JSON that try the rules of the OpenTelemetry mapping, one case {"id", "otlp"} a line.

usage: otel_cases.py SEED COUNT
Only what OpenTelemetry Java can hand to an exporter: attributes sorted, one of a key, no empty key, a resource's in ASCII, kinds that it has.
Texts of links are plain, since the agent does not escape them.
"""
import base64
import json
import math
import random
import sys

# Keys that a rule asks for, with values that it looks at; whatever stands here also comes with values of other types.
KEYS = {
    "service.name": ["shop", "My Shop!! Ü", "", "-", "x" * 120], "operation.name": ["charge", "Do It!", "", "9 lives"],
    "resource.name": ["GET /x", ""], "span.type": ["web", "Worker", ""], "http.request.method": ["GET", "_OTHER", ""],
    "http.method": ["POST", "_OTHER", ""], "http.status_code": [200, 503, "404", "x", -1, 599.5, "", 103, "404.0", "4.04e2", "+5", " 5", "0404", "1e400", "305", "nan"],
    "http.response.status_code": [201, 500, "502", "", 10**12], "http.route": ["/a/{id}", ""],
    "url.template": ["/t/{x}", ""], "db.system.name": ["postgresql", "microsoft.sql_server", "Made Up", "!!", ""],
    "db.system": ["redis", "mongodb", "h2", "MySQL", ""], "db.statement": ["SELECT 1", "", "x" * 6000, "ü" * 2600],
    "db.query.text": ["SELECT 2", ""], "db.namespace": ["orders", ""], "db.name": ["named", "", 5],
    "messaging.system": ["kafka", "Rabbit MQ", ""], "messaging.operation": ["publish", "Take It", ""],
    "messaging.operation.name": ["n"], "messaging.operation.type": ["t"], "messaging.destination": ["q", ""],
    "messaging.destination.name": ["topic", ""], "rpc.system": ["grpc", "aws-api", "Java RMI", ""],
    "rpc.system.name": ["grpc", "dubbo", ""], "rpc.service": ["S3", "pkg.Service", ""], "rpc.method": ["Get", ""],
    "rpc.grpc.status_code": [0, 14, "2", ""], "grpc.code": [3, "OK", ""], "rpc.grpc.status.code": [5, "6", ""],
    "grpc.status.code": [7, "8", ""], "rpc.response.status_code": [9, "DEADLINE_EXCEEDED", ""],
    "faas.invoked_provider": ["aws", "A W S", ""], "faas.invoked_name": ["fn", ""], "faas.trigger": ["http", "Time R", ""],
    "graphql.operation.type": ["query", ""], "graphql.operation.name": ["find", ""],
    "network.protocol.name": ["http", "amqp 1", ""], "network.protocol.version": ["1.1", 2, ""],
    "deployment.environment.name": ["Prod!", ""], "deployment.environment": ["staging", ""],
    "service.version": ["1.2.3-Ü b", ""], "container.id": ["abc123", ""], "_dd.measured": [1, 0, "1", 1.0, True],
    "_sample_rate": [0.25, 1, "0.5", 0, 7.5], "sampling.priority": [2, 1, 0, -1, 1.9, "2", True],
    "_sampling_priority_v1": [2, 0.0, "1"], "analytics.event": [True, False, "true", "F", "yes", "1", "", 1],
    "_dd1.sr.eausr": [0.5], "span.kind": ["server", ""], "error.msg": ["bad", "", 3], "error.type": ["E", ""],
    "error.stack": ["at x", ""], "env": ["e", "", 1], "version": ["v", "", 2], "events": ["[]", "", 1],
    "_dd.span_links": ["[]", ""], "w3c.tracestate": ["x=y", ""], "otel.trace_id": ["00", 1], "otel.status_code": ["x"],
    "otel.status_description": ["said", ""], "otel.scope.name": ["s"], "otel.library.version": ["v"], "_dd.p.dm": ["-3", ""],
    "_dd.p.tid": ["00"], "_top_level": [1, "1"], "_dd.top_level": [1.0], "_dd.base_service": ["Base One", ""],
    "peer.service": ["Peer One!", ""], "client.address": ["1.2.3.4", ""], "http.client_ip": ["4.3.2.1", ""],
    "http.request.body.size": [5, "6"], "http.request.content_length": [7, "8", ""], "http.response.body.size": [9],
    "http.response.content_length": [10, "11"], "http.request.header.referrer": ["r", ""], "http.referrer": ["R", ""],
    "http.request.header.x-a": ["h", ["a", "b"]], "http.request.headers.x-a": ["H", ""], "http.request.header.": ["e"],
    "server.address": ["host", ""], "http.server_name": ["HOST", ""], "url.full": ["http://a/b?c#d", ""],
    "http.url": ["http://u:p@h/", ""], "user_agent.original": ["ua", ""], "http.useragent": ["UA"], "http.version": ["2", 3.0],
    "net.peer.name": ["p"], "http.user_agent": ["old"], "k8s.pod.name": ["pod", ""], "k8s.pod.uid": ["uid"],
    "host.name": ["h"], "telemetry.sdk.language": ["java", ""], "telemetry.sdk.version": ["1.49.0"],
    "container.image.tags": [["a", "b"], [], "t"], "container.name": ["c"], "cloud.region": ["eu", ""], "region": ["r", "", 4],
    "pod_name": ["p", ""], "datadog.container.tag.team": ["blue", "", 5], "kube_cluster_name": ["k"],
    "datadog.host.name": ["dh"], "_dd.hostname": ["hh"], "_dd.stats_computed": ["true"], "plain": ["x", ""], "n": [1, 2.5],
    "_dd.span_events.has_exception": ["no"], "meta": ["m"], "name": ["nn"], "error": [1, "1", True],
}
TEXTS = ["", "a", "Grüße", "日本語 テキスト", "a\"b\\c\n\t", "<a href='&'>", "\u2028\u2029", "😀😁", "x" * 300, "\u0000\u001f\u007f", " ",
         "true", "1e3", "\b\f\r", "é" * 250, "/users/42?q=1", "SELECT * FROM t WHERE a = 'x'"]
PLAIN = ["", "a", "Grüße", "日本語", "😀", "x" * 300, "a:b/c"]
NUMBERS = [0.0, -0.0, 0.1, 3.0, -2.5e-7, 1e20, 1e21, 1.5e300, 5e-324, 1 / 3, 1e-6, 1e-7, 123456789.125, 2.0**63, 100.0,
           float("nan"), float("inf"), float("-inf")]
INTEGERS = [0, 1, -1, 127, 128, -128, -129, 65535, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63)]
# Tags of the container by Datadog's names: of a resource the agent takes them for the payload, where v0.4 has no place.
CONTAINER = {"region", "pod_name", "kube_cluster_name", "datadog.container.tag.team"}
# A priority is a small number; what becomes of another one depends on the machine.
SMALL = {"sampling.priority", "_sampling_priority_v1"}
DB = "cassandra elasticsearch memcached mongodb opensearch redis h2 db2 oracle.db sap.maxdb cache teradata snowflake".split()


class Cases:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def chance(self, p):
        return self.r.random() < p

    def any_value(self, depth=0, texts=TEXTS):
        kind = self.r.randrange(9 if depth < 3 else 5)
        if kind < 2:
            return self.r.choice(texts)
        if kind == 2:
            return self.r.choice(INTEGERS)
        if kind == 3:
            return self.r.choice(NUMBERS)
        if kind == 4:
            return self.chance(0.5)
        if kind == 5:
            return self.r.randbytes(self.r.randrange(6))
        if kind == 6:
            return {k: self.any_value(depth + 1, texts) for k in self.r.sample(["b", "a", "Z", "é", "_"], self.r.randrange(4))}
        if kind == 7:
            return [self.any_value(depth + 1, texts) for _ in range(self.r.randrange(4))]
        one = self.r.choice([["s", "t"], [1, 2], [0.5, 1.5], [True]])
        return one[: self.r.randrange(len(one) + 1)]

    def attributes(self, most, keys=None, texts=TEXTS):
        found = {}
        for _ in range(self.r.randrange(most + 1)):
            if keys is None or self.chance(0.15):
                key = self.r.choice(["a", "z", "key", "Ü", "a.b", "x" * 40, "http.request.header.b", "A"])
                found[key] = self.any_value(texts=texts)
            else:
                key = self.r.choice(keys)
                odd = key not in SMALL and self.chance(0.12)
                found[key] = self.any_value() if odd else self.r.choice(KEYS[key])
        order = sorted(found, key=lambda k: k.encode("utf-16-be"))
        return [{"key": k, "value": value(found[k])} for k in order]

    def case(self, n):
        # A few subjects a case, so that rules meet: with all keys at once hardly two of one concept would.
        keys = self.r.sample(sorted(KEYS), self.r.randrange(4, 24))
        if self.chance(0.2):
            KEYS["db.system"][0] = self.r.choice(DB)
        scopes = []
        traces = [f"{self.r.getrandbits(128) | 1:032x}" for _ in range(self.r.choice([1, 1, 2]))]
        if self.chance(0.1):
            traces.append(f"{self.r.getrandbits(64):016x}" + traces[0][16:])
        for _ in range(self.r.choice([1, 1, 1, 2])):
            scope = {"name": self.r.choice(["io.otel.http", "", "ü"]), "attributes": []}
            if self.chance(0.5):
                scope["version"] = self.r.choice(["2.1.0", "v"])
            if self.chance(0.2):
                scope["attributes"] = self.attributes(4, keys)
            scopes.append({"scope": scope, "spans": [self.span(traces, keys) for _ in range(self.r.choice([1, 1, 1, 2, 3]))]})
        tags = self.attributes(8, keys if self.chance(0.7) else list(KEYS))
        resource = {"attributes": [tag for tag in tags if tag["key"].isascii() and tag["key"] not in CONTAINER]}
        return {"id": f"case-{n}", "otlp": {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}}

    def span(self, traces, keys):
        start = self.r.choice([1_700_000_000_000_000_000] * 8 + [0, 1, 946_684_799_999_999_999, 946_684_800_000_000_000, 2**62])
        end = start + self.r.choice([0, 1, 1_500_000, 10**12, -5, 2**61])
        span = {
            "traceId": self.r.choice(traces),
            "spanId": f"{self.r.getrandbits(64) | 1:016x}",
            "parentSpanId": "" if self.chance(0.5) else f"{self.r.getrandbits(64) | 1:016x}",
            "name": self.r.choice(["do thing", "", "GET", "Ünïcode ✓", "x" * 5200]),
            "kind": self.r.randrange(1, 6),
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(max(end, 0)),
            "attributes": self.attributes(10, keys),
        }
        if self.chance(0.25):
            span["traceState"] = ",".join(self.r.sample(["dd=s:1;o:rum", "congo=t61rcWkgMzE"], self.r.randrange(2)) + [self.r.choice(
                ["ot=th:8", "ot=th:c;rv:1", "ot=p:3", "ot=p:63", "ot=th:0", "ot=th:zz", "ot=rv:1;th:4", "ot=th:fffffffffffff8",
                 "ot=p:2;th:8", "ot=p:0", "ot=p:-1", "ot=th:", "ot=th:123456789abcdef", "rojo=00f067aa0ba902b7"])])
        if self.chance(0.5):
            span["status"] = {"code": self.r.randrange(3)}
            if self.chance(0.4):
                span["status"]["message"] = self.r.choice(TEXTS)
        if self.chance(0.2):
            span["events"] = [self.event() for _ in range(self.r.randrange(1, 4))]
        if self.chance(0.2):
            span["links"] = [self.link() for _ in range(self.r.randrange(1, 3))]
        return span

    def event(self):
        event = {"name": self.r.choice(["exception", "log", "", "<é>\""]), "attributes": self.attributes(3)}
        if self.chance(0.8):
            event["timeUnixNano"] = self.r.choice(["1700000000000000000", "1", "9000000000000000000"])
        if self.chance(0.3):
            event["droppedAttributesCount"] = 3
        return event

    def link(self):
        link = {"traceId": f"{self.r.getrandbits(128) | 1:032x}", "spanId": f"{self.r.getrandbits(64) | 1:016x}",
                "attributes": [a for a in self.attributes(3, texts=PLAIN) if set(a["value"]) & {"stringValue", "intValue", "boolValue"}]}
        if self.chance(0.3):
            link["traceState"] = "congo=t61rcWkgMzE"
        if self.chance(0.3):
            link["droppedAttributesCount"] = 2
        return link


def value(v):
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v if math.isfinite(v) else "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"}
    if isinstance(v, bytes):
        return {"bytesValue": base64.b64encode(v).decode()}
    if isinstance(v, list):
        return {"arrayValue": {"values": [value(one) for one in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": value(one)} for k, one in v.items()]}}
    return {"stringValue": v}


def main():
    cases = Cases(int(sys.argv[1]))
    for n in range(int(sys.argv[2])):
        print(json.dumps(cases.case(n)))


if __name__ == "__main__":
    main()
