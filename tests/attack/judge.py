# SPDX-License-Identifier: BSD-3-Clause
"""What became of the probes: on the uplink, where there must be nothing of them, and in the workstation, where what
comes back must be no more than an answer, and must tell nothing of the host.
"""

import collections
import re
import socket
import struct
import threading
import time

from frames import ACK, ARP, ICMP, ICMP6, IPV4, IPV6, RST, SYN, TCP, UDP
from lab import capture, net
from matrix import FIRST_PORT

_ETH_P_ALL, _OUTGOING, _SO_RCVBUFFORCE = 3, 4, 33
_MARK = re.compile(rb"LEAK(\d{5})")


class Uplink(capture.Capture):
    """The lab's capture, which tells Tor's frames from all others, and the marks in all of them: a frame to a relay
    that bears one is not Tor's, whatever it looks like."""

    snap = 2048

    def __init__(self, lab):
        self.marked = collections.Counter()  # number of the probe -> frames
        self.kept = []  # the first of those that should not be there, whole
        super().__init__(lab)

    def _classify(self, frame):
        before = self.leak_count
        super()._classify(frame)
        found = _MARK.findall(frame)
        for number in found:
            self.marked[int(number)] += 1
        if (found or self.leak_count > before) and len(self.kept) < 20:
            self.kept.append(frame)

    def describe(self):
        return "\n    ".join([super().describe()] + [frame.hex() for frame in self.kept])


class Answers:
    """Everything that reaches a device of the workstation, from the start of a `with` block to its end."""

    def __init__(self, lab, device):
        self.frames = []  # (unix time, frame)
        self.words = collections.defaultdict(collections.Counter)  # number of the probe -> word -> frames
        self.latest_asker = None  # number of the ARP or ND probe that was sent last
        self._socket = net.call_in(lab.ns("ws"), self._open, device)
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    @staticmethod
    def _open(device):
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        packet.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        packet.bind((device, _ETH_P_ALL))
        packet.settimeout(0.1)
        return packet

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._thread.join()
        self._socket.close()

    def _read(self):
        while True:
            try:
                frame, (_, _, kind, _, _) = self._socket.recvfrom(2048)
            except TimeoutError:
                if self._stopping:
                    return
                continue
            except OSError:
                return
            if kind != _OUTGOING:
                self.frames.append((time.time(), frame))
                number, word = self.attribute(frame)
                if number is not None:
                    self.words[number][word] += 1

    def attribute(self, frame):
        """(number of the probe, word) for what is an answer; (None, word) for the rest."""
        kind = struct.unpack_from("!H", frame, 12)[0]
        if kind == ARP and len(frame) >= 42:
            return (self.latest_asker, "ARP") if frame[21] == 2 else (None, "ARP request")
        if kind == IPV4 and len(frame) >= 34:
            return _of_payload(self, frame[23], frame[14 + (frame[14] & 15) * 4:], ICMP)
        if kind == IPV6 and len(frame) >= 54:
            return _of_payload(self, frame[20], frame[54:], ICMP6)
        return None, f"{kind:#06x}"


def _number(port):
    return port - FIRST_PORT if port >= FIRST_PORT else None


def _of_payload(answers, protocol, data, icmp):
    if protocol in (TCP, UDP) and len(data) >= 8:
        source, port = struct.unpack_from("!HH", data)
        if protocol == UDP:
            return _number(port), "DNS" if source == 53 else "UDP"
        flags = data[13]
        word = "RST" if flags & RST else "SYN-ACK" if flags & (SYN | ACK) == SYN | ACK else "TCP"
        return _number(port), word
    if protocol != icmp or len(data) < 8:
        return None, f"protocol {protocol}"
    kind, code = data[0], data[1]
    if kind == (0 if icmp == ICMP else 129):
        return struct.unpack_from("!H", data, 4)[0], "echo reply"
    if icmp == ICMP6 and kind in range(130, 138):
        solicited = kind == 136 and data[4] & 0x40
        return (answers.latest_asker, "NA") if solicited else (None, f"ICMPv6 {kind}")
    if icmp == ICMP and len(data) >= 28:
        return struct.unpack_from("!H", data, 12)[0], f"ICMP {kind}/{code}"
    if icmp == ICMP6 and len(data) >= 52:
        port = struct.unpack_from("!H", data, 48)[0]
        return _number(port), f"ICMPv6 {kind}/{code}"
    return None, f"ICMP {kind}/{code}"


def link_sizes(frame):
    """Every number in a frame that tells of an MTU: MSS, an ICMP error's, a router advertisement's."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == IPV4 and len(frame) >= 34:
        protocol, data = frame[23], frame[14 + (frame[14] & 15) * 4:]
    elif kind == IPV6 and len(frame) >= 54:
        protocol, data = frame[20], frame[54:]
    else:
        return []
    if protocol == TCP and len(data) >= 20:
        mss = _tcp_options(data[20:(data[12] >> 4) * 4]).get(2, b"")
        return [struct.unpack("!H", mss)[0]] if len(mss) == 2 else []
    if protocol == ICMP and data[:2] == b"\x03\x04" and len(data) >= 8:
        return [struct.unpack_from("!H", data, 6)[0]]
    if protocol == ICMP6 and data[:1] == b"\x02" and len(data) >= 8:
        return [struct.unpack_from("!I", data, 4)[0]]
    if protocol == ICMP6 and data[:1] == b"\x86":
        at, found = 16, []
        while at + 8 <= len(data) and data[at + 1]:
            if data[at] == 5:
                found.append(struct.unpack_from("!I", data, at + 4)[0])
            at += data[at + 1] * 8
        return found
    return []


def _tcp_options(options):
    """{kind: data}"""
    at, found = 0, {}
    while at + 1 < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        if options[at + 1] < 2:
            break
        found[options[at]] = options[at + 2:at + options[at + 1]]
        at += options[at + 1]
    return found


def clocks(frames):
    """For each flow that has timestamps (RFC 7323), by how many ms they are ahead of this machine's monotonic clock,
    roughly: what the flows' offsets are, if each has one of its own."""
    found = {}
    ahead = time.monotonic() - time.time()
    for when, frame in frames:
        if len(frame) < 54 or frame[12:15] != b"\x08\0\x45" or frame[23] != TCP:
            continue
        stamp = _tcp_options(frame[54:34 + (frame[46] >> 4) * 4]).get(8, b"")
        if len(stamp) == 8:
            now = int((when + ahead) * 1000)
            found.setdefault(frame[26:38], (struct.unpack_from("!I", stamp)[0] - now) & 0xFFFFFFFF)
    return list(found.values())


def disclosures(frames, secrets, mtu, asked):
    """What the frames [(unix time, frame)] tell of the host. `asked(frame)` is the probe's frame that this one
    answers, or None: what the workstation said itself may come back."""
    found = collections.Counter()
    clock = 0
    for when, frame in frames:
        question = asked(frame) or b""
        for what, secret in secrets.items():
            if secret in frame and secret not in question:
                found[what] += 1
        for size in link_sizes(frame):
            if 0 <= mtu - size <= 80:
                found["MTU of the uplink"] += 1
        if _tells_time(when, frame):
            clock += 1
    # Who knows a flow's clock shall know neither the host's nor that of another flow.
    offsets = sorted(clocks(frames))
    for before, after in zip([0] + offsets, offsets + [1 << 32]):
        if after - before < 10000:
            found["a clock of its timestamps"] += 1
    # Four bytes that happen to be the present second are seen about once in 100 MB.
    if clock > 1:
        found["host time"] = clock
    return found


def _tells_time(when, frame):
    for second in (int(when) - 1, int(when), int(when) + 1):
        for number in (second, second + 2208988800):
            if struct.pack("!I", number) in frame or struct.pack("<I", number) in frame:
                return True
        if str(second).encode() in frame:
            return True
    return time.strftime("%Y-%m-%d", time.gmtime(when)).encode() in frame or time.strftime(
        "%d %b %Y", time.gmtime(when)).encode() in frame
