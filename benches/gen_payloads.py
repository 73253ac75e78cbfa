#!/usr/bin/env python3
"""Generate realistic Datadog v0.4 trace payloads (msgpack) as dd-trace-java would write them.
Field order, key set (12 keys/span) and number encodings follow dd-trace-java TraceMapperV0_4:
service,name,resource,trace_id,span_id,parent_id,start,duration,type,error,metrics,meta.
usage: python3 gen_payloads.py [outdir, default ./payloads]        needs nothing but Python 3.7+
Deterministic (fixed seed).  v05 twins of each payload are written too (*_v05.msgpack).
Beside the payloads that are judged there are some that are only printed: random_maps (meta and metrics in a random
order a span, as Go writes maps), random_keys (the span's own keys too) and wide_headers (array32, map32 and str32
throughout: a payload that no captured tracer sends. Node.js comes nearest, which writes arrays, most maps and strings over
31 bytes wide and the rest short; what it really sends is in real_node).
real_* are traces that real tracers sent (tests/fixtures/traces), drawn at random with a fixed seed to about 600 KB:
real_java, real_go, real_python, real_python_2, real_node, real_rust, real_cpp, and real_mix of all of them. Their v0.5
twins are not written: not every tracer's values fit v0.5.
"""
import argparse, json, os, random, struct

_args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
_args.add_argument("outdir", nargs="?", default="payloads")
_args.add_argument("--big", action="store_true", help="also web_10000x10 (62 MB)")
_options = _args.parse_args(); OUT = _options.outdir
BASE_NS = 1_787_000_000_000_000_000  # 2026-08-18
COMMON = {
    "env": "production", "version": "2.14.3", "language": "jvm",
}
ROUTES = [("GET", "/api/v1/users/{id}", "/api/v1/users/%d"),
          ("GET", "/api/v1/orders", "/api/v1/orders?page=%d&limit=50&sort=created_at"),
          ("POST", "/api/v1/orders", "/api/v1/orders?client=%d"),
          ("GET", "/api/v1/products/{id}/reviews", "/api/v1/products/%d/reviews"),
          ("PUT", "/api/v1/cart/{id}", "/api/v1/cart/%d"),
          ("GET", "/healthz", "/healthz?x=%d"),
          ("DELETE", "/api/v1/sessions/{id}", "/api/v1/sessions/%d"),
          ("GET", "/search", "/search?q=blue+shoes+size+%d&utm_source=newsletter")]
SQLS = [
    "SELECT u.id, u.email, u.first_name, u.last_name, u.created_at, u.updated_at FROM users u WHERE u.id = ? AND u.deleted_at IS NULL LIMIT ?",
    "SELECT o.id, o.total_cents, o.currency, o.status, o.placed_at, i.sku, i.quantity, i.price_cents FROM orders o INNER JOIN order_items i ON i.order_id = o.id WHERE o.customer_id = ? AND o.status IN ( ? ) ORDER BY o.placed_at DESC LIMIT ? OFFSET ?",
    "INSERT INTO audit_log ( actor_id, action, subject_type, subject_id, payload, created_at ) VALUES ( ? )",
    "UPDATE carts SET updated_at = now(), total_cents = ? WHERE id = ? AND version = ?",
    "SELECT count(*) FROM products p WHERE p.category_id = ? AND p.price_cents BETWEEN ? AND ?",
]
REDIS = ["GET", "SET", "HGETALL", "EXPIRE", "INCR", "MGET"]
UAS = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
       "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
       "okhttp/4.12.0"]

def pack(value, wide=False):
    """msgpack of dicts, lists, text and numbers, each in its smallest form; with `wide` every header is 32 bits."""
    out = bytearray()
    def head(n, fix, fix_max, codes):          # codes: (8 bits or None, 16 bits, 32 bits)
        if wide: out.extend(struct.pack(">BI", codes[2], n))
        elif n <= fix_max: out.append(fix | n)
        elif codes[0] is not None and n < 1 << 8: out.extend((codes[0], n))
        elif n < 1 << 16: out.extend(struct.pack(">BH", codes[1], n))
        else: out.extend(struct.pack(">BI", codes[2], n))
    def put(v):
        if isinstance(v, str):
            b = v.encode(); head(len(b), 0xa0, 31, (0xd9, 0xda, 0xdb)); out.extend(b)
        elif isinstance(v, int):
            if 0 <= v < 128: out.append(v)
            elif -32 <= v < 0: out.append(v & 0xff)
            elif v >= 0:
                for code, form, limit in ((0xcc, "B", 1 << 8), (0xcd, "H", 1 << 16), (0xce, "I", 1 << 32), (0xcf, "Q", 1 << 64)):
                    if v < limit: out.extend(struct.pack(">B" + form, code, v)); break
            else:
                for code, form, limit in ((0xd0, "b", 1 << 7), (0xd1, "h", 1 << 15), (0xd2, "i", 1 << 31), (0xd3, "q", 1 << 63)):
                    if v >= -limit: out.extend(struct.pack(">B" + form, code, v)); break
        elif isinstance(v, float): out.extend(struct.pack(">Bd", 0xcb, v))
        elif isinstance(v, dict):
            head(len(v), 0x80, 15, (None, 0xde, 0xdf))
            for k, x in v.items(): put(k); put(x)
        else:
            head(len(v), 0x90, 15, (None, 0xdc, 0xdd))
            for x in v: put(x)
    put(value); return bytes(out)

def rid(r): return r.getrandbits(63) | (1 << 62)

def span(r, service, name, resource, tid, sid, pid, start, dur, typ, err, metrics, meta):
    # insertion order == wire order
    return {"service": service, "name": name, "resource": resource, "trace_id": tid, "span_id": sid,
            "parent_id": pid, "start": start, "duration": dur, "type": typ, "error": err,
            "metrics": metrics, "meta": meta}

def trace(r, n, priority, runtime_id):
    tid = rid(r); t0 = BASE_NS + r.randrange(0, 9_000_000_000)
    thread = "http-nio-8080-exec-%d" % r.randrange(1, 200)
    threadid = r.randrange(30, 400)
    meth, route, urlf = r.choice(ROUTES); url = urlf % r.randrange(1, 10_000_000)
    err = 1 if r.random() < 0.02 else 0
    status = "500" if err else r.choice(["200", "200", "200", "201", "204", "404"])
    out = []; root = rid(r)
    dur = r.randrange(2_000_000, 400_000_000)
    tidhi = "%016x" % (r.getrandbits(32) << 32)
    root_meta = dict(COMMON)
    root_meta.update({
        "runtime-id": runtime_id, "thread.name": thread, "http.status_code": status, "_dd.p.dm": "-1", "_dd.p.tid": tidhi,
        "component": "tomcat-server", "span.kind": "server", "http.method": meth, "http.route": route,
        "http.url": "https://shop.example.com" + url, "http.useragent": r.choice(UAS),
        "peer.ipv4": "10.%d.%d.%d" % (r.randrange(256), r.randrange(256), r.randrange(256)), "servlet.path": url.split("?")[0]})
    if err:
        root_meta.update({"error.type": "java.lang.IllegalStateException", "error.message": "inventory reservation failed for order %d" % r.randrange(10**6),
          "error.stack": "java.lang.IllegalStateException: inventory reservation failed\n" + "".join("\tat com.example.shop.orders.OrderService.method%d(OrderService.java:%d)\n" % (i, 40 + i) for i in range(25))})
    out.append(span(r, "shop-web", "servlet.request", "%s %s" % (meth, route), tid, root, 0, t0, dur, "web", err,
        {"_sampling_priority_v1": priority, "_dd.measured": 1, "_dd.top_level": 1, "thread.id": threadid, "_dd.agent_psr": 1.0, "process_id": 4711, "peer.port": r.randrange(30000, 60000), "_dd.profiling.enabled": 0}, root_meta))
    handler = rid(r)
    if n > 1:
        m = dict(COMMON); m.update({"thread.name": thread, "component": "spring-web-controller", "runtime-id": runtime_id, "http.route": route, "http.method": meth,
              "code.function": "handle", "code.namespace": "com.example.shop.web.OrderController", "_dd.base_service": "shop-web", "span.kind": "internal"})
        out.append(span(r, "shop-web", "spring.handler", "OrderController.handle", tid, handler, root, t0 + 100_000, dur - 200_000, "web", 0,
            {"thread.id": threadid, "_dd.measured": 1, "process_id": 4711, "_sample_rate": 1.0}, m))
    kinds = ["sql", "redis", "sql", "http", "redis", "sql", "fn", "kafka"]
    t = t0 + 200_000
    for i in range(2, n):
        k = kinds[(i - 2) % len(kinds)]; sid = rid(r); d = r.randrange(20_000, 30_000_000); t += r.randrange(1_000, 100_000)
        m = dict(COMMON); m["thread.name"] = thread; mx = {"thread.id": threadid}
        if k == "sql":
            q = r.choice(SQLS)
            m.update({"component": "java-jdbc-statement", "span.kind": "client", "db.type": "postgresql", "db.instance": "shop", "db.user": "shop_rw",
                      "db.operation": q.split(" ")[0], "peer.hostname": "pg-primary.shop.svc.cluster.local", "_dd.base_service": "shop-web"})
            mx.update({"_dd.measured": 1, "db.pool.size": 32, "peer.port": 5432})
            out.append(span(r, "shop-postgresql", "postgresql.query", q, tid, sid, handler, t, d, "sql", 0, dict(mx, **{"_dd.top_level": 1}), m))
        elif k == "redis":
            c = r.choice(REDIS)
            m.update({"component": "redis-command", "span.kind": "client", "db.type": "redis", "redis.raw_command": "%s session:%x" % (c, r.getrandbits(64)),
                      "peer.hostname": "redis-0.shop.svc.cluster.local", "out.host": "redis-0.shop.svc.cluster.local", "peer.ipv4": "10.4.18.%d" % r.randrange(256), "_dd.base_service": "shop-web"})
            mx.update({"_dd.measured": 1, "peer.port": 6379, "db.redis.dbIndex": 0})
            out.append(span(r, "redis", "redis.query", c, tid, sid, handler, t, d, "redis", 0, dict(mx, **{"_dd.top_level": 1}), m))
        elif k == "http":
            m.update({"component": "apache-httpclient", "span.kind": "client", "http.method": "POST", "http.status_code": "200",
                      "http.url": "http://inventory.shop.svc.cluster.local:8080/v2/reservations/%d" % r.randrange(10**7),
                      "peer.hostname": "inventory.shop.svc.cluster.local", "peer.service": "inventory", "_dd.peer.service.source": "peer.service"})
            mx.update({"_dd.measured": 1, "peer.port": 8080, "_sample_rate": 1.0})
            out.append(span(r, "shop-web", "http.request", "POST /v2/reservations/?", tid, sid, handler, t, d, "http", 0, mx, m))
        elif k == "kafka":
            m.update({"component": "java-kafka", "span.kind": "producer", "messaging.kafka.bootstrap.servers": "kafka-0.kafka:9092,kafka-1.kafka:9092,kafka-2.kafka:9092",
                      "messaging.destination.name": "orders.events", "_dd.base_service": "shop-web", "kafka.topic": "orders.events", "tombstone": "false", "messaging.system": "kafka"})
            mx.update({"_dd.measured": 1, "kafka.partition": r.randrange(12), "_dd.top_level": 1})
            out.append(span(r, "kafka", "kafka.produce", "Produce Topic orders.events", tid, sid, handler, t, d, "queue", 0, mx, m))
        else:
            m.update({"component": "trace", "code.function": "computeTotals", "code.namespace": "com.example.shop.pricing.PricingEngine", "tenant": "acme-%d" % r.randrange(200),
                      "feature.flag.pricing_v2": "true", "cart.currency": "USD", "_dd.base_service": "shop-web", "span.kind": "internal"})
            mx.update({"cart.items": r.randrange(40), "cart.total": r.random() * 1000, "pricing.rules": 14})
            out.append(span(r, "shop-web", "trace.annotation", "PricingEngine.computeTotals", tid, sid, handler, t, d, "", 0, mx, m))
    # dd-trace-java also writes the sampling priority on the last span of the chunk
    if n > 1: out[-1]["metrics"] = dict({"_sampling_priority_v1": priority}, **out[-1]["metrics"])
    return out

def v05(traces):
    d = {"": 0}
    def s(x): return d.setdefault(x, len(d))
    tr = [[[s(p["service"]), s(p["name"]), s(p["resource"]), p["trace_id"], p["span_id"], p["parent_id"], p["start"], p["duration"], p["error"],
            {s(k): s(v) for k, v in p["meta"].items()}, {s(k): v for k, v in p["metrics"].items()}, s(p["type"])] for p in t] for t in traces]
    return [list(d), tr]

def dump(name, traces, wide=False):
    b = pack(traces, wide)
    open(os.path.join(OUT, name + ".msgpack"), "wb").write(b)
    b5 = pack(v05(traces), wide)
    open(os.path.join(OUT, name + "_v05.msgpack"), "wb").write(b5)
    ns = sum(map(len, traces)); sp = [s for t in traces for s in t]
    info = {"name": name, "bytes": len(b), "v05_bytes": len(b5), "traces": len(traces), "spans": ns, "bytes_per_span": round(len(b) / ns, 1),
            "meta_per_span": round(sum(len(s["meta"]) for s in sp) / ns, 2), "metrics_per_span": round(sum(len(s["metrics"]) for s in sp) / ns, 2),
            "strings": sum(4 + 12 + 2 * len(s["meta"]) + len(s["metrics"]) for s in sp)}
    print(json.dumps(info)); return info

def main():
    os.makedirs(OUT, exist_ok=True)
    rt = "7c3f9c0e-3b5d-4c8e-9a0b-2f6f1f0f5a11"; infos = []
    mk = lambda nt, ns, prio, seed: [trace(r, ns, prio(i), rt) for r in [random.Random(seed)] for i in range(nt)]
    infos.append(dump("web_100x10", mk(100, 10, lambda i: 1, 1)))
    infos.append(dump("web_100x10_p0", mk(100, 10, lambda i: 1 if i % 10 == 0 else 0, 1)))  # 90 % of chunks unsampled
    infos.append(dump("web_1x1000", mk(1, 1000, lambda i: 1, 2)))
    infos.append(dump("web_1x1", mk(1, 1, lambda i: 1, 3)))
    infos.append(dump("web_1000x10", mk(1000, 10, lambda i: 1, 4)))
    infos.append(dump("web_1x10", mk(1, 10, lambda i: 1, 5)))
    for kb, spans in ((20, 32), (60, 97), (200, 323)):                                     # bodies of about 20, 60 and 200 KB
        infos.append(dump(f"body_{kb}k", mk(1, spans, lambda i: 1, 6)))
    long = mk(10, 10, lambda i: 1, 7)                                                       # values of 2 to 60 KB: stack traces and statements
    for i, t in enumerate(long):
        for j, sp in enumerate(t):
            if j % 3 == 0: sp["meta"]["error.stack"] = "\n".join(f"\tat com.example.shop.Layer{k}.call(Layer{k}.java:{k * 7})" for k in range(40 + 120 * (i % 8)))
    infos.append(dump("long_strings", long))
    words = ["\u043a\u043e\u0440\u0437\u0438\u043d\u0430", "\u30ab\u30fc\u30c8", "panier-\u00e9t\u00e9", "\U0001f6d2", "\u0939\u093f\u0928\u094d\u0926\u0940"]
    other = mk(100, 10, lambda i: 1, 8)                                                     # a third of the values is not ASCII
    for i, t in enumerate(other):
        for j, sp in enumerate(t):
            for n, k in enumerate(list(sp["meta"])):
                if (n + j) % 3 == 0 and not k.startswith("_") and k != "span.kind": sp["meta"][k] = words[(n + i) % 5] + " " + sp["meta"][k]
    infos.append(dump("non_ascii", other))
    r = random.Random(11)
    shuffled = lambda d: dict(r.sample(list(d.items()), len(d)))
    maps = [[dict(sp, meta=shuffled(sp["meta"]), metrics=shuffled(sp["metrics"])) for sp in t] for t in mk(100, 10, lambda i: 1, 1)]
    infos.append(dump("random_maps", maps))
    infos.append(dump("random_keys", [[shuffled(sp) for sp in t] for t in maps]))
    infos.append(dump("wide_headers", mk(100, 10, lambda i: 1, 1), wide=True))
    if _options.big: infos.append(dump("web_10000x10", mk(10000, 10, lambda i: 1, 9)))
    infos += real()
    json.dump(infos, open(os.path.join(OUT, "index.json"), "w"), indent=1)
    corpora()

def skip(b, at):
    """Where the msgpack value that begins at `at` ends."""
    left = 1
    while left:
        c = b[at]; at += 1; left -= 1
        size = lambda n: int.from_bytes(b[at:at + n], "big")
        if c <= 0x7f or c >= 0xe0 or c in (0xc0, 0xc2, 0xc3): pass
        elif c <= 0x8f: left += 2 * (c & 15)
        elif c <= 0x9f: left += c & 15
        elif c <= 0xbf: at += c & 31
        elif 0xc4 <= c <= 0xc6 or 0xd9 <= c <= 0xdb: n = 1 << (c - (0xc4 if c <= 0xc6 else 0xd9)); at += n + size(n)
        elif 0xc7 <= c <= 0xc9: n = 1 << (c - 0xc7); at += n + 1 + size(n)
        elif 0xca <= c <= 0xd3: at += {0xca: 4, 0xcb: 8}.get(c) or 1 << (c - (0xcc if c <= 0xcf else 0xd0))
        elif 0xd4 <= c <= 0xd8: at += 1 + (1 << (c - 0xd4))
        elif c in (0xdc, 0xdd): n = 2 << (c - 0xdc); left += size(n); at += n
        elif c in (0xde, 0xdf): n = 2 << (c - 0xde); left += 2 * size(n); at += n
        else: raise ValueError(f"no msgpack: {c:#x} at {at - 1}")
    return at

def items(b, at=0):
    """The elements of the array at `at`, as byte strings."""
    c = b[at]; width = {0xdc: 2, 0xdd: 4}.get(c, 0)
    count = int.from_bytes(b[at + 1:at + 1 + width], "big") if width else c & 15
    at += 1 + width
    for _ in range(count):
        end = skip(b, at); yield b[at:end]; at = end

REAL = {"real_java": "java", "real_go": "go", "real_python": "python", "real_python_2": "python-2.21", "real_node": "node", "real_rust": "rust", "real_cpp": "cpp"}

def real(size=600_000):
    """Payloads of traces that real tracers sent. node/003 is left out: it is one that the reference refuses to read."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "traces")
    pools = {name: [t for f in sorted(os.listdir(os.path.join(folder, sub))) if f.endswith(".msgpack") and (sub, f) != ("node", "003.msgpack")
                    for t in items(open(os.path.join(folder, sub, f), "rb").read())] for name, sub in REAL.items()}
    for name in [*REAL, "real_mix"]:
        r = random.Random(20 + len(name)); drawn = []; total = 0
        while total < size:
            pool = pools[r.choice(list(pools)) if name == "real_mix" else name]    # every tracer alike, however much of it there is
            drawn.append(r.choice(pool)); total += len(drawn[-1])
        b = struct.pack(">BI", 0xdd, len(drawn)) + b"".join(drawn); spans = sum(len(list(items(t))) for t in drawn)
        open(os.path.join(OUT, name + ".msgpack"), "wb").write(b)
        info = {"name": name, "bytes": len(b), "traces": len(drawn), "spans": spans, "bytes_per_span": round(len(b) / spans, 1)}
        print(json.dumps(info)); yield info

def corpora():
    """Texts for the obfuscators' benchmarks, JSON lines: {"text": ...}. About 1 MB of SQL and JSON, 200 KB of the others."""
    r = random.Random(10); pick = r.choice
    cols = ["id", "customer_id", "status", "created_at", "total_cents", "email", "sku", "warehouse", "price", "note"]; tabs = ["orders", "customers", "order_items", "inventory", "shop.carts", '"Users"', "`payments`"]
    lit = lambda: pick([str(r.randrange(10 ** r.randrange(1, 12))), "'%s'" % pick(["open", "it''s late", "2026-11-22 10:00:00", "x" * r.randrange(60)]), "%.3f" % (r.random() * 1000), "NULL", "true", "$%d" % r.randrange(1, 9), "?", "0x%x" % r.randrange(1 << 32), "-%d" % r.randrange(500)])
    cond = lambda: pick([lambda: f"{pick(cols)} = {lit()}", lambda: f"{pick(cols)} IN ({', '.join(lit() for _ in range(r.randrange(1, 30)))})", lambda: f"{pick(cols)} BETWEEN {lit()} AND {lit()}", lambda: f"{pick(cols)} LIKE '%{pick(cols)}%'"])()
    def sql():
        t = pick(tabs); w = " AND ".join(cond() for _ in range(r.randrange(1, 6)))
        return pick([lambda: f"SELECT {', '.join('t0.' + pick(cols) + ' AS c' + str(i) for i in range(r.randrange(1, 15)))} FROM {t} t0 LEFT JOIN {pick(tabs)} t1 ON t0.id = t1.{pick(cols)} WHERE {w} ORDER BY t0.id DESC LIMIT {r.randrange(500)}",
                     lambda: f"INSERT INTO {t} ({', '.join(cols[:5])}) VALUES " + ", ".join("(" + ", ".join(lit() for _ in range(5)) + ")" for _ in range(r.randrange(1, 20))),
                     lambda: f"UPDATE {t} SET {pick(cols)} = {lit()}, {pick(cols)} = {lit()} WHERE {w} -- by {pick(cols)}", lambda: f"DELETE FROM {t} WHERE {w} /* job {r.randrange(999)} */"])()
    doc = lambda d: {pick(["query", "bool", "must", "filter", "_id", "name", "price", "$in", "tags", "user"]): (doc(d - 1) if d and r.random() < .6 else [pick(["a", 7, 2.5, True, None, "secret value"]) for _ in range(r.randrange(1, 8))] if r.random() < .4 else pick(["abc", 42, 1.5, False, None])) for _ in range(r.randrange(1, 6))}
    url = lambda: f"https://{pick(['shop', 'api', 'user:pw@cdn'])}.example.com/{'/'.join(pick(['v2', 'orders', str(r.randrange(99999)), 'items', 'a1b2', 'search']) for _ in range(r.randrange(1, 7)))}" + pick(["", "?" + "&".join(f"{pick(cols)}={r.randrange(9999)}" for _ in range(r.randrange(1, 6)))]) + pick(["", "#frag"])
    redis = lambda: "\n".join(pick([f"SET user:{r.randrange(9999)}:name \"{'v' * r.randrange(40)}\" EX {r.randrange(999)}", f"GET cart:{r.randrange(9999)}", f"HMSET h{r.randrange(99)} a {r.randrange(99)} b {r.randrange(99)}", f"ZADD z {r.random():.3f} m{r.randrange(99)}", "AUTH s3cret", "PING"]) for _ in range(r.randrange(1, 4)))
    for name, make, size in (("sql", sql, 1000000), ("json", lambda: json.dumps(doc(5)), 1000000), ("url", url, 200000), ("redis", redis, 200000)):
        n = 0
        with open(os.path.join(OUT, f"{name}_corpus.jsonl"), "w") as f:
            while n < size: t = make(); n += len(t); f.write(json.dumps({"text": t}) + "\n")
        print(json.dumps({"name": name + "_corpus", "bytes": n}))
main()
