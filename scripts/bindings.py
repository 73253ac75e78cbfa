#!/usr/bin/env python3
"""Runs the examples of other languages, each with an agent that counts what it gets. usage: scripts/bindings.py [NAME...]

A language whose tool is not there, or whose packages cannot be had, is said to be skipped. What is built and fetched lies in
build/bindings.
"""
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build/bindings"
LIBRARY = ROOT / "build/capi/libdata-pipeline-ffi.so"
DDTRACE = "4.16.0"


class Agent(http.server.BaseHTTPRequestHandler):
    """Counts traces by the header that says how many there are."""

    protocol_version = "HTTP/1.1"
    traces = 0

    def do_GET(self):
        self.answer(404, b"{}")

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Agent.traces += int(self.headers.get("X-Datadog-Trace-Count", 0))
        self.answer(200, b'{"rate_by_service":{"service:,env:":1.0}}')

    do_POST = do_PUT

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Skipped(Exception):
    pass


def tool(*names):
    for name in names:
        if shutil.which(name) is None:
            raise Skipped(f"there is no {name}")


def run(*command, fetches=False, **more):
    environment = os.environ | {
        "DD_TRACE_AGENT_URL": URL, "DATA_PIPELINE_LIBRARY": str(LIBRARY), "LD_LIBRARY_PATH": str(LIBRARY.parent),
    } | more.pop("env", {})
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, timeout=400, check=False, **more)
    if done.returncode:
        if fetches:
            raise Skipped(f"{command[0]} could not fetch what it needs")
        raise SystemExit(f"bindings: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def c():
    tool("cmake", "cc")
    prefix, build = OUT / "prefix", OUT / "c"
    run("scripts/capi.sh", "install", prefix, cwd=ROOT)
    run("cmake", "-S", ROOT / "examples/c", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    return run(build / "send_spans")


def ddtrace():
    """A Python with ddtrace, and what keeps it from talking of anything but traces."""
    tool("python3")
    venv = OUT / "python"
    if not (venv / "bin/ddtrace-run").exists():
        run("python3", "-m", "venv", venv, fetches=True)
        run(venv / "bin/pip", "install", "-q", "--disable-pip-version-check", f"ddtrace=={DDTRACE}", fetches=True)
    quiet = {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false"}
    return venv / "bin/python", quiet


def python():
    program, quiet = ddtrace()
    return run(program, ROOT / "examples/python/ddtrace_send.py", env=quiet)


def test_agent():
    """The same at Datadog's test agent with its checks on: it refuses what is wrong, and says what it has."""
    program, quiet = ddtrace()
    if not (ROOT / "build/venv/bin/ddapm-test-agent").exists():
        run("scripts/setup.sh", "python", cwd=ROOT, fetches=True)
    script = 'DD_TRACE_AGENT_URL=$TEST_AGENT_URL "$0" "$1" && curl -sf "$TEST_AGENT_URL/test/traces" > "$2"'
    tool("curl")
    found = OUT / "test-agent.json"
    said = run("python3", "scripts/with_test_agent.py", "sh", "-c", script, program, ROOT / "examples/python/ddtrace_send.py", found,
               cwd=ROOT, env=quiet)
    traces = json.loads(found.read_text())
    services = sorted({span["service"] for trace in traces for span in trace})
    if services != ["example-db", "example-python"] or {len(trace) for trace in traces} != {2}:
        raise SystemExit(f"bindings: the test agent has {services} in {len(traces)} traces")
    Agent.traces += len(traces)
    return said


def node():
    tool("node", "npm")
    place = OUT / "node"
    place.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "send.js"):
        shutil.copy(ROOT / "examples/node" / file, place)
    if not (place / "node_modules/koffi").exists():
        run("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=place, fetches=True)
    return run("node", "send.js", cwd=place)


def go():
    tool("go", "cc")
    flags = {"CGO_CFLAGS": f"-I{ROOT}/include", "CGO_LDFLAGS": f"-L{LIBRARY.parent}", "CGO_ENABLED": "1"}
    run("go", "build", "-o", OUT / "go-send", ".", cwd=ROOT / "examples/go", env=flags)
    return run(OUT / "go-send")


def ruby():
    tool("ruby")
    return run("ruby", ROOT / "examples/ruby/send.rb")


def start_agent():
    """Its URL; it lives as long as this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    # A client may leave when it likes.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main(names):
    global URL
    every = {f.__name__: f for f in (c, python, test_agent, node, go, ruby)}
    OUT.mkdir(parents=True, exist_ok=True)
    URL = start_agent()
    if not LIBRARY.exists():
        subprocess.run([ROOT / "scripts/capi.sh", "build"], check=True)
    ran = skipped = 0
    for name in names or every:
        before = Agent.traces
        try:
            said = every[name]()
        except Skipped as why:
            print(f"bindings: {name} SKIPPED: {why}", flush=True)
            skipped += 1
            continue
        arrived = Agent.traces - before
        if arrived == 0:
            raise SystemExit(f"bindings: {name}: nothing arrived; it said {said}")
        print(f"bindings: {name}: {arrived} traces arrived; it said {' | '.join(said.splitlines())}", flush=True)
        ran += 1
    print(json.dumps({"ran": ran, "skipped": skipped}))


if __name__ == "__main__":
    main(sys.argv[1:])
