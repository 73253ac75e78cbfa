#!/bin/sh
# examples/crac: compiled against the JAR (which must be there) and org.crac, and run beside an agent that counts.
set -eu
cd "$(dirname "$0")/.."
crac=build/crac
mkdir -p $crac/classes
[ -f $crac/crac.jar ] || mvn -q dependency:copy -Dartifact=org.crac:crac:1.5.0 -DoutputDirectory=$crac \
  -Dmdep.stripVersion=true 2> /dev/null || { echo "crac: org.crac could not be fetched; the example is not tried"; exit 0; }
version=$(sed -n 's/^version=//p' gradle.properties)
path=build/libs/data-pipeline-$version.jar:$crac/crac.jar
javac -Xlint:all,-path,-options -Werror --release 8 -cp "$path" -d $crac/classes examples/crac/Checkpointed.java
python3 - java -Xcheck:jni -cp "$path:$crac/classes" Checkpointed << 'END'
import http.server, subprocess, sys, threading

counts = []

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        counts.append(int(self.headers["X-Datadog-Trace-Count"]))
        self.answer()
    do_PUT = do_POST
    def do_GET(self):
        self.answer()
    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass

agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=agent.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{agent.server_port}"
said = subprocess.run([*sys.argv[1:], url], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
wanted = ["suspended: sent 1, kept 0, senders 0", "resumed", "sent 3, complete true"]
if sum(counts) != 3 or any(line not in said for line in wanted):
    sys.exit(f"crac: arrived {counts}\n{said}")
print("crac: suspended without threads, resumed, 3 traces offered, 3 arrived")
END
