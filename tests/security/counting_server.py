#!/usr/bin/env python3
"""A web server on loopback that writes down every request and answers with an error full of escape
sequences. Writes its port to FILE.

usage: counting_server.py FILE LOG
"""
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[2], "a") as log:
            log.write(self.path + "\n")
        self.wfile.write(b"HTTP/1.1 404 \x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b31m\xe2\x80\xaegnp.exe\rerror: all is well\r\n"
                         b"Content-Length: 5\r\nLocation: \x1b[1m\r\n\r\n\x1b[2J\r")

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[2], "w").close()
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(server.server_address[1]))
import os
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
