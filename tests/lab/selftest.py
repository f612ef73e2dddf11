#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Proves the lab with a stock Tor client, independently of Cloister: what fails here is the lab's.

    usage: selftest.py [--state DIR]      (a running lab; else it makes one of its own)
"""

import argparse
import hashlib
import os
import socket
import struct
import sys
import time
import unittest

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab import capture, client, control, net, plan, servers  # noqa: E402
from lab.lab import Lab  # noqa: E402

SKIPPED = 77


def read_all(peer):
    data = b""
    while chunk := peer.recv(1 << 16):
        data += chunk
    return data


class LabTest(unittest.TestCase):
    state = None

    @classmethod
    def setUpClass(cls):
        cls.own = cls.state is None
        cls.lab = Lab.up() if cls.own else Lab.attach(cls.state)
        cls.addClassCleanup(cls.lab.__exit__)
        cls.capture = capture.Capture(cls.lab)
        cls.capture.__enter__()
        cls.addClassCleanup(cls.capture.stop)
        cls.client = client.Client(cls.lab, "selftest-client").start()
        cls.addClassCleanup(cls.client.stop)

    def curl(self, *argv, user="u", **options):
        proxy = f"socks5h://{user}:x@127.0.0.1:{client.SOCKS_PORT}"
        return self.lab.run("host", ["curl", "-sS", "-m", "60", "-x", proxy, *argv], **options)

    def test_a_page_by_name_and_by_address_over_both_families(self):
        for host in (f"www.{plan.ZONE}", f"alias.{plan.ZONE}", plan.WEB, f"www6.{plan.ZONE}"):
            self.assertEqual(self.curl(f"http://{host}/").stdout, plan.PAGE, host)

    def test_the_server_sees_an_exit_and_not_the_host(self):
        exits = {relay.address for relay in plan.RELAYS if relay.exit}
        self.assertIn(self.curl(f"http://{plan.WEB}/whoami").stdout.strip(), exits)

    def test_fifty_megabytes_arrive_whole(self):
        done = self.curl(f"http://{plan.WEB}/50m", text=False)
        self.assertEqual(hashlib.sha256(done.stdout).hexdigest(), servers.body_sha256(servers.FIFTY_MB))

    def test_the_sink_says_what_it_got(self):
        body = b"".join(servers.body_chunks(3_000_001))
        done = self.curl("-T", "-", f"http://{plan.WEB}/sink", input=body, text=False)
        self.assertEqual(done.stdout.decode().strip(), hashlib.sha256(body).hexdigest())

    def test_what_cannot_be_reached_is_refused_with_its_reason(self):
        for host, port, code in ((plan.WEB, plan.CLOSED, 1), (f"none.{plan.ZONE}", 80, 4),
                                 (f"slow.{plan.ZONE}", 80, 0)):
            peer, reply = client.socks_connect(self.client.socks, host, port, "refused")
            peer.close()
            self.assertEqual(reply, code, host)

    def test_the_slow_server_answers_after_a_request_line(self):
        peer, reply = client.socks_connect(self.client.socks, plan.WEB, plan.SLOW, "slow")
        self.assertEqual(reply, 0)
        peer.sendall(b"please\n")
        began = time.monotonic()
        self.assertEqual(len(read_all(peer)), plan.SLOW_PARTS * plan.SLOW_PART_BYTES)
        self.assertGreater(time.monotonic() - began, 0.8)
        peer.close()

    def test_a_server_that_closes_first_still_listens(self):
        peer, _ = client.socks_connect(self.client.socks, plan.WEB, plan.FIRST_CLOSER, "first")
        self.assertTrue(read_all(peer).startswith(b"the server"))
        peer.close()

    def test_the_echo_server_echoes_and_the_resetter_resets(self):
        peer, _ = client.socks_connect(self.client.socks, f"www.{plan.ZONE}", plan.ECHO, "echo")
        peer.sendall(b"hello")
        self.assertEqual(peer.recv(100), b"hello")
        peer.close()
        with control.Watch(self.client.control) as watch:
            peer, _ = client.socks_connect(self.client.socks, plan.WEB, plan.RESETTER, "reset")
            read_all(peer)
            peer.close()
            stream, = watch.wait_flows(1, plan.RESETTER)
            deadline = time.monotonic() + 5
            while not stream.reason and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertEqual((stream.reason, stream.remote_reason), ("END", "CONNRESET"))

    def test_the_watch_tells_circuits_of_flows_apart(self):
        with control.Watch(self.client.control) as watch:
            for user in ("alice", "alice", "bob"):
                self.curl(f"http://{plan.WEB}/", user=user)
            flows = watch.wait_flows(3, plan.HTTP)
            self.assertEqual([f.username for f in flows], ["alice", "alice", "bob"])
            self.assertEqual([[f.username for f in those] for _, those in watch.shared(flows)],
                             [["alice", "alice"]])
            names = self.lab.relay_names(watch.circuit_of(flows[2]).path)
            self.assertEqual(len(names), 3)
            self.assertIn(names[2], {relay.nickname for relay in plan.RELAYS if relay.exit})

    def test_the_resolver_answers_what_the_plan_says(self):
        def ask(name, kind, tcp=False):
            query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"".join(
                bytes([len(p)]) + p.encode() for p in name.split(".")) + struct.pack("!BHH", 0, kind, 1)
            peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
            with peer:
                peer.settimeout(5)
                peer.connect((plan.DNS, 53))
                peer.sendall((struct.pack("!H", len(query)) if tcp else b"") + query)
                answer = peer.recv(65535)[2 if tcp else 0:]
            _, flags, _, count, _, _ = struct.unpack_from("!6H", answer)
            return flags & 15, count, bool(flags & 0x200)

        for name, kind, tcp, expected in (
            ("www", 1, False, (0, 1, False)), ("www", 28, True, (0, 1, False)),
            ("alias", 1, False, (0, 2, False)), ("none", 1, False, (3, 0, False)),
            ("broken", 1, False, (2, 0, False)), ("www4", 28, False, (0, 0, False)),
            ("text", 16, False, (0, 0, True)), ("text", 16, True, (0, 10, False)),
        ):
            got = self.lab.call("tornet", ask, f"{name}.{plan.ZONE}", kind, tcp)
            self.assertEqual(got, expected, (name, kind, tcp))

    def test_there_is_no_way_out(self):
        for short in plan.NAMESPACES:
            joined = set(net.devices(self.lab.ns(short))) - {"lo"}
            expected = {link.namespace for link in plan.LINKS} if short == "inet" else {
                link.device for link in plan.LINKS if link.namespace == short}
            self.assertEqual(joined, expected, short)

    def test_z_the_capture_saw_relays_and_would_have_seen_anything_else(self):
        self.assertGreater(self.capture.relay_frames, 100)
        time.sleep(0.3)
        self.assertTrue(self.capture.is_clean, self.capture.describe())
        with capture.Capture(self.lab) as watching:
            self.lab.run("host", ["bash", "-c", f"echo leak >/dev/udp/{plan.WEB}/{plan.UDP_COUNTER}"])
            self.lab.run("host", ["curl", "-sS", "-m", "1", f"http://{plan.WEB}/"])
            time.sleep(0.3)
        self.assertIn(f"{plan.WEB}:{plan.UDP_COUNTER} UDP", watching.describe())
        self.assertIn(f"> {plan.WEB}:80 TCP", watching.describe())


if __name__ == "__main__":
    if os.geteuid():
        print("skipped: needs root")
        sys.exit(SKIPPED)
    parser = argparse.ArgumentParser()
    parser.add_argument("--state")
    arguments, rest = parser.parse_known_args()
    LabTest.state = arguments.state
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)
