#!/usr/bin/env python3
"""A Spring Boot application under load, with the bridge and stock in turn; then with OpenTelemetry's agent through us.

usage: load.py [MINUTES, default 5] [--pairs N] [--rate N]      from scripts/clients_load.sh
Prints each run, then the medians of the pairs: p99, CPU, bytes allocated. Of the CPU it says what the threads used that
send (the tracer's `dd-`, ours `dp-`) and what the JVM's compilers did: sending is some percent of the application's
CPU, which varies by more than that beside other work on the machine. With OpenTelemetry's agent: whether every span of
every request arrived once.
"""

import argparse
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
WARM_UP_S = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def load(port, rate, seconds):
    path = f"{WORK}/classes"
    done = subprocess.run(
        ["java", "-cp", path, "Load", str(port), str(rate), str(seconds)], capture_output=True, text=True, check=True
    )
    return [int(n) for n in done.stdout.split()]


class Application:
    def __init__(self, options):
        self.port = free_port()
        jars = ":".join(glob.glob("build/clients/spring/*.jar"))
        words = ["-Xms256m", "-Xmx256m", *options, "-cp", f"{WORK}/classes:{jars}", "shop.ShopApplication"]
        self.log = open(f"{WORK}/application.log", "w")
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
        sys.exit(open(f"{WORK}/application.log").read()[-3000:])

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


def run(name, options, seconds, rate):
    with Application(options) as app:
        load(app.port, rate, WARM_UP_S)
        before, threads = [int(n) for n in get(app.port, "/cost").split()], app.threads()
        p50, p99, errors = load(app.port, rate, seconds)
        after, ended = [int(n) for n in get(app.port, "/cost").split()], app.threads()
    cost = [b - a for a, b in zip(before, after)]
    used = {name: ended[name] - threads[name] for name in threads}
    print(
        f"{name}: p50 {p50} us, p99 {p99} us, CPU {cost[0]} ms (sending {used['send']:.0f}, compiling "
        f"{used['compile']:.0f}), {cost[1] / 1e6:.1f} MB allocated, {errors} errors",
        flush=True,
    )
    return p99, cost[0] - used["compile"], used["send"], cost[1], errors


def pairs(options, agent_port):
    settings = [f"-Ddd.trace.agent.url=http://127.0.0.1:{agent_port}", "-Ddd.service=shop"]
    settings += ["-Ddd.profiling.enabled=false", "-Ddd.instrumentation.telemetry.enabled=false"]
    settings += ["-Ddd.remote_config.enabled=false"]
    stock = [f"-javaagent:{TRACER}", *settings]
    ratios = []
    for i in range(options.pairs):
        both = {}
        order = [("stock", stock), ("bridge", [f"-javaagent:{BRIDGE}", *stock])]
        for name, words in order if i % 2 == 0 else order[::-1]:
            both[name] = run(f"pair {i + 1}, {name}", words, options.minutes * 60, options.rate)
            if both[name][-1]:
                sys.exit("load: the application answered with errors")
        ratios.append([b / s for b, s in zip(both["bridge"][:-1], both["stock"][:-1])])
    p99, cpu, sending, allocated = (statistics.median(r[k] for r in ratios) for k in range(4))
    print(
        f"bridge / stock, median of {len(ratios)} pairs: p99 {p99:.3f}, CPU without compiling {cpu:.3f}, of the threads "
        f"that send {sending:.3f}, allocated {allocated:.3f}"
    )


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
    with Application(words) as app:
        load(app.port, rate, seconds)
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
