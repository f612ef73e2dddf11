# SPDX-License-Identifier: BSD-3-Clause
"""The attack matrix: what root in a workstation can put on the wire to get around the gateway.

Every probe has a number. It is its mark (mark()), which stands in clear in what it carries, so that wherever a frame
of it surfaces, whoever forwarded, answered, translated or wrapped it, it is found. It is also its source port, IP
identification and ICMP identifier, so that answers find back.

`expected` is what may come back to the workstation, in the words of judge.Answers; ANY where Tor decides. What may
appear on the uplink is always the same: nothing.
"""

import struct
import time
from dataclasses import dataclass

from frames import (ACK, ARP, FIN, ICMP, ICMP6, IPV4, IPV6, RST, SYN, TCP, UDP, arp, dns_query, ethernet, icmp, icmp6,
                    ipv4, ipv6, mac, packed, solicited_node, tcp, udp)
from lab import plan

SILENCE, ANY = "silence", "any"
# The host follows connections also in its bridge, and drops what does not fit into one that it still remembers: a
# run soon after another takes other ports.
FIRST_PORT = 20000 + int(time.time()) // 8 % 16 * 2600
HOST_PORT = 2222  # where the host listens, TCP and UDP
HOST_PORTS = (22, 80, 443, 9030, 9040, 9050, 9051, 9150, HOST_PORT)
SOCKS_PORTS = (9050, 9150)  # of those, where the gateway itself answers (isolation.socks_ports)

GATEWAY6, NETWORK6 = "fd19:c33d:88bc::10", "fd19:c33d:88bc::"
ME, ME6 = "10.152.152.77", f"{NETWORK6}77"
ROUTER = plan.LINKS[0].router.split("/")[0]
PRIVATE = "192.168.1.1"
BROADCAST_MAC = b"\xff" * 6

UDP_PORTS = (53, 67, 68, 69, 123, 137, 138, 161, 443, 500, 514, 1194, 1701, 1900, 3478, 4500, 5353, 5355, 33434, 51820,
             HOST_PORT)
LAN_MULTICAST = {5353: "224.0.0.251", 5355: "224.0.0.252", 1900: "239.255.255.250"}
ETHERTYPES = {
    "length 0": 0x0000, "length 64": 0x0040, "length 1500": 0x05DC, "X.25": 0x0805, "wake on LAN": 0x0842,
    "TRILL": 0x22F3, "batman": 0x4305, "DECnet": 0x6003, "RARP": 0x8035, "AppleTalk": 0x809B, "AARP": 0x80F3,
    "IPX": 0x8137, "MPLS": 0x8847, "MPLS multicast": 0x8848, "PPPoE discovery": 0x8863, "PPPoE session": 0x8864,
    "jumbo": 0x8870, "802.1X": 0x888E, "PROFINET": 0x8892, "AoE": 0x88A2, "local experiment": 0x88B5, "LLDP": 0x88CC,
    "MACsec": 0x88E5, "PTP": 0x88F7, "CFM": 0x8902, "FCoE": 0x8906, "loopback": 0x9000, "QinQ old": 0x9100,
    "reserved": 0xFFFF,
}
IP_OPTIONS = (0, 1, 7, 10, 11, 12, 15, 25, 30, 68, 82, 94, 130, 131, 133, 134, 136, 137, 142, 144, 145, 147, 148, 149,
              150, 151, 152, 158, 205, 222)


def mark(number):
    return b"\xc1\x0cLEAK%05d" % number


@dataclass(frozen=True)
class Probe:
    number: int
    group: str
    name: str
    frame: bytes
    expected: str


@dataclass(frozen=True)
class Ground:
    """What an attacker may know of where he stands, and more than he should."""

    gateway: bytes  # MAC address of the gateway
    mine: bytes  # MAC address the probes come from
    others: dict  # {name: MAC address} that frames are sent to as well: bridge, NIC, uplink
    tor: tuple  # (local port, relay address, relay port) of a connection of Tor's


class Matrix:
    def __init__(self, ground):
        self.ground, self.probes = ground, []
        for build in (_tcp, _udp, _protocols, _icmp, _forged_errors, _spoofed, _fragments, _options, _headers,
                      _ipv6, _icmp6, _extension_headers, _ethertypes, _arp, _addressed, _names):
            build(self)

    def add(self, group, name, make, expected=SILENCE, target=None):
        """`make` is called with the probe's number and mark, and returns (EtherType, payload) or a whole frame."""
        number = len(self.probes)
        made = make(number, mark(number))
        frame = made if isinstance(made, bytes) else ethernet(target or self.ground.gateway, self.ground.mine, *made)
        assert mark(number) in frame, name
        assert len(frame) <= 1514 and number < 2600, name
        self.probes.append(Probe(number, group, name, frame, expected))


def _ip(target, protocol, payload, number, source=ME, **fields):
    return IPV4, ipv4(source, target, protocol, payload, number=number, **fields)


def _tcp_to(target, port, source=ME, flags=SYN, fields=None):
    return lambda n, token: _ip(target, TCP, tcp(source, target, FIRST_PORT + n, port, token, flags=flags), n, source,
                                **(fields or {}))


def _udp_to(target, port, source=ME, head=b"", fields=None):
    return lambda n, token: _ip(target, UDP, udp(source, target, FIRST_PORT + n, port, head + token), n, source,
                                **(fields or {}))


def _ping(target, source=ME, fields=None):
    return lambda n, token: _ip(target, ICMP, icmp(8, 0, n << 16 | 1, token), n, source, **(fields or {}))


def _tcp6_to(target, port, source=ME6, flags=SYN):
    return lambda n, token: (IPV6, ipv6(source, target, TCP, tcp(source, target, FIRST_PORT + n, port, token,
                                                                 flags=flags)))


def _udp6_to(target, port, source=ME6):
    return lambda n, token: (IPV6, ipv6(source, target, UDP, udp(source, target, FIRST_PORT + n, port, token)))


def _tcp(m):
    internet = [(plan.WEB, port) for port in (plan.HTTP, 25, 443, plan.CLOSED)] + [(plan.DNS, 853)]
    for address, port in internet:
        m.add("TCP", f"SYN to the Internet, {address}:{port}", _tcp_to(address, port), ANY)
    m.add("TCP", "SYN to any resolver, port 53", _tcp_to(plan.DNS, 53), "SYN-ACK")
    for i in range(8):
        m.add("TCP", f"SYN with a timestamp, flow {i}", lambda n, token: _ip(plan.DNS, TCP, tcp(
            ME, plan.DNS, FIRST_PORT + n, 53, token, options=b"\x08\x0a\0\0\0\x01\0\0\0\0"), n), "SYN-ACK")
    for port in HOST_PORTS:
        m.add("TCP", f"SYN to the gateway's inner address, port {port}", _tcp_to(plan.GATEWAY, port),
              "SYN-ACK" if port in SOCKS_PORTS else "RST")
        # A public address to the gateway, and to Tor, whose exits look what is there (hostile.py does not let them).
        m.add("TCP", f"SYN to the host's outer address, port {port}", _tcp_to(plan.HOST, port), ANY)
    m.add("TCP", "SYN to the router behind the uplink", _tcp_to(ROUTER, 80), ANY)
    for relay in plan.RELAYS:
        for port in (plan.OR_PORT, plan.DIR_PORT):
            m.add("TCP", f"SYN to the relay {relay.nickname}:{port}", _tcp_to(relay.address, port), ANY)
    for address in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "0.0.0.1", "255.255.255.255", "10.152.191.255", "224.0.0.1",
                    "224.0.0.22", "239.255.255.250"):
        m.add("TCP", f"SYN to {address}", _tcp_to(address, 80), ANY if address == "10.152.191.255" else SILENCE)
    for address in ("169.254.169.254", "169.254.1.1", "10.0.0.1", "172.16.0.1", PRIVATE, "100.64.0.1", "192.0.0.8",
                    "10.192.0.1", "10.255.255.255", "10.152.152.12", ME, "240.0.0.1"):
        m.add("TCP", f"SYN to {address}", _tcp_to(address, 80), ANY)
    flags = {"no flag": 0, "FIN": FIN, "RST": RST, "RST ACK": RST | ACK, "ACK": ACK, "SYN ACK": SYN | ACK,
             "FIN ACK": FIN | ACK, "SYN FIN": SYN | FIN, "SYN RST": SYN | RST, "Xmas": 0x29, "all": 0xFF,
             "SYN ECE CWR": SYN | 0xC0}
    for name, bits in flags.items():
        for where, address, port in (("Internet", plan.WEB, plan.HTTP), ("relay", plan.RELAYS[0].address, plan.OR_PORT)):
            m.add("TCP", f"{name} to the {where}", _tcp_to(address, port, flags=bits), ANY)
    local, relay, port = m.ground.tor
    m.add("TCP", "RST from Tor's own socket to its relay", lambda n, token: (IPV4, ipv4(
        plan.HOST, relay, TCP, tcp(plan.HOST, relay, local, port, token, flags=RST), number=n)))
    m.add("TCP", "RST from the relay to Tor's own socket", lambda n, token: (IPV4, ipv4(
        relay, plan.HOST, TCP, tcp(relay, plan.HOST, port, local, token, flags=RST), number=n)))


def _udp(m):
    for port in UDP_PORTS:
        for where, address in (("the Internet", plan.WEB), ("the gateway", plan.GATEWAY), ("the host", plan.HOST),
                               ("a relay", plan.RELAYS[0].address), ("a private network", PRIVATE),
                               ("everybody", "255.255.255.255"), ("the segment", "10.152.191.255"),
                               ("a group", LAN_MULTICAST.get(port, "224.0.0.1"))):
            m.add("UDP", f"port {port} to {where}", _udp_to(address, port))
    m.add("UDP", "DHCP discover", lambda n, token: (IPV4, ipv4(
        "0.0.0.0", "255.255.255.255", UDP, udp("0.0.0.0", "255.255.255.255", 68, 67, struct.pack(
            "!BBBBIHH16x", 1, 1, 6, 0, n, 0, 0x8000) + m.ground.mine + bytes(10) + token.ljust(64, b"\0") + bytes(128)
            + b"\x63\x82\x53\x63\x35\x01\x01\xff"), number=n)), target=BROADCAST_MAC)


def _protocols(m):
    for protocol in range(256):
        if protocol not in (ICMP, TCP, UDP):
            m.add("IP protocols", f"protocol {protocol} to the Internet",
                  lambda n, token, p=protocol: _ip(plan.WEB, p, token, n))
    inner = lambda n, token: ipv4(ME, plan.WEB, UDP, udp(ME, plan.WEB, FIRST_PORT + n, 9, token))  # noqa: E731
    for name, protocol, head in (("IP in IP", 4, b""), ("GRE", 47, b"\0\0\x08\0"), ("ESP", 50, bytes(8)),
                                 ("AH", 51, b"\x04\x04" + bytes(22)), ("L2TP", 115, bytes(4)),
                                 ("IPComp", 108, b"\x04\0\0\0"), ("EtherIP", 97, b"\x30\0" + bytes(12) + b"\x08\0"),
                                 ("MPLS in IP", 137, b"\0\0\x11\x40")):
        for where, address in (("the host", plan.HOST), ("the gateway", plan.GATEWAY), ("the Internet", plan.WEB)):
            m.add("IP protocols", f"{name} to {where}",
                  lambda n, token, p=protocol, h=head, a=address: _ip(a, p, h + inner(n, token), n))
    m.add("IP protocols", "IPv6 in IP to the host", lambda n, token: _ip(
        plan.HOST, 41, ipv6(ME6, plan.WEB6, UDP, udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token)), n))
    for name, protocol, group in (("IGMP join", 2, "224.0.0.22"), ("OSPF hello", 89, "224.0.0.5"),
                                  ("PIM hello", 103, "224.0.0.13"), ("VRRP", 112, "224.0.0.18"),
                                  ("EIGRP", 88, "224.0.0.10")):
        m.add("IP protocols", name, lambda n, token, p=protocol, g=group: _ip(g, p, b"\x22" + bytes(7) + token, n),
              target=b"\x01\x00\x5e" + packed(group)[1:])


def _icmp(m):
    for kind in range(256):
        m.add("ICMP", f"type {kind} to the Internet",
              lambda n, token, k=kind: _ip(plan.WEB, ICMP, icmp(k, 0, n << 16 | 1, token), n))
    m.add("ICMP", "echo to the gateway", _ping(plan.GATEWAY), "echo reply")
    for where, address in (("the host", plan.HOST), ("a relay", plan.RELAYS[0].address), ("everybody", "255.255.255.255"),
                           ("the segment", "10.152.191.255"), ("a group", "224.0.0.1"), ("loopback", "127.0.0.1"),
                           ("a private network", PRIVATE), ("a virtual address", "10.192.0.1")):
        m.add("ICMP", f"echo to {where}", _ping(address))
    for name, kind in (("timestamp", 13), ("information", 15), ("address mask", 17), ("router solicitation", 10),
                       ("extended echo", 42)):
        m.add("ICMP", f"{name} request to the gateway", lambda n, token, k=kind: _ip(
            plan.GATEWAY, ICMP, icmp(k, 0, n << 16 | 1, token), n))


def _quoted(m, token):
    """The head of a packet that Tor sent, as an error on its way would quote it."""
    local, relay, port = m.ground.tor
    return ipv4(plan.HOST, relay, TCP, tcp(plan.HOST, relay, local, port, token, flags=ACK), number=1)


def _forged_errors(m):
    relay = m.ground.tor[1]
    kinds = [(3, code) for code in range(16)] + [(4, 0)] + [(5, code) for code in range(4)]
    kinds += [(11, 0), (11, 1), (12, 0), (12, 1)]
    for kind, code in kinds:
        rest = 68 if (kind, code) == (3, 4) else int.from_bytes(packed(ME), "big") if kind == 5 else 0
        for who, source, target in (("of the workstation", ME, plan.HOST), ("of the relay", relay, plan.HOST),
                                    ("of the workstation to the gateway", ME, plan.GATEWAY)):
            m.add("Forged errors", f"ICMP {kind}/{code} {who}, quoting Tor's connection",
                  lambda n, token, k=kind, c=code, r=rest, s=source, t=target: _ip(
                      t, ICMP, icmp(k, c, r, _quoted(m, token)), n, s))


def _spoofed(m):
    sources = {"the host": plan.HOST, "loopback": "127.0.0.1", "the gateway": plan.GATEWAY, "the Internet": plan.WEB,
               "nobody": "0.0.0.0", "a group": "224.0.0.1", "everybody": "255.255.255.255",
               "a relay": plan.RELAYS[0].address, "the router": ROUTER, "link-local": "169.254.7.7",
               "a private network": PRIVATE, "a virtual address": "10.192.0.1", "the segment": "10.152.191.255",
               "the network": "10.152.128.0", "class E": "240.0.0.1"}
    for who, source in sources.items():
        m.add("Spoofed", f"SYN from {who}", _tcp_to(plan.WEB, plan.HTTP, source))
        m.add("Spoofed", f"SYN to the host from {who}", _tcp_to(plan.HOST, HOST_PORT, source))
        m.add("Spoofed", f"DNS query from {who}", lambda n, token, s=source: _ip(
            plan.GATEWAY, UDP, udp(s, plan.GATEWAY, FIRST_PORT + n, 53, dns_query("www.lab.test", 1, n) + token), n, s))
        m.add("Spoofed", f"echo to the gateway from {who}", _ping(plan.GATEWAY, source))
        m.add("Spoofed", f"UDP to the Internet from {who}", _udp_to(plan.WEB, 9, source))
    for who, source in (("a group", b"\x01\x00\x5e\x00\x00\x01"), ("everybody", BROADCAST_MAC),
                        ("the gateway", m.ground.gateway)):
        m.add("Spoofed", f"echo with the MAC address of {who}", lambda n, token, s=source: ethernet(
            m.ground.gateway, s, IPV4, ipv4(ME, plan.GATEWAY, ICMP, icmp(8, 0, n << 16 | 1, token), number=n)))
    # An address that another workstation had first.
    m.add("Spoofed", "echo from another workstation's address", _ping(plan.GATEWAY, plan.WORKSTATION))


def _fragments(m):
    whole = {"TCP": (TCP, lambda n, token: tcp(ME, plan.WEB, FIRST_PORT + n, plan.HTTP, token)),
             "UDP": (UDP, lambda n, token: udp(ME, plan.WEB, FIRST_PORT + n, 9, token + bytes(8))),
             "ICMP": (ICMP, lambda n, token: icmp(8, 0, n << 16 | 1, token + bytes(8)))}
    shapes = {"first": (1, 0), "middle": (1, 3), "last": (0, 3), "first, may not be split": (3, 0), "far": (0, 8191),
              "just behind the ports": (0, 1), "evil bit": (4, 0), "evil bit, first": (5, 0)}
    for what, (protocol, make) in whole.items():
        for shape, (flags, offset) in shapes.items():
            expected = ANY if shape == "evil bit" and what == "TCP" else SILENCE
            m.add("Fragments", f"{what}: {shape}", lambda n, token, p=protocol, k=make, f=flags, o=offset: _ip(
                plan.WEB, p, k(n, token), n, flags=f, offset=o), expected)
        m.add("Fragments", f"{what}: tiny first, the rest overlaps it", lambda n, token, p=protocol, k=make: _ip(
            plan.WEB, p, k(n, token), n, flags=1, offset=0, total=28))


def _options(m):
    via = {"the host": plan.HOST, "the gateway": plan.GATEWAY, "a relay": plan.RELAYS[0].address}
    for kind in IP_OPTIONS:
        body = bytes([kind]) if kind < 2 else bytes([kind, 8, 5]) + bytes(5)
        m.add("IP options", f"option {kind}, UDP to the Internet", _udp_to(plan.WEB, 9, fields={"options": body}))
        m.add("IP options", f"option {kind}, echo to the gateway", _ping(plan.GATEWAY, fields={"options": body}), ANY)
    for name, kind in (("loose", 131), ("strict", 137)):
        for who, address in via.items():
            option = bytes([kind, 7, 4]) + packed(plan.WEB)
            for what, make in (("UDP", _udp_to), ("SYN", _tcp_to)):
                m.add("IP options", f"{name} source route by way of {who}, {what}",
                      make(address, 80, fields={"options": option}))
    for name, option in (("too long", b"\x07\x28\x04" + bytes(5)), ("of length 0", b"\x07\x00\x04\x00"),
                         ("of length 1", b"\x44\x01\x05\x00"), ("cut off", b"\x01\x01\x01\x07")):
        m.add("IP options", f"an option {name}", _udp_to(plan.WEB, 9, fields={"options": option}))


def _headers(m):
    shapes = {f"TTL {ttl}": {"ttl": ttl} for ttl in (0, 1, 2, 255)}
    shapes |= {f"version {version}": {"version": version} for version in range(16) if version != 4}
    shapes |= {f"header of {words} words": {"words": words} for words in (0, 1, 4, 6, 15)}
    shapes |= {f"total length {total}": {"total": total} for total in (0, 1, 19, 20, 21, 27, 1500, 65535)}
    shapes |= {"wrong checksum": {"wrong_checksum": True}, "every DSCP": {"tos": 0xFC}, "ECN CE": {"tos": 3}}
    for shape, fields in shapes.items():
        m.add("IP headers", f"{shape}: UDP to the Internet", _udp_to(plan.WEB, 9, fields=fields))
        m.add("IP headers", f"{shape}: echo to the Internet", _ping(plan.WEB, fields=fields))
        m.add("IP headers", f"{shape}: SYN to the Internet", _tcp_to(plan.WEB, plan.HTTP, fields=fields), ANY)
    # Whoever passes these on has to say why he cannot, and names the uplink's MTU.
    for where, address in (("the Internet", plan.WEB), ("a relay", plan.RELAYS[0].address)):
        m.add("IP headers", f"1480 bytes that may not be split: UDP to {where}",
              _udp_to(address, 9, head=bytes(1440), fields={"flags": 2}))
    m.add("IP headers", "1490 bytes of IPv6: UDP to the Internet", lambda n, token: (IPV6, ipv6(
        ME6, plan.WEB6, UDP, udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token + bytes(1430)))))


def _ipv6(m):
    places = {"the Internet": plan.WEB6, "loopback": "::1", "nobody": "::", "all nodes": "ff02::1",
              "all routers": "ff02::2", "mDNS": "ff02::fb", "DHCPv6": "ff02::1:2", "site group": "ff05::1:3",
              "global group": "ff0e::1", "IPv4-mapped": f"::ffff:{plan.WEB}", "IPv4-compatible": f"::{plan.WEB}",
              "mapped loopback": "::ffff:127.0.0.1", "6to4": "2002:c612:5050::1", "Teredo": "2001:0:c612:5050::1",
              "NAT64": f"64:ff9b::{plan.WEB}", "ISATAP": "fe80::5efe:c612:5050", "link-local": "fe80::1",
              "site-local": "fec0::1", "private": "fd00::1", "a relay": plan.RELAYS[0].address6,
              "documentation": "2001:db8::1", "discard": "100::1", "the gateway": GATEWAY6, "itself": ME6}
    for where, address in places.items():
        m.add("IPv6", f"SYN to {where}", _tcp6_to(address, 80), ANY)
        m.add("IPv6", f"echo to {where}", lambda n, token, a=address: (IPV6, ipv6(
            ME6, a, ICMP6, icmp6(ME6, a, 128, 0, n << 16 | 1, token))), ANY if where == "the gateway" else SILENCE)
        for port in (53, 123, 443, 547, 5353):
            m.add("IPv6", f"UDP port {port} to {where}", _udp6_to(address, port))
    for who, address in places.items():
        if who not in ("itself", "link-local", "ISATAP"):
            m.add("IPv6", f"SYN from {who}", _tcp6_to(plan.WEB6, 80, address))
            m.add("IPv6", f"UDP from {who}", _udp6_to(plan.WEB6, 9, address))
    for name, fields in (("hop limit 0", {"hops": 0}), ("hop limit 1", {"hops": 1}), ("a flow label", {"label": 0xFFFFF}),
                         ("version 4", {"version": 4}), ("version 0", {"version": 0}), ("length 0", {"length": 0}),
                         ("length too great", {"length": 1400}), ("length too small", {"length": 7})):
        m.add("IPv6", f"{name}: UDP to the Internet", lambda n, token, f=fields: (IPV6, ipv6(
            ME6, plan.WEB6, UDP, udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token), **f)))
    m.add("IPv6", "DHCPv6 solicit", lambda n, token: (IPV6, ipv6(
        "fe80::77", "ff02::1:2", UDP, udp("fe80::77", "ff02::1:2", 546, 547, b"\x01" + struct.pack("!I", n)[1:] + token))),
        target=b"\x33\x33\x00\x01\x00\x02")


def _icmp6(m):
    for kind in range(256):
        m.add("ICMPv6", f"type {kind} to the Internet", lambda n, token, k=kind: (IPV6, ipv6(
            ME6, plan.WEB6, ICMP6, icmp6(ME6, plan.WEB6, k, 0, n << 16 | 1, token))))
    local, all_nodes, all_routers = "fe80::77", "ff02::1", "ff02::2"
    option = b"\x01\x01" + m.ground.mine  # source link-layer address
    for name, target, kind, rest, body in (
            ("router solicitation", all_routers, 133, 0, option),
            ("router advertisement", all_nodes, 134, 0x40000708, bytes(8) + option + b"\x05\x01\0\0\0\0\x05\0"),
            ("neighbour advertisement of the gateway's address", all_nodes, 136, 0x20000000, packed(GATEWAY6) + b"\x02\x01"
             + m.ground.mine),
            ("redirect", GATEWAY6, 137, 0, packed(local) + packed(plan.WEB6)),
            ("MLD report", "ff02::16", 143, 1, b"\x04\0\0\0" + packed("ff0e::1")),
            ("node information query", GATEWAY6, 139, 2, bytes(8) + packed(GATEWAY6)),
            ("mobile prefix solicitation", GATEWAY6, 146, 0, b"")):
        m.add("ICMPv6", name, lambda n, token, t=target, k=kind, r=rest, b=body: (IPV6, ipv6(
            local, t, ICMP6, icmp6(local, t, k, 0, r, b + token), hops=255)), ANY)
    for kind, code in ((1, 0), (1, 4), (2, 0), (3, 0), (4, 0), (137, 0)):
        m.add("ICMPv6", f"error {kind}/{code} quoting a relay's packet", lambda n, token, k=kind, c=code: (IPV6, ipv6(
            ME6, GATEWAY6, ICMP6, icmp6(ME6, GATEWAY6, k, c, 1280 if k == 2 else 0, ipv6(
                plan.RELAYS[0].address6, plan.WEB6, TCP, token + bytes(20))))))


def _extension_headers(m):
    datagram = lambda n, token: udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token)  # noqa: E731
    headers = {"hop by hop": (0, b"\x11\0\x01\x04\0\0\0\0"), "router alert": (0, b"\x11\0\x05\x02\0\0\x01\0"),
               "jumbogram": (0, b"\x11\0\xc2\x04\0\x01\0\0"), "fragment, whole": (44, b"\x11\0\0\0\0\0\0\x01"),
               "fragment, first": (44, b"\x11\0\0\x01\0\0\0\x01"), "fragment, later": (44, b"\x11\0\0\x08\0\0\0\x01"),
               "destination options": (60, b"\x11\0\x01\x04\0\0\0\0"), "home address": (60, b"\x11\x02\xc9\x10" + packed(
                   plan.WEB6) + b"\x01\x02\0\0"), "authentication": (51, b"\x11\x04" + bytes(22)), "ESP": (50, bytes(8)),
               "mobility": (135, b"\x3b\0\0\0\0\0\0\0"), "HIP": (139, b"\x3b\0\0\0\0\0\0\0"),
               "shim6": (140, b"\x3b\0\0\0\0\0\0\0"), "none": (59, b""), "experiment": (253, b"\x11\0\0\0\0\0\0\0"),
               "unknown": (200, b""), "cut off": (0, b"\x11\xff\x01\x04\0\0\0\0"),
               "hop by hop twice": (0, b"\0\0\x01\x04\0\0\0\0\x11\0\x01\x04\0\0\0\0")}
    for kind in (0, 1, 2, 3, 4, 253):
        headers[f"routing type {kind}"] = (43, bytes([17, 2, kind, 1]) + bytes(4) + packed(plan.WEB6))
    headers["forty of destination options"] = (60, b"\x3c\0\x01\x04\0\0\0\0" * 39 + b"\x11\0\x01\x04\0\0\0\0")
    for name, (following, head) in headers.items():
        for where, address in (("the Internet", plan.WEB6), ("the gateway", GATEWAY6)):
            m.add("IPv6 headers", f"{name}, to {where}", lambda n, token, f=following, h=head, a=address: (IPV6, ipv6(
                ME6, a, f, h + datagram(n, token))))


def _ethertypes(m):
    inner = lambda n, token: ipv4(ME, plan.WEB, UDP, udp(ME, plan.WEB, FIRST_PORT + n, 9, token), number=n)  # noqa: E731
    for name, kind in ETHERTYPES.items():
        m.add("Link", f"{name} ({kind:#06x}) with a packet in it", lambda n, token, k=kind: (k, inner(n, token)))
    tag = struct.pack("!HH", 1, IPV4)
    wraps = {"VLAN 1": (0x8100, tag), "VLAN 0, priority 7": (0x8100, struct.pack("!HH", 0xE000, IPV4)),
             "VLAN 4095": (0x8100, struct.pack("!HH", 4095, IPV4)), "VLAN in VLAN": (0x8100, struct.pack(
                 "!HHHH", 1, 0x8100, 2, IPV4)), "QinQ": (0x88A8, struct.pack("!HHHH", 1, 0x8100, 2, IPV4)),
             "MPLS label": (0x8847, b"\0\x01\x01\x40"), "PPPoE session": (0x8864, b"\x11\0\0\x01\0\x40\0\x21"),
             "PPPoE discovery": (0x8863, b"\x11\x09\0\0\0\0"), "EAPOL start": (0x888E, b"\x01\x01\0\0"),
             "LLDP": (0x88CC, b"\x02\x07\x04"), "SNAP": (0x0100, b"\xaa\xaa\x03\0\0\0\x08\0"),
             "spanning tree": (0x0026, b"\x42\x42\x03\0\0\0\0\0"), "CDP": (0x0064, b"\xaa\xaa\x03\0\0\x0c\x20\0"),
             "loopback, forward": (0x9000, b"\0\0\x02\0" + m.ground.mine), "NSH": (0x894F, bytes(8))}
    groups = {"the gateway": m.ground.gateway, "everybody": BROADCAST_MAC, "STP": mac("01:80:c2:00:00:00"),
              "LLDP": mac("01:80:c2:00:00:0e"), "802.1X": mac("01:80:c2:00:00:03"), "CDP": mac("01:00:0c:cc:cc:cc")}
    for name, (kind, head) in wraps.items():
        for where, target in groups.items():
            m.add("Link", f"{name} to {where}", lambda n, token, k=kind, h=head: (k, h + inner(n, token)), target=target)
    m.add("Link", "IPv4 said to be IPv6", lambda n, token: (IPV6, inner(n, token)))
    m.add("Link", "IPv6 said to be IPv4", lambda n, token: (IPV4, ipv6(
        ME6, plan.WEB6, UDP, udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token))))
    m.add("Link", "a header and hardly more", lambda n, token: (IPV4, token))


def _arp(m):
    mine, nobody = m.ground.mine, bytes(6)
    for who, address in (("the gateway", plan.GATEWAY), ("the host", plan.HOST), ("the router", ROUTER),
                         ("the Internet", plan.WEB), ("loopback", "127.0.0.1"), ("nobody", "0.0.0.0"),
                         ("everybody", "255.255.255.255"), ("itself", ME), ("a neighbour", "10.152.152.12")):
        m.add("ARP", f"who has {who}?", lambda n, token, a=address: (ARP, arp(1, mine, ME, nobody, a, token)),
              "ARP" if who == "the gateway" else SILENCE, target=BROADCAST_MAC)
        m.add("ARP", f"{who} is at me", lambda n, token, a=address: (ARP, arp(2, mine, a, m.ground.gateway, plan.GATEWAY,
                                                                               token)))
        # Asking under the gateway's own address is a conflict, which it defends (RFC 5227).
        m.add("ARP", f"gratuitous for {who}", lambda n, token, a=address: (ARP, arp(1, mine, a, nobody, a, token)),
              ANY if who == "the gateway" else SILENCE, target=BROADCAST_MAC)
    m.add("ARP", "probe for the gateway's address (RFC 5227)", lambda n, token: (ARP, arp(
        1, mine, "0.0.0.0", nobody, plan.GATEWAY, token)), ANY, target=BROADCAST_MAC)
    for operation in (0, 3, 4, 5, 8, 9, 23, 65535):
        m.add("ARP", f"operation {operation}", lambda n, token, o=operation: (ARP, arp(
            o, mine, ME, nobody, plan.GATEWAY, token)), target=BROADCAST_MAC)
    group, target = solicited_node(GATEWAY6)
    m.add("ARP", "neighbour solicitation for the gateway", lambda n, token: (IPV6, ipv6(
        ME6, group, ICMP6, icmp6(ME6, group, 135, 0, 0, packed(GATEWAY6) + b"\x01\x01" + mine + b"\x0e\x03" + token
                                 + bytes(22 - len(token))), hops=255)), ANY, target=target)


def _addressed(m):
    """The same few packets to whoever might take them: this is how a bridge's own stack is reached."""
    targets = m.ground.others | {
        "everybody": BROADCAST_MAC, "an IPv4 group": mac("01:00:5e:00:00:01"), "an IPv6 group": mac("33:33:00:00:00:01"),
        "nobody": mac("02:de:ad:be:ef:01"), "zero": bytes(6)}
    packets = {}
    for where, address in (("the Internet", plan.WEB), ("the host", plan.HOST), ("a relay", plan.RELAYS[0].address),
                           ("the router", ROUTER), ("the gateway", plan.GATEWAY), ("loopback", "127.0.0.1"),
                           ("everybody", "255.255.255.255")):
        packets[f"SYN to {where}"] = _tcp_to(address, HOST_PORT if where == "the host" else plan.HTTP)
        packets[f"UDP to {where}"] = _udp_to(address, HOST_PORT)
        packets[f"echo to {where}"] = _ping(address)
        packets[f"DNS query to {where}"] = _udp_to(address, 53)
    packets["SYN to a relay's OR port"] = _tcp_to(plan.RELAYS[0].address, plan.OR_PORT)
    packets["SYN to the host, spoofed"] = _tcp_to(plan.HOST, HOST_PORT, plan.WEB)
    packets["UDP to everybody, from nobody"] = _udp_to("255.255.255.255", HOST_PORT, "0.0.0.0")
    packets["UDP6 to the Internet"] = _udp6_to(plan.WEB6, 9)
    packets["UDP6 to all nodes"] = _udp6_to("ff02::1", HOST_PORT, "fe80::77")
    packets["echo6 to all nodes"] = lambda n, token: (IPV6, ipv6("fe80::77", "ff02::1", ICMP6, icmp6(
        "fe80::77", "ff02::1", 128, 0, n << 16 | 1, token), hops=255))
    packets["ARP for the host"] = lambda n, token: (ARP, arp(1, m.ground.mine, ME, bytes(6), plan.HOST, token))
    packets["protocol 41 to the host"] = lambda n, token: _ip(plan.HOST, 41, ipv6(
        ME6, plan.WEB6, UDP, udp(ME6, plan.WEB6, FIRST_PORT + n, 9, token)), n)
    # What is not for the host it does not look at closely enough to see that the source is wrong, but it looks at options.
    for name, option in (("a bad option", b"\x07\x28\x04" + bytes(5)), ("a cut option", b"\x01\x01\x01\x07"),
                         ("a bad route", b"\x83\x07\x02" + bytes(5)), ("a bad security label", b"\x86\x03\0\0")):
        packets[f"{name} to the Internet"] = _udp_to(plan.WEB, 9, fields={"options": option})
        packets[f"{name} to the host"] = _ping(plan.HOST, fields={"options": option})
        packets[f"{name} to the Internet, from the Internet"] = _udp_to(plan.DNS, 9, plan.WEB, fields={"options": option})
    for group in range(16):
        who = f"reserved group {group:02x}"
        for what in ("UDP to the host", "echo to the host", "SYN to the host", "UDP to the Internet",
                     "a bad option to the Internet", "UDP6 to all nodes"):
            m.add("Reserved groups", f"{what}, in a frame to {who}", packets[what], SILENCE,
                  mac(f"01:80:c2:00:00:{group:02x}"))
    for who, target in targets.items():
        for what, make in packets.items():
            m.add("Frames to others", f"{what}, in a frame to {who}", make, SILENCE, target)


def _names(m):
    """Questions, with the mark behind the message or in the name; what is asked stays in the gateway."""
    for name, kind, klass in (("www.lab.test", 1, 1), ("www.lab.test", 28, 1), ("www.lab.test", 16, 1),
                              ("www.lab.test", 255, 1), ("version.bind", 16, 3), ("hostname.bind", 16, 3),
                              ("id.server", 16, 3), ("localhost", 1, 1), ("1.0.0.127.in-addr.arpa", 12, 1),
                              ("2.1.18.198.in-addr.arpa", 12, 1), ("a.root-servers.net", 252, 1), ("router.local", 1, 1),
                              ("use-application-dns.net", 1, 1), ("wpad", 1, 1)):
        for where, address in (("the gateway", plan.GATEWAY), ("any resolver", plan.DNS)):
            m.add("Names", f"{name} type {kind} class {klass} of {where}",
                  lambda n, token, q=name, k=kind, c=klass, a=address: _ip(a, UDP, udp(
                      ME, a, FIRST_PORT + n, 53, dns_query(f"{token[2:].decode()}.{q}", k, n, c) + token), n), ANY)
