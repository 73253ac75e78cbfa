#!/usr/bin/env python3
"""Whether a JAR works on one JVM: doctor, then real payloads to an agent of its own, one sender and four at once.

usage: reach_one.py JAR [--java "COMMAND …"] [--fixtures DIR] [--limit SECONDS] [--one]
COMMAND is the JVM with its options (default: java -Xcheck:jni); behind it come -jar JAR and the tool's words. Every payload
sent must arrive with the bytes that were sent, and no WARNING of -Xcheck:jni may appear. Needs Python's library only.
"""
import argparse, glob, http.server, os, shlex, subprocess, sys, threading, time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


class Agent(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = []
    lock = threading.Lock()

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        text = b'{"rate_by_service":{"service:,env:":1.0}}'
        if self.path == "/info":
            text = b'{"version":"7.85.0","endpoints":["/v0.4/traces","/info"],"client_drop_p0s":false}'
        else:
            with self.lock:
                self.bodies.append(body)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


def run(command, limit):
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jar")
    parser.add_argument("--java", default="java -Xcheck:jni")
    parser.add_argument("--fixtures", default=os.path.join(HERE, "tests", "fixtures", "traces"))
    parser.add_argument("--limit", type=float, default=180.0, help="seconds for one JVM")
    parser.add_argument("--one", action="store_true", help="one JVM at a time: for emulators")
    options = parser.parse_args()
    jar = sorted(glob.glob(options.jar))[-1]
    java = shlex.split(options.java) + ["-jar", jar]
    files = sorted(glob.glob(os.path.join(options.fixtures, "**", "*.msgpack"), recursive=True))
    # Node.js sends values that the strict default of the tool refuses, which is another test's matter.
    files = [f for f in files if os.path.getsize(f) > 100 and os.sep + "node" + os.sep not in f][:8]
    if not files:
        print(f"no payloads in {options.fixtures}")
        return 1
    agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{agent.server_address[1]}"
    faults = []
    code, said, took = run(java + ["doctor", "--url", url], options.limit)
    print(f"doctor: exit {code}, {took:.1f} s")
    if code:
        faults.append(f"doctor ended with {code}:\n{said[-2000:]}")
    rounds = [[f] for f in files[:2]] + [files]
    for files_of_round in rounds:
        Agent.bodies.clear()
        code, said, took = run(java + ["send", "--url", url] + files_of_round, options.limit)
        arrived = sum(b in {open(f, "rb").read() for f in files_of_round} for b in Agent.bodies)
        print(f"send {len(files_of_round)}: exit {code}, {arrived} arrived unchanged, {took:.1f} s")
        if code or arrived != len(files_of_round):
            faults.append(f"send ended with {code}, {arrived} of {len(files_of_round)} arrived:\n{said[-2000:]}")
        if "WARNING" in said and "JNI" in said:
            faults.append(f"-Xcheck:jni warns:\n{said[-2000:]}")
    if not options.one:
        faults += four_at_once(java, url, files, options.limit)
    for fault in faults:
        print("FAULT " + fault)
    print("reach: " + ("failed" if faults else "works"))
    return 1 if faults else 0


def four_at_once(java, url, files, limit):
    """Four JVMs share nothing but the library's file."""
    Agent.bodies.clear()
    running = [subprocess.Popen(java + ["send", "--url", url] + files, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
               for _ in range(4)]
    codes = [p.wait(timeout=limit) for p in running]
    arrived = len(Agent.bodies)
    print(f"4 at once: exits {codes}, {arrived} of {4 * len(files)} arrived")
    if any(codes) or arrived != 4 * len(files):
        return [f"four at once: exits {codes}, {arrived} of {4 * len(files)} arrived"]
    return []


if __name__ == "__main__":
    sys.exit(main())
