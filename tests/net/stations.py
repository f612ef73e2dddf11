#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whose an address is: workstations that are listed, and what one of them may have with all its addresses.

    stations.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import json
import os
import pathlib
import select
import shutil
import socket
import sys
import tempfile
import time
import unittest

import smoke
from smoke import FAR, WORKSTATION, run

OWNER, STRANGER = "02:00:5e:10:00:11", "02:00:5e:10:00:12"
SECOND, SIX, SECOND6 = "10.152.152.12", "fd19:c33d:88bc::11", "fd19:c33d:88bc::12"


def connected(sources, count):
    """How many of `count` connections from each of the addresses are made within two seconds."""
    peers, made = [], {}
    for source in sources:
        for _ in range(count):
            peer = socket.socket()
            peer.setblocking(False)
            peer.bind((source, 0))
            peer.connect_ex((FAR, 7))
            peers.append((peer, source))
    end = time.monotonic() + 2
    while time.monotonic() < end:
        _, writable, _ = select.select([], [p for p, _ in peers if p not in made], [], 0.1)
        made.update((p, s) for p, s in peers if p in writable and p.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0)
    counts = [sum(s == source for s in made.values()) for source in sources]
    for peer, _ in peers:
        peer.close()
    return counts


def reaches(source, seconds=1.5):
    """Does a connection from this address come to be?"""
    with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET) as peer:
        peer.settimeout(seconds)
        try:
            peer.bind((source, 0))
            peer.connect(("2001:db8:9::7" if ":" in source else FAR, 7))
            return True
        except OSError:
            return False


class Stations(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-stations-"))
        self.gateway = None

    def tearDown(self):
        if self.gateway is not None:
            self.gateway.close()
        shutil.rmtree(self.directory)

    def start(self, extra):
        self.gateway = smoke.Gateway(self.directory, extra)
        for command in (f"addr add {SECOND}/18 dev cloister0", f"addr add {SIX}/64 dev cloister0 nodad",
                        f"addr add {SECOND6}/64 dev cloister0 nodad",
                        "-6 route add default via fd19:c33d:88bc::10"):
            run("ip", "-n", self.gateway.namespace, *command.split())

    def become(self, mac):
        for command in ("link set cloister0 down", f"link set cloister0 address {mac}", "link set cloister0 up",
                        "-4 route replace default via 10.152.152.10",
                        f"-6 addr replace {SIX}/64 dev cloister0 nodad", f"-6 addr replace {SECOND6}/64 dev cloister0 nodad",
                        "-6 route replace default via fd19:c33d:88bc::10"):
            run("ip", "-n", self.gateway.namespace, *command.split())

    def reached(self):
        return [self.gateway.inside(reaches, source) for source in (WORKSTATION, SECOND, SIX, SECOND6)]

    def test_only_those_who_are_listed_are_served(self):
        self.start("allow_private = yes\n[workstation]\naddress6 = fd19:c33d:88bc::10/64\nstations = listed\n"
                   f"station = {OWNER} {WORKSTATION}\nstation = {OWNER} {SIX}\n")
        self.become(OWNER)
        self.assertEqual(self.reached(), [True, False, True, False])
        self.assertGreater(self.gateway.counters()["drop_ip_unlisted"], 0)
        self.become(STRANGER)
        self.assertEqual(self.reached(), [False] * 4)
        self.become(OWNER)
        self.assertEqual(self.reached(), [True, False, True, False])

    def test_a_workstation_is_shown_once_with_all_its_addresses(self):
        control = self.directory / "control"
        self.start(f"[process]\ncontrol = {control}\n[workstation]\naddress6 = fd19:c33d:88bc::10/64\n"
                   f"station = {OWNER} {WORKSTATION}\nstation = {STRANGER} 10.152.152.99\n")
        self.become(OWNER)
        self.assertEqual(self.reached()[:2], [True, True])
        self.gateway.inside(reaches, SIX)
        text = run(smoke.CLOISTER, "show", "workstations", "--json", "--control", str(control))
        shown = {w["mac"]: w for w in map(json.loads, text.splitlines()) if w["kind"] == "workstation"}
        self.assertEqual(set(shown), {OWNER, STRANGER})
        self.assertLessEqual({WORKSTATION, SECOND, SIX}, set(shown[OWNER]["addresses"]))
        self.assertLess(shown[OWNER]["idle_ms"], 60000)
        self.assertEqual((shown[STRANGER]["addresses"], shown[STRANGER]["idle_ms"]), (["10.152.152.99"], None))
        table = run(smoke.CLOISTER, "show", "workstations", "--control", str(control)).splitlines()
        self.assertEqual(len(table), 3)
        column = table[0].index("MORE ADDRESSES")
        more = {line.split()[1]: set(line[column:].split()) for line in table[1:]}
        self.assertEqual(more[STRANGER], set())
        self.assertIn(SIX, more[OWNER])

    def test_a_listed_address_waits_for_its_owner(self):
        self.start("allow_private = yes\n[workstation]\naddress6 = fd19:c33d:88bc::10/64\n"
                   f"station = {OWNER} {WORKSTATION}\nstation = {OWNER} {SIX}\n[limits]\nworkstation_idle = 1\n")
        self.become(STRANGER)
        self.assertEqual(self.reached(), [False, True, False, True])

    def test_more_addresses_give_no_more_of_anything(self):
        self.start(f"[limits]\nworkstation_flows = 5\n[workstation]\nstation = {OWNER} {WORKSTATION}\n")
        self.become(OWNER)
        one, other = self.gateway.inside(connected, [WORKSTATION, SECOND], 5)
        self.assertEqual(one + other, 5)
        self.assertGreater(self.gateway.counters()["drop_tcp_quota"], 0)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    smoke.CLOISTER = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(smoke.SKIPPED)
    # In a network namespace of its own, so that nothing of this host is touched and nothing can get out.
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, "-B", *sys.argv])
    smoke.run("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
