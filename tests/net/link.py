#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the gateway does on its link beside carrying flows: it tells workstations how to set themselves up, and keeps
them apart. With real clients in namespaces on a bridge.

    link.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import errno
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest

import smoke
import socks_server
from ipv6 import FAR6, GATEWAY6, LINK_LOCAL
from segment import BRIDGE, SegmentTest


def wait_until(condition, seconds=10):
    """What `condition` came to, as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


# What is run in a workstation's namespace.

def solicit_router():
    """Ask for a router: who answered, the head of the advertisement, and its options by type."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.settimeout(5)
        scope = socket.if_nametoindex("eth0")
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
        sock.sendto(b"\x85\0\0\0\0\0\0\0", ("ff02::2", 0, 0, scope))
        while True:
            message, peer = sock.recvfrom(2048)
            if message[0] != 134:
                continue
            hop_limit, flags, lifetime = message[4], message[5], struct.unpack("!H", message[6:8])[0]
            options, at = {}, 16
            while at < len(message):
                options[message[at]] = message[at + 2:at + 8 * message[at + 1]].hex()
                at += 8 * message[at + 1]
            return peer[0].split("%")[0], hop_limit, flags, lifetime, options


def ask_listeners(count):
    """Be a querier (RFC 3810): ask who listens to what, once a second."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        scope = socket.if_nametoindex("eth0")
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, b"\0\0\x05\x02\0\0\x01\0")  # router alert
        query = b"\x82\0\0\0" + struct.pack("!2H", 200, 0) + bytes(16) + b"\x02\x7d\0\0"
        for _ in range(count):
            sock.sendto(query, ("ff02::1", 0, 0, scope))
            time.sleep(1)


def send_and_wait(address, port=443):
    """Send a datagram, and tell what became of it: an errno or None, and after how many seconds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((address, port))
        sock.send(b"hello")
        start, error = time.monotonic(), None
        try:
            sock.recv(1)
        except TimeoutError:
            pass
        except OSError as failure:
            error = failure.errno
        return error, time.monotonic() - start


class Rejected(SegmentTest):
    """What is dropped, and a kernel that is told so."""

    extra = f"address6 = {GATEWAY6}/64\nreject = yes\n"

    def setUp(self):
        super().setUp()
        self.workstation = self.station(1)
        self.workstation.use("10.152.152.11")
        self.workstation.ip("addr", "add", "fd19:c33d:88bc::11/64", "dev", "eth0", "nodad")
        self.workstation.ip("route", "add", "default", "via", GATEWAY6)

    def test_a_datagram_is_refused_in_less_than_100_ms(self):
        for address in (smoke.FAR, FAR6, smoke.GATEWAY, GATEWAY6):
            self.workstation.inside(send_and_wait, address)  # who is where is found out by now
            error, seconds = self.workstation.inside(send_and_wait, address)
            self.assertEqual(error, errno.ECONNREFUSED, address)
            self.assertLess(seconds, 0.1, address)
        self.assertGreaterEqual(self.gateway.counters()["drop_udp"], 8)

    def test_ping_says_that_it_is_filtered(self):
        def ping(address, packet, sock_protocol, level, option):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_RAW, sock_protocol) as sock:
                sock.setsockopt(level, option, 1)
                sock.settimeout(2)
                sock.connect((address, 0))
                sock.send(packet)
                try:
                    sock.recv(2048)
                except OSError as failure:
                    return failure.errno
                return None
        four = b"\x08\0\xf7\xfd\0\1\0\1"
        six = b"\x80\0\0\0\0\1\0\1"
        self.assertEqual(self.workstation.inside(ping, smoke.FAR, four, socket.IPPROTO_ICMP, socket.IPPROTO_IP, 11),
                         errno.EHOSTUNREACH)
        self.assertEqual(self.workstation.inside(ping, FAR6, six, socket.IPPROTO_ICMPV6, socket.IPPROTO_IPV6, 25),
                         errno.EACCES)

    def test_flows_and_names_are_as_ever(self):
        got = self.workstation.curl(f"http://{smoke.FAR}/10")
        self.assertEqual(got.stdout.encode(), socks_server.body(10), got.stderr)
        rcode, addresses, _ = self.workstation.inside(smoke.ask, smoke.GATEWAY, "www.example.com")
        self.assertEqual((rcode, len(addresses)), (0, 1))


class Advertised(SegmentTest):
    """Router advertisements, and Linux as the one that listens."""

    extra = f"address6 = {GATEWAY6}/64\nra = yes\nmac = 02:00:5e:10:00:01\n"

    def routes(self, station):
        return station.ip("-6", "route", "show", "default")

    def test_a_workstation_sets_itself_up(self):
        station = self.station(1)
        self.assertTrue(wait_until(lambda: "global" in (shown := station.ip("-6", "addr", "show", "dev", "eth0"))
                                   and "tentative" not in shown), "no address")
        self.assertRegex(self.routes(station), f"default via {LINK_LOCAL} dev eth0 proto ra .* expires 1[78]..sec")
        got = station.curl(f"http://[{FAR6}]/10")
        self.assertEqual(got.stdout.encode(), socks_server.body(10), got.stderr)

        # The gateway's end is the end of the route, too.
        self.gateway.process.terminate()
        self.assertEqual(self.gateway.process.wait(5), 0)
        self.assertTrue(wait_until(lambda: self.routes(station) == "", 2), self.routes(station))

    def test_what_it_says(self):
        station = self.station(1)
        self.assertTrue(wait_until(lambda: self.routes(station) != ""))  # an address of its own by now
        router, hop_limit, flags, lifetime, options = station.inside(solicit_router)
        self.assertEqual((router, hop_limit, flags, lifetime), (LINK_LOCAL, 64, 0, 1800))
        resolver = socket.inet_pton(socket.AF_INET6, GATEWAY6)
        self.assertEqual(options, {
            "1": "02005e100001",
            "5": "0000" + "000005dc",
            "3": "40c0" + "00001518" + "00000a8c" + "00000000" + resolver[:8].hex() + "00" * 8,
            "25": "0000" + "00000708" + resolver.hex()})

    def test_two_that_ask_at_once_both_hear_it(self):
        stations = [self.station(number) for number in (1, 2)]
        for station in stations:
            self.assertTrue(wait_until(lambda s=station: self.routes(s) != ""))


class Snooped(SegmentTest):
    """A switch that brings the packets of a group only to who has said that he listens, once somebody asks."""

    extra = f"address6 = {GATEWAY6}/64\nra = yes\nmac = 02:00:5e:10:00:01\n"

    def test_the_gateway_is_found(self):
        smoke.run("ip", "link", "set", BRIDGE, "type", "bridge", "mcast_snooping", "1")
        querier, station = self.station(2), self.station(1)
        self.assertTrue(wait_until(lambda: LINK_LOCAL in station.ip("-6", "route", "show", "default")))
        wait_until(lambda: "tentative" not in querier.ip("-6", "addr", "show", "dev", "eth0"))
        querier.inside(ask_listeners, 2)
        for last in ("10", "77"):  # nobody has the second
            address = f"fd19:c33d:88bc::{last}"
            station.ip("neigh", "flush", "dev", "eth0")
            station.inside(send_and_wait, address)
            told = smoke.run("bridge", "mdb", "show", "dev", BRIDGE)
            self.assertEqual(f"ff02::1:ff00:{last} " in told, last == "10", told)
            self.assertEqual("lladdr 02:00:5e:10:00:01" in station.ip("neigh", "show", address), last == "10")
        # Who asks for a router reaches it as well.
        self.assertIn("ff02::2 ", told)
        self.assertEqual(station.inside(solicit_router)[0], LINK_LOCAL)


# What both clients call when they learn something: keep all of it, and set up the link like anybody's script would.
CLIENT_SCRIPT = """#!/bin/sh
if [ "$1" = bound ] || [ "$1" = renew ]; then
    address=$ip length=$mask via=$router
elif [ "$reason" = BOUND ] || [ "$reason" = REBOOT ] || [ "$reason" = RENEW ]; then
    address=$new_ip_address length=18 via=$new_routers
else
    exit 0
fi
env > {told}
ip addr replace "$address/$length" dev eth0
ip route replace default via "$via"
"""

CLIENTS = {
    "dhclient": ["dhclient", "-4", "-1", "-d", "-sf", "{script}", "-cf", "{conf}", "-lf", "{leases}", "-pf", "{pid}",
                 "eth0"],
    "udhcpc": ["udhcpc", "-f", "-q", "-n", "-t", "5", "-T", "1", "-i", "eth0", "-s", "{script}",
               "-x", "hostname:secret-name", "-V", "secret-class", "-O", "mtu"],
}
ADMIN_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def client(name):
    return unittest.skipUnless(shutil.which(name, path=ADMIN_PATH), f"there is no {name} here")


class Leased(SegmentTest):
    """The DHCP server, and the clients of two distributions."""

    extra = ("dhcp = 10.152.152.100-10.152.152.109\ndhcp_lease = 02:00:00:00:01:07 10.152.152.77\n"
             "[log]\nlevel = debug\n")

    def ask(self, station, name, seconds=20):
        """Run a client until it has a lease; what its script was told."""
        station.files = {kind: str(self.directory / f"{kind}{station.number}")
                         for kind in ("script", "conf", "leases", "pid", "told")}
        told = pathlib.Path(station.files["told"])
        told.unlink(missing_ok=True)
        script = pathlib.Path(station.files["script"])
        script.write_text(CLIENT_SCRIPT.replace("{told}", str(told)))
        script.chmod(0o755)
        pathlib.Path(station.files["conf"]).write_text(
            'send host-name "secret-name";\nsend vendor-class-identifier "secret-class";\n'
            "request subnet-mask, routers, domain-name-servers, interface-mtu, broadcast-address;\n"
            "timeout 10;\n")
        command = ["ip", "netns", "exec", station.namespace,
                   *(word.format(**station.files) for word in CLIENTS[name])]
        with open(self.directory / f"client{station.number}", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": ADMIN_PATH})
        try:
            wait_until(lambda: told.exists() and "PATH" in told.read_text(), seconds)
        finally:
            process.terminate()
            process.wait(5)
        self.assertTrue(told.exists(), (self.directory / f"client{station.number}").read_text())
        return dict(line.split("=", 1) for line in told.read_text().splitlines() if "=" in line)

    def check_use(self, station):
        got = station.curl(f"http://{smoke.FAR}/10")
        self.assertEqual(got.stdout.encode(), socks_server.body(10), got.stderr)

    def check_silence(self):
        for word in ("secret-name", "secret-class", "10.152.152.1", "02:00:00:00:01"):
            self.assertNotIn(word, self.gateway.log())

    @client("dhclient")
    def test_dhclient_gets_all_that_it_needs(self):
        station = self.station(1)
        told = self.ask(station, "dhclient")
        self.assertRegex(told["new_ip_address"], r"^10\.152\.152\.10\d$")
        self.assertEqual([told[f"new_{key}"] for key in ("subnet_mask", "routers", "domain_name_servers",
                                                        "interface_mtu", "dhcp_lease_time", "broadcast_address")],
                         ["255.255.192.0", smoke.GATEWAY, smoke.GATEWAY, "1500", "3600", "10.152.191.255"])
        self.check_use(station)
        # It asks for the same when it is started again.
        self.assertEqual(self.ask(station, "dhclient")["new_ip_address"], told["new_ip_address"])
        self.check_silence()

    @client("udhcpc")
    def test_udhcpc_gets_all_that_it_needs(self):
        station = self.station(1)
        told = self.ask(station, "udhcpc")
        self.assertRegex(told["ip"], r"^10\.152\.152\.10\d$")
        self.assertEqual([told[key] for key in ("mask", "router", "dns", "mtu", "lease", "broadcast", "serverid")],
                         ["18", smoke.GATEWAY, smoke.GATEWAY, "1500", "3600", "10.152.191.255", smoke.GATEWAY])
        self.check_use(station)
        self.assertEqual(self.ask(station, "udhcpc")["ip"], told["ip"])
        self.check_silence()

    @client("udhcpc")
    def test_every_client_has_an_address_of_its_own_and_one_the_fixed_one(self):
        stations = [self.station(number) for number in (1, 2, 3, 7)]
        told = [self.ask(station, "udhcpc")["ip"] for station in stations]
        self.assertEqual(len(set(told)), 4)
        self.assertEqual(told[3], "10.152.152.77")
        for station in stations:
            self.check_use(station)

    @client("udhcpc")
    def test_a_leased_address_is_nobody_elses(self):
        owner, thief = self.station(1), self.station(2)
        address = self.ask(owner, "udhcpc")["ip"]
        thief.use(address)
        self.assertNotEqual(thief.curl("-m", "2", f"http://{smoke.FAR}/10").returncode, 0)
        self.assertGreater(self.gateway.counters().get("drop_ip_source", 0), 0)

    @client("dhclient")
    def test_a_client_that_lies_about_its_network_is_put_right(self):
        station = self.station(1)
        first = self.ask(station, "dhclient")["new_ip_address"]
        leases = pathlib.Path(station.files["leases"])
        leases.write_text(leases.read_text().replace(first, "192.168.7.7"))
        self.assertEqual(self.ask(station, "dhclient")["new_ip_address"], first)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    smoke.CLOISTER = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or not os.path.exists("/proc/net/if_inet6"):
        print("skipped: needs root, /dev/net/tun and IPv6")
        sys.exit(smoke.SKIPPED)
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    smoke.run("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
