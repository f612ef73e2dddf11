#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A SOCKS5 server on a pathname socket whose whole world is one table of small services.

It stands where an external Tor would stand, and keeps what was asked of it: targets and credentials. Nothing is
connected anywhere: every service is a function that is handed the stream.
"""

import hashlib
import os
import socket
import struct
import threading
import time

BLOCK = bytes(range(256)) * 256  # 64 KiB


def body(size):
    """The first `size` bytes of a fixed stream."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


def read_line(stream):
    line = b""
    while not line.endswith(b"\n"):
        piece = stream.recv(1)
        if not piece:
            break
        line += piece
    return line.strip().decode()


def serve_http(stream):
    """GET /SIZE: that many bytes; PUT: how many came, and their SHA-256."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = stream.recv(4096)
        if not piece:
            return
        request += piece
    head, rest = request.split(b"\r\n\r\n", 1)
    method, path = head.split(b" ")[:2]
    if method == b"PUT":
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length"))
        if b"expect: 100-continue" in head.lower():
            stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest, got = hashlib.sha256(rest), len(rest)
        while got < length:
            piece = stream.recv(65536)
            if not piece:
                return
            digest.update(piece)
            got += len(piece)
        answer = f"{got} {digest.hexdigest()}".encode()
    else:
        answer = body(int(path.strip(b"/") or b"0"))
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer))
    stream.sendall(answer)


def serve_echo(stream):
    while piece := stream.recv(65536):
        stream.sendall(piece)


def serve_slow(stream):
    """Answers one line with five pieces, each after a while: what a half-closed workstation must still get."""
    read_line(stream)
    for _ in range(5):
        time.sleep(0.2)
        stream.sendall(b"x" * 1000)


def serve_after_end(stream):
    """Answers with all it got, but only when it has seen the end: what needs the workstation's half close."""
    data = b""
    while piece := stream.recv(65536):
        data += piece
    stream.sendall(data)


def serve_close(stream):
    """Says one word and closes its side; then counts what still comes."""
    stream.sendall(b"bye")
    stream.shutdown(socket.SHUT_WR)
    while stream.recv(65536):
        pass


SERVICES = {80: serve_http, 7: serve_echo, 1000: serve_slow, 1001: serve_close, 1002: serve_after_end}

# Ports at which the server itself is at fault, or quick: all that it says to a request, in one piece, before it ends.
GRANTED = struct.pack("!BBBB4sH", 5, 0, 0, 1, b"\0\0\0\0", 0)
ODD = {114: b"", 115: b"\x05\x00\x00\x07", 116: GRANTED[:9], 117: b"HTTP/1.0 400\r\n\r\n", 118: GRANTED,
       119: GRANTED + b"bye", 120: GRANTED + b"long goodbye"}


class Server:
    """Runs in threads of this process from its making on. `requests` holds (username, password, target, port)."""

    def __init__(self, path):
        self.requests = []
        self.names = {}
        self.resolver = lambda target, message: None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        os.chmod(path, 0o666)
        self._listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            stream, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    @staticmethod
    def _exactly(stream, n):
        data = b""
        while len(data) < n:
            piece = stream.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _resolve(self, stream, command, target):
        """Tor's RESOLVE and RESOLVE_PTR, by the table `names`: an address, a name, a code, or None for silence."""
        found = self.names.get(target.lower(), 4)
        if callable(found):
            found = found()
        if found is None:
            time.sleep(30)
        elif isinstance(found, int):
            stream.sendall(struct.pack("!BBBB4sH", 5, found, 0, 0, b"\0\0\0\0", 0))
        elif command == 0xF1:
            stream.sendall(struct.pack("!BBBBB", 5, 0, 0, 3, len(found)) + found.encode("latin-1") + b"\0\0")
        else:
            family, kind = (socket.AF_INET6, 4) if ":" in found else (socket.AF_INET, 1)
            stream.sendall(struct.pack("!BBBB", 5, 0, 0, kind) + socket.inet_pton(family, found) + b"\0\0")

    def _serve_dns(self, stream, target):
        """A resolver at `target`: `resolver` makes the answer to each message, or None to close."""
        stream.sendall(struct.pack("!BBBB4sH", 5, 0, 0, 1, b"\0\0\0\0", 0))
        message = self._exactly(stream, struct.unpack("!H", self._exactly(stream, 2))[0])
        answer = self.resolver(target, message)
        if answer is not None:
            whole = struct.pack("!H", len(answer)) + answer
            stream.sendall(whole[:1])
            stream.sendall(whole[1:])

    def _serve(self, stream):
        with stream:
            try:
                self._negotiate(stream)
            except (EOFError, OSError):
                pass

    def _negotiate(self, stream):
        version, count = self._exactly(stream, 2)
        methods = self._exactly(stream, count)
        if version != 5 or 2 not in methods:
            return
        stream.sendall(b"\x05\x02")
        self._exactly(stream, 1)
        username = self._exactly(stream, self._exactly(stream, 1)[0]).decode()
        password = self._exactly(stream, self._exactly(stream, 1)[0]).decode()
        stream.sendall(b"\x01\x00")
        command, kind = struct.unpack("!xBxB", self._exactly(stream, 4))
        if kind == 1:
            target = socket.inet_ntop(socket.AF_INET, self._exactly(stream, 4))
        elif kind == 3:
            target = self._exactly(stream, self._exactly(stream, 1)[0]).decode()
        else:
            target = socket.inet_ntop(socket.AF_INET6, self._exactly(stream, 16))
        port = struct.unpack("!H", self._exactly(stream, 2))[0]
        self.requests.append((username, password, target, port))
        if command in (0xF0, 0xF1):
            self._resolve(stream, command, target)
            return
        if port in ODD:
            stream.sendall(ODD[port])
            return
        if port == 53:
            self._serve_dns(stream, target)
            return
        service = SERVICES.get(port) if command == 1 else None
        code = 0 if service else 4 if port == 113 else 5
        stream.sendall(struct.pack("!BBBB4sH", 5, code, 0, 1, b"\0\0\0\0", 0))
        if service:
            service(stream)
