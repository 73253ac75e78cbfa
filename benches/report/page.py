"""docs/report/index.md and index.html, made of docs/report/results.json and nothing else.

usage: page.py [--check] [DIR, default docs/report]        --check: exit 1 if the pages are not what results.json says
"""

import html
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import views  # noqa: E402

# File, title, what to see in it.
PLOTS = [
    (
        "stages",
        "Native: nanoseconds a span by stage and format",
        "One thread, warm; the payload is 1,000 spans of a web shop.",
    ),
    (
        "real",
        "Native: traces of seven real tracers",
        "Read and passed on, and the whole way with stats and the p0 drop.",
    ),
    ("obfuscation", "Native: obfuscation and normalization", "Nanoseconds an item, on the corpora of the generator."),
    ("allocations", "Native: allocations a span", "Of a call in steady state, over its spans; ours is none."),
    (
        "size_of_payload",
        "Cost a span by size of the payload",
        "A send of ready bytes from Java: what is fixed weighs in small payloads only.",
    ),
    (
        "latency",
        "Java: latency of a send",
        "Median and p99; an export encodes the spans first, a send takes ready bytes.",
    ),
    ("throughput", "Java: throughput of one thread", "Each send waits for its answer."),
    ("cpu", "CPU of the sending process", "Seconds a million spans, agent not counted."),
    (
        "heap",
        "Java heap",
        "Bytes a span that the calling thread allocates; what others allocate for it shows under collections.",
    ),
    ("threads", "1 to 64 threads on one exporter", "Payloads of ten spans; the floor has one socket and one thread."),
    ("memory", "Resident memory", "At rest (beyond the JVM before it), under load, and with the agent away."),
    ("pauses", "Collections and safepoints", "A program that makes garbage, with each sender and with none."),
    ("start", "Start-up", "Fresh JVMs: from the first call to a ready sender, and the first send."),
    ("sizes", "Sizes on disk", "What an application adds to itself."),
    ("losses", "An agent that is restarted", "Spans lost at 2,000 spans/s, everybody with default settings."),
    (
        "storm",
        "Simulated: 10,000 clients after an outage",
        "Requests a second on a peer that was away for 30 s; see docs/scaling.md.",
    ),
]


def blocks(results, there):
    """The page as blocks: (kind, content). `there`: names of plots that were drawn."""
    facts = results["facts"]
    yield "h1", "data-pipeline, measured"
    yield "p", (
        f"{facts['date']}, commit `{facts['commit']}`, {facts['minutes']} minutes"
        + (", a quick run: few rounds, wide spread" if results["quick"] else "")
        + f". {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['kernel']};"
        + f" {facts['rustc']}; {facts['java']}."
        + f" Load before the run: {facts['load']}."
    )
    if facts["busy"]:
        yield "p", "**The machine was busy while this was measured: times are noise, ratios a hint.**"
    behind = views.losses(results)
    if behind:
        yield "p", f"**We lose in {len(behind)} figures:**"
        yield "list", [f"**{sentence}**" for sentence in behind]
    else:
        yield "p", "No figure of ours falls behind a peer's by more than 3 %."
    yield "p", "Versions: " + "; ".join(f"{who} {version}" for who, version in results["versions"].items()) + "."
    if results["left_out"]:
        yield "p", "Left out: " + "; ".join(results["left_out"]) + "."
    yield "p", (
        "Peers run in one run, taking turns in short slices, since a machine's speed moves by tens of percent within"
        " seconds; a row has the median of the paired ratios. Floors (raw POST, bare walk, copy) are no peers: nothing"
        " that does the work reaches them."
    )
    for file, title, text in PLOTS:
        if file in there:
            yield "h2", title
            yield "p", text
            yield "plot", (f"{file}.svg", title)
    yield "h2", "Rows against peers and floors"
    yield "table", (
        ["row", "payload", "ours", "unit", "against", "theirs", "ratio", "allocations a call", "theirs"],
        [
            [
                r["name"],
                r.get("payload") or "",
                views.figure(r["ours"]),
                r["unit"],
                views.name(r["opponent_name"]),
                views.figure(r["opponent"]),
                views.figure(r["ratio"]),
                views.figure(r.get("allocations")),
                views.figure(r.get("opponent_allocations")),
            ]
            for r in sorted(
                results["rows"], key=lambda r: (r["name"], r.get("payload") or "", r.get("opponent_name") or "")
            )
            if r.get("opponent_name")
        ],
    )
    for row, title in (("send", "Sends of ready bytes from Java"), ("export", "Exports of OpenTelemetry's spans")):
        found = views.view(results, row)
        if found:
            yield "h2", title
            keys = [
                "p25_us",
                "median_us",
                "p75_us",
                "p99_us",
                "p999_us",
                "spans_per_s",
                "cpu_s_per_million_spans",
                "heap_bytes_per_span",
            ]
            yield "table", (
                [
                    "spans",
                    "who",
                    "p25 µs",
                    "median µs",
                    "p75 µs",
                    "p99 µs",
                    "p99.9 µs",
                    "spans/s",
                    "CPU s a million spans",
                    "heap bytes a span",
                ],
                [
                    [f"{size:,}", views.name(who)] + [views.figure(values.get(k)) for k in keys]
                    for (who, size), values in sorted(found.items(), key=lambda e: (e[0][1], e[0][0]))
                ],
            )
    found = views.view(results, "application")
    if found:
        yield "h2", "An application with and without an exporter"
        keys = [
            "rest_mb",
            "rss_most_mb",
            "cpu_s",
            "gc_count",
            "gc_ms",
            "safepoint_count",
            "safepoint_ms",
            "safepoint_max_ms",
            "sends",
        ]
        yield "table", (
            [
                "who",
                "MB at rest",
                "MB at most",
                "CPU s",
                "collections",
                "ms",
                "safepoints",
                "ms",
                "longest ms",
                "sends of 1,000 spans",
            ],
            [
                [views.name(who)] + [views.figure(values.get(k)) for k in keys]
                for (who, _), values in sorted(found.items())
            ],
        )
    if results["losses"]:
        yield "h2", "Lost while the agent was away"
        yield "table", (
            ["who", "agent away", "offered", "arrived", "lost"],
            [
                [views.name(e["who"]), f"{e['down_s']} s", f"{e['offered']:,}", f"{e['arrived']:,}", f"{e['lost']:,}"]
                for e in results["losses"]
            ],
        )
    if results["storm"]:
        yield "h2", "Simulated outages"
        yield "table", (
            ["outage", "schedule"] + [unit for _, unit in views.STORM],
            [
                [f"{r['outage_s']:.0f} s", r["schedule"]] + [views.figure(r[k]) for k, _ in views.STORM]
                for r in results["storm"]
            ],
        )
    if results["sizes"]:
        yield "h2", "Sizes"
        yield "table", (["what", "bytes"], [[what, f"{size:,}"] for what, size in results["sizes"].items()])
    yield "p", "Made by `make report` of `results.json` beside this page; `make test` checks that it is."


def markdown(results):
    out = []
    for kind, content in blocks(results, results["plots"]):
        if kind in ("h1", "h2"):
            out.append(("# " if kind == "h1" else "## ") + content)
        elif kind == "p":
            out.append(content)
        elif kind == "list":
            out.append("\n".join(f"- {item}" for item in content))
        elif kind == "plot":
            out.append(f"![{content[1]}]({content[0]})")
        else:
            head, rows = content
            lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
            out.append("\n".join(lines))
    return "\n\n".join(out) + "\n"


STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}"
    "td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left}img{max-width:100%}"
)


def page(results):
    def inline(text):
        text = html.escape(text, quote=False)
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
        return re.sub(r"`(.+?)`", r"<code>\1</code>", text)

    out = []
    for kind, content in blocks(results, results["plots"]):
        if kind in ("h1", "h2", "p"):
            out.append(f"<{kind}>{inline(content)}</{kind}>")
        elif kind == "list":
            out.append("<ul>" + "".join(f"<li>{inline(item)}</li>" for item in content) + "</ul>")
        elif kind == "plot":
            out.append(f'<img src="{content[0]}" alt="{html.escape(content[1])}">')
        else:
            head, rows = content
            cells = (
                lambda row, tag: "<tr>" + "".join(f"<{tag}>{inline(c)}</{tag}>" for c in row) + "</tr>"
            )  # noqa: E731
            out.append("<table>" + cells(head, "th") + "\n".join(cells(row, "td") for row in rows) + "</table>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>data-pipeline, measured</title>'
        + f"<style>{STYLE}</style>\n"
        + "\n".join(out)
        + "\n</html>\n"
    )


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    folder = arguments[0] if arguments else "docs/report"
    with open(os.path.join(folder, "results.json")) as file:
        results = json.load(file)
    bad = 0
    for file, text in (("index.md", markdown(results)), ("index.html", page(results))):
        path = os.path.join(folder, file)
        if "--check" not in sys.argv:
            with open(path, "w") as out:
                out.write(text)
        elif not os.path.exists(path) or open(path).read() != text:
            print(f"report: {path} is not made of results.json; run benches/report/page.py")
            bad = 1
    for plot in results["plots"]:
        if not os.path.exists(os.path.join(folder, f"{plot}.svg")):
            print(f"report: {folder}/{plot}.svg is missing")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
