#!/usr/bin/env python3
"""The real Java tracer with and without the bridge: does every span arrive exactly once?

usage: clients.py BRIDGE.jar TRACER.jar APP-CLASSPATH [--java COMMAND] [--case NAME]... [--faults JAR] [--stats]
                  [--first PAIRS] [--jobs N]
A recording agent stands in for the real one; it counts spans of v0.4, v0.5 and v1 bodies by their ids and tells by a
header whose sender it was (the exporter says Datadog-Send-Real-Http-Status). Needs build/venv. Prints one line a case.
--faults: a copy of the bridge whose methods fail on request. --stats: native stats against the tracer's own. --first:
how long after its start the first 100 spans of an application have arrived, with the bridge and stock in turn.
"""
import argparse, collections, concurrent.futures, hashlib, http.server, itertools, json, os, re, shlex, shutil
import socket, socketserver, ssl, subprocess, sys, tempfile, threading, time

import msgpack

INFO = {"version": "7.85.0", "endpoints": ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v1.0/traces",
                                           "/v0.6/stats", "/info", "/telemetry/proxy/"],
        "client_drop_p0s": True, "config": {"max_request_bytes": 26214400, "statsd_port": 8125},
        "peer_tags": ["db.name", "db.system", "net.peer.name", "out.host", "peer.hostname", "peer.service",
                      "server.address"],
        "span_kinds_stats_computed": ["server", "client", "producer", "consumer"]}
STATE = hashlib.sha256(json.dumps(INFO).encode()).hexdigest()
REQUESTS = 25
CONTAINER = "0123456789abcdef" * 4
# Where the bridge fails in turn; what comes first is only called until the exporter is there.
STEPS = ["headers", "header", "build", "config", "exporter", "rates", "endpoint", "url", "wantsStats", "computesStats",
         "traces", "droppedTraces", "droppedSpans", "write", "succeeded", "count", "discover"]
# Header names in which the requests may differ: how each library speaks HTTP, and what README lists.
OWN_HEADERS = {"accept-encoding", "connection", "user-agent", "content-length", "x-datadog-trace-count",
               "transfer-encoding", "datadog-client-computed-stats", "datadog-client-dropped-p0-traces",
               "datadog-client-dropped-p0-spans", "datadog-send-real-http-status", "datadog-rates-payload-version",
               "host", "expect"}


class Recorder:
    def __init__(self, rate=1.0):
        self.lock = threading.Lock()
        self.ids = collections.Counter()
        self.names = collections.Counter()
        self.resources = collections.Counter()
        self.senders = []
        self.dropped = 0
        self.headers = []
        self.rate = rate
        self.agent_rates = set()
        self.groups = collections.defaultdict(lambda: [0, 0])
        self.left_to_agent = collections.defaultdict(lambda: [0, 0])
        self.paths = collections.Counter()
        self.began, self.hundred = time.monotonic(), None

    def span(self, trace, span, name, meta, metrics, error, resource, counted):
        self.ids[(trace, span)] += 1
        self.names[name] += 1
        self.resources[resource] += 1
        if metrics.get("_dd.agent_psr") is not None:
            self.agent_rates.add(round(metrics["_dd.agent_psr"], 3))
        kinds = INFO["span_kinds_stats_computed"]
        counts = metrics.get("_dd.top_level") or metrics.get("_dd.measured") or meta.get("span.kind") in kinds
        if not counted and counts:
            hits = self.left_to_agent[(name, resource)]
            hits[0] += 1
            hits[1] += error

    def traces(self, headers, body, path):
        lower = {k.lower(): v for k, v in headers.items()}
        with self.lock:
            ours = "datadog-send-real-http-status" in lower
            self.senders.append("bridge" if ours else "tracer")
            self.dropped += int(lower.get("datadog-client-dropped-p0-spans") or 0)
            self.headers.append((ours, path, lower))
            self.paths[path] += 1
            counted = (lower.get("datadog-client-computed-stats") or "") not in ("", "false", "0")
            for chunk in decode(path, body):
                for s in chunk:
                    self.span(s["trace_id"], s["span_id"], s["name"], s.get("meta") or {}, s.get("metrics") or {},
                              s.get("error") or 0, s.get("resource"), counted)
            if self.hundred is None and len(self.ids) >= 100:
                self.hundred = time.monotonic() - self.began

    def stats(self, body):
        with self.lock:
            for bucket in msgpack.unpackb(body, raw=False, strict_map_key=False).get("Stats") or []:
                for group in bucket.get("Stats") or []:
                    counts = {"Hits", "Errors", "Duration", "TopLevelHits", "OkSummary", "ErrorSummary"}
                    fields = ((k, flat(v)) for k, v in group.items() if k not in counts)
                    key = tuple(sorted((k, v) for k, v in fields if v not in (None, "", (), 0, False)))
                    self.groups[key][0] += group.get("Hits") or 0
                    self.groups[key][1] += group.get("Errors") or 0


def flat(value):
    return tuple(sorted(value)) if isinstance(value, list) else value


def decode(path, body):
    if path == "/v0.5/traces":
        strings, chunks = msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="replace")
        text = lambda m: {strings[k]: strings[v] for k, v in m.items()}
        return [[{"name": strings[s[1]], "resource": strings[s[2]], "trace_id": s[3], "span_id": s[4], "error": s[8],
                  "meta": text(s[9]), "metrics": {strings[k]: v for k, v in s[10].items()}} for s in c] for c in chunks]
    if path in ("/v1.0/traces", "/v1/traces"):
        from ddapm_test_agent.trace import decode_v1
        return decode_v1(body)
    return msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="replace")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"  # a Unix socket has no address

    def body(self):
        if (self.headers.get("transfer-encoding") or "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self):
        recorder = self.server.recorder
        body = self.body()
        text, status = b"{}", 200
        path = re.sub("^http://[^/]*", "", self.path)  # as a proxy gets it
        if path == "/info":
            text = json.dumps(INFO).encode()
        elif path.endswith("/traces"):
            recorder.traces(self.headers, body, path)
            rates = {"service:,env:": 1.0, "service:bridge-app,env:spike": recorder.rate}
            text = json.dumps({"rate_by_service": rates}).encode()
        elif path == "/v0.6/stats":
            recorder.stats(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Datadog-Agent-State", STATE)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        pass  # a client that went away


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0


def agent(recorder, at=0, certificates=None):
    server = UnixServer(at, Handler) if isinstance(at, str) else Server(("127.0.0.1", at), Handler)
    if certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificates}/right.pem", f"{certificates}/right.key")
        # Not where connections are accepted: one that says nothing would hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.recorder = recorder
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Case:
    """One run of the application."""

    def __init__(self, name, agents, more=(), env=None, sender=None, requests=REQUESTS, end=1500, rate=1.0, **special):
        self.name, self.agents, self.more, self.env, self.sender = name, agents, list(more), env or {}, sender
        self.requests, self.end, self.rate, self.special = requests, end, rate, special


def cases(bridge, tracer, faulty, version, java_version):
    before = [f"-javaagent:{bridge}", f"-javaagent:{tracer}"]
    behind = before[::-1]
    alone = [f"-javaagent:{tracer}"]
    yield Case("stock", alone, sender="tracer")
    yield Case("bridge first", before, sender="bridge")
    yield Case("bridge behind", behind, sender="bridge")
    if version >= (1, 45):  # older ones know no extensions
        yield Case("extension", alone, env={"DD_TRACE_EXTENSIONS_PATH": bridge}, sender="bridge")
        folders = f"/nowhere,{os.path.dirname(bridge)}"
        yield Case("extension in a folder", alone, env={"DD_TRACE_EXTENSIONS_PATH": folders}, sender="bridge")
    yield Case("Unix socket", before, sender="bridge", unix=True)
    yield Case("Unix socket that is found", before, sender="bridge", unix=True, found=True)
    yield Case("https", before, sender="bridge", tls=True)
    yield Case("a path in the URL", before, sender="bridge", suffix="/left-out", path="/v0.4/traces")
    yield Case("proxy", before, sender="tracer", proxy=True)
    if version >= (1, 45):  # older ones always leave stats to somebody
        nobody = ["-Ddd.apm.tracing.enabled=false", "-Ddd.experimental.appsec.standalone.enabled=true"]
        yield Case("no stats by anybody", before, nobody, sender="bridge", no_stats=True)
        nobody = nobody + ["-Ddata-pipeline.stats=native"]
        yield Case("no stats by anybody, native neither", before, nobody, sender="bridge", no_stats=True)
    # The second is the name that the setting had in older ones.
    wants_v05 = ["-Ddd.trace.agent.protocol.version=0.5", "-Ddd.trace.agent.v0.5.enabled=true"]
    yield Case("protocol 0.5", before, wants_v05, sender="bridge", path="/v0.5/traces")
    if version >= (1, 60):  # older ones know no v1
        wants_v1 = ["-Ddd.trace.agent.protocol.version=1.0"]
        yield Case("protocol 1", before, wants_v1, sender="bridge", path="/v1.0/traces")
    yield Case("checked JNI", before, ["-Xcheck:jni"], sender="bridge")
    yield Case("rates", before, sender="bridge", rate=0.37)
    yield Case("native stats", before, ["-Ddata-pipeline.stats=native"], sender="bridge", counted=True)
    # With its own look at containers Java 25 ends by a signal where the cgroup file names what is not there.
    yield Case("containers' headers", before, ["-XX:-UseContainerSupport"], sender="bridge", container=True)
    yield Case("library missing", before, ["-Dcom.datadog.pipeline.native.path=/nowhere"], sender="tracer", said=True)
    if java_version >= 9:
        few = "java.base,java.instrument,java.logging,java.naming,java.sql,jdk.unsupported"
        yield Case("no java.management", before, ["--limit-modules", few], sender="bridge", said=True, end=0)
    if java_version >= 24:
        yield Case("native access denied", before, ["--illegal-native-access=deny"], sender="tracer", said=True)
    if faulty:
        broken = [f"-javaagent:{faulty}", f"-javaagent:{tracer}"]
        yield Case("every call fails", broken, ["-Dbridge.faults=send"], sender="tracer", said=True)
        mute = ["-Dbridge.faults=send", "-Dapp.without.err=true"]
        yield Case("every call fails, no standard error", broken, mute, sender="tracer")
        steps = ["-Dbridge.faults=" + ",".join(STEPS)]
        yield Case("each step fails once", broken, steps, requests=180, said=True)
    yield Case("exits at once", before, end=0)
    yield Case("agent comes late", before, sender="bridge", requests=120, end=8000, outage=(0, 13))
    yield Case("agent killed and restarted", before, sender="bridge", requests=120, end=4000, outage=(9, 4))


# The exit status where there is nothing to be tested.
SKIPPED = 77


def application(case, options, java, url):
    """The command that runs the application toward this agent."""
    settings = ["-Ddd.service.name=bridge-app", "-Ddd.env=spike", "-Ddd.instrumentation.telemetry.enabled=false",
                "-Ddd.profiling.enabled=false", "-Ddd.appsec.enabled=false", "-Ddd.remote_config.enabled=false",
                "-Ddd.trace.startup.logs=false"]
    if url:
        settings.append(f"-Ddd.trace.agent.url={url}")
    # A slow machine needs more time before the tracer's instrumentation is in place.
    app = ["-cp", options.app, "App", str(case.requests), "120", os.environ.get("START_MS", "6000"), str(case.end)]
    return java + case.agents + settings + case.more + app


def run_case(case, options, java):
    recorder = Recorder(case.rate)
    folder = tempfile.mkdtemp()
    os.mkdir(os.path.join(folder, "datadog"))
    certificates = folder if case.special.get("tls") else None
    if certificates:
        subprocess.run(["sh", "tests/fixtures/tls/make.sh", folder], check=True)
        java = java + [f"-Djavax.net.ssl.trustStore={folder}/trust.p12", "-Djavax.net.ssl.trustStorePassword=changeit"]
    place = os.path.join(folder, "datadog", "apm.socket") if case.special.get("unix") else 0
    server = agent(recorder, place, certificates)
    where = server.server_address
    url = f"unix://{where}" if isinstance(where, str) else f"http{'s' if certificates else ''}://127.0.0.1:{where[1]}"
    if case.special.get("proxy"):
        java = java + ["-Dhttp.proxyHost=127.0.0.1", f"-Dhttp.proxyPort={where[1]}"]
        url = "http://agent.invalid:8126"
    if case.special.get("found"):
        url = None  # the tracer looks for /var/run/datadog/apm.socket
    command = application(case, options, java, url and url + case.special.get("suffix", ""))
    mounted = None
    if case.special.get("container"):
        fake = os.path.join(folder, "cgroup")
        with open(fake, "w") as out:
            out.write(f"0::/docker/{CONTAINER}\n")
        mounted = f"{fake} /proc/$$/cgroup"
    elif case.special.get("found"):
        mounted = f"{folder} $(readlink -f /var/run)"
    if mounted:
        command = ["unshare", "-m", "sh", "-c", f"mount --bind {mounted} && exec \"$@\"", "sh"] + command
    restarted, again = None, []
    if case.special.get("outage"):
        after, pause = case.special["outage"]

        def outage():
            time.sleep(after)
            server.shutdown()
            server.server_close()
            time.sleep(pause)
            again.append(agent(recorder, where[1]))
        restarted = threading.Thread(target=outage, daemon=True)
        restarted.start()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "OTEL_"))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, env={**env, **case.env})
        code, said = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        code, said = "hangs", ""
    if restarted:
        restarted.join()
    time.sleep(0.3)
    for one in [server] + again:
        threading.Thread(target=one.shutdown, daemon=True).start()
    shutil.rmtree(folder, ignore_errors=True)
    return code, said, recorder


def judge(case, code, said, r, stock):
    """What is wrong with a run; nothing if all is well."""
    wrong = []
    if code != 0:
        wrong.append(f"exit {code}")
    twice = sum(n - 1 for n in r.ids.values())
    if twice:
        wrong.append(f"{twice} spans twice")
    if case.name != "rates":  # the tracer drops some, and says how many
        for name in ("http.request", "h2.query"):
            if r.names[name] < case.requests:
                wrong.append(f"{case.requests - r.names[name]} of {name} are missing")
    elif 0.37 not in r.agent_rates or (r.groups and not r.dropped):  # without stats the tracer drops nothing
        wrong.append(f"the sampler heard {sorted(r.agent_rates)}")
    if case.sender and case.sender not in r.senders:
        wrong.append(f"nothing came from the {case.sender}")
    if case.sender == "tracer" and "bridge" in r.senders:
        wrong.append("the bridge has sent")
    if case.sender == "bridge" and "bridge" in r.senders and "tracer" in r.senders[r.senders.index("bridge"):]:
        wrong.append("the tracer's sender was used although the library was there")
    if case.name == "each step fails once" and len(set(r.senders)) < 2:
        wrong.append("only one of both has sent")
    if re.search(r"Uncaught exception|FATAL", said):
        wrong.append("an exception left the bridge")
    if [line for line in said.splitlines() if "WARNING" in line and "JNI" in line and "pipeline" in line]:
        wrong.append("a warning of checked JNI")
    if case.end > 0 and "sender thread alive true" not in said:
        wrong.append("the tracer's sender thread is dead")
    if case.sender == "bridge" and case.end > 0 and not re.search(r"^bean .* has sent [1-9]", said, re.M):
        wrong.append("no bean in JMX has sent anything")
    lines = said.count("[data-pipeline-bridge]")
    if bool(case.special.get("said")) != (lines > 0) or lines > 1:
        wrong.append(f"the bridge has said {lines} lines")
    if case.special.get("path") and case.special["path"] not in r.paths:
        wrong.append(f"bodies went to {dict(r.paths)}")
    sent = [h for ours, _, h in r.headers if ours]
    told = sent and all(CONTAINER in h.get("datadog-container-id", "") for h in sent)
    if case.special.get("container") and not told:
        wrong.append("no container's id: " + str(sorted(sent[0]) if sent else None))
    if case.special.get("no_stats") and any(h.get("datadog-client-computed-stats") != "true" for h in sent):
        wrong.append("the agent was not told to compute no stats")
    if case.special.get("no_stats") and case.name.endswith("neither") and any(r.groups):
        wrong.append("stats were computed all the same")
    if case.special.get("counted"):
        counted = sum(h for h, _ in r.groups.values()) + sum(h for h, _ in r.left_to_agent.values())
        if counted < len(r.ids):
            wrong.append(f"{counted} of {len(r.ids)} spans are in stats")
    if case.name == "bridge first" and stock and sent:
        theirs = [h for ours, _, h in stock.headers if not ours][-1]
        other = {k for k in set(theirs) ^ set(sent[-1]) if k not in OWN_HEADERS}
        other |= {k for k in set(theirs) & set(sent[-1]) if theirs[k] != sent[-1][k] and k not in OWN_HEADERS}
        if other:
            wrong.append(f"headers differ: {sorted(other)}")
    return wrong


def doctor(java, bridge, tracer, starts):
    """The doctor says yes to this tracer if it starts, no to a JAR that is none, and no without the library."""
    wrong = []
    said = (0, "the bridge would work\n") if starts else (1, "does not start on this Java")
    for words, code, text in (([tracer], *said), ([bridge], 1, "does not fit"), ([tracer], 1, "library: does not work")):
        missing = ["-Dcom.datadog.pipeline.native.path=/nowhere"] if text.startswith("library") else []
        done = subprocess.run([*java, *missing, "-jar", bridge, "doctor", *words], capture_output=True, text=True)
        if done.returncode != code or text not in done.stdout or done.stderr:
            wrong.append(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    print("doctor: " + ("all well" if not wrong else "FAULT: " + "; ".join(wrong)), flush=True)
    return bool(wrong)


def without_tracer(java, bridge, app):
    """Programs of one class with the bridge alone: what they print, and how many lines the bridge."""
    failed = 0
    for name, main, text, lines in (("a loader that does not see the bridge", "ClosedLoader",
                                     "the sender has answered itself\n", 1), ("an end that has begun", "SlowEnd", "", 0)):
        done = subprocess.run([*java, f"-javaagent:{bridge}", "-cp", app, main], capture_output=True, text=True)
        said = done.stderr.count("[data-pipeline-bridge]")
        fault = done.returncode != 0 or done.stdout != text or said != lines
        print(f"{name}: " + (f"FAULT: {done.stdout}{done.stderr}" if fault else "all well"), flush=True)
        failed += fault
    return failed


def fields_of(r):
    """What keys of groups say, by name and resource."""
    found = collections.defaultdict(set)
    for key in r.groups:
        found[dict(key)["Name"], dict(key)["Resource"]].update(key)
    return found


def compare(options, java, bridge, tracer):
    """Native stats against the tracer's own, group by group."""
    before = [f"-javaagent:{bridge}", f"-javaagent:{tracer}"]
    # Older ones compute stats only if they are told so, under this name.
    own_stats = [f"-javaagent:{tracer}", "-Ddd.trace.tracer.metrics.enabled=true"]
    runs = [Case("the tracer's own", own_stats, requests=60),
            Case("native", before, ["-Ddata-pipeline.stats=native"], requests=60)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        (code_t, said_t, own), (code_n, said_n, native) = pool.map(lambda case: run_case(case, options, java), runs)
    failed = code_t != 0 or code_n != 0
    for name, r in (("the tracer's own", own), ("native", native)):
        sums = [sum(v[i] for v in r.groups.values()) for i in (0, 1)]
        left = sum(h for h, _ in r.left_to_agent.values())
        print(f"stats, {name}: {sums[0]} hits, {sums[1]} errors in {len(r.groups)} groups; {left} spans left to the "
              f"agent (sent before the library was there); {len(r.ids)} spans received, "
              f"{dict(collections.Counter(r.senders))}")
    totals = {}
    for name, r in (("own", own), ("native", native)):
        for key, (hits, errors) in r.groups.items():
            fields = dict(key)
            at = totals.setdefault((fields["Name"], fields["Resource"]), {"own": [0, 0], "native": [0, 0]})[name]
            at[0] += hits
            at[1] += errors
        for (span, resource), (hits, errors) in r.left_to_agent.items():
            if name == "native":
                at = totals.setdefault((span, resource), {"own": [0, 0], "native": [0, 0]})[name]
                at[0] += hits
                at[1] += errors
    theirs, ours = fields_of(own), fields_of(native)
    odd = collections.Counter()
    for key, sums in sorted(totals.items()):
        same = sums["own"] == sums["native"]
        failed |= not same
        print(f"  {key[0]} {key[1]!r}: hits {sums['own'][0]} and {sums['native'][0]}, errors {sums['own'][1]} and "
              f"{sums['native'][1]}{'' if same else '   FAULT'}")
        if key in theirs and key in ours:
            for field, value in sorted(theirs[key] ^ ours[key], key=str):
                who = "only the tracer's own" if (field, value) in theirs[key] else "only native"
                odd[(who, field, str(value))] += 1
    for (who, field, value), groups in sorted(odd.items()):
        print(f"  {who}: {field} = {value} ({groups} groups)")
    if failed:
        print("    " + "\n    ".join((said_t + said_n).strip().splitlines()[-20:]))
    print("stats: " + ("FAULT" if failed else "same hits and errors by name and resource"))
    return failed


def first(options, java, bridge, tracer):
    """Seconds from the start of the application to the arrival of its first 100 spans."""
    sides = {"bridge": [f"-javaagent:{bridge}", f"-javaagent:{tracer}"], "stock": [f"-javaagent:{tracer}"]}
    seconds = {name: [] for name in sides}
    for turn in range(options.first):
        for name in sorted(sides, reverse=turn % 2 == 1):
            code, said, r = run_case(Case(name, sides[name], requests=150), options, java)
            if code != 0 or r.hundred is None:
                print(f"clients: {name} ended with {code} and {len(r.ids)} spans\n{said[-1500:]}")
                return True
            seconds[name].append(r.hundred)
    bridged, stock = (sorted(seconds[name]) for name in ("bridge", "stock"))
    middle = options.first // 2
    print(f"clients: the first 100 spans are there after {bridged[middle]:.2f} s with the bridge, {stock[middle]:.2f} s "
          f"stock ({bridged[0]:.2f} to {bridged[-1]:.2f}, {stock[0]:.2f} to {stock[-1]:.2f})")
    # The tracer flushes once a second; what is less than a tenth of that is not the bridge's.
    return bridged[middle] > stock[middle] + 0.1


def arguments(doc):
    """A reader of what a run of the application needs."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("bridge")
    parser.add_argument("tracer")
    parser.add_argument("app")
    parser.add_argument("--java", default="java")
    return parser


def main():
    parser = arguments(__doc__)
    parser.add_argument("--case", action="append")
    parser.add_argument("--faults")
    parser.add_argument("--stats", action="store_true")
    parser.add_argument("--first", type=int)
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    java = shlex.split(options.java)
    bridge, tracer = os.path.abspath(options.bridge), os.path.abspath(options.tracer)
    if options.stats:
        return 1 if compare(options, java, bridge, tracer) else 0
    if options.first:
        return 1 if first(options, java, bridge, tracer) else 0
    version = tuple(int(n) for n in re.search(r"(\d+)\.(\d+)\.\d+\.jar$", tracer).groups())
    said = subprocess.run(java + ["-version"], capture_output=True, text=True).stderr
    java_version = int(re.search(r'"(?:1\.)?(\d+)', said).group(1))
    faulty = os.path.abspath(options.faults) if options.faults else None
    every = cases(bridge, tracer, faulty, version, java_version)
    chosen = [c for c in every if not options.case or c.name in options.case]
    failed, stock, done = 0, None, []
    if not options.case:
        # The stock one is the first, and alone: it says whether there is anything to be tested.
        done = [run_case(chosen[0], options, java)]
        _, said, r = done[0]
        starts = bool(r.ids) or "while installing the Datadog Agent" not in said
        failed += doctor(java, bridge, tracer, starts)
        failed += without_tracer(java, bridge, options.app)
        if not starts:
            print(f"clients: SKIPPED, this tracer does not start on Java {java_version}, without the bridge either")
            return 1 if failed else SKIPPED
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        rest = pool.map(lambda case: run_case(case, options, java), chosen[len(done):])
        for case, (code, said, r) in zip(chosen, itertools.chain(done, rest)):
            if case.name == "stock":
                stock = r
            if (case.special.get("container") or case.special.get("found")) and "unshare" in said and code != 0:
                print(f"{case.name}: SKIPPED, no rights for a mount of its own", flush=True)
                continue
            wrong = judge(case, code, said, r, stock)
            stats = sum(h for h, _ in r.groups.values())
            print(f"{case.name}: {len(r.ids)} spans, {r.dropped} dropped by sampling, "
                  f"{dict(collections.Counter(r.senders))}, stats hits {stats}"
                  f"{''.join('   FAULT: ' + w for w in wrong)}", flush=True)
            if wrong or os.environ.get("SHOW"):
                print("    " + "\n    ".join(said.strip().splitlines()[-30:]))
            failed += bool(wrong)
    print("clients: " + (f"{failed} cases failed" if failed else f"all well, {len(chosen)} cases"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
