#!/usr/bin/env python3
"""The tracer with the bridge toward agents that we did not write: every span arrives exactly once, through us.

usage: clients_agents.py BRIDGE.jar TRACER.jar APP-CLASSPATH [--java COMMAND]      under scripts/with_test_agent.py
At ddapm-test-agent, with its checks on, over TCP and a Unix socket; and at a real trace-agent in process, if
ORACLE_AGENT names its program (tests/oracle/go/agent, built by Go). Needs build/venv. Prints one line a run.
"""
import collections
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request

import clients


def run(case, options, java, url):
    """The application toward this agent; what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "OTEL_"))}
    command = clients.application(case, options, java, url)
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=env)
    return done.returncode, done.stdout + done.stderr


def test_agent(case, options, java, url):
    """Runs it toward ddapm-test-agent. Gives exit, output, and the spans that arrived, as name and ids."""
    at = os.environ["TEST_AGENT_URL"]
    urllib.request.urlopen(at + "/test/session/clear").read()
    code, said = run(case, options, java, url)
    traces = json.load(urllib.request.urlopen(at + "/test/traces"))
    return code, said, [(s["name"], s["trace_id"], s["span_id"]) for trace in traces for s in trace]


def real_agent(case, options, java, program):
    """The same toward a real agent, as its intake gets the spans. It is told to keep every trace."""
    env = {**os.environ, "ORACLE_KEEP": "1"}
    with subprocess.Popen([program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as agent:
        code, said = run(case, options, java, json.loads(agent.stdout.readline())["url"])
        # It sends what it has, and ends.
        agent.stdin.close()
        lines = [json.loads(line) for line in agent.stdout]
    chunks = [chunk for line in lines if line["kind"] == "traces" for chunk in line["chunks"]]
    return code, said, [(s["name"], c["trace_id"], s["span_id"]) for c in chunks for s in c["spans"]]


def judge(name, case, code, said, spans):
    names = collections.Counter(span[0] for span in spans)
    twice = len(spans) - len(set(spans))
    wrong = [f"exit {code}"] if code else []
    wrong += [f"{twice} spans twice"] if twice else []
    for span in ("http.request", "h2.query"):
        if names[span] < case.requests:
            wrong.append(f"{case.requests - names[span]} of {span} are missing")
    through = re.search(r"^bean .* has sent ([1-9][0-9]*)", said, re.M)
    if case.sender == "bridge" and not through:
        wrong.append("the bridge has sent nothing")
    print(f"{name}, {case.name}: {len(spans)} spans{''.join('   FAULT: ' + w for w in wrong)}", flush=True)
    if wrong:
        print("    " + "\n    ".join(said.strip().splitlines()[-30:]))
    return bool(wrong)


def main():
    options = clients.arguments(__doc__).parse_args()
    java, tracer = shlex.split(options.java), f"-javaagent:{os.path.abspath(options.tracer)}"
    runs = [clients.Case("stock", [tracer], sender="tracer"),
            clients.Case("bridge", [f"-javaagent:{os.path.abspath(options.bridge)}", tracer], sender="bridge")]
    tcp, unix = os.environ["TEST_AGENT_URL"], "unix://" + os.environ["TEST_AGENT_SOCKET"]
    program = os.environ.get("ORACLE_AGENT", "")
    failed = 0
    for case in runs:
        failed += judge("test agent", case, *test_agent(case, options, java, tcp))
    failed += judge("test agent over a Unix socket", runs[1], *test_agent(runs[1], options, java, unix))
    if os.access(program, os.X_OK):
        for case in runs:
            failed += judge("real agent", case, *real_agent(case, options, java, program))
    else:
        print("real agent: left out, ORACLE_AGENT names no program")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
