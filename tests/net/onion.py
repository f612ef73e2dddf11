#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Onion services of a workstation, with a program in Tor's place that brings visitors: it connects to the sockets on which
Tor would. Everything happens in network namespaces that this program makes, without a route out.

    onion.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import hashlib
import os
import pathlib
import random
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import smoke
from onion_servers import CLOSED, DIGEST, ECHO, PEER, RESETTER, SLEEPER, read_exactly

GATEWAY6, WORKSTATION6 = "fd19:c33d:88bc::10", "fd19:c33d:88bc::11"
ABSENT = "10.152.152.77"

CONFIG = f"""
[onion "plain"]
port = 80, workstation = {smoke.WORKSTATION}:{DIGEST}
port = 81, workstation = {smoke.WORKSTATION}:{ECHO}
port = 82, workstation = {smoke.WORKSTATION}:{PEER}
port = 83, workstation = {smoke.WORKSTATION}:{CLOSED}
port = 84, workstation = {smoke.WORKSTATION}:{RESETTER}
port = 85, workstation = {smoke.WORKSTATION}:{SLEEPER}
port = 86, workstation = {ABSENT}:80
[onion "six"]
port = 80, workstation = [{WORKSTATION6}]:{DIGEST}
port = 82, workstation = [{WORKSTATION6}]:{PEER}
port = 86, workstation = [fd19:c33d:88bc::77]:80
[onion "told"]
source = circuit
port = 82, workstation = {smoke.WORKSTATION}:{PEER}
port = 83, workstation = [{WORKSTATION6}]:{PEER}
[onion "small"]
flows = 4
port = 81, workstation = {smoke.WORKSTATION}:{ECHO}
"""


def proxy_line(circuit, port=80):
    return b"PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d %d\r\n" % (circuit >> 16, circuit & 0xffff,
                                                                     circuit & 0xffff, port)


class Onion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-onion-"))
        cls.gateway = smoke.Gateway(cls.directory, f"data = {cls.directory}/data\n{CONFIG}"
                                                   f"[workstation]\naddress6 = {GATEWAY6}/64\n"
                                                   f"[log]\nidentities = yes\n")
        smoke.run("ip", "-n", cls.gateway.namespace, "addr", "add", f"{WORKSTATION6}/64", "dev", "cloister0", "nodad")
        smoke.run("ip", "-n", cls.gateway.namespace, "-6", "route", "add", "default", "via", GATEWAY6)
        program = pathlib.Path(__file__).with_name("onion_servers.py")
        cls.servers = subprocess.Popen(["ip", "netns", "exec", cls.gateway.namespace, sys.executable, "-B", program],
                                       stdout=subprocess.PIPE)
        cls.servers.stdout.readline()

    @classmethod
    def tearDownClass(cls):
        cls.servers.kill()
        cls.servers.wait()
        cls.servers.stdout.close()
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def visit(self, name, port, first=b""):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(60)
        sock.connect(f"{self.directory}/data/onion/{name}.{port}")
        if first:
            sock.sendall(first)
        return sock

    def read_all(self, sock):
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def drops(self, reason):
        return self.gateway.counters().get(f"drop_onion_{reason}", 0)

    def exchange(self, name, port, data):
        with self.visit(name, port) as sock:
            sender = threading.Thread(target=sock.sendall, args=(struct.pack("!Q", len(data)) + data,))
            sender.start()
            digest = read_exactly(sock, 32)
            back = read_exactly(sock, len(data))
            sender.join()
            self.assertEqual(sock.recv(1), b"")
        self.assertEqual(digest, hashlib.sha256(data).digest())
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(data[::-1]).digest())

    def test_a_workstation_that_never_spoke_is_asked_for(self):
        self.exchange("plain", 80, b"hello")
        self.exchange("six", 80, b"hello")

    def test_twenty_megabytes_both_ways(self):
        self.exchange("plain", 80, random.Random(1).randbytes(20_000_000))

    def test_twenty_megabytes_both_ways_over_ipv6(self):
        self.exchange("six", 80, random.Random(2).randbytes(20_000_000))

    def test_both_ways_at_once(self):
        data = random.Random(3).randbytes(20_000_000)
        with self.visit("plain", 81) as sock:
            sender = threading.Thread(target=sock.sendall, args=(data,))
            sender.start()
            self.assertEqual(hashlib.sha256(read_exactly(sock, len(data))).digest(), hashlib.sha256(data).digest())
            sender.join()

    def test_a_hundred_visitors_at_once(self):
        visitors = [self.visit("plain", 81) for _ in range(100)]
        for number, sock in enumerate(visitors):
            sock.sendall(b"%d" % number * 1000)
        for number, sock in enumerate(visitors):
            self.assertEqual(read_exactly(sock, len(b"%d" % number) * 1000), b"%d" % number * 1000)
            sock.close()

    def test_a_server_that_closes_first_ends_the_visit_at_once(self):
        began = time.monotonic()
        with self.visit("plain", 82) as sock:
            self.assertTrue(self.read_all(sock))
        self.assertLess(time.monotonic() - began, 1)

    def test_a_refusal_ends_the_visit_at_once(self):
        before, began = self.drops("refused"), time.monotonic()
        with self.visit("plain", 83) as sock:
            self.assertEqual(self.read_all(sock), b"")
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(self.drops("refused"), before + 1)

    def test_a_reset_ends_the_visit_at_once(self):
        began = time.monotonic()
        with self.visit("plain", 84) as sock:
            sock.sendall(b"x")
            self.assertEqual(self.read_all(sock), b"")
        self.assertLess(time.monotonic() - began, 1)

    def test_an_absent_workstation_ends_the_visit_in_three_seconds(self):
        for name in ("plain", "six"):
            before, began = self.drops("absent"), time.monotonic()
            visitors = [self.visit(name, 86) for _ in range(20)]
            for sock in visitors:
                self.assertEqual(self.read_all(sock), b"")
                sock.close()
            self.assertGreater(time.monotonic() - began, 2)
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual(self.drops("absent"), before + 20)

    def test_visitors_come_from_the_gateway(self):
        for name, address in (("plain", smoke.GATEWAY), ("six", GATEWAY6)):
            with self.visit(name, 82) as sock:
                peer, port = self.read_all(sock).decode().split()
            self.assertEqual(peer.removeprefix("::ffff:"), address)
            self.assertGreaterEqual(int(port), 1024)

    def test_visitors_of_a_circuit_have_an_address_of_their_own(self):
        for port, start in ((82, "::ffff:10."), (83, "fd6c:7601:7e3:")):
            seen = {}
            for circuit in (1, 2, 3, 0x12345678, 0xffffffff, 1, 0):
                with self.visit("told", port, proxy_line(circuit)) as sock:
                    peer, _ = self.read_all(sock).decode().split()
                self.assertTrue(peer.startswith(start), peer)
                self.assertEqual(seen.setdefault(circuit, peer), peer)
            self.assertEqual(len(set(seen.values())), len(seen))

    def test_a_circuits_line_may_come_in_pieces_and_payload_with_it(self):
        with self.visit("told", 82) as sock:
            for byte in proxy_line(77):
                sock.sendall(bytes([byte]))
                time.sleep(0.002)
            self.assertTrue(self.read_all(sock))
        with self.visit("told", 82, proxy_line(77) + b"x" * 100000) as sock:
            self.assertTrue(self.read_all(sock))

    def test_a_line_that_is_none_of_tors_ends_the_visit(self):
        lines = (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", b"PROXY UNKNOWN\r\n",
                 b"PROXY TCP6 fd00:dead:beef:4dad::1 ::1 1 80\r\n", b"x" * 200, b"PROXY TCP6 " + b"a" * 200)
        before = self.drops("line")
        for line in lines:
            with self.visit("told", 82, line) as sock:
                self.assertEqual(self.read_all(sock), b"", line)
        with self.visit("told", 82, b"PROXY TCP6 ") as sock:  # and then nothing
            began = time.monotonic()
            self.assertEqual(self.read_all(sock), b"")
            self.assertLess(time.monotonic() - began, 7)
        self.assertEqual(self.drops("line"), before + len(lines) + 1)

    def test_a_service_has_no_more_visitors_than_it_may(self):
        before = self.drops("limit")
        visitors = [self.visit("small", 81, b"x") for _ in range(4)]
        for sock in visitors:
            self.assertEqual(sock.recv(1), b"x")
        with self.visit("small", 81) as sock:
            self.assertEqual(self.read_all(sock), b"")
        self.assertEqual(self.drops("limit"), before + 1)
        for sock in visitors:
            sock.close()
        time.sleep(0.3)
        with self.visit("small", 81, b"y") as sock:
            self.assertEqual(sock.recv(1), b"y")

    def test_a_workstation_that_does_not_read_is_felt(self):
        with self.visit("plain", 85) as sock:
            sock.setblocking(False)
            sent, end = 0, time.monotonic() + 1
            while time.monotonic() < end:
                try:
                    sent += sock.send(b"x" * 65536)
                except BlockingIOError:
                    time.sleep(0.01)
            self.assertLess(sent, 16_000_000)
            sock.settimeout(30)
            sock.sendall(b".")
            self.assertEqual(struct.unpack("!Q", read_exactly(sock, 8))[0], sent + 1)

    def test_the_sockets_are_tors_alone(self):
        status = os.stat(f"{self.directory}/data/onion/plain.80")
        owner = os.stat(f"{self.directory}/socks").st_uid
        self.assertEqual((status.st_uid, stat.S_IMODE(status.st_mode)), (owner, 0o600))
        directory = os.stat(f"{self.directory}/data/onion")
        self.assertEqual((directory.st_uid, stat.S_IMODE(directory.st_mode)), (0, 0o711))

    def test_the_workstation_still_gets_out(self):
        got = self.gateway.curl(f"http://{smoke.FAR}/1000")
        self.assertEqual((got.returncode, len(got.stdout)), (0, 1000), got.stderr)

    def test_nothing_is_left_of_visits(self):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self.gateway.counters()["active"] > 0:
            time.sleep(0.1)
        self.assertEqual(self.gateway.counters()["active"], 0)
        self.assertIsNone(self.gateway.process.poll())


if __name__ == "__main__":
    smoke.main()
