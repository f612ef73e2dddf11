#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""More than one workstation on a segment: who is who, and what becomes of one that changes its address or its MAC
address, or leaves and returns. An address is taken over after two seconds of silence here.

    neighbours.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import subprocess
import sys
import time

import link
import smoke
import socks_server
from ipv6 import FAR6, GATEWAY6, ask
from link import wait_until
from segment import SegmentTest

IDLE = 2  # seconds
FIRST, SECOND, THIRD = "10.152.152.11", "10.152.152.12", "10.152.152.13"
NEW_MAC = "02:00:00:00:02:99"

# Holds a flow to the echo service: a line in, what came of it out.
HOLDER = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 7), 10)
sock.settimeout(10)
print("open", flush=True)
for line in sys.stdin:
    try:
        sock.sendall(line.encode())
        print(sock.recv(100).decode().strip() or "end", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


class Held:
    """A flow that stays open while other things happen."""

    def __init__(self, station, address=smoke.FAR):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", station.namespace, sys.executable, "-c", HOLDER, address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "open\n":
            raise AssertionError("the flow did not open")

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.communicate()


class Neighbours(SegmentTest):
    extra = (f"address6 = {GATEWAY6}/64\n[isolation]\nkey = workstation\nlifetime = 0\n"
             f"[limits]\nworkstation_idle = {IDLE}\n")

    def hold(self, station, *arguments):
        made = Held(station, *arguments)
        self.addCleanup(made.close)
        return made

    def fetch(self, station, host=smoke.FAR, *options):
        """The identity with which a page was fetched; None if it was not."""
        before = len(self.requests)
        got = station.curl("-m", "3", *options, f"http://{host}/10")
        if got.returncode != 0:
            return None
        self.assertEqual(got.stdout.encode(), socks_server.body(10))
        return self.requests[before][1]

    def active(self):
        return self.gateway.counters()["active"]

    def test_each_is_an_identity_of_its_own_and_stays_it(self):
        stations = [self.station(number) for number in (1, 2, 3)]
        for station, address in zip(stations, (FIRST, SECOND, THIRD)):
            station.use(address)
        seen = [self.fetch(station) for station in stations]
        self.assertEqual(len(set(seen)), 3)
        self.assertNotIn(None, seen)
        self.assertEqual([self.fetch(station) for station in stations], seen)

    def test_what_one_was_told_is_nothing_to_another(self):
        one, other = self.station(1), self.station(2)
        one.use(FIRST)
        other.use(SECOND)
        _, addresses, _ = one.inside(smoke.ask, smoke.GATEWAY, "www.example.com")
        name = ("--resolve", f"www.example.com:80:{addresses[0]}")
        self.assertIsNotNone(self.fetch(one, "www.example.com", *name))
        self.assertEqual(self.requests[-1][2], "www.example.com")
        self.assertIsNone(self.fetch(other, "www.example.com", *name))

    def test_one_that_goes_down_does_not_disturb_another(self):
        one, other = self.station(1), self.station(2)
        one.use(FIRST)
        other.use(SECOND)
        flows = [self.hold(one), self.hold(other)]
        other.ip("link", "set", "eth0", "down")
        self.assertEqual(flows[0].say("still"), "still")
        other.ip("link", "set", "eth0", "up")
        other.ip("route", "replace", "default", "via", smoke.GATEWAY)
        self.assertEqual(flows[1].say("here"), "here")

    def test_another_address_is_another_identity_that_knows_the_names(self):
        station = self.station(1)
        station.use(FIRST)
        first = self.fetch(station)
        _, addresses, _ = station.inside(smoke.ask, smoke.GATEWAY, "www.example.com")
        station.use(SECOND)
        second = self.fetch(station)
        self.assertNotIn(second, (None, first))
        self.assertIsNotNone(self.fetch(station, "www.example.com", "--resolve",
                                        f"www.example.com:80:{addresses[0]}"))
        station.use(FIRST)
        self.assertEqual(self.fetch(station), first)

    def test_another_mac_is_another_workstation_once_the_first_is_silent(self):
        station = self.station(1)
        station.use(FIRST)
        first = self.fetch(station)
        _, addresses, _ = station.inside(smoke.ask, smoke.GATEWAY, "www.example.com")
        self.hold(station)
        self.assertEqual(self.active(), 1)

        before = self.gateway.counters().get("drop_ip_source", 0)
        station.change_mac(NEW_MAC)
        self.assertIsNone(self.fetch(station, smoke.FAR, "-m", "1"))
        self.assertGreater(self.gateway.counters()["drop_ip_source"], before)
        time.sleep(IDLE)
        second = wait_until(lambda: self.fetch(station), 15)
        self.assertNotIn(second, (None, first))
        self.assertEqual(self.active(), 0)  # the flow of before was reset
        self.assertIsNone(self.fetch(station, "www.example.com", "--resolve",
                                     f"www.example.com:80:{addresses[0]}"))

    def test_one_that_leaves_and_returns_is_still_itself(self):
        station = self.station(1)
        station.use(FIRST)
        first = self.fetch(station)
        flow = self.hold(station)
        smoke.run("ip", "link", "set", station.port, "down")
        time.sleep(2 * IDLE)
        smoke.run("ip", "link", "set", station.port, "up")
        self.assertEqual(flow.say("again"), "again")
        self.assertEqual(self.fetch(station), first)

    def test_who_takes_over_an_address_inherits_nothing(self):
        owner, taker = self.station(1), self.station(2)
        owner.use(FIRST)
        first = self.fetch(owner)
        _, addresses, _ = owner.inside(smoke.ask, smoke.GATEWAY, "www.example.com")
        flow = self.hold(owner)
        self.assertEqual(self.active(), 1)
        smoke.run("ip", "link", "set", owner.port, "down")
        time.sleep(IDLE + 0.5)

        taker.use(FIRST)
        second = wait_until(lambda: self.fetch(taker), 15)
        self.assertNotIn(second, (None, first))
        self.assertEqual(self.active(), 0)
        self.assertIsNone(self.fetch(taker, "www.example.com", "--resolve",
                                     f"www.example.com:80:{addresses[0]}"))

        # The owner comes back to an address that is taken: nothing of it gets through, least of all its old flow.
        requests = len(self.requests)
        smoke.run("ip", "link", "set", owner.port, "up")
        flow.process.stdin.write("old\n")
        flow.process.stdin.flush()
        self.assertIsNotNone(self.fetch(taker))
        self.assertIsNone(self.fetch(owner, smoke.FAR, "-m", "1"))
        self.assertEqual({request[1] for request in self.requests[requests:]}, {second})

    def test_the_same_holds_over_ipv6(self):
        owner, taker = self.station(1), self.station(2)
        for station, last in ((owner, "11"), (taker, "12")):
            station.ip("addr", "add", f"fd19:c33d:88bc::{last}/64", "dev", "eth0", "nodad")
            station.ip("route", "add", "default", "via", GATEWAY6)
        first, other = self.fetch(owner, f"[{FAR6}]"), self.fetch(taker, f"[{FAR6}]")
        self.assertNotIn(None, (first, other))
        self.assertNotEqual(first, other)
        _, addresses = owner.inside(ask, GATEWAY6, "www.example.com", 28)
        self.hold(owner, FAR6)
        smoke.run("ip", "link", "set", owner.port, "down")
        time.sleep(IDLE + 0.5)

        taker.ip("addr", "add", "fd19:c33d:88bc::11/64", "dev", "eth0", "nodad")
        taker.ip("route", "replace", "default", "via", GATEWAY6, "src", "fd19:c33d:88bc::11")
        second = wait_until(lambda: self.fetch(taker, f"[{FAR6}]"), 15)
        self.assertNotIn(second, (None, first, other))
        self.assertEqual(self.active(), 0)
        self.assertIsNone(self.fetch(taker, "www.example.com", "--resolve",
                                     f"www.example.com:80:[{addresses[0]}]"))


if __name__ == "__main__":
    link.main()
