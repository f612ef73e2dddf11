# SPDX-License-Identifier: BSD-3-Clause
"""What crossed the uplink: frames between the host and relays, the uplink's own neighbour discovery,
and everything else, which is a leak.

A packet socket in `host` sees both directions. Reading is one thread in this process; frames the kernel
had to drop for us are counted, because an incomplete capture proves nothing.
"""

import collections
import ipaddress
import socket
import struct
import threading

from lab import net, plan

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_SNAP = 160
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_TCP, _UDP, _ICMP6 = 6, 17, 58
_ND_TYPES = {130, 131, 132, 133, 134, 135, 136, 143}  # MLD and ND: a link's own business

_RELAY_ENDS = {(relay.address, plan.OR_PORT) for relay in plan.RELAYS} | {
    (relay.address, plan.DIR_PORT) for relay in plan.RELAYS if relay.authority}


class Capture:
    """Runs from the start of a `with` block to its end; reading the counts stops nothing."""

    snap = _SNAP  # bytes of a frame that are looked at

    def __init__(self, lab):
        self.relay_frames = self.link_frames = self.missed = 0
        self.relays = collections.Counter()  # nickname -> frames
        self.leaks, self.leak_count = [], 0  # the first hundred are described
        namespace = lab.ns("host")
        # Neighbour discovery is the uplink's own only from one of its two ends.
        self._ends = {bytes.fromhex(net.link_address(name, device).replace(":", ""))
                      for name, device in ((namespace, plan.UPLINK), (lab.ns("inet"), "host"))}
        self._link_ips = {plan.HOST, plan.LINKS[0].router.split("/")[0]}
        self._nicknames = {relay.address: relay.nickname for relay in plan.RELAYS}
        self._lock = threading.Lock()
        self._socket = net.call_in(namespace, self._open)
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    @staticmethod
    def _open():
        # Bound before it listens: a socket made for all protocols would already see other devices.
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        packet.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 128 << 20)
        packet.bind((plan.UPLINK, _ETH_P_ALL))
        packet.settimeout(0.1)
        return packet

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if not self._stopping:
            self._stopping = True
            self._thread.join()
            self._socket.close()

    @property
    def is_clean(self):
        return not self.leak_count and not self.missed

    def describe(self):
        text = f"{self.relay_frames} frames to and from relays, {self.leak_count} to anything else"
        if self.missed:
            text += f"; {self.missed} frames were missed"
        return "\n  ".join([text] + self.leaks[:20])

    def _read(self):
        while True:
            try:
                frame = self._socket.recv(self.snap)
            except TimeoutError:
                self._count_missed()
                if self._stopping:
                    return
                continue
            except OSError:
                return  # the namespace went away with its device
            with self._lock:
                self._classify(frame)

    def _count_missed(self):
        _, dropped = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.missed += dropped

    def _classify(self, frame):
        verdict = classify(frame, self._ends, self._link_ips)
        if verdict == "link":
            self.link_frames += 1
        elif verdict.startswith("relay "):
            self.relay_frames += 1
            self.relays[self._nicknames[verdict[6:]]] += 1
        else:
            self.leak_count += 1
            if len(self.leaks) < 100:
                self.leaks.append(verdict)


def classify(frame, ends, link_ips):
    """ "relay ADDRESS", "link", or a description of what should not be there."""
    if len(frame) < 14:
        return f"runt of {len(frame)} bytes"
    source, (kind,) = frame[6:12], struct.unpack_from("!H", frame, 12)
    if kind == _IPV4 and len(frame) >= 34:
        return _classify_ipv4(frame, source, ends)
    if kind == _ARP and len(frame) >= 42:
        asked = {socket.inet_ntoa(frame[28:32]), socket.inet_ntoa(frame[38:42])}
        if source in ends and frame[22:28] == source and asked <= link_ips:
            return "link"
        return f"ARP {' and '.join(sorted(asked))} from {source.hex(':')}"
    if kind == _IPV6 and len(frame) >= 54:
        return _classify_ipv6(frame, source, ends)
    return f"ethertype {kind:#06x} from {source.hex(':')}, {len(frame)} bytes or more"


def _classify_ipv4(frame, source, ends):
    header = (frame[14] & 15) * 4
    protocol, fragment = frame[23], struct.unpack_from("!H", frame, 20)[0] & 0x3FFF
    a, b = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    if protocol not in (_TCP, _UDP) or len(frame) < 14 + header + 4:
        return f"IPv4 {a} > {b} protocol {protocol}"
    ports = struct.unpack_from("!HH", frame, 14 + header)
    if protocol == _TCP and not fragment and source in ends:
        if a == plan.HOST and (b, ports[1]) in _RELAY_ENDS:
            return f"relay {b}"
        if b == plan.HOST and (a, ports[0]) in _RELAY_ENDS:
            return f"relay {a}"
    return f"IPv4 {a}:{ports[0]} > {b}:{ports[1]} {'TCP' if protocol == _TCP else 'UDP'}"


def _classify_ipv6(frame, source, ends):
    a, b = (ipaddress.ip_address(frame[at:at + 16]) for at in (22, 38))
    following, at = frame[20], 54
    if following == 0 and len(frame) > at + 8:  # MLD comes behind a hop-by-hop header
        following, at = frame[at], at + 8 * (frame[at + 1] + 1)
    if (following == _ICMP6 and len(frame) > at and frame[at] in _ND_TYPES and source in ends
            and (a.is_link_local or a.is_unspecified) and (b.is_link_local or b.is_multicast)):
        return "link"
    return f"IPv6 {a} > {b} protocol {following}"
