#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""IPv6 from the workstation: what smoke.py shows for IPv4, and what the two have in common.

    ipv6.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import concurrent.futures
import errno
import hashlib
import os
import pathlib
import random
import shutil
import socket
import struct
import sys
import tempfile
import time
import unittest

import dns_wire as dns
import smoke
import socks_server

GATEWAY6, WORKSTATION6 = "fd19:c33d:88bc::10", "fd19:c33d:88bc::11"
LINK_LOCAL = "fe80::10"  # the gateway's
FAR6 = "2001:db8:7::7"  # reserved for documentation (RFC 3849)
VIRTUAL6 = "fd6c:7601:7e2:"
CONFIG = f"[workstation]\naddress6 = {GATEWAY6}/64\n[isolation]\nlifetime = 0\n"


def add_addresses(gateway, *extra):
    """What a workstation with both families has. Without `nodad` an address cannot be used for the first second."""
    for command in (f"addr add {WORKSTATION6}/64 dev cloister0 nodad", f"route add default via {GATEWAY6}", *extra):
        smoke.run("ip", "-n", gateway.namespace, *command.split())


# What is run in the workstation's namespace.

def ask(server, name, kind):
    """The answers to a question over UDP."""
    family, *_, peer = socket.getaddrinfo(server, 53)[0]  # with the scope of a link-local address
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect(peer)
        sock.send(dns.query(name, kind))
        answer = dns.read(sock.recv(4096))
    return [answer.rcode, answer.texts]


def connect_result(address, port):
    start = time.monotonic()
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(5)
        try:
            sock.connect(socket.getaddrinfo(address, port)[0][4])
            error = 0
        except TimeoutError:
            error = "timeout"
        except OSError as failure:
            error = failure.errno
    return error, time.monotonic() - start


def half_close():
    with socket.create_connection((FAR6, 1000), 10) as sock:
        sock.sendall(b"hello\n")
        sock.shutdown(socket.SHUT_WR)
        got = 0
        while piece := sock.recv(65536):
            got += len(piece)
        return got


def echo_many(count, size):
    def one(_):
        data = os.urandom(size)
        with socket.create_connection((FAR6, 7), 30) as sock:
            sock.settimeout(30)
            sock.sendall(data)
            got = b""
            while len(got) < size and (piece := sock.recv(65536)):
                got += piece
            return got == data
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return sum(pool.map(one, range(count)))


def has_duplicate(address):
    """Give ourselves an address and wait for what duplicate address detection says."""
    smoke.run("ip", "addr", "add", f"{address}/64", "dev", "cloister0")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        text = smoke.run("ip", "-6", "addr", "show", "dev", "cloister0", "to", address)
        if "dadfailed" in text or "tentative" not in text:
            break
        time.sleep(0.1)
    smoke.run("ip", "addr", "del", f"{address}/64", "dev", "cloister0")
    return "dadfailed" in text


class Path6(unittest.TestCase):
    """Everything that goes through one running gateway, over IPv6."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-ipv6-"))
        cls.gateway = smoke.Gateway(cls.directory, CONFIG)
        add_addresses(cls.gateway)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def test_a_page_by_address(self):
        got = self.gateway.curl(f"http://[{FAR6}]/1000")
        self.assertEqual((got.returncode, got.stdout), (0, socks_server.body(1000)), got.stderr)
        self.assertEqual(self.gateway.server.requests[-1][2:], (FAR6, 80))

    def test_a_name_has_an_address_of_either_family_and_both_lead_there(self):
        for server in (GATEWAY6, LINK_LOCAL + "%cloister0", "2001:db8::53", smoke.GATEWAY):
            name = f"www{random.randrange(10**9)}.example.com"
            rcode, six = self.gateway.inside(ask, server, name, dns.AAAA)
            self.assertEqual((rcode, len(six)), (0, 1), server)
            self.assertTrue(six[0].startswith(VIRTUAL6), six)
            # Asked over one family, used over the other.
            _, four = self.gateway.inside(ask, smoke.GATEWAY, name, dns.A)
            for address in (f"[{six[0]}]", four[0]):
                got = self.gateway.curl("--resolve", f"{name}:80:{address}", f"http://{name}/10")
                self.assertEqual(got.stdout, socks_server.body(10), got.stderr)
                self.assertEqual(self.gateway.server.requests[-1][2:], (name, 80))

    def test_fifty_megabytes_down(self):
        size = 50_000_000
        got = self.gateway.curl(f"http://[{FAR6}]/{size}")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(hashlib.sha256(got.stdout).digest(), hashlib.sha256(socks_server.body(size)).digest())

    def test_twenty_megabytes_up(self):
        data = random.Random(1).randbytes(20_000_000)
        got = self.gateway.curl("-T", "-", "-H", f"Content-Length: {len(data)}", "-H", "Transfer-Encoding:",
                                f"http://[{FAR6}]/", input=data)
        self.assertEqual(got.stdout.decode(), f"{len(data)} {hashlib.sha256(data).hexdigest()}", got.stderr)

    def test_two_hundred_flows_at_once(self):
        self.assertEqual(self.gateway.inside(echo_many, 200, 20000), 200)

    def test_a_half_closed_flow_gets_its_whole_answer(self):
        self.assertEqual(self.gateway.inside(half_close), 5000)

    def test_a_closed_port_is_refused_and_an_unreachable_host_is_told(self):
        for port, errors in ((81, [errno.ECONNREFUSED]), (113, [errno.ECONNREFUSED, errno.EHOSTUNREACH])):
            error, seconds = self.gateway.inside(connect_result, FAR6, port)
            self.assertIn(error, errors)
            self.assertLess(seconds, 0.5)

    def test_nothing_of_the_workstations_network_goes_to_tor(self):
        before = len(self.gateway.server.requests)
        for address in (GATEWAY6, LINK_LOCAL + "%cloister0", VIRTUAL6 + ":7:7"):
            error, _ = self.gateway.inside(connect_result, address, 80)
            self.assertEqual(error, errno.ECONNREFUSED, address)
        self.assertEqual(len(self.gateway.server.requests), before)

    def test_no_two_flows_share_credentials(self):
        before = len(self.gateway.server.requests)
        for _ in range(10):
            self.gateway.curl(f"http://[{FAR6}]/1")
        passwords = [request[1] for request in self.gateway.server.requests[before:]]
        self.assertEqual((len(passwords), len(set(passwords))), (10, 10))

    def test_one_source_port_over_both_families_is_two_identities(self):
        def both():
            for address in (smoke.FAR, FAR6):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                with socket.socket(family) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.bind(("", 40555))
                    sock.settimeout(5)
                    sock.connect((address, 7))
        before = len(self.gateway.server.requests)
        self.gateway.inside(both)
        first, second = (request[1] for request in self.gateway.server.requests[before:])
        self.assertNotEqual(first, second)

    def test_the_gateway_answers_to_ping_and_nobody_else_does(self):
        def ping(address):
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
                sock.settimeout(1)
                sock.sendto(b"\x80\0\0\0" + b"\x12\x34\0\1" + b"cloister", (address, 0))
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    try:
                        if sock.recv(2048)[:1] == b"\x81":
                            return True
                    except TimeoutError:
                        pass
                return False
        self.assertTrue(self.gateway.inside(ping, GATEWAY6))
        self.assertTrue(self.gateway.inside(ping, LINK_LOCAL + "%cloister0"))
        self.assertFalse(self.gateway.inside(ping, FAR6))

    def test_the_gateways_addresses_are_defended(self):
        self.assertTrue(self.gateway.inside(has_duplicate, GATEWAY6))
        self.assertTrue(self.gateway.inside(has_duplicate, LINK_LOCAL))
        self.assertFalse(self.gateway.inside(has_duplicate, "fd19:c33d:88bc::77"))

    def test_the_log_names_nobody(self):
        self.gateway.curl(f"http://[{FAR6}]/1")
        for word in (FAR6, WORKSTATION6):
            self.assertNotIn(word, self.gateway.log())


class Off6(unittest.TestCase):
    """Without address6, and without virtual6."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-ipv6-"))
        self.gateway = None

    def tearDown(self):
        self.gateway.close()
        shutil.rmtree(self.directory)

    def test_without_an_address_ipv6_is_dropped_and_names_have_none(self):
        self.gateway = smoke.Gateway(self.directory)
        add_addresses(self.gateway)
        before = self.gateway.counters().get("drop_ipv6_off", 0)
        self.assertEqual(self.gateway.inside(ask, smoke.GATEWAY, "www.example.com", dns.AAAA), [0, []])
        self.assertNotEqual(self.gateway.inside(connect_result, FAR6, 80)[0], 0)
        self.assertGreater(self.gateway.counters()["drop_ipv6_off"], before)
        self.assertEqual(self.gateway.server.requests, [])

    def test_without_a_range_addresses_are_reached_and_names_have_none(self):
        self.gateway = smoke.Gateway(self.directory, CONFIG + "[dns]\nvirtual6 = none\n")
        add_addresses(self.gateway)
        self.assertEqual(self.gateway.inside(ask, GATEWAY6, "www.example.com", dns.AAAA), [0, []])
        rcode, four = self.gateway.inside(ask, GATEWAY6, "www.example.com", dns.A)
        self.assertEqual((rcode, len(four)), (0, 1))
        self.assertEqual(self.gateway.curl(f"http://[{FAR6}]/10").stdout, socks_server.body(10))

    def test_without_offload_it_is_the_same(self):
        self.gateway = smoke.Gateway(self.directory, CONFIG + "[workstation]\noffload = no\n")
        add_addresses(self.gateway)
        self.assertEqual(self.gateway.curl(f"http://[{FAR6}]/5000000").stdout, socks_server.body(5_000_000))


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
