#!/usr/bin/env python3
"""Do OpenTelemetry's spans leave a real trace-agent the same, as OTLP and through our exporter?

usage: otel_delivery.py AGENT CASES.jsonl
AGENT is the program of tests/oracle/go/agent, CASES what its `mapping` printed. A hundred cases at a time go through
our exporter, with its library, to a recorder here; what it recorded goes to the trace port of an agent, the same spans
as OTLP to that agent's OTLP receiver. Compared is what reaches the intake. Exit 0 if nothing differs but what has no
place in v0.5: container tags, and on a chunk's first span priority, decision and the high half of the trace id. An
agent refuses traces whose spans name two such halves, as attributes may; our exporter leaves these attributes out.
"""
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import agent_compare as agents

OUT = agents.OUT / "otel"
INFO = json.dumps({"version": "7.85.2", "endpoints": ["/v0.4/traces", "/v0.5/traces"], "client_drop_p0s": True}).encode()
FIRST = {"metrics _sampling_priority_v1", "_dd.p.tid", "_dd.p.dm", "metrics _dd.prob_sr"}
# Of several roots the agent takes one by chance and writes the rate there.
FIRST |= {"metrics _dd1.sr.rcusr"}
THE_YEAR_2000_NS = 946_684_800 * 10**9


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = []

    def do_GET(self):
        self.answer(INFO)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = OUT / f"{len(self.bodies)}.msgpack"
        path.write_bytes(body)
        headers = [[k, v] for k, v in self.headers.items() if k.lower() in agents.HEADERS]
        self.bodies.append((self.path.split("/")[1], path, headers))
        self.answer(b"{}")

    do_PUT = do_POST

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    agent, cases = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    export = ["gradle", "--no-daemon", "-q", f"-PotelCases={cases}", f"-PotelAgent={url}", "opentelemetryExport"]
    subprocess.run(export, check=True)
    otlp = [json.loads(line)["otlp"]["resourceSpans"] for line in pathlib.Path(cases).read_text().split("\n") if line]
    groups = [otlp[i : i + 100] for i in range(0, len(otlp), 100)]
    if len(groups) != len(Recorder.bodies):
        sys.exit(f"{len(groups)} exports, {len(Recorder.bodies)} payloads arrived")
    asked = []
    for i, group in enumerate(groups):
        path = OUT / f"{i}.json"
        path.write_text(json.dumps({"resourceSpans": [one for case in group for one in case]}))
        form, body, headers = Recorder.bodies[i]
        both = {"keep": True, "rules": "off"}
        asked.append({"id": f"{i} otlp", "format": "otlp", "file": str(path), "headers": [], **both})
        asked.append({"id": f"{i} ours", "format": form, "file": str(body), "headers": headers, **both})
    lines = "\n".join(map(json.dumps, asked))
    run = subprocess.run([agent], input=lines, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{agent} failed: {run.stderr[-2000:]}")
    answers = {a["id"]: a for a in map(json.loads, filter(None, run.stdout.split("\n")))}
    failures, count, only_ours = [], 0, 0
    for i in range(len(groups)):
        theirs, ours = (spans(answers[f"{i} {way}"], failures) for way in ("otlp", "ours"))
        failures += [f"{i}: span {key} arrives only as OTLP" for key in theirs.keys() - ours.keys()]
        only_ours += len(ours.keys() - theirs.keys())
        for key in theirs.keys() & ours.keys():
            a, b = reduced(theirs[key]), reduced(ours[key])
            count += 1
            failures += [f"{i}: span {key}: {f}: {agents.part(a[f], b[f])}" for f in a if a[f] != b[f]]
    for line in failures[:20]:
        print(line[:1000])
    print(f"{count} spans as OTLP and through the exporter, as they leave a real agent: {len(failures)} differences; "
          f"{only_ours} arrive only through the exporter")
    return 1 if failures else 0


def spans(answer, failures):
    if answer["status"] != 200 or answer.get("error"):
        failures.append(f"{answer['id']}: {answer['status']} {answer['body'][:200]} {answer.get('error', '')}")
    return {span["span_id"]: span for chunk in answer["chunks"] for span in chunk["spans"]}


def reduced(span):
    """A span without what has no place, or another one, in our payload, and with what is JSON read."""
    tags = {key: value for key, value in span["attributes"].items() if key not in FIRST}
    for key in ("events", "_dd.span_links"):
        try:
            tags[key] = json.loads(tags[key][1])
        except (KeyError, ValueError, TypeError):
            pass
    span = {**span, "attributes": tags}
    if int(span["start"]) < THE_YEAR_2000_NS or int(span["start"]) > 1_750_000_000 * 10**9:
        span["start"] = span["duration"] = None  # the receiver's clock
    return span


if __name__ == "__main__":
    sys.exit(main())
