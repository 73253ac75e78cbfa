"""The measured comparison: runs what measures, gathers docs/report/results.json, draws and writes the pages.

usage: run.py [--quick] [--only STEP,...]       from scripts/report.sh, which builds everything first
Steps that are left out keep what the last run found in build/report/STEP.json; with neither they are named in the
report.
"""

import argparse
import datetime
import glob
import json
import os
import platform
import re
import subprocess
import sys
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import shared  # noqa: E402
import storm  # noqa: E402

ROOT = os.getcwd()
BUILD = "build/report"
OUT = "docs/report"
VERSION = re.search(r"^version=(.+)$", open("gradle.properties").read(), re.M)[1]
JARS = [f"build/libs/data-pipeline-{VERSION}.jar", f"build/libs/data-pipeline-opentelemetry-{VERSION}.jar"]
BENCH = "build/bench"
AGENT = f"{BENCH}/target/release/examples/java_bench_peer"


def shell(*command, **more):
    return subprocess.run(command, check=True, text=True, **more)


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def java(*arguments, options=()):
    path = ":".join([f"{BUILD}/classes", *JARS, "build/otel/*", f"{BUILD}/dd"])
    answer = subprocess.run(
        ["java", *options, "-cp", path, "Views", *map(str, arguments)], capture_output=True, text=True, timeout=900
    )
    if answer.returncode:
        sys.stderr.write(f"report: {' '.join(map(str, arguments))}: {answer.stderr[-800:]}\n")
    left_out.update(re.findall(r"report: (\w+ is left out: [^\n]*)", answer.stderr))
    return [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]


left_out = set()


class Agent:
    """The sink that everybody sends to."""

    def __enter__(self):
        self.process = subprocess.Popen([AGENT, "agent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.process.stdout.readline().strip()

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)


# Steps. Each gives what goes into build/report/STEP.json.


def native(quick):
    """Rows of benches/peers and JavaBench."""
    groups = (
        ["main", "wire", "stats", "real", "obfuscation", "bindings"]
        if quick
        else ["main", "wire", "dialogue", "stats", "real", "obfuscation", "bindings"]
    )
    shell("scripts/bench.sh", "--rounds", "3" if quick else "15", *groups)
    if not quick:
        shell("scripts/bench.sh", "--big", "--rounds", "7", "flat")
        shell("scripts/bench.sh", "--theirs", "--rounds", "7", "wire", "stats", "real")
    shell(sys.executable, "scripts/bench_agent.py", "1" if quick else "5")
    shell("scripts/bench_java.sh", "5" if quick else "41")
    shell(sys.executable, "scripts/bench_join.py", BENCH)
    return json.load(open(f"{BENCH}/results.json"))


def latency(quick):
    with Agent() as url:
        return [
            row
            for _ in range(1 if quick else 3)
            for row in java("latency", url, f"{BUILD}/payloads", 1.2 if quick else 10)
        ]


def threads(quick):
    with Agent() as url:
        return [
            row
            for _ in range(1 if quick else 3)
            for row in java("threads", url, f"{BUILD}/payloads", 0.3 if quick else 2)
        ]


SENDERS = ["ours", "dd_trace_java", "ours_otel", "otlp_okhttp", "otlp_jdk"]


def application(quick):
    found = []
    with Agent() as url:
        for _ in range(1 if quick else 3):
            for who in ["none", *SENDERS]:
                found += observed(url, who, 3 if quick else 20, False)
    # Nobody listens on port 1.
    away = ["ours_queue", "dd_trace_java"] + ([] if quick else ["ours_otel", "otlp_okhttp"])
    for who in away:
        found += observed("http://127.0.0.1:1", who, 3 if quick else 20, True)
    return found


def observed(url, who, seconds, away):
    log = f"{BUILD}/safepoints.log"
    if os.path.exists(log):
        os.remove(log)
    options = ["-Xms256m", "-Xmx256m", f"-Xlog:safepoint:file={log}"]
    rows = java("application", url, who, f"{BUILD}/payloads", seconds, str(away).lower(), options=options)
    totals = [int(n) / 1e6 for n in re.findall(r"Total: +(\d+) ns", open(log).read())] if os.path.exists(log) else []
    for row in rows:
        row["rest_mb"] = max(0.0, row.get("rss_at_rest_mb", 0) - row.get("rss_before_mb", 0))
        row.update(safepoint_count=len(totals), safepoint_ms=sum(totals), safepoint_max_ms=max(totals, default=0))
    return rows


def start(quick):
    found = []
    with Agent() as url:
        for _ in range(3 if quick else 9):
            for who in SENDERS:
                found += java("start", url, who, f"{BUILD}/payloads")
    return found


def losses(quick):
    down = 2 if quick else 10
    out = subprocess.run(["scripts/losses.sh"], env={**os.environ, "DOWN": str(down)}, capture_output=True, text=True)
    who = {"ours": "ours", "libdd": "libdd", "OpenTelemetry Java": "otlp_okhttp"}
    rows = []
    for name, offered, arrived, lost in re.findall(
        r"^(.+): (\d+) offered, (\d+) arrived, (-?\d+) lost", out.stdout, re.M
    ):
        rows.append(
            {
                "who": who.get(name, name),
                "down_s": down,
                "offered": int(offered),
                "arrived": int(arrived),
                "lost": int(lost),
            }
        )
    if out.returncode:
        left_out.add(f"losses: {(out.stderr or out.stdout)[-200:].strip()}")
    return rows


def simulation(quick):
    return storm.table(clients=10_000)


def sizes(quick):
    found = {}
    for label, jar in (("data-pipeline, JAR", JARS[0]), ("data-pipeline for OpenTelemetry, JAR", JARS[1])):
        if os.path.exists(jar):
            found[label] = os.path.getsize(jar)
    with zipfile.ZipFile(JARS[0]) as jar:
        found["data-pipeline, library in it"] = max(
            e.file_size for e in jar.infolist() if "/data-pipeline/" in e.filename
        )
    otel = [
        p
        for p in glob.glob("build/otel/*.jar")
        if not re.search(r"/(opentelemetry-(api|context|common|sdk-\w+)|annotations)-", p)
    ]
    for label, leave in (
        ("OTLP exporter with OkHttp, JARs", "sender-jdk"),
        ("OTLP exporter with the JDK's client, JARs", "okhttp|okio|kotlin"),
    ):
        jars = [p for p in otel if not re.search(leave, p)]
        if jars:
            found[label] = sum(map(os.path.getsize, jars))
    tracer = f"build/clients/dd-java-agent-{shared.TRACER}.jar"
    if os.path.exists(tracer):
        found["dd-java-agent (the whole tracer), JAR"] = os.path.getsize(tracer)
    return found


# Step, minutes in a quick run, minutes in a whole one.
STEPS = [
    (native, 2.2, 25),
    (latency, 0.4, 6),
    (threads, 0.2, 3),
    (application, 0.6, 9),
    (start, 0.5, 2),
    (losses, 0.8, 2),
    (simulation, 0.2, 0.3),
    (sizes, 0, 0),
]


def facts(minutes, load):
    cpu = re.search(r"model name\s*:\s*(.+)", open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    java_said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()
    cores = os.cpu_count() or 1
    return {
        "date": datetime.date.today().isoformat(),
        "commit": said("git", "rev-parse", "--short=12", "HEAD"),
        "minutes": round(minutes, 1),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": cores,
        "memory_gb": round(memory),
        "kernel": f"{platform.system()} {platform.release()}",
        "rustc": said("rustc", "--version"),
        "java": java_said[1].strip() if len(java_said) > 1 else "no Java",
        "load": f"{load:.1f}",
        "busy": load > cores,
    }


def versions():
    lock = open("benches/peers/Cargo.toml").read()
    found = {
        f"libdd-{n}": v
        for n, v in re.findall(r'^libdd-(trace-\w+|ddsketch|data-pipeline) = .*?"=([\d.]+)"', lock, re.M)
    }
    found["dd-trace-java"] = shared.TRACER
    otel = re.search(r"<version>(\d[\d.]+\d)</version>\s*</dependency>", open("benches/otel/pom.xml").read())
    found["OpenTelemetry Java"] = otel[1]
    agent = open("benches/agent/go.mod").read()
    found["Go agent"] = re.search(r"datadog-agent/pkg/trace v([\d.]+)", agent)[1]
    return {"data-pipeline": VERSION, **found}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    os.makedirs(BUILD, exist_ok=True)
    os.makedirs(OUT, exist_ok=True)
    began, load = time.time(), os.getloadavg()[0]
    only = options.only.split(",") if options.only else [step.__name__ for step, _, _ in STEPS]
    if set(only) & {"latency", "threads", "application", "start"}:
        prepare()
    # Steps may be measured one by one; the page says how long all of them took.
    minutes = f"{BUILD}/minutes.json"
    took = json.load(open(minutes)) if options.only and os.path.exists(minutes) else {}
    todo = [(s, q if options.quick else w) for s, q, w in STEPS if s.__name__ in only]
    for i, (step, _) in enumerate(todo):
        left = sum(minutes for _, minutes in todo[i:])
        print(f"report: {i + 1}/{len(todo)} {step.__name__}, about {left:.1f} minutes left", flush=True)
        started = time.time()
        found = step(options.quick)
        took[step.__name__] = round((time.time() - started) / 60, 1)
        with open(f"{BUILD}/{step.__name__}.json", "w") as out:
            json.dump(found, out, indent=1)
    with open(minutes, "w") as out:
        json.dump(took, out, indent=1)
    kept = {}
    for step, _, _ in STEPS:
        path = f"{BUILD}/{step.__name__}.json"
        kept[step.__name__] = json.load(open(path)) if os.path.exists(path) else []
    left_out.update(f"{name}: not measured yet" for name, found in kept.items() if not found)
    if not any(row.get("opponent_name") == "agent" for row in kept["native"]):
        left_out.add("the Go agent's packages: there is no Go, or they could not be fetched")
    views = [row for name in ("latency", "threads", "application", "start") for row in kept[name]]
    results = {
        "quick": options.quick,
        "facts": facts(sum(took.values()), load),
        "versions": versions(),
        "left_out": sorted(left_out),
        "plots": [],
        "rows": kept["native"],
        "views": views,
        "losses": kept["losses"],
        "storm": kept["simulation"],
        "sizes": kept["sizes"] or {},
    }
    with open(f"{OUT}/results.json", "w") as out:
        json.dump(results, out, indent=1)
    shell("build/plots/bin/python", "benches/report/plots.py", OUT)
    shell(sys.executable, "benches/report/page.py", OUT)
    print(f"report: {OUT}/index.md and index.html, {(time.time() - began) / 60:.1f} minutes")


def prepare():
    """Payloads and classes of the Java views; the peers' sources only where their classes are."""
    shared.payloads("web_1000x10", f"{BUILD}/payloads", (10, 100, 1_000, 10_000))
    shared.tracer(f"{BUILD}/dd")
    if not os.path.exists(f"{BUILD}/dd/done"):
        left_out.add("dd-trace-java: its JAR could not be fetched")
    os.makedirs(f"{BUILD}/classes", exist_ok=True)
    sources = [f"benches/report/java/{n}.java" for n in ("Sender", "Senders", "Views")]
    path = ":".join([*JARS, "build/otel/*", f"{BUILD}/dd"])
    if os.path.exists(f"{BUILD}/dd/done"):
        sources.append("benches/report/java/DdSender.java")
    if glob.glob("build/otel/*sdk-trace*.jar"):
        sources.append("benches/report/java/OtelSender.java")
    shell("javac", "-nowarn", "-d", f"{BUILD}/classes", "-cp", path, *sources)


if __name__ == "__main__":
    main()
