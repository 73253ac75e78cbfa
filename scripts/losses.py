"""An agent that is restarted while NAME=COMMAND runs, one after the other, and what each has lost.

usage: losses.py DOWN NAME=COMMAND...
COMMAND is given URL and SECONDS; it says `go` when it begins, and in the end how many spans it has offered.

The agent answers 200 to everything and counts the marks `mark-TRACE-SPAN` in what it is sent, each once; so what has
arrived is what it has read, whatever the client believes. It is there for 3 s, gone for DOWN s (nobody listens, every
connection is cut), and there again for 5 s of load and as long as the client needs to empty its queue.
"""

import collections
import gzip
import http.server
import re
import shlex
import socket
import subprocess
import sys
import threading
import time

BEFORE, AFTER, SPANS = 3, 5, 10
INFO = b'{"version":"7.70.0","endpoints":["/v0.4/traces"],"client_drop_p0s":false}'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.open.add(self.connection)

    def finish(self):
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, *_):
        pass

    def read(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self):
        body = self.read()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.arrived.update(re.findall(rb"mark-(\d{6})-(\d\d)", body))
        # OTLP has nothing to say, which is its protobuf for success.
        answer = INFO if self.path == "/info" else b"" if self.path == "/v1/traces" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = answer


class Agent(http.server.ThreadingHTTPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, port, arrived):
        super().__init__(("127.0.0.1", port), Handler)
        self.open, self.arrived = set(), arrived
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def run(command, down):
    arrived = set()
    agent = Agent(0, arrived)
    port = agent.server_port
    seconds = str(BEFORE + down + AFTER)
    client = subprocess.Popen([*command, f"http://127.0.0.1:{port}", seconds], stdout=subprocess.PIPE, text=True)
    client.stdout.readline()
    time.sleep(BEFORE)
    agent.stop()
    time.sleep(down)
    agent = Agent(port, arrived)
    offered = client.communicate()[0].split()
    agent.stop()
    if client.returncode != 0 or not offered:
        sys.exit(f"losses: {command[0]} failed")
    return int(offered[-1]), arrived


def main():
    down = int(sys.argv[1])
    print(f"2,000 spans/s in traces of ten, the agent gone for {down} s; spans, counted at the agent")
    for entry in sys.argv[2:]:
        name, command = entry.split("=", 1)
        offered, arrived = run(shlex.split(command), down)
        spans = collections.Counter(trace for trace, _ in arrived)
        whole = sum(1 for n in spans.values() if n == SPANS)
        lost = offered - len(arrived)
        print(f"{name}: {offered} offered, {len(arrived)} arrived, {lost} lost ({offered // SPANS - whole} traces)", flush=True)


main()
