# SPDX-License-Identifier: BSD-3-Clause
"""A TAP that stands alone in the host's namespace, and a gateway process that was taken over behind it: what it puts on
the TAP goes up into the stack of the host, which forwards, translates and believes every source. None of it may come
out at the uplink, and the host may not say a word on the TAP, for either would tell who it is.

    usage: alone.py --state LAB-STATE --binary CLOISTER-TAKEN-OVER
"""

import socket
import threading
import time

from frames import ARP, ICMP, ICMP6, IPV4, IPV6, TCP, UDP, arp, ethernet, icmp, icmp6, ipv4, ipv6, tcp, udp
from ground import check, hostile, judge, net, plan, proc, scenario
from lab.gateway import DEVICE
from matrix import HOST_PORT, mark

_MAGIC = b"cloister, you are mine: \xff"
_VNET = bytes(10)  # what stands in front of a frame on the TAP
_LIAR = b"\x02\0\0\0\0\x66"
_OUTSIDE, _OUTSIDE6 = plan.WEB, plan.WEB6


def _frames(mac):
    """[(name, frame)], each with the mark of its place in the list."""
    host, relay = plan.HOST, plan.RELAYS[0].address
    made = []

    def add(name, kind, packet, target=mac):
        made.append((name, ethernet(target, _LIAR, kind, packet(mark(len(made))))))

    for name, source in (("from outside", _OUTSIDE), ("from a workstation", plan.WORKSTATION), ("from the host", host)):
        add(f"echo to the host, {name}", IPV4, lambda m, s=source: ipv4(s, host, ICMP, icmp(8, 0, 1, m)))
        add(f"UDP to a port of the host, {name}", IPV4,
            lambda m, s=source: ipv4(s, host, UDP, udp(s, host, 999, HOST_PORT, m)))
        add(f"UDP to a closed port, {name}", IPV4, lambda m, s=source: ipv4(s, host, UDP, udp(s, host, 999, 998, m)))
        add(f"TCP to a port of the host, {name}", IPV4,
            lambda m, s=source: ipv4(s, host, TCP, tcp(s, host, 999, HOST_PORT, m)))
        add(f"UDP to be forwarded, {name}", IPV4,
            lambda m, s=source: ipv4(s, relay, UDP, udp(s, relay, 999, 9001, m)))
        add(f"echo that has run out of hops, {name}", IPV4,
            lambda m, s=source: ipv4(s, relay, ICMP, icmp(8, 0, 1, m), ttl=1))
        for target in (host, relay):
            add(f"a malformed option to {target}, {name}", IPV4,
                lambda m, s=source, t=target: ipv4(s, t, ICMP, icmp(8, 0, 1, m), options=b"\x83\x27\x04\0"))
    add("datagram from nobody to all", IPV4,
        lambda m: ipv4("0.0.0.0", "255.255.255.255", UDP, udp("0.0.0.0", "255.255.255.255", 68, HOST_PORT, m)),
        b"\xff" * 6)
    add("echo to loopback", IPV4, lambda m: ipv4(_OUTSIDE, "127.0.0.1", ICMP, icmp(8, 0, 1, m)))
    for source in (_OUTSIDE6, "fe80::66"):
        add(f"IPv6 echo to the host from {source}", IPV6, lambda m, s=source: ipv6(
            s, hostile.UPLINK6, ICMP6, icmp6(s, hostile.UPLINK6, 128, 0, 1, m)))
    add("IPv6 to be forwarded", IPV6, lambda m: ipv6(
        _OUTSIDE6, "2001:db8:16::17:1", UDP, udp(_OUTSIDE6, "2001:db8:16::17:1", 999, 9001, m)))
    for source in ("0.0.0.0", _OUTSIDE, plan.WORKSTATION):
        add(f"ARP for the host's address from {source}", ARP, lambda m, s=source: arp(
            1, _LIAR, s, bytes(6), host) + m, b"\xff" * 6)
    return made


def _open(everything):
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packet.bind((DEVICE, 3 if everything else 0))
    packet.settimeout(0.2)
    return packet


class _Words:
    """What the host's kernel itself says on the TAP."""

    def __init__(self, namespace):
        self.frames, self._stopping = [], False
        self._socket = net.call_in(namespace, _open, True)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._thread.join()
        self._socket.close()

    def _read(self):
        while not self._stopping:
            try:
                frame, (_, _, kind, _, _) = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if kind == socket.PACKET_OUTGOING and _MAGIC not in frame:
                self.frames.append(frame)


@scenario(started=False)
def a_gateway_that_was_taken_over_finds_no_host_behind_a_tap_that_stands_alone(run):
    run.gateway.binary = run.binary
    host_namespace = run.lab.ns("host")
    with hostile.Host(run.lab) as host, judge.Uplink(run.lab) as uplink:
        run.capture = uplink
        run.gateway.start()
        try:
            run.gateway.wait_ready()
            before = host.counted()
            mac = bytes.fromhex(net.link_address(host_namespace, DEVICE).replace(":", ""))
            frames = _frames(mac)
            wire = net.call_in(host_namespace, _open, False)
            with _Words(host_namespace) as words:
                for name, frame in frames:
                    wire.send(b"\xff" * 6 + b"\x02\0\0\0\0\x07" + b"\x88\xb5" + _MAGIC + _VNET + frame)
                # The log takes so many of a kind and no more.
                proc.wait_for("most to be said", lambda: len(run.gateway.log.events("said")) > len(frames) // 2, 10, 0.02,
                              run.gateway.log.path)
                time.sleep(1)  # for answers
            wire.close()
            said = run.gateway.log.events("said")
            counted = {name: count - before[name] for name, count in host.counted().items()}
            print(f"{len(frames)} frames; the host's kernel: {counted}; its listeners heard {len(host.heard)}; "
                  f"on the TAP it said {len(words.frames)}; uplink: {uplink.describe()}")
            for number, count in sorted(uplink.marked.items()):
                print(f"on the uplink, {count}: {frames[number][0]}")
            for frame in words.frames[:8]:
                print(f"said on the TAP: {frame.hex()}")
            check(all(one["failed"] == "no" for one in said), "a frame could not be put on the TAP")
            check(not uplink.marked, "a frame of the gateway's own came out at the uplink")
            check(uplink.is_clean, f"on the uplink: {uplink.describe()}")
            check(not host.heard, f"a service of the host was reached: {host.heard[:5]}")
            check(not counted["forwarded"] and not counted["entered"], f"the host's kernel took part: {counted}")
            check(not words.frames, "the host's kernel spoke on the TAP")
        finally:
            run.gateway.stop()
