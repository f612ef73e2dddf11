# SPDX-License-Identifier: BSD-3-Clause
"""A workstation network with more than one workstation: the gateway's TAP in a bridge, and a namespace for each
workstation, joined to it by a veth pair. What is here is for the tests beside it.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import smoke

BRIDGE = "br-ws"


class Station:
    """A workstation: its namespace and its end of the cable, `eth0`, up and without an IPv4 address."""

    def __init__(self, number, mac=None):
        self.number = number
        self.namespace = f"cloister-st{number}-{os.getpid()}"
        self.port = f"port{number}"
        self.mac = mac or f"02:00:00:00:01:{number:02x}"
        smoke.run("ip", "netns", "add", self.namespace)
        smoke.run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        smoke.run("ip", "link", "set", self.port, "master", BRIDGE, "up")
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", "eth0", "address", self.mac)
        self.ip("link", "set", "eth0", "up")

    def ip(self, *arguments):
        return smoke.run("ip", "-n", self.namespace, *arguments)

    def use(self, address, length=18):
        """An IPv4 address and the default route, as a user would set them."""
        self.ip("addr", "flush", "dev", "eth0", "scope", "global")
        self.ip("addr", "add", f"{address}/{length}", "dev", "eth0")
        self.ip("route", "replace", "default", "via", smoke.GATEWAY)

    def change_mac(self, mac):
        self.ip("link", "set", "eth0", "address", mac)

    def run(self, *command, seconds=30, **options):
        return subprocess.run(["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True,
                              timeout=seconds, check=False, **options)

    def curl(self, *arguments):
        return self.run("curl", "-sS", "-m", "10", *arguments)

    def inside(self, function, *arguments):
        return smoke.inside(self.namespace, function, *arguments)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.port], check=False, capture_output=True)


class SegmentTest(unittest.TestCase):
    """A gateway of its own for each test, with the configuration `extra`."""

    extra = ""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-segment-"))
        self.addCleanup(shutil.rmtree, self.directory)
        smoke.run("ip", "link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
        self.addCleanup(smoke.run, "ip", "link", "del", BRIDGE)
        smoke.run("ip", "link", "set", BRIDGE, "up")
        self.gateway = smoke.Gateway(self.directory, f"[workstation]\nbridge = {BRIDGE}\n{self.extra}", attach=False)
        self.addCleanup(self.gateway.close)

    def station(self, number, **options):
        made = Station(number, **options)
        self.addCleanup(made.close)
        return made

    @property
    def requests(self):
        return self.gateway.server.requests
