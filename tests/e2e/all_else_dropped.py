# SPDX-License-Identifier: BSD-3-Clause
"""UDP, ICMP, IPv6, fragments and noise: dropped, counted, and gone from the world."""

import re
import socket
import struct
import time

from scenario import check, plan, scenario
from lab import net, proc

_ETH_P_ALL = 3


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~(total % 0xFFFF) & 0xFFFF


def _ipv4(protocol, payload, flags=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, flags, 64, protocol, 0,
                       socket.inet_aton(plan.WORKSTATION), socket.inet_aton(plan.WEB))
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + payload


def _ipv6(following, payload):
    return (struct.pack("!IHBB", 6 << 28, len(payload), following, 64)
            + socket.inet_pton(socket.AF_INET6, "2001:db8:99::1")
            + socket.inet_pton(socket.AF_INET6, plan.WEB6) + payload)


def _frames():
    datagram = struct.pack("!HHHH", 40000, plan.UDP_COUNTER, 12, 0) + b"leak"
    yield 0x0800, _ipv4(17, datagram)
    yield 0x0800, _ipv4(17, datagram, 0x2000)  # a first fragment
    yield 0x0800, _ipv4(17, b"middle..", 0x2010)  # one from the middle
    yield 0x0800, _ipv4(132, b"\0" * 32)  # SCTP
    yield 0x0800, _ipv4(47, b"\0" * 32)  # GRE
    yield 0x86DD, _ipv6(17, datagram)
    yield 0x86DD, _ipv6(58, struct.pack("!BBHI", 128, 0, 0, 1))  # an echo request
    yield 0x88B5, b"experimental" * 4
    yield 0x8100, b"\0\7\x08\0" + _ipv4(17, datagram)  # a VLAN's


def _neighbour(run):
    found = re.search(r"lladdr (\S+)", net.ip("-n", run.lab.ns("ws"), "neigh", "show", plan.GATEWAY))
    return found and bytes.fromhex(found.group(1).replace(":", ""))


@scenario()
def all_that_is_not_tcp_or_dns_is_dropped(run):
    counted = lambda: run.lab.run("web", ["curl", "-sS", "http://127.0.0.1/datagrams"]).stdout  # noqa: E731
    seen, before = counted(), run.gateway.counters()

    for address in (plan.WEB, plan.HOST, plan.DNS, plan.GATEWAY):
        peer = run.socket(kind=socket.SOCK_DGRAM)
        peer.sendto(b"leak", (address, plan.UDP_COUNTER))
        peer.close()
    ping = run.socket(kind=socket.SOCK_RAW, protocol=socket.IPPROTO_ICMP)
    echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    ping.sendto(echo[:2] + struct.pack("!H", _checksum(echo)) + echo[4:], (plan.WEB, 0))
    ping.close()

    gateway = proc.wait_for("the gateway's MAC in the workstation's table", lambda: _neighbour(run), 3)
    own = bytes.fromhex(net.link_address(run.lab.ns("ws"), "cloister0").replace(":", ""))
    raw = run.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("cloister0", _ETH_P_ALL))
    frames = list(_frames())
    for kind, payload in frames:
        raw.send(gateway + own + struct.pack("!H", kind) + payload)
    raw.close()

    time.sleep(0.5)
    after = run.gateway.counters()
    check(after["drops"] - before["drops"] >= len(frames),
          f"{len(frames) + 5} were sent, {after['drops'] - before['drops']} counted: {after}")
    check(sum(v for k, v in after.items() if k.startswith("drop_")) == after["drops"],
          f"the reasons do not add up: {after}")
    check(after["flows"] == before["flows"], "a flow was made of it")
    check(counted() == seen, "a datagram reached the far end")
    check(run.curl(f"http://{plan.WEB}/").stdout == plan.PAGE, "and afterwards no page")
