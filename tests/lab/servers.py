# SPDX-License-Identifier: BSD-3-Clause
"""What runs in `web`: the far ends that a workstation's connections should reach.

HTTP   /            a small page            /whoami      the client's address: which exit it was
       /bytes/N     N bytes, the same every time, SHA-256 in X-Sha256        /50m  50 MB of them
       /sink        POST or PUT: the SHA-256 of what came                   /first-closer, /datagrams
and one port for each way a TCP peer can behave (see lab.plan).
"""

import collections
import hashlib
import http.server
import random
import socket
import socketserver
import struct
import threading
import time

from lab import plan

_BLOCK = random.Random(2544).randbytes(1 << 20)
FIFTY_MB = 50_000_000


def body_chunks(size):
    """The deterministic body. No two chunks are equal, so that lost or swapped ones are seen."""
    at = 0
    while at < size:
        chunk = (struct.pack("!Q", at) + _BLOCK[8:])[:size - at]
        yield chunk
        at += len(chunk)


def body_sha256(size):
    digest = hashlib.sha256()
    for chunk in body_chunks(size):
        digest.update(chunk)
    return digest.hexdigest()


class _Observed:
    """What servers saw and HTTP tells."""

    lock = threading.Lock()
    datagrams = 0
    first_closer = collections.deque(maxlen=100)  # bytes that came after we had closed our side


class _Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _sha256 = {}

    def do_GET(self):
        if self.path == "/":
            self._text(plan.PAGE)
        elif self.path == "/whoami":
            self._text(self.client_address[0].removeprefix("::ffff:") + "\n")
        elif self.path == "/50m":
            self._bytes(FIFTY_MB)
        elif self.path.startswith("/bytes/") and self.path[7:].isdigit():
            self._bytes(int(self.path[7:]))
        elif self.path == "/datagrams":
            self._text(f"{_Observed.datagrams}\n")
        elif self.path == "/first-closer":
            with _Observed.lock:
                self._text("".join(f"{count}\n" for count in _Observed.first_closer))
        else:
            self._text("nothing here\n", 404)

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        digest = hashlib.sha256()
        for chunk in self._request_body():
            digest.update(chunk)
        self._text(digest.hexdigest() + "\n")

    do_PUT = do_POST

    def handle_expect_100(self):
        return True  # do_POST says so itself

    def _request_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            chunk = self.rfile.read(min(left, 1 << 16))
            if not chunk:
                self.close_connection = True
                return
            left -= len(chunk)
            yield chunk

    def _bytes(self, size):
        if size not in self._sha256:
            self._sha256[size] = body_sha256(size)
        self._head("application/octet-stream", size, sha256=self._sha256[size])
        if self.command != "HEAD":
            for chunk in body_chunks(size):
                self.wfile.write(chunk)

    def _text(self, text, status=200):
        body = text.encode()
        self._head("text/html", len(body), status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, kind, size, status=200, sha256=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if sha256:
            self.send_header("X-Sha256", sha256)
        self.end_headers()

    def log_message(self, *_):
        pass


def _echo(peer):
    while data := peer.recv(1 << 16):
        peer.sendall(data)


def _discard(peer):
    while peer.recv(1 << 18):
        pass


def _chargen(peer):
    while True:
        peer.sendall(_BLOCK)


def _slow(peer):
    """Answers when the request is over: a line, or everything up to the client's FIN."""
    request = b""
    while b"\n" not in request:
        data = peer.recv(4096)
        if not data:
            break
        request += data
    for part in range(plan.SLOW_PARTS):
        time.sleep(plan.SLOW_PAUSE_S)
        peer.sendall(bytes([ord("0") + part]) * plan.SLOW_PART_BYTES)


def _first_closer(peer):
    peer.sendall(b"the server has nothing more to say\n")
    peer.shutdown(socket.SHUT_WR)
    peer.settimeout(20)
    count = 0
    try:
        while data := peer.recv(1 << 16):
            count += len(data)
    finally:
        with _Observed.lock:
            _Observed.first_closer.append(count)


def _resetter(peer):
    peer.sendall(b"about to reset\n")
    time.sleep(0.2)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, *_):
        pass  # clients that go away are part of the tests


def _serve(port, handler):
    server = _Server(("::", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _serve_function(port, function):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            function(self.request)

        def finish(self):
            # Not shutdown_request()'s polite way: a reset should go out as one.
            self.request.close()

    _serve(port, Handler)


def _count_datagrams(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", port))
    while True:
        server.recvfrom(65535)
        _Observed.datagrams += 1


def main():
    _serve(plan.HTTP, _Http)
    for port, function in (
        (plan.ECHO, _echo), (plan.DISCARD, _discard), (plan.CHARGEN, _chargen), (plan.SLOW, _slow),
        (plan.FIRST_CLOSER, _first_closer), (plan.RESETTER, _resetter),
    ):
        _serve_function(port, function)
    print("ready", flush=True)
    _count_datagrams(plan.UDP_COUNTER)


if __name__ == "__main__":
    main()
