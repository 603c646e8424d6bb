#!/usr/bin/env python3
"""A registry that misbehaves as it is told, for tests of the client. Loopback only.

Listens on 127.0.0.1 (the registry) and 127.0.0.2 (a second origin, which serves blobs and tokens
to whoever asks and should never see a credential). Prints "PORT PORT2", ends when its standard
input closes. Every request goes to --log as a JSON line with its origin and header fields.

Holds one image from the start: repository a/b, tag x, an index of linux/amd64 and linux/arm64 v8.
--auth basic|bearer|refresh wants user:secret, or the refresh token "refresh-me".
"""

import argparse
import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

SWITCHES = """
no-referrers       404 for the referrers API
no-subject         OCI-Subject is never answered
gitlab             the tag sha256-HEX leads to the image HEX itself
relative-location  Location of uploads is a path
upload-elsewhere   Location of uploads is at the second origin
single-202         a POST with a digest opens an upload instead
mount-refused      a mount opens an upload instead
patch-416          the first chunk of each upload is refused though half of it was kept
patch-short        chunks are kept half
chunk-min          wants chunks of 1000 bytes
put-503            the first PUT of a blob fails
range-416          a blob cannot be continued
range-ignored      a continued blob is sent from its start
range-wrong        a continued blob goes on elsewhere
cut                each blob is cut off once, in its middle
cut-always         each blob is cut off every time
no-length          blobs have no Content-Length
slow               blobs drip
wrong-bytes        blobs and manifests by digest are others of that length
long-blob          blobs have a byte too many
wrong-header       Docker-Content-Digest lies
type-lie           manifests get another Content-Type
html               every answer to GET is a page of HTML
schema1            manifests say that they are of Docker's first schema
big-manifest       manifests have 5 MiB
busy               each path answers 429 once, with Retry-After 1
busy-long          everything answers 429, with Retry-After 3600
down               each path answers 503 twice
down-always        everything answers 503
redirect           blobs are at the second origin
redirect-loop      blobs lead to themselves
redirect-ftp       blobs are at an ftp URL
redirect-post      a POST of an upload is redirected by 302
link-elsewhere     the next part of a list is at the second origin
link-endless       there is always a next part
token-once         each token is good for one request
token-elsewhere    tokens are at the second origin
token-redirect     the token service redirects to the second origin
token-bad          the token has a line break in it
token-html         the token service answers a page of HTML
denied             403 for everything but /v2/
""".strip()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def noise(seed, length):
    out = b""
    while len(out) < length:
        seed = hashlib.sha256(seed).digest()
        out += seed * 32
    return out[:length]


class Repository:
    def __init__(self):
        self.blobs, self.manifests, self.tags = {}, {}, {}

    def add_blob(self, data):
        self.blobs[digest(data)] = data
        return digest(data)

    def add_manifest(self, data, media_type, tag=None):
        self.manifests[digest(data)] = (media_type, data)
        if tag:
            self.tags[tag] = digest(data)
        return digest(data)


class State:
    def __init__(self, options):
        self.auth, self.switches = options.auth, set(options.switch)
        self.lock = threading.Lock()
        self.repositories, self.uploads, self.seen, self.tokens = {}, {}, {}, {}
        self.log = open(options.log, "a", buffering=1)
        self.number = 0
        self.make_image()

    def has(self, name):
        return name in self.switches

    def count(self, key):
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + 1
            return self.seen[key]

    def next(self):
        with self.lock:
            self.number += 1
            return self.number

    def repository(self, name):
        with self.lock:
            return self.repositories.setdefault(name, Repository())

    def make_image(self):
        r = self.repository("a/b")
        entries = []
        for arch, variant in (("amd64", None), ("arm64", "v8")):
            layers = [noise(f"{arch}{i}".encode(), 40000 + 1000 * i) for i in range(3)]
            config = dump({"architecture": arch, "os": "linux", "config": {},
                           "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]}})
            r.add_blob(config)
            manifest = dump({
                "schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
                "layers": [{"mediaType": LAYER, "digest": r.add_blob(x), "size": len(x)} for x in layers]})
            platform = {"os": "linux", "architecture": arch}
            if variant:
                platform["variant"] = variant
            entries.append({"mediaType": MANIFEST, "digest": r.add_manifest(manifest, MANIFEST, arch),
                            "size": len(manifest), "platform": platform})
        r.add_manifest(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}), INDEX, "x")
        for i in range(25):
            r.tags[f"t{i:02}"] = r.tags["x"]
        r.tags["sha256-" + "0" * 64 + ".sig"] = r.tags["x"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # header and body in one segment, or each would wait for an acknowledgement

    # One place for everything that is answered.
    def send(self, status, body=b"", fields=(), length=None):
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass  # the client went away

    def error(self, status, code="ERROR", message="as told"):
        self.send(status, dump({"errors": [{"code": code, "message": message}]}),
                  [("Content-Type", "application/json")])

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length)

    def log_message(self, *_):
        pass

    def handle_one(self):
        s = self.server.state
        s.log.write(json.dumps({"origin": self.server.origin, "method": self.command, "path": self.path,
                                "headers": dict(self.headers.items())}) + "\n")
        url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(url.query)
        if self.server.origin == "other":
            return self.other(url.path)
        if url.path == "/token":
            return self.token()
        if not self.authorized(url.path):
            return None
        return self.registry(url.path)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def other(self, path):
        s = self.server.state
        if path == "/token":
            return self.token()
        m = re.fullmatch(r"/blob/(.+)/(sha256:[0-9a-f]{64})", path)
        if m:
            return self.send_blob(s.repository(m[1]).blobs[m[2]])
        m = re.fullmatch(r"/v2/(.+)/uploads/(\d+)", path)
        if m:
            return self.upload(m[1], m[2])
        return self.error(404)

    # Authorisation.
    def wants(self):
        s = self.server.state
        if s.auth == "basic":
            return 'Basic realm="fake, \\"quoted\\""'
        host = self.server.other_host if s.has("token-elsewhere") else self.server.own_host
        return f'Bearer realm="{self.server.scheme}://{host}/token",service="fake registry",scope="ignored, really"'

    def authorized(self, path):
        s = self.server.state
        given = self.headers.get("Authorization", "")
        ok = s.auth == "none"
        if s.auth == "basic":
            ok = given == "Basic " + base64.b64encode(b"user:secret").decode()
        elif given.startswith("Bearer "):
            scopes = s.tokens.get(given[7:], [])
            name = re.match(r"/v2/(.+?)/(?:blobs|manifests|tags|referrers)/", path)
            actions = "pull,push" if self.command in ("POST", "PUT", "PATCH", "DELETE") else "pull"
            ok = any(x.startswith(f"repository:{name[1]}:{actions}") for x in scopes) if name else bool(scopes)
            if ok and s.has("token-once"):
                del s.tokens[given[7:]]
        if not ok:
            self.body()
            self.send(401, dump({"errors": [{"code": "UNAUTHORIZED"}]}), [("WWW-Authenticate", self.wants())])
        return ok

    def token(self):
        s = self.server.state
        body = self.body()
        if s.has("token-html"):
            return self.send(200, b"<html>", [("Content-Type", "text/html")])
        if s.has("token-redirect") and self.server.origin == "own":
            return self.send(307, fields=[("Location", f"{self.server.scheme}://{self.server.other_host}{self.path}")])
        if self.command == "POST":
            form = urllib.parse.parse_qs(body.decode())
            ok = form.get("refresh_token") == ["refresh-me"] and form.get("grant_type") == ["refresh_token"]
            scopes = form.get("scope", [])
        else:
            ok = s.auth != "refresh" and self.headers.get("Authorization") == \
                "Basic " + base64.b64encode(b"user:secret").decode()
            scopes = self.query.get("scope", [])
        if not ok:
            return self.error(401, "UNAUTHORIZED", "who are you")
        text = f"token-{s.next()}"
        s.tokens[text] = scopes
        if s.has("token-bad"):
            text += "\nX-Evil: 1"
        return self.send(200, dump({"access_token": text, "expires_in": 300}), [("Content-Type", "application/json")])

    # The registry.
    def registry(self, path):
        s = self.server.state
        if path == "/v2/":
            return self.send(200, b"{}")
        if s.has("denied"):
            return self.error(403, "DENIED", "not for you")
        if s.has("busy-long") or (s.has("busy") and s.count(("busy", self.command, path)) == 1):
            self.body()
            return self.send(429, b"slow down", [("Retry-After", "3600" if s.has("busy-long") else "1")])
        if s.has("down-always") or (s.has("down") and s.count(("down", self.command, path)) <= 2):
            self.body()
            return self.error(503, "UNAVAILABLE")
        if s.has("html") and self.command == "GET":
            return self.send(200, b"<html>a page</html>", [("Content-Type", "text/html")])
        for pattern, handle in ((r"/v2/(.+)/manifests/([^/]+)", self.manifest),
                                (r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", self.blob),
                                (r"/v2/(.+)/blobs/uploads/", self.open_upload),
                                (r"/v2/(.+)/uploads/(\d+)", self.upload),
                                (r"/v2/(.+)/tags/list", self.tags),
                                (r"/v2/(.+)/referrers/([^/]+)", self.referrers)):
            m = re.fullmatch(pattern, path)
            if m:
                return handle(*m.groups())
        self.body()
        return self.error(404, "NAME_UNKNOWN")

    def manifest(self, name, ref):
        s, r = self.server.state, self.server.state.repository(name)
        if self.command == "PUT":
            return self.put_manifest(r, ref)
        key = r.tags.get(ref, ref)
        if s.has("gitlab") and re.fullmatch(r"sha256-[0-9a-f]{64}", ref) and ref not in r.tags:
            key = ref.replace("-", ":")
        if key not in r.manifests:
            return self.error(404, "MANIFEST_UNKNOWN", "no such manifest")
        media_type, data = r.manifests[key]
        if s.has("type-lie"):
            media_type = MANIFEST if media_type == INDEX else INDEX
        if s.has("schema1"):
            media_type, data = "application/vnd.docker.distribution.manifest.v1+prettyjws", \
                dump({"schemaVersion": 1, "name": name})
        if s.has("big-manifest"):
            data = data[:-1] + b" " * 5 * 1024 * 1024 + b"}"
        if s.has("wrong-bytes") and ":" in ref:
            data = data.replace(b"linux", b"xunil")
        claimed = "sha256:" + "0" * 64 if s.has("wrong-header") else digest(data)
        return self.send(200, data, [("Content-Type", media_type + "; charset=utf-8"),
                                     ("Docker-Content-Digest", claimed)])

    def put_manifest(self, r, ref):
        s, data = self.server.state, self.body()
        value, media_type = json.loads(data), self.headers.get("Content-Type")
        if value.get("mediaType", media_type) != media_type:
            return self.error(400, "MANIFEST_INVALID", "Content-Type")
        for d in [value.get("config")] + value.get("layers", []):
            if d and d["digest"] not in r.blobs:
                return self.error(400, "MANIFEST_BLOB_UNKNOWN", d["digest"])
        for d in value.get("manifests", []):
            if d["digest"] not in r.manifests and not ref.startswith("sha256-"):
                return self.error(400, "MANIFEST_UNKNOWN", d["digest"])
        r.add_manifest(data, media_type, None if ":" in ref else ref)
        fields = []
        if "subject" in value and not s.has("no-subject") and not s.has("no-referrers"):
            fields.append(("OCI-Subject", value["subject"]["digest"]))
        return self.send(201, fields=fields)

    def blob(self, name, ref):
        s, r = self.server.state, self.server.state.repository(name)
        if ref not in r.blobs:
            return self.error(404, "BLOB_UNKNOWN")
        for switch, where in (("redirect", f"{self.server.scheme}://{self.server.other_host}/blob/{name}/{ref}"),
                              ("redirect-loop", self.path), ("redirect-ftp", "ftp://127.0.0.2/x")):
            if s.has(switch) and self.command == "GET":
                return self.send(307, fields=[("Location", where)])
        return self.send_blob(r.blobs[ref])

    def send_blob(self, data):
        s = self.server.state
        fields = [("ETag", '"' + digest(data) + '"')]
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if s.has("wrong-bytes"):
            data = bytes(len(data))
        if s.has("long-blob"):
            data += b"!"
        if self.command == "HEAD":
            return self.send(200, data, fields)
        if s.has("slow"):
            return self.drip(data)
        if start and s.has("range-416"):
            return self.error(416)
        if start and not s.has("range-ignored"):
            at = int(start[1]) - (1 if s.has("range-wrong") else 0)
            fields.append(("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}"))
            return self.send(206, data[at:], fields)
        if s.has("cut-always") or (s.has("cut") and s.count(("cut", self.path)) == 1):
            self.close_connection = True
            return self.send(200, data[:len(data) // 2], fields, -1 if s.has("no-length") else len(data))
        return self.send(200, data, fields, -1 if s.has("no-length") else None)

    def drip(self, data):
        self.send(200, b"", length=len(data))
        self.close_connection = True
        try:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    # Uploads.
    def location(self, name, key):
        s = self.server.state
        if s.has("upload-elsewhere"):
            return f"{self.server.scheme}://{self.server.other_host}/v2/{name}/uploads/{key}"
        path = f"/v2/{name}/uploads/{key}?state=a%2Fb"
        return path if s.has("relative-location") else f"{self.server.scheme}://{self.server.own_host}{path}"

    def open_upload(self, name):
        s, r, data = self.server.state, self.server.state.repository(name), self.body()
        if s.has("redirect-post"):
            return self.send(302, fields=[("Location", "/elsewhere")])
        wanted, mount, source = (self.query.get(k, [""])[0] for k in ("digest", "mount", "from"))
        if mount and not s.has("mount-refused") and mount in s.repository(source).blobs:
            r.blobs[mount] = s.repository(source).blobs[mount]
            return self.send(201)
        if wanted and not s.has("single-202"):
            if digest(data) != wanted:
                return self.error(400, "DIGEST_INVALID")
            r.add_blob(data)
            return self.send(201)
        key = str(s.next())
        s.uploads[key] = b""
        fields = [("Location", self.location(name, key)), ("Range", "0-0")]
        if s.has("chunk-min"):
            fields.append(("OCI-Chunk-Min-Length", "1000"))
        return self.send(202, fields=fields)

    def state_fields(self, name, key):
        s = self.server.state
        return [("Location", self.location(name, key)), ("Range", f"0-{max(len(s.uploads[key]) - 1, 0)}")]

    def upload(self, name, key):
        s, r, data = self.server.state, self.server.state.repository(name), self.body()
        if key not in s.uploads:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "GET":
            return self.send(204, fields=self.state_fields(name, key))
        if self.command == "DELETE":
            del s.uploads[key]
            return self.send(204)
        if self.command == "PATCH":
            return self.patch(name, key, data)
        if s.has("put-503") and s.count(("put", self.query["digest"][0])) == 1:
            return self.error(503, "UNAVAILABLE")
        whole = s.uploads.pop(key) + data
        if [digest(whole)] != self.query.get("digest"):
            return self.error(400, "DIGEST_INVALID", "the digest is another")
        r.add_blob(whole)
        return self.send(201)

    def patch(self, name, key, data):
        s = self.server.state
        m = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", ""))
        at = len(s.uploads[key])
        if not m or int(m[1]) != at or int(m[2]) - at + 1 != len(data):
            return self.send(416, fields=self.state_fields(name, key))
        if s.has("patch-416") and s.count(("patch", key)) == 1:
            s.uploads[key] += data[:len(data) // 2]
            return self.send(416)
        s.uploads[key] += data[:(len(data) + 1) // 2] if s.has("patch-short") else data
        return self.send(202, fields=self.state_fields(name, key))

    # Lists.
    def link(self, query):
        s, path = self.server.state, urllib.parse.urlsplit(self.path).path
        base = f"{self.server.scheme}://{self.server.other_host}" if s.has("link-elsewhere") else ""
        return [("Link", f'<{base}{path}?{query}>; rel="next"')]

    def tags(self, name):
        s, r = self.server.state, self.server.state.repository(name)
        if not r.manifests:
            return self.error(404, "NAME_UNKNOWN")
        names, last = sorted(r.tags), self.query.get("last", [""])[0]
        left = names if s.has("link-endless") else [x for x in names if x > last]
        page = left[:10]
        more = s.has("link-endless") or len(left) > len(page)
        fields = self.link(f"n=10&last={page[-1]}") if more else []
        return self.send(200, dump({"name": name, "tags": page}), [("Content-Type", "application/json")] + fields)

    def referrers(self, name, subject):
        s, r = self.server.state, self.server.state.repository(name)
        if s.has("no-referrers"):
            return self.send(404, b"404 page not found\n", [("Content-Type", "text/plain")])
        found = []
        for key, (media_type, data) in r.manifests.items():
            value = json.loads(data)
            if (value.get("subject") or {}).get("digest") == subject:
                found.append({"mediaType": media_type, "digest": key, "size": len(data),
                              "artifactType": value.get("artifactType") or value["config"]["mediaType"]})
        at = int(self.query.get("at", ["0"])[0])
        fields = self.link(f"at={at + 2}") if len(found) > at + 2 else []
        return self.send(200, dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": found[at:at + 2]}),
                         [("Content-Type", INDEX)] + fields)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that went away is no news


def start(address, origin, state, tls):
    server = Server((address, 0), Handler)
    server.origin, server.state, server.scheme = origin, state, "http"
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    return server


def main():
    parser = argparse.ArgumentParser(epilog=SWITCHES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True)
    parser.add_argument("--auth", default="none", choices=["none", "basic", "bearer", "refresh"])
    parser.add_argument("--tls", help="PEM file of certificate and key")
    parser.add_argument("switch", nargs="*")
    options = parser.parse_args()
    unknown = set(options.switch) - {line.split()[0] for line in SWITCHES.splitlines()}
    if unknown:
        parser.error(f"no such switch: {' '.join(unknown)}")
    state = State(options)
    own, other = start("127.0.0.1", "own", state, options.tls), start("127.0.0.2", "other", state, options.tls)
    for server in (own, other):
        server.own_host = f"127.0.0.1:{own.server_port}"
        server.other_host = f"127.0.0.2:{other.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(own.server_port, other.server_port, flush=True)
    while os.read(sys.stdin.fileno(), 4096):
        pass


main()
