#!/usr/bin/env python3
"""Runs a command beside a ddapm-test-agent with its checks on, on TCP and on a Unix socket.

usage: with_test_agent.py COMMAND [ARGUMENT...]
The command finds the agent in TEST_AGENT_URL (http://127.0.0.1:PORT) and TEST_AGENT_SOCKET (a path), its OTLP endpoint
in TEST_AGENT_OTLP. The agent comes from PyPI into build/venv the first time. Exit: the command's code, or 1 if the agent
does not start or does not check.

The agent enables no check by itself and accepts misspelt names in silence, so before the command runs one deliberately
wrong request must be refused.
"""
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time

VERSION = "1.69.1"
CHECKS = "trace_count_header,meta_tracer_version_header,trace_content_length,meta_events_is_valid_json"
VENV = os.path.abspath("build/venv")
PROGRAM = os.path.join(VENV, "bin", "ddapm-test-agent")


def install():
    mark = os.path.join(VENV, f"ddapm-test-agent-{VERSION}")
    if os.path.exists(mark):
        return
    print(f"installing ddapm-test-agent {VERSION} from PyPI into {VENV}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [os.path.join(VENV, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(pip + [f"ddapm-test-agent=={VERSION}", "msgpack"], check=True)
    open(mark, "w").close()


def free_ports(count):
    """Different free ports: all are bound before the first is let go."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def request(port, method, path, body=None, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def wait_until_ready(agent, port):
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        if agent.poll() is not None:
            sys.exit(f"the test agent ended with {agent.returncode} before it answered")
        try:
            if request(port, "GET", "/info") == 200:
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("the test agent did not answer /info within 30 s")


def prove_that_it_checks(port):
    headers = {"Content-Type": "application/msgpack", "Datadog-Meta-Tracer-Version": "1", "X-Datadog-Trace-Count": "5"}
    if request(port, "PUT", "/v0.4/traces?test_session_token=control", b"\x90", headers) != 400:
        sys.exit("the test agent accepted a wrong trace count: its checks are not on")
    request(port, "GET", "/test/session/clear?test_session_token=control")


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    install()
    with tempfile.TemporaryDirectory(prefix="test-agent-") as folder:
        os.mkdir(os.path.join(folder, "snapshots"))
        port, otlp_http, otlp_grpc = free_ports(3)
        unix = os.path.join(folder, "apm.sock")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DD_")}
        environment.update(ENABLED_CHECKS=CHECKS, SNAPSHOT_DIR=os.path.join(folder, "snapshots"))
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--otlp-http-port", str(otlp_http),
                     "--otlp-grpc-port", str(otlp_grpc), "--trace-uds-socket", unix, "--log-level", "ERROR"]
        with open(os.path.join(folder, "log"), "w+b") as log:
            agent = subprocess.Popen([PROGRAM] + arguments, env=environment, stdout=log, stderr=log)
            try:
                wait_until_ready(agent, port)
                prove_that_it_checks(port)
                found = dict(os.environ, TEST_AGENT_URL=f"http://127.0.0.1:{port}", TEST_AGENT_SOCKET=unix,
                             TEST_AGENT_OTLP=f"http://127.0.0.1:{otlp_http}")
                return subprocess.run(sys.argv[1:], env=found).returncode
            except SystemExit:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace")[-2000:])
                raise
            finally:
                agent.terminate()
                agent.wait(10)


sys.exit(main())
