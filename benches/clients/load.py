#!/usr/bin/env python3
"""A Spring Boot application under load, with the bridge and stock in turn; then with OpenTelemetry's agent through us.

usage: load.py [MINUTES each, default 5] [--pairs N] [--rate N]      from scripts/clients_load.sh
Of a pair both run at once, each in a JVM of its own, and requests go to them in turn, ten seconds each: what else the
machine does meets both. Prints of each its latencies, CPU and bytes allocated, then the medians of the pairs; "p99 of
slices" is the median over the rounds of one's p99 over the other's. Of the CPU it says what the threads used that send
(the tracer's `dd-`, ours `dp-`) and what the JVM's compilers did: sending is some percent of the application's CPU,
which varies by more than that beside other work. With OpenTelemetry's agent: whether every span of every request
arrived once.
"""

import argparse
import contextlib
import glob
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, "scripts")
import clients  # noqa: E402

VERSION = re.search(r"^version=(.+)$", open("gradle.properties").read(), re.M)[1]
BRIDGE = os.path.abspath(f"build/libs/data-pipeline-bridge-{VERSION}.jar")
EXTENSION = os.path.abspath(f"build/libs/data-pipeline-opentelemetry-{VERSION}.jar")
TRACER = os.path.abspath("build/clients/dd-java-agent-1.68.1.jar")
OTEL = "build/clients/opentelemetry-javaagent-*.jar"
WORK = os.path.abspath("build/clients/load")
WARM_UP_S = 30
SLICE_S = 10


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def load(rate, seconds, ports):
    """Of each port p50, p99 and errors; and of each its p99 beside the first one's."""
    words = [str(word) for word in (rate, seconds, SLICE_S, *ports)]
    command = ["java", "-cp", f"{WORK}/classes", "Load", *words]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [[int(n) for n in line.split()] for line in lines[: len(ports)]], [float(line) for line in lines[len(ports) :]]


class Application:
    def __init__(self, name, options):
        self.port = free_port()
        jars = ":".join(glob.glob("build/clients/spring/*.jar"))
        words = ["-Xms256m", "-Xmx256m", *options, "-cp", f"{WORK}/classes:{jars}", "shop.ShopApplication"]
        self.log = open(f"{WORK}/{name}.log", "w")
        settings = [f"--server.port={self.port}", "--server.tomcat.max-keep-alive-requests=-1"]
        self.process = subprocess.Popen(["java", *words, *settings], stdout=self.log, stderr=subprocess.STDOUT)

    def __enter__(self):
        for _ in range(600):
            try:
                get(self.port, "/cost")
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.2)
        sys.exit(open(self.log.name).read()[-3000:])

    def cost(self):
        """Milliseconds of CPU, and bytes allocated."""
        return [int(n) for n in get(self.port, "/cost").split()]

    def threads(self):
        """Milliseconds of CPU of the threads that send, and of the JVM's compilers."""
        used = {"send": 0.0, "compile": 0.0}
        for task in glob.glob(f"/proc/{self.process.pid}/task/*"):
            try:
                name = open(f"{task}/comm").read().strip()
                spent = int(open(f"{task}/schedstat").read().split()[0]) / 1e6
            except OSError:  # it has just ended
                continue
            if name.startswith(("dd-", "dp-")):
                used["send"] += spent
            elif "Compiler" in name:
                used["compile"] += spent
        return used

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def pair(sides, seconds, rate):
    """Both applications, each in a JVM of its own, at the same time: the requests go to them in turn, a slice each."""
    with contextlib.ExitStack() as stack:
        apps = [stack.enter_context(Application(name, options)) for name, options in sides]
        ports = [app.port for app in apps]
        load(rate, WARM_UP_S, ports)
        before = [(app.cost(), app.threads()) for app in apps]
        latencies, ratios = load(rate, seconds, ports)
        after = [(app.cost(), app.threads()) for app in apps]
    found = {}
    for i, (name, _) in enumerate(sides):
        cpu, allocated = (a - b for a, b in zip(after[i][0], before[i][0]))
        sending, compiling = (after[i][1][kind] - before[i][1][kind] for kind in ("send", "compile"))
        p50, p99, errors = latencies[i]
        print(
            f"  {name}: p50 {p50} us, p99 {p99} us, CPU {cpu} ms (sending {sending:.0f}, compiling {compiling:.0f}), "
            f"{allocated / 1e6:.1f} MB allocated, {errors} errors",
            flush=True,
        )
        if errors:
            sys.exit("load: the application answered with errors")
        found[name] = {"p99": p99, "p99 of slices": ratios[i], "CPU without compiling": cpu - compiling}
        found[name] |= {"CPU of the threads that send": sending, "allocated": allocated}
    return {what: found["bridge"][what] / found["stock"][what] for what in found["stock"]}


def pairs(options, agent_port):
    settings = [f"-Ddd.trace.agent.url=http://127.0.0.1:{agent_port}", "-Ddd.service=shop"]
    settings += ["-Ddd.profiling.enabled=false", "-Ddd.instrumentation.telemetry.enabled=false"]
    settings += ["-Ddd.remote_config.enabled=false"]
    stock = [f"-javaagent:{TRACER}", *settings]
    sides = [("stock", stock), ("bridge", [f"-javaagent:{BRIDGE}", *stock])]
    ratios = []
    for i in range(options.pairs):
        print(f"pair {i + 1} of {options.pairs}: {options.minutes:g} minutes each, in slices of {SLICE_S} s", flush=True)
        ratios.append(pair(sides if i % 2 == 0 else sides[::-1], options.minutes * 60, options.rate))
        print("  bridge / stock: " + ", ".join(f"{what} {ratio:.3f}" for what, ratio in ratios[-1].items()), flush=True)
    medians = (f"{what} {statistics.median(r[what] for r in ratios):.3f}" for what in ratios[0])
    print(f"bridge / stock, median of {len(ratios)} pairs: {', '.join(medians)}")


def open_telemetry(rate):
    """OpenTelemetry's own agent with our exporter as its extension: every span of the same requests, once."""
    agents = sorted(glob.glob(OTEL))
    if not agents:
        print("load: OpenTelemetry's agent could not be fetched; its run is left out")
        return True
    recorder = clients.Recorder()
    server = clients.agent(recorder)
    words = [f"-javaagent:{agents[-1]}", f"-Dotel.javaagent.extensions={EXTENSION}", "-Dotel.traces.exporter=datadog"]
    words += ["-Dotel.metrics.exporter=none", "-Dotel.logs.exporter=none", "-Dotel.service.name=shop"]
    words += [f"-Dotel.exporter.datadog.endpoint=http://127.0.0.1:{server.server_address[1]}"]
    seconds = 10
    with Application("opentelemetry", words) as app:
        load(rate, seconds, [app.port])
        time.sleep(6)
    requests = int(rate * seconds)
    seen = recorder.resources["GET /orders/{id}"]
    twice = sum(n - 1 for n in recorder.ids.values())
    paths = dict(recorder.paths)
    well = seen == requests and twice == 0
    print(f"OpenTelemetry's agent: {seen} of {requests} requests arrived, {len(recorder.ids)} spans, {twice} twice, "
          f"{paths}{'' if well else '   FAULT'}")
    threading.Thread(target=server.shutdown, daemon=True).start()
    return well


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("minutes", type=float, nargs="?", default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=150)
    options = parser.parse_args()
    os.makedirs(f"{WORK}/classes", exist_ok=True)
    jars = ":".join(glob.glob("build/clients/spring/*.jar"))
    sources = [*glob.glob("benches/clients/spring/*.java"), "benches/clients/java/Sink.java"]
    compile = ["javac", "--release", "17", "-parameters", "-cp", jars, "-d", f"{WORK}/classes", *sources]
    subprocess.run(compile, check=True)
    well = open_telemetry(options.rate)
    place = f"{WORK}/agent.sock"
    if os.path.exists(place):
        os.remove(place)
    sink = subprocess.Popen(
        ["java", "-cp", f"{WORK}/classes", "Sink", place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pairs(options, sink.stdout.readline().strip())
    finally:
        sink.stdin.close()
        sink.wait(10)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
