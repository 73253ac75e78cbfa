"""What stands in the report: which rows belong together, who is a peer and who a floor, where we lose.

Everything here is a function of `results.json`; nothing measures, nothing draws.
"""

# Not peers: what nobody can be faster than, and ourselves in another form.
FLOORS = {"raw_post", "walk_then_post", "raw_tls", "plain_socket", "raw_socket", "walk_c", "rmp", "copy", "System.load"}
OURSELVES = {"rust", "one_sender", "off", "spans_100", "ours_otel", "ours_queue", "java", "send_tcp", "v04_to_v05"}

NAMES = {
    "ours": "data-pipeline",
    "ours_otel": "data-pipeline for OpenTelemetry",
    "ours_queue": "data-pipeline, queued",
    "dd_trace_java": "dd-trace-java's sender",
    "otlp_okhttp": "OTLP over OkHttp",
    "otlp_jdk": "OTLP over the JDK's client",
    "raw_socket": "raw POST (floor)",
    "none": "no exporter",
    "libdd": "libdatadog",
    "libdd_s": "libdatadog, its own profile",
    "agent": "the agent's packages (Go)",
    "libdd-data-pipeline": "libdatadog",
}

# View, figure, unit, and whether more is better.
FIGURES = [
    ("send", "median_us", "µs a send, median", False),
    ("send", "p99_us", "µs a send, p99", False),
    ("send", "p999_us", "µs a send, p99.9", False),
    ("send", "spans_per_s", "spans/s", True),
    ("send", "cpu_s_per_million_spans", "CPU s a million spans", False),
    ("send", "heap_bytes_per_span", "bytes of Java heap a span, calling thread", False),
    ("export", "median_us", "µs an export, median", False),
    ("export", "p99_us", "µs an export, p99", False),
    ("export", "p999_us", "µs an export, p99.9", False),
    ("export", "spans_per_s", "spans/s", True),
    ("export", "cpu_s_per_million_spans", "CPU s a million spans", False),
    ("export", "heap_bytes_per_span", "bytes of Java heap a span, calling thread", False),
    ("threads", "payloads_per_s", "payloads/s", True),
    ("start", "ready_ms", "ms to a ready sender", False),
    ("start", "first_send_ms", "ms of the first send", False),
    ("application", "gc_ms", "ms in collections", False),
    ("application", "safepoint_ms", "ms at safepoints", False),
    ("application", "cpu_s", "CPU s", False),
    ("application", "rest_mb", "MB at rest beyond the JVM", False),
    ("application", "rss_most_mb", "MB resident at most", False),
    ("application_away", "rss_most_mb", "MB resident at most, the agent away", False),
]
# A tail says something from so many samples on.
ENOUGH = {"p99_us": 300, "p999_us": 3000}
# A peer is within noise of us when it is no more than so much better.
NOISE = 0.03


def name(who):
    return NAMES.get(who, who)


def is_ours(who):
    return who.startswith("ours")


def is_peer(who):
    return bool(who) and who not in FLOORS and who not in OURSELVES and not is_ours(who) and who != "none"


def figure(text):
    """Three significant digits, with commas from a thousand on."""
    if text is None:
        return "–"
    value = float(text)
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def medians(entries):
    """Entries of one view: {(who, spans or threads): {figure: median}}, with the spread of each over its runs."""
    groups = {}
    for entry in entries:
        key = entry["who"], int(entry.get("threads") or entry["spans"])
        groups.setdefault(key, []).append(entry)
    found = {}
    for key, runs in groups.items():
        found[key] = {}
        for figure_name in runs[0]:
            values = sorted(r[figure_name] for r in runs if isinstance(r.get(figure_name), (int, float)))
            if values:
                found[key][figure_name] = values[len(values) // 2]
    return found


def view(results, row):
    return medians([v for v in results["views"] if v["row"] == row])


def losses(results):
    """Sentences: every figure in which a peer is better than we are, beyond noise."""
    said = []
    for row in results["rows"]:
        ratio = row.get("ratio")
        if is_peer(row.get("opponent_name")) and ratio is not None and ratio < 1 - NOISE:
            place = f"`{row['name']}`" + (f" ({row['payload']})" if row.get("payload") else "")
            said.append(
                f"{place}: {figure(row['ours'])} {row['unit']} against {figure(row['opponent'])}"
                f" of {name(row['opponent_name'])}"
            )
    for row, key, unit, more in FIGURES:
        found = view(results, row)
        for (who, size), mine in sorted(found.items()):
            if not is_ours(who) or key not in mine or mine.get("samples", 0) < ENOUGH.get(key, 0):
                continue
            for (other, other_size), theirs in sorted(found.items()):
                if other_size != size or not is_peer(other) or key not in theirs:
                    continue
                better = theirs[key] > mine[key] * (1 + NOISE) if more else theirs[key] < mine[key] * (1 - NOISE)
                if better:
                    what = f"{size:,} " + ("threads" if row == "threads" else "spans" if size > 1 else "span")
                    said.append(
                        f"`{row}` ({what}): {figure(mine[key])} {unit} against {figure(theirs[key])} of {name(other)}"
                        + ("" if who == "ours" else f", ours being {name(who)}")
                    )
    lost = {entry["who"]: entry for entry in results["losses"]}
    for who, entry in lost.items():
        if is_ours(who) and any(entry["lost"] > o["lost"] for w, o in lost.items() if not is_ours(w)):
            said.append(f"lost while the agent was away: {entry['lost']:,} spans of {name(who)}")
    mine = results["sizes"].get("data-pipeline for OpenTelemetry, JAR", 0)
    for what, size in results["sizes"].items():
        if what.startswith("OTLP") and size < mine:
            said.append(f"size of an exporter for OpenTelemetry: {mine:,} bytes against {size:,} ({what})")
    for row in results["storm"]:
        if row["schedule"] != "data-pipeline":
            continue
        for other in results["storm"]:
            if other["outage_s"] != row["outage_s"] or other is row:
                continue
            for key, unit in STORM:
                if other[key] < row[key] * (1 - NOISE):
                    said.append(
                        f"simulated outage of {row['outage_s']:.0f} s: {figure(row[key])} {unit} against"
                        f" {figure(other[key])} of {other['schedule']}"
                    )
    return said


STORM = [
    ("useless_a_client", "requests a client into the outage"),
    ("refused_a_client", "requests a client refused after it"),
    ("peak_of_capacity", "times the peer's capacity at the peak"),
    ("back_half_s", "s until half the clients are served"),
    ("back_99_s", "s until 99 % are served"),
    ("lost_s_a_client", "s of spans lost a client"),
]
