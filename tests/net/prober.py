#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP as a stranger sees it: a workstation without a kernel's stack sends what it likes to the real gateway, over the real
device, and looks at what comes back; behind SOCKS stand an echo, a sink, a source. IPv4 and IPv6 alike.

    prober.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import concurrent.futures
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import time
import traceback
import unittest

import prober_checks
import smoke
import socks_server
from ipv6 import FAR6, GATEWAY6, WORKSTATION6
from prober_wire import Wire


def serve_sink(stream):
    while stream.recv(65536):
        pass


def serve_source(stream):
    stream.sendall(bytes(400000))
    serve_sink(stream)


def serve_stalled(stream):
    time.sleep(6)
    serve_sink(stream)


def serve_nothing(stream):
    stream.shutdown(socket.SHUT_RDWR)


def serve_abort(stream):
    stream.recv(1)


socks_server.SERVICES.update({9: serve_sink, 2000: serve_stalled, 2001: serve_source, 2002: serve_nothing,
                              2003: serve_abort})


def probe(here, there, gateway, names):
    """Name and reason of every check that failed. Run where the device is."""
    wire = Wire("cloister0", here, there, gateway)
    if wire.gateway_mac is None:
        return {"neighbour": "the gateway does not answer"}

    def one(name):
        try:
            prober_checks.CHECKS[name](wire)
        except Exception:  # pylint: disable=broad-except
            return traceback.format_exc(limit=-1)
        return None

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return {name: reason for name, reason in zip(names, pool.map(one, names)) if reason}


class Probed(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-prober-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.gateway = smoke.Gateway(self.directory, f"[workstation]\naddress6 = {GATEWAY6}/64\noffload = no\n"
                                     "[tcp]\nhalf_close_timeout = 1\n", attach=False)
        self.addCleanup(self.gateway.close)
        smoke.run("ip", "netns", "add", self.gateway.namespace)
        smoke.run("ip", "link", "set", "cloister0", "netns", self.gateway.namespace)
        smoke.run("ip", "netns", "exec", self.gateway.namespace, "sysctl", "-qw",
                  "net.ipv6.conf.all.disable_ipv6=1")
        # What is written, not what the kernel makes of it.
        smoke.run("ip", "netns", "exec", self.gateway.namespace, "ethtool", "-K", "cloister0", "gro", "off")
        smoke.run("ip", "-n", self.gateway.namespace, "link", "set", "cloister0", "up")

    def probe(self, here, there, gateway):
        names = os.environ.get("PROBER_CHECKS", "").split() or list(prober_checks.CHECKS)
        failed = self.gateway.inside(probe, here, there, gateway, names)
        self.assertFalse(failed, "\n" + "\n".join(f"{name}: {reason}" for name, reason in failed.items()))

    def test_over_ipv4(self):
        self.probe(smoke.WORKSTATION, smoke.FAR, smoke.GATEWAY)

    def test_over_ipv6(self):
        self.probe(WORKSTATION6, FAR6, GATEWAY6)


if __name__ == "__main__":
    smoke.main()
