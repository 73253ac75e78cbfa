"""A peer with TLS for tests/c/beyond.c: wants a certificate of its clients, and answers every payload with a sampling rate for
the service that is called like the certificate's owner. usage: peer_tls.py DIRECTORY (of tests/fixtures/tls/make.sh); prints its
port, and ends with its standard input."""
import http.server
import json
import os
import ssl
import sys
import threading


class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(404, {})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner = dict(pair for part in self.connection.getpeercert()["subject"] for pair in part)["commonName"]
        self.answer(200, {"rate_by_service": {f"service:{owner},env:": 0.5}})

    do_POST = do_PUT

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


place = sys.argv[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{place}/right.pem", f"{place}/right.key")
context.load_verify_locations(f"{place}/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
# Whoever has no certificate is no fault of ours.
server.handle_error = lambda *_: None
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
os._exit(0)
