#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Onion services among enemies: workstations that lie, keep silent, or want what is another's, and visitors in thousands.
Programs of the tests stand in the place of Tor and of the workstations. Everything happens in network namespaces that this
program makes, without a route out.

    onion_hostile.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import ipaddress
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import smoke
from onion import proxy_line
from onion_servers import CLOSED, ECHO, PEER, read_exactly

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "attack"))
import frames  # pylint: disable=wrong-import-position,wrong-import-order

FIN, SYN, RST, PSH, ACK = (1 << bit for bit in range(5))
SPACE = 1 << 32
LIAR, MUTE, VICTIM = "10.152.152.66", "10.152.152.67", "10.152.152.68"
MACS = {LIAR: "02:00:00:00:00:66", MUTE: "02:00:00:00:00:67", VICTIM: "02:00:00:00:00:68"}
THIEF = frames.mac("02:00:00:00:00:99")
RANGE = ipaddress.ip_network("10.64.0.0/10")

CONFIG = f"""
[onion "plain"]
port = 81, workstation = {smoke.WORKSTATION}:{ECHO}
port = 83, workstation = {smoke.WORKSTATION}:{CLOSED}
[onion "told"]
source = circuit
port = 82, workstation = {smoke.WORKSTATION}:{PEER}
[onion "liar"]
port = 80, workstation = {LIAR}:80
[onion "mute"]
flows = 4096
port = 80, workstation = {MUTE}:80
[onion "victim"]
port = 80, workstation = {VICTIM}:80
"""


class Station:
    """Workstations without a kernel, on one interface. They answer who asks for their addresses, and nothing else by
    themselves. `seen` holds (MAC, source, target, source port, port, flags, seq, ack, payload) of all that the gateway sent
    by TCP. While `refuses`, they end all that they hear of."""

    def __init__(self, namespace):
        self.seen, self.gateway_mac, self.refuses = [], None, False
        ready = threading.Event()
        threading.Thread(target=self._run, args=(namespace, ready), daemon=True).start()
        if not ready.wait(5):
            raise AssertionError("no interface")

    def _run(self, namespace, ready):
        smoke.enter_namespace(namespace)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.bind(("cloister0", 0))
        ready.set()
        ours = {frames.mac(text) for text in MACS.values()} | {THIEF}
        while True:
            try:
                frame = self.socket.recv(1 << 17)
            except OSError:  # the gateway is gone, and the link with it
                return
            if frame[6:12] in ours:
                continue
            if frame[12:14] == b"\x08\x06" and frame[21] == 1:
                self._answer(frame)
            elif frame[12:14] == b"\x08\x00" and frame[23] == frames.TCP:
                self._note(frame)

    def _answer(self, frame):
        wanted = socket.inet_ntoa(frame[38:42])
        if wanted in MACS and frame[28:32] == socket.inet_aton(smoke.GATEWAY):
            self.gateway_mac = frame[22:28]
            mac = frames.mac(MACS[wanted])
            self.socket.send(frames.ethernet(frame[22:28], mac, frames.ARP,
                                             frames.arp(2, mac, wanted, frame[22:28], frame[28:32])))

    def _note(self, frame):
        if self.gateway_mac is None:
            self.gateway_mac = frame[6:12] if frame[26:30] == socket.inet_aton(smoke.GATEWAY) else None
        if frame[6:12] != self.gateway_mac:
            return
        length = struct.unpack("!H", frame[16:18])[0]
        data = frame[34:14 + length]
        source_port, port, seq, ack, offset, flags = struct.unpack("!HHIIBB", data[:14])
        self.seen.append((frame[:6], socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34]), source_port, port,
                          flags, seq, ack, data[offset >> 4 << 2:]))
        if self.refuses and self.seen[-1][2] in MACS:
            self.tcp(self.seen[-1][2], self.seen[-1], RST | ACK, seq=ack, ack=seq + 1)

    def wait(self, want, seconds=5):
        """The first that is wanted of what was seen."""
        end, at = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            while at < len(self.seen):
                at += 1
                if want(*self.seen[at - 1]):
                    return self.seen[at - 1]
            time.sleep(0.01)
        return None

    def wait_syn(self, address):
        found = self.wait(lambda mac, source, target, sp, port, flags, *rest: target == address and flags == SYN)
        assert found is not None, f"no SYN for {address}"
        return found

    def tcp(self, address, syn, flags, *, seq=0, ack=0, payload=b"", mac=None, port=80, far_port=None):
        """A segment in answer to what wait_syn() gave."""
        segment = frames.tcp(address, syn[1], port, far_port or syn[3], payload, flags=flags, sequence=seq % SPACE,
                             ack=ack % SPACE)
        packet = frames.ipv4(address, syn[1], frames.TCP, segment)
        self.socket.send(frames.ethernet(self.gateway_mac, mac or frames.mac(MACS[address]), frames.IPV4, packet))


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-onion-"))
        cls.gateway = smoke.Gateway(cls.directory, f"data = {cls.directory}/data\nallow_private = yes\n{CONFIG}[log]\nidentities = yes\n")
        program = pathlib.Path(__file__).with_name("onion_servers.py")
        cls.servers = subprocess.Popen(["ip", "netns", "exec", cls.gateway.namespace, sys.executable, "-B", program],
                                       stdout=subprocess.PIPE)
        cls.servers.stdout.readline()
        cls.station = Station(cls.gateway.namespace)

    @classmethod
    def tearDownClass(cls):
        cls.servers.kill()
        cls.servers.wait()
        cls.servers.stdout.close()
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def setUp(self):
        self.station.seen.clear()
        self.station.refuses = False
        self.opened = []
        self.addCleanup(self.leave)

    def leave(self):
        """Whatever a test did, nothing of it is left, and the gateway lives."""
        for sock in self.opened:
            sock.close()
        self.station.refuses = True
        deadline = time.monotonic() + 20  # a SYN may be sent again only after eight seconds
        while self.gateway.counters()["active"] > 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.gateway.counters()["active"], 0)
        self.assertIsNone(self.gateway.process.poll(), self.gateway.log())

    def visit(self, name, port, first=b""):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        self.opened.append(sock)
        sock.connect(f"{self.directory}/data/onion/{name}.{port}")
        if first:
            sock.sendall(first)
        return sock

    def assert_waits(self, sock, seconds=0.3):
        sock.settimeout(seconds)
        with self.assertRaises(TimeoutError):
            sock.recv(1)
        sock.settimeout(20)

    def assert_echoes(self, seconds=2):
        began = time.monotonic()
        with self.visit("plain", 81, b"echo") as sock:
            self.assertEqual(read_exactly(sock, 4), b"echo")
        self.assertLess(time.monotonic() - began, seconds)

    def drops(self, reason):
        return self.gateway.counters().get(f"drop_{reason}", 0)

    def open(self, name, address):
        """A visitor whom the workstation takes: its socket, the SYN, and our next sequence number."""
        sock = self.visit(name, 80)
        syn = self.station.wait_syn(address)
        self.station.tcp(address, syn, SYN | ACK, seq=1000, ack=syn[6] + 1)
        self.assertIsNotNone(self.station.wait(lambda *s: s[2] == address and s[5] & (SYN | ACK) == ACK))
        return sock, syn, 1001

    def test_a_workstation_that_answers_nobody_keeps_no_visitor_of_another_out(self):
        self.visit("mute", 80)
        self.station.wait_syn(MUTE)  # it is known: from here on visitors wait for nothing but its answer
        for _ in range(700):
            self.visit("mute", 80)
        self.assert_echoes()
        self.assertGreater(self.drops("onion_limit"), 0)

    def test_what_does_not_answer_the_syn_neither_opens_nor_refuses(self):
        sock = self.visit("liar", 80, b"secret")
        syn = self.station.wait_syn(LIAR)
        right = syn[6] + 1
        lies = [(RST | ACK, {"ack": right + 1}), (RST | ACK, {"ack": right - 1}), (RST, {}), (RST, {"seq": 1, "ack": right}),
                (SYN | ACK, {"seq": 5, "ack": right + 1}), (SYN | ACK, {"seq": 5, "ack": 0}), (ACK, {"ack": right}),
                (FIN | ACK, {"ack": right}), (PSH | ACK, {"ack": right, "payload": b"I am the service"}), (0, {}), (FIN, {}),
                (PSH, {"payload": b"x" * 1000}), (255, {"ack": right ^ 1})]
        for flags, numbers in lies:
            self.station.tcp(LIAR, syn, flags, **numbers)
        # The right answer from a stranger's card, and from other ports.
        for flags in (SYN | ACK, RST | ACK):
            self.station.tcp(LIAR, syn, flags, seq=7, ack=right, mac=THIEF)
            self.station.tcp(LIAR, syn, flags, seq=7, ack=right, port=81)
            self.station.tcp(LIAR, syn, flags, seq=7, ack=right, far_port=syn[3] ^ 1)
        # ICMP about another number, and about what was never sent.
        for number in (0, right, syn[6] + 1000):
            quote = frames.ipv4(syn[1], LIAR, frames.TCP, struct.pack("!HHI", syn[3], 80, number % SPACE))
            packet = frames.ipv4(LIAR, syn[1], frames.ICMP, frames.icmp(3, 3, 0, quote))
            self.station.socket.send(frames.ethernet(self.station.gateway_mac, frames.mac(MACS[LIAR]), frames.IPV4, packet))
        self.assert_waits(sock)
        leaked = [s for s in self.station.seen if b"secret" in s[8]]
        self.assertEqual(leaked, [])
        self.station.tcp(LIAR, syn, SYN | ACK, seq=1000, ack=right)
        got = self.station.wait(lambda *s: s[2] == LIAR and s[8] == b"secret")
        self.assertIsNotNone(got)
        self.station.tcp(LIAR, syn, PSH | ACK, seq=1001, ack=right + 6, payload=b"welcome")
        self.assertEqual(read_exactly(sock, 7), b"welcome")

    def test_a_reset_ends_an_open_visit_only_with_the_exact_number(self):
        sock, syn, seq = self.open("liar", LIAR)
        for wrong in (seq + 1, seq - 1, seq + 30000, 0, random.randrange(SPACE)):
            self.station.tcp(LIAR, syn, RST, seq=wrong)
            self.station.tcp(LIAR, syn, SYN, seq=wrong)
        self.station.tcp(LIAR, syn, RST | ACK, seq=seq, ack=syn[6] + 1, mac=THIEF)
        self.station.tcp(LIAR, syn, PSH | ACK, seq=seq, ack=syn[6] + 99999, payload=b"of the future")
        self.assert_waits(sock)
        self.station.tcp(LIAR, syn, RST, seq=seq)
        self.assertEqual(sock.recv(1), b"")

    def test_an_address_that_somebody_has_is_not_another_ones_to_take(self):
        sock, _, _ = self.open("victim", VICTIM)
        before, mac = self.drops("ip_source"), self.station.gateway_mac
        gateway = socket.inet_aton(smoke.GATEWAY)
        claims = [frames.arp(2, THIEF, VICTIM, mac, gateway), frames.arp(1, THIEF, VICTIM, bytes(6), gateway),
                  frames.arp(2, THIEF, VICTIM, b"\xff" * 6, socket.inet_aton(VICTIM))]
        for claim in claims:
            for target in (mac, b"\xff" * 6):
                self.station.socket.send(frames.ethernet(target, THIEF, frames.ARP, claim))
        for _ in range(10):
            packet = frames.ipv4(VICTIM, smoke.FAR, frames.TCP, frames.tcp(VICTIM, smoke.FAR, 4000, 80))
            self.station.socket.send(frames.ethernet(mac, THIEF, frames.IPV4, packet))
        self.assert_waits(sock)
        self.station.seen.clear()
        self.visit("victim", 80)
        self.assertEqual(self.station.wait_syn(VICTIM)[0], frames.mac(MACS[VICTIM]))
        self.assertGreater(self.drops("ip_source"), before)
        self.assertEqual([s for s in self.station.seen if s[0] == THIEF], [])

    def test_nothing_of_a_visitor_goes_elsewhere_than_to_the_configured_place(self):
        rest = bytes(range(256)) * 4
        for number in [0, 1, 0xffff, 0x3fffff, 0x400000, 0x7fffffff, 0xffffffff] + random.sample(range(SPACE), 60):
            self.visit("told", 82, proxy_line(number) + rest)
            self.visit("told", 82, proxy_line(number, 22) + proxy_line(number) + rest)
            self.visit("plain", 81, proxy_line(number) + b"CONNECT 10.152.152.12:22\r\n\r\n\5\1\0" + rest)
        self.assert_echoes()
        places = {(smoke.WORKSTATION, PEER), (smoke.WORKSTATION, ECHO)}
        self.assertGreater(len(self.station.seen), 200)
        sources = set()
        for mac, source, target, source_port, port, *_ in self.station.seen:
            self.assertIn((target, port), places)
            self.assertNotIn(mac, [frames.mac(text) for text in MACS.values()] + [THIEF])
            self.assertGreaterEqual(source_port, 1024)
            if port == PEER:
                self.assertIn(ipaddress.ip_address(source), RANGE)
                sources.add(source)
            else:
                self.assertEqual(source, smoke.GATEWAY)
        self.assertGreater(len(sources), 60)

    def test_an_address_of_a_visitor_leads_nowhere(self):
        def reaches(address):
            try:
                with socket.create_connection((address, 80), 5) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends by RST
                    return True
            except OSError:
                return False

        self.assertTrue(self.gateway.inside(reaches, "10.63.255.255"))  # somebody's private network
        before = self.drops("destination_refused")
        for address in ("10.64.0.0", "10.100.1.2", "10.127.255.255"):
            self.assertFalse(self.gateway.inside(reaches, address))
        self.assertEqual(self.drops("destination_refused"), before + 3)
        self.assertFalse([r for r in self.gateway.server.requests if ipaddress.ip_address(r[2]) in RANGE])

    def test_thousands_of_visitors_of_every_kind(self):
        def resident():
            fields = pathlib.Path(f"/proc/{self.gateway.children()['gateway']}/statm").read_text(encoding="ascii").split()
            return int(fields[1]) * 4096

        def flood(seed):
            chance = random.Random(seed)
            kept = []
            for _ in range(1200):
                name, port = chance.choice([("plain", 81), ("plain", 83), ("told", 82), ("liar", 80), ("mute", 80)])
                sock = socket.socket(socket.AF_UNIX)
                sock.setblocking(False)
                try:
                    sock.connect(f"{self.directory}/data/onion/{name}.{port}")
                    sock.send(chance.choice([b"", b"x", proxy_line(chance.randrange(SPACE)), b"PROXY TCP6 ", b"y" * 60000]))
                    if chance.random() < 0.2:
                        sock.shutdown(socket.SHUT_WR)
                except OSError:  # nobody has time for it
                    pass
                if chance.random() < 0.5:
                    sock.close()
                else:
                    kept.append(sock)
            for sock in kept:
                sock.close()

        self.assert_echoes()
        before = resident()
        floods = [threading.Thread(target=flood, args=(seed,)) for seed in range(4)]
        for one in floods:
            one.start()
        for one in floods:
            one.join()
        self.leave()
        self.assert_echoes()
        self.assertLess(resident() - before, 64 << 20)


if __name__ == "__main__":
    smoke.main()
