# SPDX-License-Identifier: BSD-3-Clause
"""DNS messages for the tests: made and read here, with nothing of the program under test."""

import dataclasses
import random
import socket
import struct

A, NS, SOA, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS, ANY = 1, 2, 6, 12, 15, 16, 28, 33, 41, 65, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
QR, TC, RD, RA, AD, CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010


def name(text):
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in text.split(".") if label) + b"\0"


def question(text, kind=A, klass=1):
    return name(text) + struct.pack("!2H", kind, klass)


def opt(size=1232, version=0, flags=0, options=b""):
    return b"\0" + struct.pack("!2HBBHH", OPT, size, 0, version, flags, len(options)) + options


def query(text="www.example.com", kind=A, klass=1, number=None, flags=RD, extra=b"", counts=(1, 0, 0, 0)):
    number = random.randrange(65536) if number is None else number
    return struct.pack("!6H", number, flags, *counts) + question(text, kind, klass) + extra


def with_opt(*args, text="www.example.com", kind=A, **kwargs):
    return query(text, kind, extra=opt(*args, **kwargs), counts=(1, 0, 0, 1))


@dataclasses.dataclass
class Record:
    owner: str
    kind: int
    klass: int
    ttl: int
    data: bytes
    text: str  # an address or a name, if it is one


@dataclasses.dataclass
class Answer:
    number: int
    flags: int
    question: bytes  # as it stands in the message
    sections: list
    size: int

    @property
    def opt(self):
        found = [record for record in self.sections[2] if record.kind == OPT]
        return found[0] if found else None

    @property
    def rcode(self):
        return self.flags & 15 | (self.opt.ttl >> 24 << 4 if self.opt else 0)

    @property
    def records(self):
        return self.sections[0]

    @property
    def texts(self):
        return [record.text for record in self.records]


def _read_name(data, at):
    labels, end, limit = [], None, len(data)
    while True:
        length = data[at]
        if length >= 0xC0:
            to = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            end = end or at + 2
            if to >= limit:
                raise ValueError("a pointer that does not go back")
            at = limit = to
        elif length == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(data[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length


def read(data):
    number, flags, *counts = struct.unpack_from("!6H", data)
    at = 12
    for _ in range(counts[0]):
        at = _read_name(data, at)[1] + 4
    asked, sections = data[12:at], []
    for count in counts[1:]:
        records = []
        for _ in range(count):
            owner, at = _read_name(data, at)
            kind, klass, ttl, length = struct.unpack_from("!2HIH", data, at)
            at += 10
            body, text = data[at:at + length], ""
            if len(body) != length:
                raise ValueError("a record beyond the end")
            if kind in (A, AAAA):
                text = socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, body)
            elif kind in (PTR, NS, 5):
                text = _read_name(data, at)[0]
            records.append(Record(owner, kind, klass, ttl, body, text))
            at += length
        sections.append(records)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the last record")
    return Answer(number, flags, asked, sections, len(data))


def ask_udp(server, message, seconds=3, family=socket.AF_INET):
    """The answer to a message, or None."""
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(seconds)
        peer.connect((server, 53))
        peer.send(message)
        try:
            return read(peer.recv(65535))
        except TimeoutError:
            return None


class Stream:
    """DNS over TCP."""

    def __init__(self, server, seconds=5, family=socket.AF_INET):
        self.peer = socket.socket(family, socket.SOCK_STREAM)
        self.peer.settimeout(seconds)
        self.peer.connect((server, 53))
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def is_refused(cls, server):
        try:
            cls(server).peer.close()
            return False
        except ConnectionRefusedError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def send(self, *messages):
        self.peer.sendall(b"".join(struct.pack("!H", len(each)) + each for each in messages))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.peer.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        return read(self._exactly(struct.unpack("!H", self._exactly(2))[0]))


def ask_tcp(server, message, seconds=5, family=socket.AF_INET):
    with Stream(server, seconds, family) as stream:
        stream.send(message)
        return stream.receive()
