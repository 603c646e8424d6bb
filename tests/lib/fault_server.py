#!/usr/bin/env python3
"""A web server on loopback that misbehaves on request; the first path component says how.

    fault_server.py --root DIR [--log FILE] [--connections FILE] [--tls PEM] [--tls-max 1.1]
                    [--bind ADDRESS]

Serves files of DIR: /ok/NAME is a correct server with ranges and ETags, every other first
component is a fault (see FAULTS). A query string makes a fresh counter for faults that depend on
how often they were asked. Prints its port, then serves until stdin closes. Each request is one
JSON line in the log: {"path": ..., "headers": {...}}, header names in lower case; each connection
is a line in the connections file, whether or not a request follows.
"""

import argparse
import gzip
import hashlib
import http.server
import json
import os
import ssl
import sys
import threading
import time

HTML = b"<html><body>Please log in</body></html>\n"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root, log, connections=None, address="127.0.0.1"):
        super().__init__((address, 0), Handler)
        self.root = root
        self.log = open(log, "a", encoding="utf-8") if log else None
        self.connections = open(connections, "a", encoding="utf-8") if connections else None
        self.lock = threading.Lock()
        self.counts = {}

    def count(self, key):
        """How often `key` was asked for, including now."""
        with self.lock:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]

    def record(self, entry):
        if self.log:
            with self.lock:
                self.log.write(json.dumps(entry) + "\n")
                self.log.flush()

    def verify_request(self, request, client_address):
        if self.connections:
            with self.lock:
                self.connections.write("connection\n")
                self.connections.flush()
        return True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are the point of it


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.server.record({"path": self.path, "headers": headers})
        self.key = self.path
        self.query = self.path.partition("?")[2]
        parts = self.path.partition("?")[0].lstrip("/").split("/")
        fault = FAULTS.get(parts[0])
        if fault is None:
            self.answer(404, b"no such fault\n")
            return
        fault(self, *parts[1:])

    # --- building blocks ---

    def file(self, name):
        with open(os.path.join(self.server.root, os.path.basename(name)), "rb") as f:
            return f.read()

    def asked(self):
        return self.server.count(self.key)

    def head(self, status, fields):
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status, body, fields=()):
        self.head(status, [("Content-Length", len(body)), *fields])
        self.wfile.write(body)

    def cut(self, body, sent, fields=()):
        """Promises all of body, sends a part, hangs up."""
        self.head(200, [("Content-Length", len(body)), *fields])
        self.wfile.write(sent)
        self.hang_up()

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True

    def range_start(self):
        value = self.headers.get("Range", "")
        return int(value[6:-1]) if value.startswith("bytes=") and value.endswith("-") else None

    def part(self, body, start, etag=None, claim=None):
        claim = start if claim is None else claim
        fields = [("Content-Range", f"bytes {claim}-{len(body) - 1}/{len(body)}")]
        if etag:
            fields.append(("ETag", etag))
        self.answer(206, body[start:], fields)

    # --- a correct server ---

    def ok(self, name):
        body = self.file(name)
        etag = '"%s"' % hashlib.sha256(body).hexdigest()[:16]
        start = self.range_start()
        if start is None or self.headers.get("If-Range", etag) != etag:
            self.answer(200, body, [("ETag", etag), ("Accept-Ranges", "bytes")])
        elif start >= len(body):
            self.answer(416, b"", [("Content-Range", f"bytes */{len(body)}")])
        else:
            self.part(body, start, etag)

    def unsized(self, name):
        """Correct, but the body ends with its connection."""
        self.head(200, [("Connection", "close")])
        self.wfile.write(self.file(name))
        self.hang_up()

    def chunked(self, name):
        self.head(200, [("Transfer-Encoding", "chunked")])
        body = self.file(name)
        for at in range(0, len(body), 1000):
            piece = body[at : at + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\nX-Trailer: HTTP/1.1 500\r\n\r\n")

    def steady(self, name=""):
        """Never ends and never stalls."""
        self.head(200, [("Transfer-Encoding", "chunked")])
        while True:
            self.wfile.write(b"2000\r\n" + b"\0" * 8192 + b"\r\n")
            self.wfile.flush()
            time.sleep(0.05)

    def slow(self, name):
        body = self.file(name)
        self.head(200, [("Content-Length", len(body))])
        for at in range(0, len(body), 8192):
            self.wfile.write(body[at : at + 8192])
            self.wfile.flush()
            time.sleep(0.02)

    # --- wrong bytes ---

    def wrong(self, name):
        body = bytearray(self.file(name))
        body[0] ^= 1
        self.answer(200, bytes(body))

    def short(self, name):
        self.answer(200, self.file(name)[:-1])

    def unsized_long(self, name):
        self.head(200, [("Connection", "close")])
        self.wfile.write(self.file(name) + b"x")
        self.hang_up()

    def empty(self, name):
        self.answer(200, b"")

    def html(self, name):
        self.answer(200, HTML, [("Content-Type", "text/html")])

    def names(self, name):
        """Right bytes, but names and digests that must be ignored."""
        self.answer(200, self.file(name), [
            ("Content-Disposition", "attachment; filename=../../evil"),
            ("Docker-Content-Digest", "sha256:" + "0" * 64),
            ("Set-Cookie", "id=1; Path=/"),
            ("X-Checksum-Sha256", "0" * 64)])

    def wrong_named(self, name):
        """Wrong bytes under header fields that claim the right digest."""
        body = self.file(name)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self.answer(200, body[::-1], [("Docker-Content-Digest", digest), ("ETag", f'"{digest}"')])

    def gzip_many(self, name):
        """A small body that five decoders would blow up."""
        body = bytes(20_000_000)
        for _ in range(5):
            body = gzip.compress(body, mtime=0)
        self.answer(200, body, [("Content-Encoding", "gzip, gzip, gzip, gzip, gzip")])

    def gzip(self, name):
        self.answer(200, self.file(name), [("Content-Encoding", "gzip")])

    def endless(self, name=""):
        self.head(200, [("Transfer-Encoding", "chunked")])
        while True:
            self.wfile.write(b"10000\r\n" + b"\0" * 65536 + b"\r\n")

    # --- interrupted downloads ---

    def reset(self, name=""):
        self.hang_up()

    def truncated(self, name):
        body = self.file(name)
        self.cut(body, body[: len(body) // 2])

    def flaky(self, name):
        """Cut once, then continued as asked."""
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2])
        elif self.range_start() is None:
            self.answer(200, body)
        else:
            self.part(body, self.range_start())

    def flaky_etag(self, name):
        """As flaky; only continues for who sends the ETag back."""
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2], [("ETag", '"one"')])
        elif self.headers.get("If-Range") == '"one"' and self.range_start():
            self.part(body, self.range_start(), '"one"')
        else:
            self.answer(500, b"")

    def flaky_norange(self, name):
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2])
        else:
            self.answer(200, body)

    def flaky_badrange(self, name):
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2])
        elif self.range_start() is None:
            self.answer(200, body)
        else:
            self.part(body, self.range_start() + 1)

    def flaky_liar(self, name):
        """Claims the part asked for, sends another."""
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2])
        elif self.range_start() is None:
            self.answer(200, body)
        else:
            start = self.range_start()
            self.answer(206, body[: len(body) - start], [
                ("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")])

    def flaky_changed(self, name):
        """The file changes between the two requests, and If-Range is not looked at."""
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, b"x" * (len(body) // 2), [("ETag", '"old"')])
        elif self.range_start() is None:
            self.answer(200, body, [("ETag", '"new"')])
        else:
            self.part(body, self.range_start(), '"new"')

    def flaky_unsatisfiable(self, name):
        body = self.file(name)
        if self.asked() == 1:
            self.cut(body, body[: len(body) // 2])
        elif self.range_start() is None:
            self.answer(200, body)
        else:
            self.answer(416, b"")

    def uninvited_part(self, name):
        self.part(self.file(name), 0)

    def stall(self, name):
        body = self.file(name)
        self.head(200, [("Content-Length", len(body))])
        self.wfile.write(body[:10])
        self.wfile.flush()
        self.wait_for_hang_up()

    def stall_once(self, name):
        if self.asked() == 1:
            self.stall(name)
        else:
            self.ok(name)

    def mute(self, name=""):
        self.wait_for_hang_up()

    def wait_for_hang_up(self):
        self.rfile.read(1)
        self.close_connection = True

    def drip(self, name):
        body = self.file(name)
        self.head(200, [("Content-Length", len(body))])
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.02)

    # --- statuses, headers, redirects ---

    def status(self, code, name=""):
        self.answer(int(code), b"status " + code.encode() + b"\n")

    def fail(self, times, name):
        """500 so many times, then correct."""
        if self.asked() <= int(times):
            self.answer(500, b"not now\n")
        else:
            self.ok(name)

    def retry_after(self, seconds, name):
        if self.asked() == 1:
            self.answer(429, b"", [("Retry-After", seconds)])
        else:
            self.ok(name)

    def bigheader(self, size, name):
        """Header fields of about so many bytes in all."""
        line = "x" * 990
        self.answer(200, self.file(name), [("X-F", line)] * (int(size) // 1000))

    def manyheaders(self, count, name):
        """So many header fields."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * int(count) + b"\r\n")
        self.hang_up()

    def login(self, *ignored):
        """Asks for a password, for a realm that lies at the query string."""
        self.answer(401, b"who are you?\n", [
            ("WWW-Authenticate", f'Bearer realm="{self.query}",service="x",scope="pull"'),
            ("WWW-Authenticate", 'Basic realm="files"')])

    def cookie(self, *ignored):
        """Redirects to the query string and sets a cookie for every host it can."""
        self.answer(302, b"moved\n", [
            ("Location", self.query), ("Set-Cookie", "id=1; Path=/"),
            ("Set-Cookie", "id=2; Path=/; Domain=localhost"),
            ("WWW-Authenticate", 'Basic realm="files"')])

    def huge_redirect(self, *ignored):
        """Redirects to the query string, with a body without end."""
        self.head(302, [("Location", self.query), ("Transfer-Encoding", "chunked")])
        while True:
            self.wfile.write(b"10000\r\n" + b"\0" * 65536 + b"\r\n")

    def redirect(self, times, name):
        """So many relative hops."""
        left = int(times) - 1
        target = f"../ok/{name}" if left == 0 else f"/redirect/{left}/{name}"
        if left == 0:
            target = "../" + target
        self.answer(302, b"see there\n", [("Location", target)])

    def loop(self, name=""):
        self.answer(307, b"", [("Location", self.path)])

    def to(self, *ignored):
        """Redirects to the query string, byte for byte."""
        self.answer(301, b"moved\n" * 20, [("Location", self.query)])

    def signed(self, *ignored):
        """Redirects, as object stores do, to a URL that holds a secret, and where nothing is."""
        self.answer(302, b"", [("Location", "/status/404/x?signature=hunter2-5ecret")])

    def nowhere(self, *ignored):
        self.answer(302, b"")


FAULTS = {
    name.replace("_", "-"): function
    for name, function in vars(Handler).items()
    if callable(function) and name not in vars(http.server.BaseHTTPRequestHandler)
    and name not in ("do_GET", "log_message", "file", "asked", "head", "answer", "cut",
                     "hang_up", "range_start", "part", "wait_for_hang_up")
}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--root", required=True, help="directory of the files to serve")
    p.add_argument("--log", help="file to append requests to, as JSON lines")
    p.add_argument("--connections", help="file to append a line to for each connection")
    p.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    p.add_argument("--tls-max", help="highest version of TLS, as 1.1")
    p.add_argument("--tls", help="PEM file with key and certificate; serves https")
    args = p.parse_args()
    server = Server(args.root, args.log, args.connections, args.bind)
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.tls)
        if args.tls_max:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion["TLSv" + args.tls_max.replace(".", "_")]
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
