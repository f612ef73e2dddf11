#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A workstation that runs systemd's network daemon, and its resolver: each in a mount namespace of its own, with a bus
if there is one to be had, and nothing else of systemd.

    systemd.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import os
import pathlib
import shutil
import subprocess
import time
import unittest

import link
import smoke
import socks_server
from ipv6 import FAR6, GATEWAY6
from link import wait_until
from segment import SegmentTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETWORKD = "/lib/systemd/systemd-networkd"
# Debian's package is unpacked by ./run and not installed, which would change this machine's own resolver.
UNPACKED = ROOT / "build" / "stock-resolved"
DIRECTORIES = (UNPACKED / "lib/systemd", UNPACKED / "usr/lib/systemd", UNPACKED / "usr/bin",
               pathlib.Path("/lib/systemd"), pathlib.Path("/usr/bin"))


def find(name):
    return next((str(path) for directory in DIRECTORIES if (path := directory / name).exists()), None)


# A view of the file system in which the daemons find what they need and change nothing of this machine. /sys is read-only
# as in a container: the daemons do not wait for udev then.
VIEW = """
set -e
mount --make-rprivate /
mount -o remount,bind,ro /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/systemd/network /run/systemd/resolve /run/systemd/resolved.conf.d /run/systemd/netif/leases \\
    /run/systemd/netif/links
cp {directory}/network /run/systemd/network/10-eth0.network
cp {directory}/resolved /run/systemd/resolved.conf.d/test.conf
mount --bind {directory}/passwd /etc/passwd
mount --bind {directory}/group /etc/group
chown -R systemd-network:systemd-network /run/systemd/netif
chown -R systemd-resolve:systemd-resolve /run/systemd/resolve
echo ready
exec sleep 300
"""

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="*"/><allow receive_type="*"/>
<allow send_destination="*"/></policy></busconfig>
"""


class SystemdTest(SegmentTest):
    """One workstation with that view of the file system."""

    extra = f"address6 = {GATEWAY6}/64\n"
    network = resolved = ""

    def setUp(self):
        super().setUp()
        self.workstation = self.station(1)
        (self.directory / "network").write_text(f"[Match]\nName=eth0\n[Network]\n{self.network}", encoding="ascii")
        (self.directory / "resolved").write_text(f"[Resolve]\n{self.resolved}", encoding="ascii")
        for name, line in (("passwd", "systemd-{}:x:{}:{}::/:/bin/false\n"), ("group", "systemd-{}:x:{}:\n")):
            lines = [each for each in pathlib.Path("/etc", name).read_text(encoding="utf-8").splitlines(True)
                     if not each.startswith(("systemd-network:", "systemd-resolve:"))]
            lines += [line.format(user, number, number) for user, number in (("network", 61998), ("resolve", 61997))]
            (self.directory / name).write_text("".join(lines), encoding="utf-8")
        self.view = subprocess.Popen(
            ["ip", "netns", "exec", self.workstation.namespace, "unshare", "--mount", "sh", "-c",
             VIEW.replace("{directory}", str(self.directory))], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, self.view)
        self.assertEqual(self.view.stdout.readline(), "ready\n")

    def end(self, process):
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def within(self, *command):
        return ["nsenter", "-t", str(self.view.pid), "-m", "-n", *command]

    def start(self, *command):
        log = self.directory / pathlib.Path(command[0]).name
        with open(log, "ab") as file:
            process = subprocess.Popen(self.within(*command), stdout=file, stderr=file,
                                       env={"PATH": link.ADMIN_PATH, "SYSTEMD_LOG_LEVEL": "debug"})
        self.addCleanup(self.end, process)
        return log

    def run_within(self, *command, seconds=20):
        return subprocess.run(self.within(*command), capture_output=True, text=True, timeout=seconds, check=False)

    def wait_within(self, condition, log, seconds=15):
        """What `condition` came to; or the daemon's log."""
        found = wait_until(condition, seconds)
        self.assertTrue(found, log.read_text(errors="replace")[-4000:])
        return found


@unittest.skipUnless(os.path.exists(NETWORKD), f"there is no {NETWORKD}")
class Networkd(SystemdTest):
    """Its DHCP client, and what it makes of router advertisements."""

    extra = (f"address6 = {GATEWAY6}/64\nra = yes\ndhcp = 10.152.152.100-10.152.152.109\n"
             "dhcp_lease = 02:00:00:00:01:07 10.152.152.77\n[log]\nlevel = debug\n")
    network = ("DHCP=ipv4\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n[DHCPv4]\nUseMTU=yes\nSendHostname=yes\n"
               "Hostname=secret-name\nVendorClassIdentifier=secret-class\n")

    def lease(self):
        """What the daemon keeps of its lease."""
        found = self.run_within("sh", "-c", "cat /run/systemd/netif/leases/*").stdout
        return dict(line.split("=", 1) for line in found.splitlines() if "=" in line and line[0] != "#")

    def state(self):
        found = self.run_within("sh", "-c", "cat /run/systemd/netif/links/*").stdout
        return dict(line.split("=", 1) for line in found.splitlines() if "=" in line and line[0] != "#")

    def test_it_sets_up_everything_by_itself(self):
        log = self.start(NETWORKD)
        self.wait_within(lambda: "ADDRESS" in self.lease() and GATEWAY6 in self.state().get("DNS", ""), log)
        lease, state = self.lease(), self.state()
        self.assertRegex(lease["ADDRESS"], r"^10\.152\.152\.10\d$")
        self.assertEqual([lease[key] for key in ("NETMASK", "ROUTER", "DNS", "MTU", "LIFETIME", "SERVER_ADDRESS")],
                         ["255.255.192.0", smoke.GATEWAY, smoke.GATEWAY, "1500", "3600", smoke.GATEWAY])
        self.assertEqual(set(state["DNS"].split()), {smoke.GATEWAY, GATEWAY6})  # of the lease, and of the advertisement
        self.assertRegex(self.workstation.ip("-6", "route", "show", "default"), r"default via fe80::\S+ dev eth0 proto ra")
        self.wait_within(lambda: "tentative" not in self.workstation.ip("addr", "show", "dev", "eth0"), log)
        for host in (smoke.FAR, f"[{FAR6}]"):
            got = self.workstation.curl(f"http://{host}/10")
            self.assertEqual(got.stdout.encode(), socks_server.body(10), f"{host}: {got.stderr}")
        for word in ("secret-name", "secret-class", "10.152.152.1", "02:00:00:00:01"):
            self.assertNotIn(word, self.gateway.log())


@unittest.skipUnless(find("systemd-resolved"), "there is no systemd-resolved")
class Resolved(SystemdTest):
    """A cache of its own, EDNS by its own mind, TCP when it feels like it, and both families at once."""

    resolved = f"DNS={smoke.GATEWAY} {GATEWAY6}\nDomains=example.lan\nLLMNR=no\nMulticastDNS=no\n"

    def setUp(self):
        super().setUp()
        self.workstation.use("10.152.152.11")
        self.workstation.ip("addr", "add", "fd19:c33d:88bc::11/64", "dev", "eth0", "nodad")
        self.workstation.ip("route", "add", "default", "via", GATEWAY6)
        if shutil.which("dbus-daemon"):
            (self.directory / "bus.conf").write_text(BUS, encoding="ascii")
            self.start("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self.directory}/bus.conf")
        self.daemon_log = self.start(find("systemd-resolved"))
        (self.directory / "resolv.conf").write_text("nameserver 127.0.0.53\nsearch example.lan\n", encoding="ascii")
        self.run_within("mount", "--bind", f"{self.directory}/resolv.conf", "/etc/resolv.conf")
        self.wait_within(lambda: self.lookup("first.example.org"), self.daemon_log)

    def lookup(self, name):
        done = self.run_within("getent", "ahosts", name)
        return list(dict.fromkeys(line.split()[0] for line in done.stdout.splitlines()))

    def resolvectl(self, *arguments):
        if shutil.which("dbus-daemon") is None or find("resolvectl") is None:
            self.skipTest("there is no resolvectl, or no bus")
        return self.run_within(find("resolvectl"), "--no-pager", *arguments)

    def test_names_of_all_kinds_through_it(self):
        four, six = sorted(self.lookup("www.example.org"), key=len)
        self.assertRegex(four + six, r"^10\..*fd6c:")
        self.assertEqual(self.lookup("www.example.org."), self.lookup("WWW.example.ORG"))
        for name in ("nothere", "nothere.lan", "_tcp.example.org", "a.invalid"):
            self.assertEqual(self.lookup(name), [], name)
        got = self.run_within("getent", "hosts", four)
        self.assertEqual(got.stdout.split()[1:], ["www.example.org"])
        got = self.run_within("curl", "-sS", "-m", "10", "http://page.example.org/10")
        self.assertEqual(got.stdout.encode(), socks_server.body(10), got.stderr)
        self.assertEqual(self.requests[-1][2], "page.example.org")
        log = self.daemon_log.read_text(errors="replace")
        for complaint in ("degraded feature set", "failed to parse", "Server returned error: SERVFAIL"):
            self.assertNotIn(complaint, log)

    def test_resolvectl(self):
        started = time.monotonic()
        wait_until(lambda: self.resolvectl("status").returncode == 0)
        got = self.resolvectl("query", "www.example.org")
        self.assertRegex(got.stdout, r"www\.example\.org: (10\.|fd6c:)", got.stderr)
        got = self.resolvectl("query", "--cache=no", "-4", "www.example.org")
        self.assertRegex(got.stdout, r"www\.example\.org: 10\.", got.stderr)
        self.assertIn("not found", self.resolvectl("query", "nothere.invalid").stderr)
        # It has no answer to this type, which is no reason to hold all other answers back.
        self.assertNotEqual(self.resolvectl("query", "--type=MX", "example.org").returncode, 0)
        self.assertRegex(self.resolvectl("query", "other.example.org").stdout, r"other\.example\.org: (10\.|fd6c:)")
        self.assertLess(time.monotonic() - started, 15)


if __name__ == "__main__":
    link.main()
