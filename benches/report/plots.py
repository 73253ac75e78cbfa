"""Draws docs/report/*.svg from results.json. usage: plots.py [DIR, default docs/report]; needs matplotlib.

Writes the names of what it drew into results.json: a plot without data is left out.
"""

import itertools
import json
import os
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import views  # noqa: E402
from page import PLOTS  # noqa: E402

OURS, PEERS, FLOOR = "#5b2d90", ["#d98032", "#3a86c8", "#5fa55a", "#b0455f"], "#999999"
# The same file from the same figures.
plt.rcParams.update(
    {
        "svg.hashsalt": "data-pipeline",
        "figure.figsize": (9, 4.6),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 10,
    }
)


def colours(names):
    """One for each: ours in violets, floors in grey, peers in what is left."""
    rest, shades, found = itertools.cycle(PEERS), itertools.cycle([OURS, "#9a74c4", "#c7b3dd"]), {}
    for who in dict.fromkeys(names):
        floor = who in views.FLOORS or who == "none"
        found[who] = FLOOR if floor else next(shades) if views.is_ours(who) else next(rest)
    return found


def bars(ax, groups, series, unit, log=False):
    """`series`: {who: [a value a group, or None]}."""
    width, shade = 0.8 / max(1, len(series)), colours(series)
    for i, (who, values) in enumerate(series.items()):
        at = [x + (i - (len(series) - 1) / 2) * width for x in range(len(groups))]
        drawn = [(x, v) for x, v in zip(at, values) if v is not None]
        if drawn:
            box = ax.bar(*zip(*drawn), width * 0.92, label=views.name(who), color=shade[who])
            ax.bar_label(box, [views.figure(v) for _, v in drawn], fontsize=7, padding=1)
    wide = sum(map(len, groups)) > 60
    ax.set_xticks(range(len(groups)), groups, rotation=20 if wide else 0, ha="right" if wide else "center")
    ax.set_ylabel(unit)
    if log:
        ax.set_yscale("log")
    ax.legend(frameon=False, fontsize=8)


def rows(results, wanted):
    """Ours and each opponent for (name, payload) pairs, in their order."""
    series = {"ours": [None] * len(wanted)}
    for i, (name, payload) in enumerate(wanted):
        for row in results["rows"]:
            if row["name"] == name and row.get("payload") == payload:
                series["ours"][i] = row["ours"]
                if row.get("opponent_name"):
                    series.setdefault(row["opponent_name"], [None] * len(wanted))[i] = row["opponent"]
    return series if any(v is not None for v in series["ours"]) else None


def stages(results, ax):
    names = [
        "walk",
        "scan",
        "v04_forward",
        "v04_stages",
        "v04_whole",
        "v04_to_v05",
        "v04_to_v1",
        "v05_to_v05",
        "v05_to_v04",
        "v1_to_v04",
        "stats_only",
        "stats_only_43_peer_tags",
    ]
    series = rows(results, [(n, "web_100x10") for n in names])
    if series:
        bars(
            ax,
            names,
            {w: v for w, v in series.items() if w in ("ours", "libdd", "libdd_s", "agent", "walk_c")},
            "ns a span",
            log=True,
        )
    return bool(series)


def real(results, ax):
    payloads = [f"real_{n}" for n in ("java", "go", "python", "python_2", "node", "rust", "cpp", "mix")]
    whole = rows(results, [("v04_whole", p) for p in payloads])
    forward = rows(results, [("v04_forward", p) for p in payloads])
    if not whole or not forward:
        return False
    both = {"ours, passed on": forward["ours"], "ours, whole way": whole["ours"]}
    both.update(
        {
            f"{views.name(w)}, {what}": s[w]
            for s, what in ((forward, "passed on"), (whole, "whole way"))
            for w in s
            if w != "ours"
        }
    )
    bars(ax, payloads, both, "ns a span", log=True)
    return True


def obfuscation(results, ax):
    found = [
        (r["name"], r.get("payload"))
        for r in results["rows"]
        if r["name"] in ("sql", "redis", "json", "url", "cards", "normalize")
    ]
    found = list(dict.fromkeys(found))
    series = rows(results, found) if found else None
    if series:
        bars(ax, [n for n, _ in found], series, "ns an item", log=True)
    return bool(series)


def allocations(results, ax):
    found = {
        row["name"]: (row["allocations"], row["opponent_allocations"])
        for row in results["rows"]
        if row.get("payload") == "web_100x10" and row.get("opponent_name") == "libdd" and "opponent_allocations" in row
    }
    if found:
        # The payload has 1,000 spans.
        series = {who: [pair[i] / 1000 for pair in found.values()] for i, who in enumerate(("ours", "libdd"))}
        bars(ax, list(found), series, "allocations a span")
    return bool(found)


def lines(results, ax, row, key, unit, floor=True, band=None):
    found = views.view(results, row)
    names = list(dict.fromkeys(w for w, _ in found))
    shade = colours(names)
    for who in names:
        points = sorted((size, v[key], v.get(band)) for (w, size), v in found.items() if w == who and v.get(key))
        if points and (floor or who not in views.FLOORS):
            xs, ys, highs = zip(*points)
            ax.plot(xs, ys, "o-", ms=4, label=views.name(who), color=shade[who])
            if band:
                ax.plot(xs, highs, ":", color=shade[who], lw=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylabel(unit)
    ax.legend(frameon=False, fontsize=7)
    return bool(found)


def pair(results, axes, key, unit, band=None):
    done = [lines(results, ax, row, key, unit, band=band) for ax, row in zip(axes, ("send", "export"))]
    axes[0].set_title("send of ready bytes", fontsize=10)
    axes[1].set_title("export of OpenTelemetry's spans", fontsize=10)
    for ax in axes:
        ax.set_xlabel("spans a payload")
    return any(done)


def size_of_payload(results, ax):
    found = views.view(results, "send")
    shade = colours(w for w, _ in found)
    for who in dict.fromkeys(w for w, _ in found):
        points = sorted(
            (size, v["median_us"] * 1e3 / size) for (w, size), v in found.items() if w == who and v.get("median_us")
        )
        if points:
            ax.plot(*zip(*points), "o-", ms=4, label=views.name(who), color=shade[who])
    flat = {}
    for row in results["rows"]:
        if row["name"].startswith("flat_"):
            spans = int((row["payload"] or "0x0").split("_")[-1].split("x")[0]) * 10
            flat.setdefault(row["name"][5:], []).append((spans, row["ours"]))
    for name, points in flat.items():
        ax.plot(*zip(*sorted(points)), "s--", ms=3, lw=1, label=f"native, {name}")
    ax.set(xscale="log", yscale="log", xlabel="spans a payload", ylabel="ns a span")
    ax.legend(frameon=False, fontsize=7)
    return bool(found)


def threads(results, ax):
    drawn = lines(results, ax, "threads", "payloads_per_s", "payloads/s")
    ax.set_xlabel("threads")
    return drawn


def memory(results, ax):
    load, away = views.view(results, "application"), views.view(results, "application_away")
    names = sorted({w for w, _ in load} | {w for w, _ in away})
    if not names:
        return False
    get = lambda found, who, key: next((v.get(key) for (w, _), v in found.items() if w == who), None)  # noqa: E731
    bars(
        ax,
        [views.name(n) for n in names],
        {
            "at rest, beyond the JVM": [get(load, n, "rest_mb") for n in names],
            "under load": [get(load, n, "rss_most_mb") for n in names],
            "agent away": [get(away, n, "rss_most_mb") for n in names],
        },
        "MB",
        log=False,
    )
    return True


def by_sender(row, keys, unit):
    def draw(results, ax):
        found = {w: v for (w, _), v in views.view(results, row).items()}
        if found:
            bars(
                ax,
                [views.name(w) for w in found],
                {label: [v.get(key) for v in found.values()] for key, label in keys},
                unit,
            )
        return bool(found)

    return draw


def sizes(results, ax):
    found = results["sizes"]
    if found:
        box = ax.barh(
            list(found),
            [v / 1e6 for v in found.values()],
            color=[OURS if "data-pipeline" in n else PEERS[0] for n in found],
        )
        ax.bar_label(box, [f"{v / 1e6:.2f}" for v in found.values()], fontsize=8)
        ax.set_xlabel("MB")
        ax.invert_yaxis()
    return bool(found)


def losses(results, ax):
    found = results["losses"]
    if found:
        bars(
            ax,
            [views.name(e["who"]) for e in found],
            {"lost": [e["lost"] for e in found]},
            f"spans lost, agent away for {found[0]['down_s']} s",
        )
    return bool(found)


def storm(results, ax):
    found = [r for r in results["storm"] if "requests" in r]
    for row, colour in zip(found, [OURS, *PEERS]):
        begin = int((row["outage_s"] - 4) * 10)
        ax.plot(
            [i / 10 - row["outage_s"] for i in range(begin, len(row["requests"]))],
            [n * 10 for n in row["requests"][begin:]],
            label=row["schedule"],
            color=colour,
            lw=1,
        )
    if found:
        ax.axhline(found[0]["capacity"], color=FLOOR, ls="--", lw=1, label="what the peer serves")
        ax.axvline(0, color=FLOOR, lw=1)
        ax.set(xlabel="seconds from the peer's return", ylabel="requests/s")
        ax.legend(frameon=False, fontsize=8)
    return bool(found)


DRAW = {
    "stages": stages,
    "allocations": allocations,
    "real": real,
    "obfuscation": obfuscation,
    "size_of_payload": size_of_payload,
    "threads": threads,
    "memory": memory,
    "latency": lambda r, axes: pair(r, axes, "median_us", "µs (dotted: p99)", band="p99_us"),
    "throughput": lambda r, axes: pair(r, axes, "spans_per_s", "spans/s"),
    "cpu": lambda r, axes: pair(r, axes, "cpu_s_per_million_spans", "CPU s a million spans"),
    "heap": lambda r, axes: pair(r, axes, "heap_bytes_per_span", "bytes a span"),
    "pauses": by_sender(
        "application",
        [("gc_ms", "collections"), ("safepoint_ms", "safepoints"), ("safepoint_max_ms", "longest safepoint")],
        "ms",
    ),
    "start": by_sender("start", [("ready_ms", "ready"), ("first_send_ms", "first send")], "ms"),
    "sizes": sizes,
    "losses": losses,
    "storm": storm,
}
TWO = {"latency", "throughput", "cpu", "heap"}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "docs/report"
    path = os.path.join(folder, "results.json")
    with open(path) as file:
        results = json.load(file)
    results["plots"] = []
    for name, title, _ in PLOTS:
        figure, axes = plt.subplots(1, 2 if name in TWO else 1)
        if DRAW[name](results, axes):
            figure.suptitle(title, fontsize=12)
            figure.tight_layout()
            figure.savefig(os.path.join(folder, f"{name}.svg"), metadata={"Date": None, "Creator": "make report"})
            results["plots"].append(name)
        plt.close(figure)
    with open(path, "w") as out:
        json.dump(results, out, indent=1)
        out.write("\n")
    print(f"report: {len(results['plots'])} plots in {folder}")


if __name__ == "__main__":
    main()
