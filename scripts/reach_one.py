#!/usr/bin/env python3
"""Whether a JAR works on one JVM: doctor, then real payloads to an agent of its own, by one thread, by four, by four JVMs.

usage: reach_one.py JAR [--java "COMMAND …"] [--fixtures DIR] [--limit SECONDS] [--one] [--pipe "COMMAND …"]
COMMAND is the JVM with its options (default: java -Xcheck:jni); behind it come -jar JAR and the tool's words. Every payload
sent must arrive with the bytes that were sent, and no WARNING of -Xcheck:jni may appear. The command of --pipe, with a name
and a port behind it, must pass a Windows pipe of that name on to the port: then everything is sent over it once more.
Needs Python's library only.
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
            text = b'{"version":"7.85.0","endpoints":["/v0.4/traces","/info"],"client_drop_p0s":false,"span_events":true}'
        else:
            with self.lock:
                self.bodies.append(body)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        # In one piece: a client acknowledges the first of two only after 40 ms.
        self._headers_buffer += [b"\r\n", text]
        self.flush_headers()

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
    parser.add_argument("--pipe", help="what passes a Windows pipe on to a port")
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
    faults = over(java, url, files, options.limit)
    if options.pipe:
        server = subprocess.Popen(shlex.split(options.pipe) + ["data-pipeline-reach", url.rsplit(":", 1)[1]])
        time.sleep(3)
        faults += over(java, "windows:\\\\.\\pipe\\data-pipeline-reach", files, options.limit)
        server.kill()
    if not options.one:
        faults += four_at_once(java, url, files, options.limit)
    for fault in faults:
        print("FAULT " + fault)
    print("reach: " + ("failed" if faults else "works"))
    return 1 if faults else 0


def over(java, url, files, limit):
    """Doctor and payloads to one address; gives the faults."""
    faults = []
    code, said, took = run(java + ["doctor", "--send", "--url", url], limit)
    print(f"{url}: doctor: exit {code}, {took:.1f} s")
    if code:
        faults.append(f"doctor ended with {code}:\n{said[-2000:]}")
    several = ["--threads", "4", "--repeat", "5"]
    for options, sent, times in [([], files[:1], 1), ([], files, 1), (several, files[:2], 5)]:
        Agent.bodies.clear()
        code, said, took = run(java + ["send", "--url", url] + options + sent, limit)
        originals = {open(f, "rb").read() for f in sent}
        arrived = sum(b in originals for b in Agent.bodies)
        print(f"send {' '.join(options)} {len(sent)}: exit {code}, {arrived} of {len(Agent.bodies)} arrived unchanged, {took:.1f} s")
        if code or arrived != len(Agent.bodies) or arrived != times * len(sent):
            faults.append(f"send ended with {code}, {arrived} arrived:\n{said[-2000:]}")
        if "WARNING" in said and "JNI" in said:
            faults.append(f"-Xcheck:jni warns:\n{said[-2000:]}")
    return faults


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
