# SPDX-License-Identifier: BSD-3-Clause
"""Each circuit serves one identity, also while a workstation sends in the name of others and more flows begin at once than
Tor makes circuits for at once (isolation.rate would have spread them over two minutes). What does not find room waits or
is refused; nothing is merged."""

import asyncio
import collections
import contextlib
import random
import socket
import struct
import threading
import time

from scenario import check, plan, scenario
from lab import net

FLOWS = 320
MINE = [f"10.152.152.{n}" for n in range(11, 17)]  # all of the workstation's own MAC address
THEIRS = "10.152.152.77"  # another's, who came first
LIMIT_S = 150


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _syn(source, port, seq):
    """An IPv4 packet with a SYN to the echo server."""
    src, dst = socket.inet_aton(source), socket.inet_aton(plan.WEB)
    tcp = struct.pack("!HHIIBBHHH", port, plan.ECHO, seq, 0, 5 << 4, 2, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", _checksum(src + dst + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, src, dst)
    return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + tcp


class Spoofer:
    """Frames of strangers, from a thread: the victim's address with our MAC address, ours with made-up MAC addresses,
    and from the ports that real flows use."""

    def __init__(self, run, gateway_mac, own_mac, victim_mac, ports):
        self._wire = run.lab.call("ws", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
        self._wire.bind(("cloister0", 0))
        self._macs = gateway_mac, own_mac, victim_mac
        self._ports, self.sent, self._stopping = ports, 0, False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._thread.join()
        self._wire.close()

    def _send(self):
        gateway, own, _ = self._macs
        while not self._stopping:
            made_up = bytes([2]) + random.randbytes(5)
            for mac, source in ((own, THEIRS), (made_up, random.choice(MINE)), (made_up, "203.0.113.9")):
                packet = _syn(source, random.choice(self._ports), random.getrandbits(32))
                with contextlib.suppress(OSError):
                    self.sent += self._wire.send(gateway + mac + b"\x08\x00" + packet) > 0
            time.sleep(0.002)


async def _talk(number, peer, counts):
    loop = asyncio.get_running_loop()
    sent = f"flow {number} ".encode() * 20
    try:
        await loop.sock_connect(peer, (plan.WEB, plan.ECHO))
        await loop.sock_sendall(peer, sent)
        got = b""
        while len(got) < len(sent):
            chunk = await loop.sock_recv(peer, 1 << 16)
            if not chunk:
                break
            got += chunk
    except OSError as error:
        counts[type(error).__name__] += 1
        return
    check(got == sent, f"flow {number} got {got[:30]!r}...")
    counts["complete"] += 1


async def _all(peers, counts):
    await asyncio.gather(*(_talk(number, peer, counts) for number, peer in enumerate(peers)))


def _victim_comes_first(run, gateway_mac):
    """Another workstation on the same wire takes its address, and so it is bound to it."""
    mac = bytes.fromhex("02000000004d")
    with run.lab.call("ws", socket.socket, socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("cloister0", 0))
        wire.send(gateway_mac + mac + b"\x08\x00" + _syn(THEIRS, 1, 1))
    return mac


@scenario({"limits": {"workstations": "64"}, "isolation": {"rate": "none"}})
def each_circuit_serves_one_identity_under_spoofing_and_overload(run):
    ws = run.lab.ns("ws")
    for address in MINE[1:]:
        net.ip("-n", ws, "addr", "add", f"{address}/18", "dev", "cloister0")
    run.curl(f"http://{plan.WEB}/")
    for address in MINE:  # whose it is first, has it
        with run.socket(kind=socket.SOCK_DGRAM) as asker:
            asker.bind((address, 0))
            asker.sendto(b"?", (plan.GATEWAY, 9))
    neighbours = run.lab.run("ws", ["ip", "neigh", "show", plan.GATEWAY], timeout=10).stdout
    gateway_mac = bytes.fromhex(neighbours.split("lladdr ")[1].split()[0].replace(":", ""))
    own_mac = bytes.fromhex(net.link_address(ws, "cloister0").replace(":", ""))
    victim_mac = _victim_comes_first(run, gateway_mac)

    peers, counts = [], collections.Counter()
    for number in range(FLOWS):
        peer = run.socket()
        peer.setblocking(False)
        # The same ports from several addresses: other identities all the same.
        peer.bind((MINE[number % len(MINE)], 30000 + number // len(MINE)))
        peers.append(peer)
    ports = [peer.getsockname()[1] for peer in peers]
    before = run.gateway.counters()
    with run.watch() as watch, Spoofer(run, gateway_mac, own_mac, victim_mac, ports) as spoofer:
        began = time.monotonic()
        asyncio.run(asyncio.wait_for(_all(peers, counts), LIMIT_S))
        taken = time.monotonic() - began
        flows = watch.wait_flows(counts["complete"], plan.ECHO)
        shared = watch.shared(flows)
        passwords = {flow.password for flow in flows}
    for peer in peers:
        peer.close()
    after = run.gateway.counters()
    dropped = after.get("drop_ip_source", 0) - before.get("drop_ip_source", 0)
    print(f"{FLOWS} flows at once in {taken:.1f} s: {dict(counts)}; {len(flows)} streams seen, {spoofer.sent} frames "
          f"spoofed, {dropped} of them dropped for their source")
    check(not shared, f"circuits with two identities: {shared}")
    check(len(passwords) == len(flows), f"{len(flows)} flows with {len(passwords)} credentials")
    check(len(flows) >= counts["complete"], f"Tor carried {len(flows)} of {counts['complete']} flows")
    check(counts["complete"] >= FLOWS * 9 // 10, f"hardly any came through: {dict(counts)}")
    check(dropped >= spoofer.sent // 2, f"only {dropped} of {spoofer.sent} spoofed frames were dropped")
