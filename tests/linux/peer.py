#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What runs on either end of the bad link, on the kernel's own sockets. Reports are one line of JSON.

    peer.py transfer ADDRESS FLOWS SIZE SEED   so many flows each way at once; is every byte right, was there a stall
    peer.py drain ADDRESS FLOWS SKIP SECONDS   so many endless downloads; bytes that came in SECONDS after SKIP
    peer.py serve ADDRESS                      the services below on TCP, until standard input ends
"""

import hashlib
import json
import random
import socket
import sys
import threading
import time

SEND, TAKE, STREAM = 2001, 2002, 2003
TCP_CONGESTION = 13


def content(size, seed):
    return random.Random(seed).randbytes(size)


def read_all(stream):
    """(SHA-256 in hex, bytes, longest silence in seconds) until the end."""
    digest, count, silence, last = hashlib.sha256(), 0, 0.0, time.monotonic()
    while piece := stream.recv(65536):
        now = time.monotonic()
        silence, last = max(silence, now - last), now
        digest.update(piece)
        count += len(piece)
    return digest.hexdigest(), count, silence


def read_line(stream):
    line = b""
    while not line.endswith(b"\n") and (piece := stream.recv(1)):
        line += piece
    return line.decode()


def serve_send(stream):
    """"SIZE SEED": that content."""
    size, seed = map(int, read_line(stream).split())
    stream.sendall(content(size, seed))


def serve_take(stream):
    """"SIZE", then so many bytes: what came, as read_all() says it."""
    size = int(read_line(stream))
    digest, count, silence, last = hashlib.sha256(), 0, 0.0, time.monotonic()
    while count < size and (piece := stream.recv(65536)):
        now = time.monotonic()
        silence, last = max(silence, now - last), now
        digest.update(piece)
        count += len(piece)
    stream.sendall(json.dumps([digest.hexdigest(), count, silence]).encode())


def serve_stream(stream):
    block = b"\0" * 65536
    while True:
        stream.sendall(block)


SERVICES = {SEND: serve_send, TAKE: serve_take, STREAM: serve_stream}


def use_cubic(sock):
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"cubic")


def connect(address, port):
    sock = socket.socket()
    use_cubic(sock)
    sock.settimeout(30)
    sock.connect((address, port))
    return sock


def download(address, size, seed):
    with connect(address, SEND) as sock:
        sock.sendall(b"%d %d\n" % (size, seed))
        return read_all(sock)


def upload(address, size, seed):
    with connect(address, TAKE) as sock:
        sock.sendall(b"%d\n" % size + content(size, seed))
        return json.loads(read_answer(sock))


def read_answer(sock):
    answer = b""
    while piece := sock.recv(4096):
        answer += piece
    return answer


def transfer(address, flows, size, seed):
    results = []

    def one(way, number):
        begin = time.monotonic()
        report = {"way": way.__name__, "seed": number}
        try:
            digest, count, silence = way(address, size, number)
            right = hashlib.sha256(content(size, number)).hexdigest()
            report.update(count=count, equal=digest == right, silence=round(silence, 3))
        except (OSError, ValueError) as error:
            report.update(error=repr(error), equal=False, silence=0)
        report["seconds"] = round(time.monotonic() - begin, 3)
        results.append(report)

    threads = [threading.Thread(target=one, args=(way, seed + k)) for k in range(flows) for way in (download, upload)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def drain(address, flows, skip, seconds):
    """Bytes in the time, over all flows."""
    begin = time.monotonic() + skip
    counts = [0] * flows

    def one(k):
        with connect(address, STREAM) as sock:
            while (now := time.monotonic()) < begin + seconds:
                piece = sock.recv(1 << 16)
                if now >= begin:
                    counts[k] += len(piece)

    threads = [threading.Thread(target=one, args=(k,)) for k in range(flows)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def serve(address):
    def answer(service, stream):
        with stream:
            try:
                service(stream)
            except OSError:
                pass

    def listen(port, service):
        with socket.create_server((address, port), backlog=128) as listener:
            use_cubic(listener)
            while True:
                stream, _ = listener.accept()
                threading.Thread(target=answer, args=(service, stream), daemon=True).start()

    for port, service in SERVICES.items():
        threading.Thread(target=listen, args=(port, service), daemon=True).start()
    sys.stdin.read()


def main():
    mode, address, *numbers = sys.argv[1:]
    if mode == "serve":
        serve(address)
    elif mode == "transfer":
        print(json.dumps(transfer(address, *map(int, numbers))))
    else:
        print(json.dumps(drain(address, int(numbers[0]), *map(float, numbers[1:]))))


if __name__ == "__main__":
    main()
