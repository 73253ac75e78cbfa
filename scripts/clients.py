#!/usr/bin/env python3
"""The real Java tracer with and without the bridge: does every span arrive exactly once?

usage: clients.py BRIDGE.jar TRACER.jar APP-CLASSES [--java COMMAND] [--case NAME]...
A recording agent stands in for the real one; it counts spans of v0.4 and v0.5 bodies by their ids and tells by a header
whose sender it was (the exporter says Datadog-Send-Real-Http-Status). Needs msgpack (build/venv). Prints one line a case.
"""
import argparse, collections, hashlib, http.server, json, os, re, shlex, socketserver, subprocess, sys, threading, time

import msgpack

INFO = {"version": "7.85.0", "endpoints": ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.6/stats", "/info",
                                           "/telemetry/proxy/"],
        "client_drop_p0s": True, "config": {"max_request_bytes": 26214400, "statsd_port": 8125},
        "peer_tags": [], "span_kinds_stats_computed": ["server", "client", "producer", "consumer"]}
REQUESTS = 25


class Recorder:
    def __init__(self):
        self.lock = threading.Lock()
        self.ids = collections.Counter()
        self.senders = collections.Counter()
        self.dropped = 0
        self.stats_hits = 0
        self.headers = []
        self.rate = 1.0
        self.agent_rates = set()

    def traces(self, headers, body, path):
        unpacked = msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="replace")
        with self.lock:
            ours = "datadog-send-real-http-status" in {k.lower() for k in headers.keys()}
            self.senders["bridge" if ours else "tracer"] += 1
            self.dropped += int(headers.get("Datadog-Client-Dropped-P0-Spans") or 0)
            self.headers.append((ours, path, dict(headers)))
            if path == "/v0.5/traces":
                for chunk in unpacked[1]:
                    for span in chunk:
                        self.ids[(span[3], span[4])] += 1
            else:
                for chunk in unpacked:
                    for span in chunk:
                        self.ids[(span["trace_id"], span["span_id"])] += 1
                        rate = (span.get("metrics") or {}).get("_dd.agent_psr")
                        if rate is not None:
                            self.agent_rates.add(round(rate, 3))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

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
        if self.path == "/info":
            text = json.dumps(INFO).encode()
        elif self.path.endswith("/traces"):
            recorder.traces(self.headers, body, self.path)
            text = json.dumps({"rate_by_service": {"service:,env:": 1.0, "service:bridge-app,env:spike": recorder.rate}}).encode()
        elif self.path == "/v0.6/stats":
            stats = msgpack.unpackb(body, raw=False, strict_map_key=False)
            with recorder.lock:
                for bucket in stats.get("Stats") or []:
                    for group in bucket.get("Stats") or []:
                        recorder.stats_hits += group.get("Hits") or 0
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Datadog-Agent-State", hashlib.sha256(json.dumps(INFO).encode()).hexdigest())
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def agent(port=0):
    server = Server(("127.0.0.1", port), Handler)
    server.recorder = Recorder()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(java, arguments, env, limit=120):
    done = subprocess.run(java + arguments, capture_output=True, text=True, timeout=limit, env={**os.environ, **env})
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bridge")
    parser.add_argument("tracer")
    parser.add_argument("app")
    parser.add_argument("--java", default="java")
    parser.add_argument("--case", action="append")
    options = parser.parse_args()
    java = shlex.split(options.java)
    bridge, tracer = os.path.abspath(options.bridge), os.path.abspath(options.tracer)
    settings = ["-Ddd.service.name=bridge-app", "-Ddd.env=spike", "-Ddd.instrumentation.telemetry.enabled=false",
                "-Ddd.profiling.enabled=false", "-Ddd.appsec.enabled=false", "-Ddd.remote_config.enabled=false",
                "-Ddd.trace.startup.logs=false"]
    before = [f"-javaagent:{bridge}", f"-javaagent:{tracer}"]
    behind = [f"-javaagent:{tracer}", f"-javaagent:{bridge}"]
    app = ["-cp", options.app, "App", str(REQUESTS), "120", "6000", "1500"]
    # name, agents, more properties, environment, who must have sent after the first payload
    cases = [
        ("stock", [f"-javaagent:{tracer}"], [], {}, "tracer"),
        ("bridge first", before, [], {}, "bridge"),
        ("bridge behind", behind, [], {}, "bridge"),
        ("extension", [f"-javaagent:{tracer}"], [], {"DD_TRACE_EXTENSIONS_PATH": bridge}, "bridge"),
        ("protocol 0.5", before, ["-Ddd.trace.agent.protocol.version=0.5"], {}, "bridge"),
        ("checked JNI", before, ["-Xcheck:jni"], {}, "bridge"),
        ("library missing", before, ["-Dcom.datadog.pipeline.native.path=/nowhere"], {}, "tracer"),
        ("exits at once", before, [], {}, None),
        ("agent away", before, [], {}, "bridge"),
        ("rates", before, [], {}, "bridge"),
    ]
    failed = 0
    for name, agents, more, env, sender in cases:
        if options.case and name not in options.case:
            continue
        server = agent()
        port = server.server_address[1]
        words = list(app)
        # With a rate of 1 the tracer drops nothing, and every span can be counted.
        server.recorder.rate = 0.37 if name == "rates" else 1.0
        if name == "exits at once":
            words[-1:] = ["0"]
        restart = None
        if name == "agent away":
            words[-3:] = ["400", "6000", "4000"]
            recorder = server.recorder

            def outage():
                time.sleep(10)
                server.shutdown()
                server.server_close()
                time.sleep(4)
                again = agent(port)
                again.recorder = recorder
                holder.append(again)
            holder = []
            restart = threading.Thread(target=outage, daemon=True)
            restart.start()
        command = agents + settings + more + [f"-Ddd.trace.agent.url=http://127.0.0.1:{port}"] + words
        try:
            code, said = run(java, command, env)
        except subprocess.TimeoutExpired:
            code, said = "hangs", ""
        if restart:
            restart.join()
        time.sleep(0.3)
        r = server.recorder
        spans, twice = len(r.ids), sum(n > 1 for n in r.ids.values())
        missing = 0 if name == "rates" else REQUESTS - spans
        warned = [line for line in said.splitlines() if "WARNING" in line and "JNI" in line and "pipeline" in line]
        processor = re.search(r"Uncaught exception", said)
        ok = code == 0 and missing <= 0 and twice == 0 and not warned and not processor
        if sender == "bridge":
            ok = ok and r.senders["bridge"] > 0
        if name == "rates":
            ok = ok and 0.37 in r.agent_rates
        if sender == "tracer":
            ok = ok and r.senders["bridge"] == 0
        print(f"{name}: exit {code}, {spans} of {REQUESTS} spans, {r.dropped} dropped by sampling, {twice} twice, "
              f"{dict(r.senders)}, stats hits {r.stats_hits}{'' if ok else '   FAULT'}", flush=True)
        if not ok or os.environ.get("SHOW"):
            print("    " + "\n    ".join(said.strip().splitlines()[-30:]))
        failed += not ok
        try:
            server.shutdown()
        except OSError:
            pass
    print("clients: " + ("failed" if failed else "all well"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
