#!/usr/bin/env python3
"""Makes case lines of kind "stats": single spans with whatever may decide their group in an odd form.

usage: stats_cases.py SEED COUNT > cases.jsonl      the same seed gives the same lines
"""
import base64, json, random, struct, sys

HTTP = ["http.status_code", "http.response.status_code"]
GRPC = ["rpc.grpc.status_code", "grpc.code", "rpc.grpc.status.code", "grpc.status.code", "rpc.response.status_code"]
PEERS = ["_dd.base_service", "amqp.queue", "aws.s3.bucket", "db.cassandra.contact.points", "db.hostname", "db.instance", "db.name", "db.system", "db.type", "grpc.host", "hostname", "http.host", "messaging.destination", "messaging.kafka.bootstrap.servers", "net.peer.name", "network.destination.ip", "out.host", "peer.hostname", "peer.service", "rpc.service", "rpc.system", "server.address", "tablename", "topicname"]
NAMES = ["OK", "CANCELLED", "CANCELED", "UNKNOWN", "INVALIDARGUMENT", "INVALID_ARGUMENT", "DEADLINEEXCEEDED", "DEADLINE_EXCEEDED", "NOTFOUND", "NOT_FOUND", "ALREADYEXISTS", "ALREADY_EXISTS", "PERMISSIONDENIED", "PERMISSION_DENIED", "RESOURCEEXHAUSTED", "RESOURCE_EXHAUSTED", "FAILEDPRECONDITION", "FAILED_PRECONDITION", "ABORTED", "OUTOFRANGE", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATALOSS", "DATA_LOSS", "UNAUTHENTICATED", "Bogus", "NOT FOUND", "UNAUTHENTİCATED", "ınternal", "DATALOſS"]
NUMBERS = ["200", "404", "503", "0", "00", "007", "+200", "-200", "-0", "200.0", "200.5", "2e2", "2E+2", ".2e3", "200.", "1_000", "1_0.5e1", "1__0", "_1", "0x1p4", "0x_1p8", "0x1.8p9", "0x10", "0b11", "0o17", "Inf", "-inf", "infinity", "NaN", "4O4", " 200", "200 ", "", "4294967295", "4294967296", "99999999999", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e400", "1e-400", "256", "16", "17", "٢٠٠", "200\x00", "0x1p-1074", "1e19"]
FLOATS = [0.0, -0.0, 1.0, 2.0, 5.0, 14.0, 16.0, 17.0, 200.0, 404.0, 503.9, 0.5, -1.0, 255.0, 256.0, 1e9, 4294967295.0, 4294967296.0, 9007199254740993.0, 9223372036854775807.0, -9223372036854775808.0, 1e19, 1e20, 1e300, float("inf"), float("-inf"), float("nan"), 5e-324]
IPS = ["10.0.0.1", "10.0.0.1:80", "192.168.1.1,192.168.1.2", "host,10.1.2.3:9092,10.1.2.4:9092", "::1", "127.0.0.1", "2001:db8::1", "[2001:db8::1]:443", "http://1.2.3.4/x", "ip-10-1-2-3.ec2.internal", "1_2_3_4", "169.254.169.254", "10.0.0.1.", "10.0.0", "fe80::1%eth0", "db.internal", ",", "a,,a", "10.0.0.1,", " 10.0.0.1"]
WORDS = ["a", "shop", "web", "GET /cart", "checkout-v2", "x" * 31, "y" * 40, "z" * 300, "é", "日本", "", "\u0130", "UPPER", "a b", "a:b", "a,b"]
KINDS = ["client", "server", "producer", "consumer", "internal", "CLIENT", "Server", "pRoDuCeR", "Internal", "", "clients", "clien", "unspecified", " client", "clİent", "clıent", "ſerver", "İnternal", "producer\x00"]
BAD = [b"\xff", b"a\xc3", b"\xe6\x97b", b"\xed\xa0\x80", b"\xf0\x9f\x99", b"client\x80", b"10.0.0.1\xff"]


def head(fix, limit, wide, n): return bytes([fix | n]) if n <= limit else bytes([wide]) + struct.pack(">H" if wide in (0xda, 0xdc, 0xde) else ">I", n)


def text(r, value):
    """A string in its shortest form, or in another that a tracer may write; now and then nil or bytes."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    form = r.randrange(24)
    if form == 0: return b"\xdb" + struct.pack(">I", len(raw)) + raw
    if form == 1: return b"\xda" + struct.pack(">H", len(raw)) + raw
    if form == 2 and not raw: return b"\xc0"
    if form == 3: return b"\xc5" + struct.pack(">H", len(raw)) + raw
    if 31 < len(raw) < 256: return b"\xd9" + bytes([len(raw)]) + raw
    return head(0xa0, 31, 0xda, len(raw)) + raw


def integer(r, v):
    forms = [(0, 127, lambda: bytes([v])), (-32, -1, lambda: bytes([v & 255])), (0, 255, lambda: b"\xcc" + bytes([v])), (0, 65535, lambda: b"\xcd" + struct.pack(">H", v)), (0, 2**32 - 1, lambda: b"\xce" + struct.pack(">I", v)), (0, 2**64 - 1, lambda: b"\xcf" + struct.pack(">Q", v)), (-2**63, 2**63 - 1, lambda: b"\xd3" + struct.pack(">q", v))]
    fitting = [f for least, most, f in forms if least <= v <= most]
    return (fitting[0] if r.random() < .5 else r.choice(fitting))()


def number(r, v):
    if v == v and abs(v) < 2**63 and v == int(v) and r.random() < .4: return integer(r, int(v))
    return b"\xc0" if r.random() < .02 else b"\xcb" + struct.pack(">d", v)


def pairs(r, entries, value):
    r.shuffle(entries)
    if entries and r.random() < .1: entries.append((r.choice(entries)[0], r.choice(entries)[1]))
    return head(0x80, 15, 0xde, len(entries)) + b"".join(text(r, k) + value(r, v) for k, v in entries)


def word(r): return r.choice(BAD) if r.random() < .08 else r.choice(WORDS)


def span(r):
    meta, metrics, like = {}, {}, r.random
    if like() < .6: meta["span.kind"] = r.choice(KINDS[:5]) if like() < .6 else r.choice(BAD) if like() < .1 else r.choice(KINDS)
    about = r.randrange(4)
    if about in (0, 3):
        for key in HTTP:
            if like() < .5: meta[key] = r.choice(BAD) if like() < .05 else r.choice(NUMBERS)
            if like() < .4: metrics[key] = r.choice(FLOATS)
    if about in (1, 3):
        for key in GRPC:
            if like() < .25: meta[key] = r.choice(["", "StatusCode.", "StatusCode.StatusCode.", "statuscode."]) * (like() < .4) + (r.choice(NAMES) if like() < .6 else r.choice(NUMBERS))
            if like() < .25: metrics[key] = r.choice(FLOATS)
            name = meta.get(key)
            if isinstance(name, str) and like() < .4: meta[key] = "".join(r.choice((c.lower(), c)) for c in name)
        for key in ("rpc.system", "rpc.system.name"):
            if like() < .5: meta[key] = r.choice(["grpc", "grpc", "GRPC", "thrift", ""])
    if about in (2, 3):
        for key in r.sample(PEERS, r.randrange(6)): meta[key] = r.choice(BAD) if like() < .05 else r.choice(IPS) if like() < .6 else word(r)
        if like() < .4: meta["_dd.base_service"] = r.choice(IPS + WORDS)
    for key, chance in (("http.method", .2), ("http.endpoint", .15), ("http.route", .2), ("_dd.svc_src", .15), ("_dd.origin", .2), ("env", .2), ("a.key.that.nobody.asks.for", .3)):
        if like() < chance: meta[key] = word(r) if key != "_dd.origin" or like() < .4 else r.choice(["synthetics", "synthetics-browser", "Synthetics", "rum", " synthetics"])
    for key, chance in (("_dd.measured", .2), ("_top_level", .15), ("_dd.top_level", .15), ("_dd.partial_version", .08), ("_sampling_priority_v1", .4)):
        if like() < chance: metrics[key] = r.choice([1.0, 1.0, 0.0, 2.0, -1.0, float("nan"), 1.5])
    start = 1_700_000_000_000_000_000 + r.randrange(10**15) if like() < .8 else r.choice([0, 1, -1, -2**63, 946684800000000000, 1_600_000_000_000_000_001, 2**63 - 1, 2**62])
    duration = r.randrange(10**10) if like() < .8 else r.choice([0, 1, -1, -2**63, 2**63 - 1, 2**53 + 1, 2**53 - 1, 2**62, 2**63 - 1 - max(start, 0), max(0, 2**63 - max(start, 0)) % 2**63])
    fields = [("service", text(r, word(r))), ("name", text(r, word(r))), ("resource", text(r, word(r))), ("type", text(r, word(r))),
              ("trace_id", integer(r, r.randrange(1, 2**64))), ("span_id", integer(r, r.randrange(1, 2**64))), ("parent_id", integer(r, r.choice([0, 0, 0, 7]))),
              ("start", integer(r, start)), ("duration", integer(r, duration)), ("error", integer(r, r.choice([0, 0, 0, 1, 2, -1]))),
              ("meta", pairs(r, list(meta.items()), text)), ("metrics", pairs(r, list(metrics.items()), number))]
    if like() < .3: r.shuffle(fields)
    fields = [f for f in fields if like() > .02]
    return head(0x80, 15, 0xde, len(fields)) + b"".join(text(r, k) + v for k, v in fields)


r = random.Random(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    payload = b"\x91\x91" + span(r)
    print(json.dumps({"kind": "stats", "input_b64": base64.b64encode(payload).decode(), "config": {"peer_tags": "agent"}}))
