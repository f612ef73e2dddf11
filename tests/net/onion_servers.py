#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The servers of a workstation that offers onion services, over IPv4 and IPv6. Says "ready" on standard output when all of
them listen, and serves until it is ended."""

import hashlib
import socket
import struct
import threading
import time

DIGEST, ECHO, PEER, CLOSED, RESETTER, SLEEPER = 8080, 8081, 8082, 8083, 8084, 8085


def read_exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 18))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def serve_digest(sock):
    """A length and so many bytes; back come their SHA-256 and the bytes the other way round."""
    data = read_exactly(sock, struct.unpack("!Q", read_exactly(sock, 8))[0])
    sock.sendall(hashlib.sha256(data).digest() + data[::-1])


def serve_echo(sock):
    while piece := sock.recv(1 << 16):
        sock.sendall(piece)


def serve_peer(sock):
    sock.sendall(" ".join(str(word) for word in sock.getpeername()[:2]).encode())


def serve_reset(sock):
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve_sleep(sock):
    time.sleep(2)
    count = 0
    while piece := sock.recv(1 << 18):
        count += len(piece)
        if piece.endswith(b"."):
            break
    sock.sendall(struct.pack("!Q", count))


SERVICES = {DIGEST: serve_digest, ECHO: serve_echo, PEER: serve_peer, RESETTER: serve_reset, SLEEPER: serve_sleep}


def handle(function, sock):
    with sock:
        try:
            function(sock)
        except (OSError, EOFError):
            pass


def accept(listener, function):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=handle, args=(function, sock), daemon=True).start()


def main():
    threads = []
    for port, function in SERVICES.items():
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
        threads.append(threading.Thread(target=accept, args=(listener, function), daemon=True))
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    threads[0].join()


if __name__ == "__main__":
    main()
