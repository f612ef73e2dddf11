# SPDX-License-Identifier: BSD-3-Clause
"""A workstation without a kernel: frames on its interface, and a TCP that does what it is told and nothing by itself."""

import itertools
import pathlib
import queue
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "attack"))
import frames  # pylint: disable=wrong-import-position

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
MAC = frames.mac("02:00:00:00:00:11")
SPACE = 1 << 32


def option_mss(value):
    return struct.pack("!BBH", 2, 4, value)


def option_scale(shift):
    return struct.pack("!BBBB", 3, 3, shift, 1)


def option_ts(value, echo=0):
    return struct.pack("!BBBBII", 1, 1, 8, 10, value % SPACE, echo % SPACE)


def option_sack(*blocks):
    flat = [edge % SPACE for block in blocks for edge in block]
    return struct.pack(f"!BBBB{len(flat)}I", 1, 1, 5, 2 + 4 * len(flat), *flat)


SACK_OK = b"\x04\x02\x01\x01"


class Segment:
    """What came, read by itself."""

    def __init__(self, header, source, target, data):
        self.at = time.monotonic()
        self.ip = header
        (self.source_port, self.port, self.seq, self.ack, offset, self.flags, self.window, _,
         self.urgent) = struct.unpack("!HHIIBBHHH", data[:20])
        size = offset >> 4 << 2
        self.options, self.order, self.payload = {}, [], data[size:]
        self.sound = frames.checksum(frames.pseudo_header(source, target, frames.TCP, len(data)) + data) == 0
        at = 20
        while at < size and data[at]:
            length = 1 if data[at] == 1 else data[at + 1]
            self.order.append(data[at])
            self.options[data[at]] = data[at + 2:at + length]
            at += length

    @property
    def mss(self):
        return struct.unpack("!H", self.options[2])[0]

    @property
    def ts(self):
        return struct.unpack("!II", self.options[8])

    @property
    def sack(self):
        edges = self.options.get(5, b"")
        return [struct.unpack("!II", edges[k:k + 8]) for k in range(0, len(edges), 8)]

    def has(self, flags):
        return self.flags & flags == flags

    def __repr__(self):
        names = "".join(name for bit, name in enumerate("FSRP.UEW") if self.flags >> bit & 1)
        return f"{names} {self.seq}+{len(self.payload)} ack {self.ack} win {self.window} {self.options}"


class Wire:
    """The interface; what comes for each port is put into that port's queue."""

    def __init__(self, device, here, there, gateway):
        self.here, self.there, self.gateway = here, there, gateway
        self.six = ":" in here
        self.gateway_mac = None
        self.ports = itertools.count(random.randrange(20000, 30000))
        self.queues = {}
        self.icmp = queue.Queue()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((device, 0))
        threading.Thread(target=self._listen, daemon=True).start()
        end = time.monotonic() + 5
        while self.gateway_mac is None and time.monotonic() < end:
            self._ask()
            time.sleep(0.1)

    def _ask(self):
        if self.six:
            group, group_mac = frames.solicited_node(self.gateway)
            body = frames.packed(self.gateway) + b"\x01\x01" + MAC
            message = frames.icmp6(self.here, group, 135, 0, 0, body)
            packet = frames.ipv6(self.here, group, frames.ICMP6, message, hops=255)
            self.socket.send(frames.ethernet(group_mac, MAC, frames.IPV6, packet))
        else:
            request = frames.arp(1, MAC, self.here, bytes(6), self.gateway)
            self.socket.send(frames.ethernet(b"\xff" * 6, MAC, frames.ARP, request))

    def _listen(self):
        while True:
            frame = self.socket.recv(1 << 17)
            if frame[6:12] == MAC:
                continue
            kind = frame[12:14]
            if kind == b"\x08\x06":
                self._arp(frame)
            elif kind == b"\x08\x00" and not self.six:
                length = struct.unpack("!H", frame[16:18])[0]
                self._packet(frame[14:34], frame[23], frame[26:30], frame[30:34], frame[34:14 + length])
            elif kind == b"\x86\xdd" and self.six:
                length = struct.unpack("!H", frame[18:20])[0]
                self._packet(frame[14:54], frame[20], frame[22:38], frame[38:54], frame[54:54 + length])

    def _arp(self, frame):
        if frame[21] == 2 and not self.six:
            self.gateway_mac = frame[22:28]
        elif frame[21] == 1 and frame[38:42] == frames.packed(self.here)[:4] and not self.six:
            answer = frames.arp(2, MAC, self.here, frame[22:28], frame[28:32])
            self.socket.send(frames.ethernet(frame[22:28], MAC, frames.ARP, answer))

    def _packet(self, header, protocol, source, target, data):
        if protocol == frames.TCP:
            segment = Segment(header, source, target, data)
            if segment.port in self.queues:
                self.queues[segment.port].put(segment)
        elif protocol == frames.ICMP6 and data[0] == 136:
            self.gateway_mac = data[26:32]
        elif protocol == frames.ICMP6 and data[0] == 135 and data[8:24] == frames.packed(self.here):
            body = frames.packed(self.here) + b"\x02\x01" + MAC
            message = frames.icmp6(self.here, source, 136, 0, 0x60000000, body)
            packet = frames.ipv6(self.here, source, frames.ICMP6, message, hops=255)
            self.socket.send(frames.ethernet(self.gateway_mac, MAC, frames.IPV6, packet))
        elif protocol in (frames.ICMP, frames.ICMP6):
            self.icmp.put(data)

    def send_ip(self, packet):
        self.socket.send(frames.ethernet(self.gateway_mac, MAC, frames.IPV6 if self.six else frames.IPV4, packet))

    def send(self, protocol, payload, **header):
        make = frames.ipv6 if self.six else frames.ipv4
        self.send_ip(make(self.here, self.there, protocol, payload, **header))

    def too_big(self, mtu, port, far_port, seq):
        """ICMP about a segment of the far end's (RFC 1191, RFC 4443)."""
        quote = struct.pack("!HHI", far_port, port, seq % SPACE)
        if self.six:
            inner = frames.ipv6(self.there, self.here, frames.TCP, quote + bytes(1400))
            self.send_ip(frames.ipv6(self.here, self.there, frames.ICMP6,
                                     frames.icmp6(self.here, self.there, 2, 0, mtu, inner[:1200])))
        else:
            inner = frames.ipv4(self.there, self.here, frames.TCP, quote, flags=2, total=1500)
            self.send(frames.ICMP, frames.icmp(3, 4, mtu, inner))


class Flow:
    """One connection. Numbers are relative to the two first ones."""

    def __init__(self, wire, far_port, port=None):
        self.wire, self.far_port = wire, far_port
        self.port = port or next(wire.ports)
        self.queue = wire.queues.setdefault(self.port, queue.Queue())
        self.isn = random.randrange(SPACE)
        self.far_isn = 0
        self.syn_ack = None
        self.ts = False
        self.clock = random.randrange(SPACE)
        self.echo = 0

    def raw(self, flags, payload=b"", *, seq=0, ack=0, window=512, options=b"", spoil=None, header=None):
        """seq and ack as they go on the wire; `spoil` changes the segment, `header` is for the IP header."""
        segment = frames.tcp(self.wire.here, self.wire.there, self.port, self.far_port, payload, flags=flags,
                             sequence=seq % SPACE, ack=ack % SPACE, window=window, options=options)
        if spoil is not None:
            segment = spoil(segment)
        self.wire.send(frames.TCP, segment, **(header or {}))

    def send(self, flags, seq, ack=1, payload=b"", *, window=512, options=b"", ts=0, **more):
        if self.ts and ts is not None:
            options = option_ts(self.clock + ts, self.echo) + options
        self.raw(flags, payload, seq=self.isn + seq, ack=self.far_isn + ack if flags & ACK else 0, window=window,
                 options=options, **more)

    def get(self, seconds=1.0, want=lambda segment: True):
        """The next segment that is wanted; None when the time is over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                segment = self.queue.get(timeout=left)
            except queue.Empty:
                break
            if 8 in segment.options:
                self.echo = segment.ts[0]
            segment.rel = (segment.seq - self.far_isn) % SPACE
            segment.rel_ack = (segment.ack - self.isn) % SPACE
            if want(segment):
                return segment
        return None

    def all(self, seconds):
        found = []
        end = time.monotonic() + seconds
        while (segment := self.get(end - time.monotonic())) is not None:
            found.append(segment)
        return found

    def syn(self, options=option_mss(1460), **more):
        self.raw(SYN, seq=self.isn, options=options, **more)
        self.syn_ack = self.get(3)
        assert self.syn_ack is not None, "no answer to SYN"
        assert self.syn_ack.has(SYN | ACK), f"answer to SYN: {self.syn_ack}"
        self.far_isn = self.syn_ack.seq
        return self.syn_ack

    def open(self, *, mss=1460, scale=7, sack=True, ts=False, window=512):
        options = option_mss(mss) if mss is not None else b""
        if scale is not None:
            options += option_scale(scale)
        if sack:
            options += SACK_OK
        if ts:
            options += option_ts(self.clock)
        self.syn(options, window=64240)
        self.ts = ts
        if ts:
            self.echo = self.syn_ack.ts[0]
        self.send(ACK, 1, 1, window=window)
        return self
