#!/usr/bin/env python3
"""Sends payloads by the JAR to the OpenTelemetry Collector's own receiver and compares what it decoded with what
`convert` wrote: protobuf and JSON, plain, compressed, under TLS and with a client certificate, and what becomes of its
answers when it is told to refuse.

usage: scripts/otlp_peer.py PEER JAR [FOLDER]...     FOLDERs with more payloads (*.msgpack)

PEER is a program around the collector's otlpreceiver: `-listen ADDRESS -out FILE [-cert F -key F [-client-ca F]]
[-answers LIST]`. Its first line of output is `listening HOST:PORT`; each request that it takes becomes a line
`{"signal", "headers", "body"}` of FILE, the body as the collector's own JSON; LIST says what it answers in turn (`ok`,
`400`, `503:SECONDS`, `partial:SPANS`). Without it there is nothing to run, and the script says so. tests/otlp_peer.rs
compares with the input what it decodes of the library itself.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

ENCODINGS = ("otlp-proto", "otlp-json")


def tool(jar, *arguments):
    return subprocess.run(["java", "-jar", jar, *arguments], capture_output=True, text=True)


class Peer:
    """The receiver, and the requests that it has taken."""

    def __init__(self, program, folder, *options):
        scheme = "https" if "-cert" in options else "http"
        self.out = os.path.join(folder, "requests.jsonl")
        self.process = subprocess.Popen([program, "-listen", "127.0.0.1:0", "-out", self.out, *options],
                                        stdout=subprocess.PIPE, text=True)
        self.url = scheme + "://" + self.process.stdout.readline().split()[1]

    def requests(self):
        with open(self.out, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def stop(self):
        self.process.kill()
        self.process.wait()


def plain(value):
    """OTLP/JSON in one form: attributes by key, what is zero or empty left out, numbers as text."""
    if isinstance(value, dict):
        if isinstance(value.get("attributes"), list):
            value = {**value, "attributes": {a.get("key", ""): a.get("value", {}) for a in value["attributes"]}}
        fields = {key: plain(v) for key, v in value.items()}
        return {key: v for key, v in fields.items() if v not in ("", "0", {}, [], None)}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return str(int(value)) if float(value).is_integer() and abs(value) < 2 ** 53 else repr(float(value))
    return value


def spans(request):
    scopes = [scope for resource in request["resourceSpans"] for scope in resource.get("scopeSpans", [])]
    return [plain(span) for scope in scopes for span in scope.get("spans", [])]


def compare(peer, jar, files, want, encoding, options):
    """Sends all files by one call. Gives spans compared and differences."""
    run = tool(jar, "send", "--to", encoding, "--url", peer.url, *options, *files)
    # A payload without traces makes no request.
    sent = [line.split(": ")[0] for line in run.stdout.splitlines() if ", status 2" in line]
    peer.stop()
    if not sent:
        print(f"{encoding} {options}: {run.stderr.strip()}")
        return 0, int("this build" not in run.stderr)
    compared = bad = 0
    for file, request in zip(sent, peer.requests(), strict=True):
        got = spans(request["body"])
        compared += len(got)
        if got != want[file]:
            bad += 1
            at = next((i for i, (a, b) in enumerate(zip(got, want[file])) if a != b), len(want[file]))
            print(f"{file} as {encoding}: span {at}\n  {got[at:at + 1]}\n  {want[file][at:at + 1]}")
    os.remove(peer.out)
    return compared, bad


def answers(program, jar, file, folder):
    """Tried again after 429 and 503, not after 400; what a partial success rejects stands in the account."""
    bad = 0
    for told, exit_code, words in [
        ("503:1,ok", 0, [", status 200"]),
        ("429:1,ok", 0, [", status 200"]),
        ("400,ok", 1, ["told to answer 400"]),
        ("partial:1,ok", 1, ["REJECTED_BY_PEER"]),
    ]:
        peer = Peer(program, folder, "-answers", told)
        run = tool(jar, "send", "--to", "otlp-proto", "--url", peer.url, "--budget-ms", "20000", file)
        peer.stop()
        said = run.stdout + run.stderr
        if run.returncode != exit_code or any(word not in said for word in words):
            bad += 1
            print(f"answers {told}: exit {run.returncode}\n{said}")
    return bad


def main():
    if len(sys.argv) < 3 or not os.access(sys.argv[1], os.X_OK):
        print("otlp_peer: the receiver is not here; nothing was run (the file says how it is called)")
        return 0
    program, jar = sys.argv[1:3]
    folders = ["tests/fixtures/traces/*", *sys.argv[3:]]
    files = sorted(file for folder in folders for file in glob.glob(f"{folder}/*.msgpack"))
    compared = bad = 0
    with tempfile.TemporaryDirectory() as folder:
        want = {}
        for file in files:
            # What is sent in another format has its top-level spans marked.
            ours = os.path.join(folder, "ours.json")
            tool(jar, "convert", "--top-level", "--to", "otlp-json", file, "-o", ours)
            want[file] = spans(json.load(open(ours, encoding="utf-8")))
        subprocess.run(["sh", "tests/fixtures/tls/make.sh", folder], check=True)
        at = {name: os.path.join(folder, name) for name in os.listdir(folder)}
        server = ["-cert", at["right.pem"], "-key", at["right.key"]]
        client = ["--client-cert", at["client.pem"], "--client-key", at["client.key"]]
        trust = ["--ca", at["ca.pem"]]
        for of_peer, options in [
            ([], []),
            ([], ["--compression", "gzip"]),
            ([], ["--compression", "zstd"]),
            (server, trust),
            ([*server, "-client-ca", at["ca.pem"]], [*trust, *client, "--compression", "zstd"]),
        ]:
            for encoding in ENCODINGS:
                peer = Peer(program, folder, *of_peer)
                spans_compared, differences = compare(peer, jar, files, want, encoding, options)
                compared += spans_compared
                bad += differences
        bad += answers(program, jar, files[0], folder)
    print(f"otlp_peer: {compared} spans compared, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
