#!/usr/bin/env python3
"""Rows of the clients: the bridge beside the tracer's own sender, our exporter for OpenTelemetry beside OTLP.

usage: run.py OUT.json [--rounds N] [--only bridge,otel,start] [--jvm N]...      from scripts/bench_clients.sh
Each JVM (build/jvms/N) runs beside one sink in a process of its own. What is not there is left out, and said.
"""

import argparse
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import shared  # noqa: E402

ROOT = os.getcwd()
VERSION = re.search(r"^version=(.+)$", open("gradle.properties").read(), re.M)[1]
LIBS = f"{ROOT}/build/libs"
BRIDGE = f"{LIBS}/data-pipeline-bridge-{VERSION}.jar"
WORK = f"{ROOT}/build/bench/clients"


def java(jvm):
    found = f"build/jvms/{jvm}/bin/java"
    return found if os.path.exists(found) else None


class Sink:
    """What both sides send to, on a core of its own where there is one."""

    def __init__(self, command, pin):
        self.socket = tempfile.mkdtemp() + "/apm.socket"
        self.process = subprocess.Popen(
            [*pin, command, "-cp", f"{WORK}/classes", "Sink", self.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)


def rows(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=540)
    if done.returncode:
        sys.exit(f"bench: {' '.join(command[-4:])}: {done.stderr[-1500:]}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for row in found:
        against = f"{row['opponent_name']} {row['opponent']}, ratio {row['ratio']}" if row["opponent_name"] else ""
        print(f"{row['name']:<18} {row['payload']:<9} {row['ours']:>10} {row['unit']:<5} {against}", flush=True)
    return found


def single(name, unit, ours):
    print(f"{name:<18} {'':<9} {ours:>10} {unit}", flush=True)
    row = {"name": name, "unit": unit, "ours": ours, "opponent_name": None, "opponent": None, "ratio": None}
    return {**row, "allocations": None}


def start(command, pin):
    """Sizes, and premain in a fresh JVM."""
    product = os.path.getsize(f"{LIBS}/data-pipeline-{VERSION}.jar")
    yield single("bridge_jar_bytes", "bytes", os.path.getsize(BRIDGE))
    yield single("bridge_jar_over", "bytes", os.path.getsize(BRIDGE) - product)
    agent = f"{WORK}/premain.jar"
    with zipfile.ZipFile(agent, "w") as jar:
        jar.writestr(
            "META-INF/MANIFEST.MF", "Premain-Class: Premain\nMain-Class: Premain\nCan-Retransform-Classes: true\n\n"
        )
        jar.write(f"{WORK}/classes/Premain.class", "Premain.class")
    times = []
    for _ in range(15):
        started = [*pin, command, f"-javaagent:{agent}", "-cp", f"{agent}:{BRIDGE}", "Premain"]
        done = subprocess.run(started, capture_output=True, text=True)
        times.append(int(re.search(r"premain_us (\d+)", done.stdout)[1]) / 1000)
    yield single("bridge_premain_ms", "ms", round(statistics.median(times), 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", default="bridge,otel,start")
    parser.add_argument("--jvm", action="append")
    options = parser.parse_args()
    only, rounds = options.only.split(","), str(options.rounds)
    os.makedirs(WORK, exist_ok=True)
    shared.payloads("web_100x10", WORK, (100, 1000))
    tracer = shared.tracer(f"{WORK}/dd")
    otel = sorted(glob.glob(f"{ROOT}/build/otel/*.jar"))
    cores = sorted(os.sched_getaffinity(0))
    ours, others = (["taskset", "-c", str(cores[-1])], ["taskset", "-c", str(cores[0])]) if len(cores) > 1 else ([], [])
    sources = "benches/clients/java"
    files = [f"{sources}/{name}.java" for name in ("Sink", "Rows", "Premain")]
    files += [f"{sources}/BridgeBench.java"] if tracer else []
    files += [f"{sources}/OtelBench.java"] if otel else []
    path = ":".join([*([tracer] if tracer else []), f"{LIBS}/data-pipeline-opentelemetry-{VERSION}.jar", *otel])
    os.makedirs(f"{WORK}/classes", exist_ok=True)
    compile = ["javac", "--release", "17", "-Xlint:-options", "-cp", path, "-d", f"{WORK}/classes"]
    subprocess.run([*compile, *files], check=True)
    found = []
    for jvm in options.jvm or ["17", "25"]:
        command = java(jvm)
        if not command:
            print(f"bench: no JRE {jvm} in build/jvms; its rows are left out")
            continue
        native = ["--enable-native-access=ALL-UNNAMED"] if int(jvm) >= 24 else []
        run = [*ours, command, *native]
        if "bridge" in only and tracer:
            for transport in ("tcp", "uds"):
                with Sink(command, others) as sink:
                    socket = [sink.socket] if transport == "uds" else []
                    classes = f"{WORK}/classes:{tracer}"
                    words = ["-cp", classes, "BridgeBench", sink.port, WORK, f"{transport}_{jvm}", rounds, *socket]
                    found += rows([*run, f"-javaagent:{BRIDGE}", *words])
        if "otel" in only and otel:
            with Sink(command, others) as sink:
                # Both cores: the senders' threads run beside the exporting one.
                words = ["-cp", f"{WORK}/classes:{path}", "OtelBench", sink.port, jvm, rounds]
                found += rows([command, *native, *words])
    if "start" in only and java("17"):
        found += start(java("17"), ours)
    for what, there in (("the published tracer", tracer), ("OpenTelemetry's exporter", otel)):
        if not there:
            print(f"bench: {what} could not be fetched; its rows are left out")
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    kept = {}
    if os.path.exists(options.out):
        for row in json.load(open(options.out)):
            kept[row["name"], row.get("payload"), row["opponent_name"]] = row
    for row in found:
        kept[row["name"], row.get("payload"), row["opponent_name"]] = row
    with open(options.out, "w") as out:
        json.dump(list(kept.values()), out, indent=1)


main()
