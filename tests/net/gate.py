#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The gate: what a workstation gets while Tor is not up, and what ends all when Tor cannot work. The embedded Tor is in a
namespace without a route, so it never bootstraps.

    gate.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import smoke
from smoke import FAR, GATEWAY, WORKSTATION, run


class Gate(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-gate-"))
        self.directory.chmod(0o755)
        self.namespace = f"cloister-gt-{os.getpid()}"
        self.process = None
        run("ip", "netns", "add", self.namespace)

    def tearDown(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["ip", "netns", "del", self.namespace], check=False)
        subprocess.run(["umount", self.directory / "data"], check=False, capture_output=True)
        shutil.rmtree(self.directory)

    def start(self, text=""):
        config = self.directory / "cloister.conf"
        config.write_text(f"[tor]\ndata = {self.directory}/data\n{text}")
        with open(self.directory / "log", "w", encoding="ascii") as log:
            self.process = subprocess.Popen([smoke.CLOISTER, "run", "--config", str(config)], stderr=log)

    def log(self):
        return (self.directory / "log").read_text(encoding="ascii")

    def attach(self):
        self.wait_for(lambda: "event=bootstrap" in self.log())
        run("ip", "link", "set", "cloister0", "netns", self.namespace)
        for command in (f"addr add {WORKSTATION}/18 dev cloister0", "link set cloister0 up",
                        f"route add default via {GATEWAY}"):
            run("ip", "-n", self.namespace, *command.split())

    def wait_for(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(self.log())
            time.sleep(0.02)

    def tor(self):
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if b"--role=tor" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        raise AssertionError("no tor")

    inside = smoke.Gateway.inside

    def test_connections_wait_and_names_fail(self):
        self.start()
        self.attach()
        self.assertEqual(self.inside(smoke.ask, GATEWAY, "www.example.com"), [2, [], None])
        error, seconds = self.inside(smoke.connect_result, FAR, 80)
        self.assertEqual(error, "timeout")
        self.assertGreater(seconds, 4)
        self.assertNotIn("event=ready", self.log())

    def test_connections_are_refused_if_that_is_wanted(self):
        self.start("[tcp]\nuntil_ready = refuse\n")
        self.attach()
        error, seconds = self.inside(smoke.connect_result, FAR, 80)
        self.assertEqual(error, 111)
        self.assertLess(seconds, 0.5)
        self.process.terminate()
        self.assertEqual(self.process.wait(5), 0)
        self.assertIn("drop_not_ready=1", self.log())

    def test_a_tor_that_hangs_ends_all(self):
        self.start()
        self.attach()
        os.kill(self.tor(), signal.SIGSTOP)
        self.assertEqual(self.process.wait(60), 1)
        self.assertIn("Tor hangs: it does not answer", self.log())

    def test_a_full_disk_is_told_at_once(self):
        (self.directory / "data").mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "none", str(self.directory / "data"))
        self.start()
        self.assertEqual(self.process.wait(10), 1)
        self.assertIn("write to Tor's data directory (tor.data)", self.log())
        self.assertIn("No space left on device", self.log())


def connect_many(address, ports):
    """Begin connections to all ports at once; how many were made within a second of the first, and in five."""
    peers, early = [], 0
    for port in ports:
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex((address, port))
        peers.append(peer)
    began, made = time.monotonic(), set()
    while time.monotonic() - began < 5 and len(made) < len(peers):
        _, writable, _ = select.select([], [p for p in peers if p not in made], [], 0.1)
        made.update(writable)
        if time.monotonic() - began < 0.8:
            early = len(made)
    for peer in peers:
        peer.close()
    return early, len(made)


class Quota(unittest.TestCase):
    """A workstation that opens more than its share."""

    def test_new_flows_have_a_pace_and_come_through_in_the_end(self):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-gate-"))
        gateway = smoke.Gateway(directory, "[limits]\nworkstation_syns = 20\n")
        try:
            early, late = gateway.inside(connect_many, FAR, [7] * 50)
            self.assertLessEqual(early, 40)
            self.assertEqual(late, 50)
            self.assertGreaterEqual(gateway.counters()["drop_tcp_quota"], 10)
        finally:
            gateway.close()
            shutil.rmtree(directory)


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
