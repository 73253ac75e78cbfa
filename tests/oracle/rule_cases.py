#!/usr/bin/env python3
"""Makes case lines for the kinds of text other than SQL and for the normalization rules, from grammars and mutations.

usage: rule_cases.py SEED COUNT [KIND...] > cases.jsonl      the same seed gives the same lines
"""
import base64, json, random, sys

UNICODE = ["é", "É", "日", "本", "🙂", "٣", "ß", "ſ", "İ", "ı", "ǅ", "\u00a0", "\u0085", "\u3000", "\u2028", "\ufffd", "²", "ª", "Ⅳ", "ა", "Ა", "\u0301", "𝔘", "Ω", "\u212a"]
BYTES = [b"\xff", b"\x80", b"\xc3", b"\xe6\x97", b"\xed\xa0\x80", b"\xf0\x9f\x99", b"\x00", b"\x7f", b"\x0b", b"\x0c", b"\x1f"]


def pick(r, *options):
    o = r.choice(options)
    return o(r) if callable(o) else o


def mutate(r, text):
    """Breaks a text at a few places; sometimes bytes that are not UTF-8."""
    b = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(r.choice([0, 0, 0, 1, 1, 2, 4])):
        at = r.randrange(len(b) + 1)
        what = r.randrange(6)
        if what == 0 and b:
            del b[min(at, len(b) - 1)]
        elif what == 1:
            b[at:at] = r.choice(UNICODE).encode()
        elif what == 2:
            b[at:at] = r.choice([b" ", b"\n", b"\t", b"\r", b'"', b"\\", b"'", b"/", b":", b"@", b"%", b"?", b"#", b"[", b"]", b"{", b"}", b",", b"_", b"-", b".", b"0", b"A", b"..."])
        elif what == 3:
            del b[at:]
        elif what == 4:
            end = min(len(b), at + r.randrange(8))
            b[at:at] = b[at:end]
        elif r.random() < .3:
            b[at:at] = r.choice(BYTES)
    return bytes(b)


def word(r):
    return "".join(r.choice("abcdefghijkXYZ0189_.-") for _ in range(r.randrange(1, 9)))


COMMANDS = "AUTH MIGRATE HELLO ACL APPEND GETSET LPUSHX GEORADIUSBYMEMBER RPUSHX SET SETNX SISMEMBER ZRANK ZREVRANK ZSCORE HSETNX LREM LSET SETBIT SETEX PSETEX SETRANGE ZINCRBY SMOVE RESTORE LINSERT GEOHASH GEOPOS GEODIST LPUSH RPUSH SREM ZREM SADD GEOADD HSET HMSET MSET MSETNX CONFIG BITFIELD ZADD GET DEL PING EVAL CLIENT CLUSTER COMMAND DEBUG SCRIPT".split()


def redis_arg(r):
    return pick(r, word, word, lambda r: '"%s"' % r.choice(["a b", 'q\\" x', "line\\n", "", "a\nb"]), "NX", "XX", "CH", "INCR", "SET", "set", "GET", "INCRBY", "u8", "0", "1.5", "\\", '"', "é", "user@x", "rewrite")


def redis(r):
    lines = []
    for _ in range(r.choice([1, 1, 1, 2, 3, 5])):
        c = r.choice(COMMANDS)
        c = r.choice([c, c, c.lower(), c.title(), c + "...", c.replace("S", "ſ"), word(r)])
        args = [redis_arg(r) for _ in range(r.choice([0, 1, 2, 3, 4, 5, 8]))]
        lines.append(r.choice(["", "", "", " ", "  "]) + r.choice([" ", " ", "  ", " \t"]).join([c] + args) + r.choice(["", "", "", " ", "\r", "..."]))
    return r.choice(["\n", "\n", "\r\n", "\n\n"]).join(lines)


def memcached(r):
    return pick(r, "get ", "set ", "add ", "cas ", "incr ", "", " ") + " ".join(word(r) for _ in range(r.randrange(4))) + pick(r, "\r\n", "\n", "\r", "", " \r\n ", "\u00a0\r\n") + pick(r, word, "", "secret\r\n")


KEYS = ["keep", "keep_me", "_id", "é", "name", "size", "filter", "$gt", "nested.key", "", 'k\\"q', "bool"]


def json_value(r, depth):
    n = r.randrange(12) if depth < 5 else r.randrange(8)
    if n < 4:
        return pick(r, '"%s"' % r.choice(["a b", "x\\n", "\\u00e9", "\\ud83d\\ude42", "a\\/b", "O'Brien", "é🙂", 'q\\"q', "\\\\", "", "\\x", "ctrl\x01", "\\u12"]), '"%s"' % word(r), '"select 1"')
    if n < 7:
        return pick(r, "0", "1", "-1", "1.5", "1e10", "1E+2", "-0", "01", "1.", "-", "1e", "2.5e-3")
    if n < 8:
        return pick(r, "true", "false", "null", "tru", "nul", "falsey", "TRUE")
    sp = lambda: r.choice(["", "", " ", "\n  ", "\t"])
    if n < 10:
        return "{" + sp() + ("," + sp()).join('"%s"%s:%s%s' % (r.choice(KEYS), sp(), sp(), json_value(r, depth + 1)) for _ in range(r.randrange(4))) + sp() + "}"
    return "[" + sp() + ("," + sp()).join(json_value(r, depth + 1) for _ in range(r.randrange(4))) + sp() + "]"


def documents(r):
    return r.choice(["", "", " "]) + r.choice([" ", "\n", "", "  "]).join(json_value(r, r.choice([0, 0, 0, 4])) for _ in range(r.choice([1, 1, 1, 1, 2, 3]))) + r.choice(["", "", " "])


def well_formed(r):
    def value(d):
        if d > 3 or r.random() < .5:
            return r.choice([1, 2.5, "text", "O'Brien", None, True, "", "é"])
        if r.random() < .5:
            return {r.choice(KEYS): value(d + 1) for _ in range(r.randrange(4))}
        return [value(d + 1) for _ in range(r.randrange(4))]
    v = {r.choice(KEYS): value(0) for _ in range(r.randrange(5))}
    return json.dumps(v, ensure_ascii=r.random() < .5, indent=r.choice([None, None, 2]))


HOSTS = ["example.com", "EXAMPLE.com:8080", "10.0.0.1", "[2001:db8::1]", "[::1]:80", "[fe80::1%25en0]", "[fe80::1%25e%20n]", "[1.2.3.4]", "[::g]", "bücher.de", "h", "", "a-b.c_d", "h:", "h:x", "a:1:2", "h%20x", "h%C3%A9", "h%25x", "h`", "h<x>", "[::1", "::1]", "[::1]x", "h!$&'()*+,;=", "[::ffff:1.2.3.4]", "[::1%25]"]
SEGMENTS = ["a", "users", "1", "u42", "v1", "uuid-5f-3c", "%31", "%2F", "%2f", "a%20b", "x y", "é", "%C3%A9", "{id}", "(1)", "a'b", "a=b", "a;b@2x", "@2x", "$", "~x", "abc[0]", "", ".", "..", "%", "%zz", "REDACTED", "٣", "`", "a:b", "a%3Ab", "*", "%2A", "!x", "<b>", '"q"', "^", "|"]


def url(r):
    head = r.choice(["http://", "https://", "HTTP://", "ftp://", "ws://", "//", "", "", "/", "mailto:", "http:", "http:/", "a1+-.b://", "1http://", ":", "///", "jdbc:x://"])
    if head.endswith("//") and head != "///":
        head += r.choice(["", "", "", "", "u@", "user:pw@", "é:p@", "u:p@q@", "u%20:p%@", "u{:p@", ":@", "@"]) + r.choice(HOSTS)
    segs = "/".join(r.choice(SEGMENTS) for _ in range(r.randrange(5)))
    if head.endswith("//") or (segs and not head.endswith("/") and r.random() < .8):
        segs = "/" + segs
    return head + segs + r.choice(["", "", "", "?", "?a=b", "?token=abc", "?a=%2,0", "??", "?a=b c", "?é", "?x=/REDACTED/"]) + r.choice(["", "", "", "#", "#frag", "#a b", "#é", "#x'y", "#%31%zz", "#`1#", "#!(a)[b]?/"])


def card(r):
    n = r.choice([11, 12, 13, 14, 15, 16, 16, 16, 17, 19])
    head = r.choice(["4", "51", "55", "34", "37", "30", "300", "305", "309", "36", "38", "6011", "65", "644", "649", "62", "352", "3528", "3589", "3590", "222", "2221", "222100", "272099", "2721", "5018", "5019", "5020", "50", "5000", "509999", "560000", "589999", "59", "6", "600000", "1", "0", "7", "9", "2", "27", "28", "636", "63", "64"])
    digits = (head + "".join(r.choice("0123456789") for _ in range(n)))[:n]
    if r.random() < .5:
        s, alt = 0, True
        for d in reversed(digits[:-1]):
            d = int(d) * (2 if alt else 1)
            s += d - 9 if d > 9 else d
            alt = not alt
        digits = digits[:-1] + str(-s % 10)
    gap = r.choice(["", "", " ", "-", "  ", " -"])
    return r.choice(["", "", " ", "-"]) + gap.join(digits[i:i + 4] for i in range(0, len(digits), 4)) + r.choice(["", "", " ", "-", "x"])


def address(r):
    octet = lambda: str(r.choice([0, 1, 10, 127, 169, 192, 254, 255, 256, 300, "01", "", "a"])) if r.random() < .3 else str(r.randrange(256))
    sep = r.choice([".", ".", ".", "-", "_"])
    v4 = sep.join(octet() for _ in range(r.choice([4, 4, 4, 4, 4, 3, 5])))
    v6 = r.choice(["2001:db8::1", "::1", "fe80::1%eth0", "fd00:ec2::254", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::", ":::", "1::2::3", "12345::", "::1%", "1:2:3:4::5:6:7:8", "::1.2.3.04"])
    a = r.choice([v4, v4, v4, v6, "[%s]" % v6, "127.0.0.1", "169.254.169.254", "169.254.170.2", "host", "a.b.c", word(r)])
    a = r.choice(["", "", "", "", "ip-", "http://", "https://", "http:///", "xhttp://", "dnspoll:///", "ftp://", "file:///", "sftp://", "redis://"]) + a
    return a + r.choice(["", "", "", ":80", ":", ":x", ".", ".5", "/p", ".ec2.internal", ":80:90", "_", "]"])


def addresses(r):
    return r.choice([",", ",", ", "]).join(address(r) for _ in range(r.choice([1, 1, 1, 2, 3, 4, 12, 30])))


def name(r):
    chunks = [pick(r, word, word, lambda r: r.choice(UNICODE), " ", "_", "__", ".", "..", "._", "_.", "-", "--", "/", ":", "!", "A", "9", "@", lambda r: r.choice("abcXYZ") * r.choice([1, 5, 60, 99, 110, 200])) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 40]))]
    return "".join(chunks)


def some_text(r):
    """Text as msgpack carries it to an agent: always UTF-8, since the answer is JSON."""
    return mutate(r, pick(r, name, name, url, redis, card, documents, addresses, lambda r: r.choice("aé日🙂") * r.choice([99, 100, 101, 5000, 5001, 1667]))).decode("utf-8", "replace")


TAGS = ["env", "peer.service", "_dd.base_service", "http.status_code", "http.url", "redis.raw_command", "valkey.raw_command", "memcached.command", "mongodb.query", "elasticsearch.body", "opensearch.body", "card.number", "account_id", "_hidden", "note", "_dd.p.tid", "_dd.origin", "_dd.p.dm", "k" * 201, "_dd.x.json", "error.stack", "db.type", "service", "span.kind"]
FILLERS = {
    "env": name, "peer.service": name, "_dd.base_service": name, "http.url": url, "redis.raw_command": redis, "valkey.raw_command": redis,
    "http.status_code": lambda r: r.choice(["200", "099", "99", "600", "599", "+200", "", "2e2", "0200", " 200", "99999999999999999999"]),
    "memcached.command": memcached, "mongodb.query": well_formed, "elasticsearch.body": documents, "opensearch.body": well_formed,
    "card.number": card, "account_id": card, "_hidden": card, "note": lambda r: pick(r, card, lambda r: "x" * r.choice([24999, 25000, 25001]), name), "_dd.p.tid": lambda r: "640cfd8d00000000",
    "_dd.origin": lambda r: r.choice(["rum", "synthetics", ""]), "_dd.p.dm": lambda r: r.choice(["-1", "-3", "-4"]), "k" * 201: card, "_dd.x.json": lambda r: "x" * 25001, "error.stack": lambda r: "at a.b(C.java:12)\n", "db.type": lambda r: "mysql", "service": card, "span.kind": lambda r: "server",
}
SMALL = {"max": 2**63 - 1, "start": 1_750_000_000_000_000_000}
trace_ids = iter(range(1_000_000, 2**40))


def one_span(r, trace_id, span_id, types):
    meta = {}
    for key in r.sample(TAGS, r.choice([0, 1, 2, 4])):
        meta[key] = FILLERS[key](r) if r.random() < .8 else some_text(r)
        meta[key] = meta[key].encode("utf-8", "replace").decode()
    metrics = {"_sampling_priority_v1": r.choice([1, 2])}
    if r.random() < .2:
        metrics[r.choice(["amount", "m" * 201, "_sample_rate", "_dd.measured"])] = r.choice([0.25, 1, 2.5, 1e21])
    return {
        "trace_id": trace_id, "span_id": span_id, "parent_id": r.choice([0, 0, 0, 7, trace_id]),
        "service": pick(r, "svc", "svc", name, some_text, ""), "name": pick(r, "op", "op", name, some_text, ""), "resource": pick(r, "res", redis, some_text, ""),
        "type": pick(r, lambda r: r.choice(types), lambda r: r.choice(types), lambda r: r.choice(types), some_text),
        "start": r.choice([SMALL["start"]] * 6 + [0, 1, -1, 946_684_799_999_999_999, 946_684_800_000_000_000, -2**62]),
        "duration": r.choice([1000] * 6 + [0, -1, SMALL["max"], 2**62]),
        "error": r.choice([0, 0, 0, 1, 7]), "meta": meta, "metrics": metrics,
    }


TYPES = ["web", "http", "redis", "valkey", "memcached", "mongodb", "elasticsearch", "opensearch", "SQL", "Redis", "", "custom", "t" * 101]


def lone_span(r):
    t = next(trace_ids)
    s = one_span(r, t, r.choice([1, 5, t, t]), TYPES)
    if r.random() < .05:
        s[r.choice(["trace_id", "span_id"])] = 0
    return s, None


def chunk_of_spans(r):
    t = next(trace_ids)
    spans = []
    for i in range(r.choice([1, 1, 2, 3, 5])):
        s = one_span(r, t, i + 1, ["web", "custom"])
        s["meta"] = {k: v for k, v in s["meta"].items() if k in ("_dd.origin", "_dd.p.dm", "_dd.p.tid", "env")}
        s["metrics"] = {}
        if r.random() < .6:
            s["metrics"]["_sampling_priority_v1"] = r.choice([1, 2, 1, 2, 0, -1, 3, 100, 1.5, 257, -128, 0.9])
        if r.random() < .15:
            s["metrics"]["_dd.span_sampling.mechanism"] = 8
        if r.random() < .15:
            s["metrics"]["_sample_rate"] = r.choice([0.25, 1, 2])
        # With two orphans the agent takes a root at random, so there is at most one.
        s["parent_id"] = r.choice([1, i, i + 1]) if i else r.choice([0, 0, 0, 99, 1, t])
        if r.random() < .04:
            s["trace_id"] = next(trace_ids)
        if r.random() < .03:
            s["span_id"] = 0
        if r.random() < .1:
            s["meta"]["_dd.p.tid"] = "other"
        spans.append(s)
    return spans, None


def config_json(r):
    c = {}
    if r.random() < .5:
        c["keep_values"] = r.sample(KEYS, r.randrange(1, 4))
    return c


KINDS = {
    "redis": lambda r: (redis(r), None),
    "redis_quantize": lambda r: (redis(r), None),
    "redis_remove_all": lambda r: (redis(r), None),
    "memcached": lambda r: (memcached(r), {"keep_command": r.random() < .9}),
    "mongo": lambda r: (pick(r, documents, well_formed), config_json(r)),
    "es": lambda r: (pick(r, documents, well_formed), config_json(r)),
    "opensearch": lambda r: (pick(r, documents, well_formed), config_json(r)),
    "http": lambda r: (url(r), {k: True for k in ("remove_query_string", "remove_path_digits") if r.random() < .5}),
    "creditcard": lambda r: (card(r), {"luhn": r.random() < .5}),
    "ip": lambda r: (addresses(r), None),
    "tag": lambda r: (name(r), None),
    "tag_value": lambda r: (name(r), None),
    "service": lambda r: (name(r), {"lang": r.choice(["", "java", "go"])}),
    "name": lambda r: (name(r), None),
    "peer_service": lambda r: (name(r), None),
    "truncate": lambda r: (name(r), {"limit": r.randrange(120)}),
    "duration": lambda r: ("", {"start": r.choice([-1, 0, 5, 2**62, 2**63 - 1, -2**63, r.randrange(2**63)]), "duration": r.choice([-1, 0, 7, 2**62, 2**63 - 1, -2**63, r.randrange(2**63)])}),
}


WHOLE = {
    "span": lone_span,
    "obfuscate_span": lambda r: (lone_span(r)[0], {"preset": r.choice(["agent", "all", "off"])}),
    "chunk": chunk_of_spans,
}


def main():
    r = random.Random(int(sys.argv[1]))
    count, kinds = int(sys.argv[2]), sys.argv[3:] or list(KINDS)
    for kind in kinds:
        for _ in range(count):
            if kind in WHOLE:
                whole, config = WHOLE[kind](r)
                print(json.dumps({"kind": kind, "input": whole, **({"config": config} if config else {})}))
                continue
            text, config = KINDS[kind](r)
            raw = mutate(r, text) if kind != "duration" else b""
            line = {"kind": kind}
            try:
                line["input"] = raw.decode()
            except UnicodeDecodeError:
                line["input_b64"] = base64.b64encode(raw).decode()
            if config:
                line["config"] = config
            print(json.dumps(line))


main()
