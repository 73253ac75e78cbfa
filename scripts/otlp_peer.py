#!/usr/bin/env python3
"""Sends captured payloads to the OpenTelemetry Collector's own receiver and compares what it decoded with what
`convert` wrote: protobuf and JSON, plain and compressed, and what it answers when it is told to refuse.

usage: scripts/otlp_peer.py PEER JAR     PEER: the program otlppeer, built by `go build` in ../shared/tools/otlp-peer

Without the peer there is nothing to run, and the script says so. tests/otlp.rs compares the same bytes with the input.
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
        self.out = os.path.join(folder, "requests.jsonl")
        self.process = subprocess.Popen([program, "-listen", "127.0.0.1:0", "-out", self.out, *options],
                                        stdout=subprocess.PIPE, text=True)
        self.url = "http://" + self.process.stdout.readline().split()[1]

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


def compare(peer_program, jar, files, want, encoding, compression, folder):
    """Sends all files by one call. Gives spans compared and differences."""
    peer = Peer(peer_program, folder)
    run = tool(jar, "send", "--to", encoding, "--url", peer.url, "--compression", compression, *files)
    # A payload without traces makes no request.
    sent = [line.split(": ")[0] for line in run.stdout.splitlines() if ", status 2" in line]
    peer.stop()
    if not sent:
        print(f"{encoding}, {compression}: {run.stderr.strip()}")
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


def main():
    if len(sys.argv) != 3 or not os.access(sys.argv[1], os.X_OK):
        print("otlp_peer: the receiver is not here; nothing was run (the file says how it is called)")
        return 0
    program, jar = sys.argv[1:]
    files = sorted(glob.glob("tests/fixtures/traces/*/*.msgpack"))
    compared = bad = 0
    with tempfile.TemporaryDirectory() as folder:
        want = {}
        for file in files:
            # What is sent in another format has its top-level spans marked.
            ours = os.path.join(folder, "ours.json")
            tool(jar, "convert", "--top-level", "--to", "otlp-json", file, "-o", ours)
            want[file] = spans(json.load(open(ours, encoding="utf-8")))
        for compression in ("none", "gzip", "zstd"):
            for encoding in ENCODINGS:
                spans_compared, differences = compare(program, jar, files, want, encoding, compression, folder)
                compared += spans_compared
                bad += differences
    print(f"otlp_peer: {compared} spans compared, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
