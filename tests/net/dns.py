#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DNS as a workstation meets it, with an external SOCKS5 server: what a stranger who knows the RFCs would check.

    dns.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import ctypes
import os
import pathlib
import shutil
import socket
import struct
import sys
import tempfile
import time
import unittest

import dns_wire as dns
import smoke
from smoke import GATEWAY

ELSEWHERE = "192.0.2.53"  # any address: port 53 is answered by the gateway
NAME = "www.example.com"


def udp(message, server=GATEWAY):
    return dns.ask_udp(server, message)


def tcp(message, server=GATEWAY):
    return dns.ask_tcp(server, message)


class Case(unittest.TestCase):
    """One running gateway; checks run in the workstation's namespace."""

    configuration = ""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-dns-"))
        cls.gateway = smoke.Gateway(cls.directory, cls.configuration)
        # This thread works in the workstation from here on; the SOCKS server is on a pathname socket.
        cls.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        smoke.enter_namespace(cls.gateway.namespace)

    @classmethod
    def tearDownClass(cls):
        if ctypes.CDLL(None).setns(cls.home, smoke.CLONE_NEWNET) != 0:
            raise OSError("cannot go home")
        os.close(cls.home)
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def assert_address(self, answer, count=1):
        self.assertEqual((answer.rcode, len(answer.records)), (dns.NOERROR, count))

    def assert_no_data(self, answer):
        self.assertEqual((answer.rcode, answer.records), (dns.NOERROR, []))
        self.assertEqual([record.kind for record in answer.sections[1]], [dns.SOA])

    def assert_no_name(self, answer):
        self.assertEqual((answer.rcode, answer.records), (dns.NXDOMAIN, []))
        self.assertEqual([record.kind for record in answer.sections[1]], [dns.SOA])


class Prober(Case):
    """Both transports, no knowledge of what is inside."""

    def both(self, message):
        """The answer over UDP and over TCP, which must be the same."""
        first, second = udp(message), tcp(message)
        self.assertIsNotNone(first)
        self.assertEqual(first, second)
        return first

    def test_the_id_is_copied(self):
        for number in (0, 1, 0x8000, 0xFFFF):
            self.assertEqual(self.both(dns.query(number=number)).number, number)

    def test_the_question_comes_back_as_it_was_asked(self):
        for name in ("www.example.com", "WwW.eXaMpLe.CoM", "a.b.c.d.e.f.example"):
            self.assertEqual(self.both(dns.query(name)).question, dns.question(name))

    def test_names_differ_not_by_case(self):
        self.assertEqual(udp(dns.query("case.example.com")).texts, udp(dns.query("CASE.example.COM")).texts)

    def test_it_is_an_answer_and_recursion_is_available(self):
        answer = self.both(dns.query())
        self.assertEqual(answer.flags & (dns.QR | dns.RA | dns.TC), dns.QR | dns.RA)
        self.assert_address(answer)

    def test_rd_and_cd_are_copied_and_reserved_bits_are_not(self):
        for flags in (0, dns.RD, dns.CD, dns.RD | dns.CD):
            self.assertEqual(self.both(dns.query(flags=flags)).flags & (dns.RD | dns.CD), flags)
        self.assertEqual(self.both(dns.query(flags=0x0040)).flags & 0x0040, 0)

    def test_ad_and_tc_of_a_query_do_no_harm_and_nothing_is_claimed_as_validated(self):
        answer = self.both(dns.query(flags=dns.RD | dns.AD | dns.TC))
        self.assert_address(answer)
        self.assertEqual(answer.flags & (dns.AD | dns.TC | 0x0400), 0)

    def test_no_question_is_a_format_error(self):
        self.assertEqual(self.both(struct.pack("!6H", 7, dns.RD, 0, 0, 0, 0)).rcode, dns.FORMERR)

    def test_two_questions_are_a_format_error(self):
        message = struct.pack("!6H", 7, dns.RD, 2, 0, 0, 0) + dns.question("a.example") + dns.question("b.example")
        self.assertEqual(self.both(message).rcode, dns.FORMERR)

    def test_unknown_opcodes_are_not_implemented_and_copied(self):
        for opcode in (1, 2, 4, 5, 6, 15):
            answer = self.both(dns.query(flags=opcode << 11))
            self.assertEqual((answer.rcode, answer.flags >> 11 & 15), (dns.NOTIMP, opcode))

    def test_an_answer_is_never_answered(self):
        self.assertIsNone(dns.ask_udp(GATEWAY, dns.query(flags=dns.QR | dns.RD), 0.5))

    def test_less_than_a_header_is_never_answered(self):
        for size in (0, 1, 11):
            self.assertIsNone(dns.ask_udp(GATEWAY, dns.query()[:size], 0.3))

    def test_a_class_other_than_internet_is_refused(self):
        for klass in (2, 3, 4, 254, 255):
            self.assertIn(self.both(dns.query(klass=klass)).rcode, (dns.REFUSED, dns.NOTIMP))

    def test_a_question_that_is_cut_off_is_a_format_error(self):
        message = dns.query()
        for size in range(12, len(message)):
            self.assertEqual(udp(message[:size]).rcode, dns.FORMERR)

    def test_pointer_loops_and_pointers_are_a_format_error(self):
        for pointer in (b"\xc0\x0c", b"\xc0\x0e", b"\xc0\x00", b"\xff\xff", b"\x01a\xc0\x0c"):
            message = struct.pack("!6H", 7, dns.RD, 1, 0, 0, 0) + pointer + struct.pack("!2H", 1, 1)
            self.assertEqual(self.both(message).rcode, dns.FORMERR)

    def test_a_name_that_is_too_long_is_a_format_error(self):
        self.assertEqual(self.both(dns.query(".".join(["a" * 63] * 4))).rcode, dns.FORMERR)
        self.assertEqual(udp(dns.query(".".join(["a" * 63] * 3 + ["a" * 61]))).rcode, dns.NOERROR)

    def test_unknown_label_types_are_a_format_error(self):
        for first in (0x40, 0x41, 0x80):
            message = struct.pack("!6H", 7, dns.RD, 1, 0, 0, 0) + bytes([first]) + b"a\0\0\1\0\1"
            self.assertEqual(self.both(message).rcode, dns.FORMERR)

    def test_edns_is_answered_only_if_asked(self):
        self.assertIsNone(self.both(dns.query()).opt)
        answer = self.both(dns.with_opt())
        self.assertIsNotNone(answer.opt)
        self.assertEqual((answer.opt.owner, answer.opt.ttl >> 16 & 255), ("", 0))
        self.assertGreaterEqual(answer.opt.klass, 512)

    def test_an_edns_version_to_come_is_badvers(self):
        for version in (1, 255):
            answer = self.both(dns.with_opt(version=version))
            self.assertEqual((answer.rcode, answer.records), (dns.BADVERS, []))
            self.assertEqual(answer.opt.ttl >> 16 & 255, 0)

    def test_the_do_bit_is_copied(self):
        self.assertEqual(self.both(dns.with_opt(flags=0x8000)).opt.ttl & 0x8000, 0x8000)
        self.assertEqual(self.both(dns.with_opt(flags=0)).opt.ttl & 0xFFFF, 0)

    def test_unknown_options_are_passed_over(self):
        options = struct.pack("!2H", 65001, 4) + b"abcd" + struct.pack("!2H", 10, 8) + b"12345678"
        answer = self.both(dns.with_opt(options=options))
        self.assert_address(answer)
        self.assertEqual(answer.opt.data, b"")

    def test_two_opts_are_a_format_error(self):
        message = dns.query(extra=dns.opt() + dns.opt(), counts=(1, 0, 0, 2))
        self.assertEqual(self.both(message).rcode, dns.FORMERR)

    def test_an_opt_with_a_name_or_in_another_section_is_a_format_error(self):
        self.assertEqual(self.both(dns.query(extra=b"\1a" + dns.opt(), counts=(1, 0, 0, 1))).rcode, dns.FORMERR)
        self.assertEqual(self.both(dns.query(extra=dns.opt(), counts=(1, 1, 0, 0))).rcode, dns.FORMERR)

    def test_a_small_size_is_taken_for_512(self):
        for size in (0, 100, 511):
            self.assert_address(self.both(dns.with_opt(size)))

    def test_no_answer_is_longer_than_the_client_takes(self):
        name = ".".join(["a" * 63] * 3 + ["a" * 61])
        for message, most in ((dns.query(name), 512), (dns.with_opt(512, text=name), 512),
                              (dns.with_opt(4096, text=name), 1232)):
            for kind in (dns.A, dns.AAAA, dns.ANY, dns.HTTPS):
                changed = message.replace(struct.pack("!2H", dns.A, 1), struct.pack("!2H", kind, 1))
                self.assertLessEqual(udp(changed).size, most)

    def test_a_name_without_such_a_record_is_no_data_with_an_soa(self):
        self.assert_no_data(self.both(dns.query(kind=dns.AAAA)))
        self.assert_no_data(self.both(dns.query(kind=dns.HTTPS)))
        self.assert_no_data(self.both(dns.query("localhost", dns.TXT)))

    def test_a_name_that_is_not_there_is_nxdomain_with_an_soa_above_it(self):
        answer = self.both(dns.query("nothing.invalid"))
        self.assert_no_name(answer)
        self.assertEqual(answer.sections[1][0].owner, "invalid")
        self.assertGreater(answer.sections[1][0].ttl, 0)

    def test_any_is_small(self):
        answer = self.both(dns.query(kind=dns.ANY))
        self.assertEqual(answer.rcode, dns.NOERROR)
        self.assertLessEqual(len(answer.records), 1)
        self.assertLess(answer.size, 200)

    def test_localhost_is_here(self):
        for name in ("localhost", "LOCALHOST", "a.localhost"):
            self.assertEqual(self.both(dns.query(name)).texts, ["127.0.0.1"])
            self.assertEqual(self.both(dns.query(name, dns.AAAA)).texts, ["::1"])

    def test_special_names_do_not_exist(self):
        for name in ("invalid", "a.invalid", "a.local", "printer.local", "a.onion", "use-application-dns.net"):
            self.assert_no_name(self.both(dns.query(name)))

    def test_single_labels_do_not_exist(self):
        for name in ("wpad", "router", "com"):
            self.assert_no_name(self.both(dns.query(name)))

    def test_private_addresses_have_no_names(self):
        for name in ("1.0.0.10.in-addr.arpa", "1.1.168.192.in-addr.arpa", "5.0.16.172.in-addr.arpa",
                     "1.0.254.169.in-addr.arpa", "0." * 31 + "f.ip6.arpa"):
            answer = self.both(dns.query(name, dns.PTR))
            self.assertIn(answer.rcode, (dns.NXDOMAIN, dns.NOTIMP))
        self.assert_no_name(self.both(dns.query("1.0.0.10.in-addr.arpa", dns.PTR)))

    def test_a_virtual_address_leads_back_to_its_name(self):
        address, = udp(dns.query("back.example.com")).texts
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        self.assertEqual(self.both(dns.query(reverse, dns.PTR)).texts, ["back.example.com"])

    def test_types_that_cannot_be_answered_are_not_implemented(self):
        for kind in (dns.MX, dns.TXT, dns.SRV, dns.NS, 43, 48, 257, 65280):
            self.assertEqual(self.both(dns.query(kind=kind)).rcode, dns.NOTIMP)

    def test_a_zone_transfer_is_refused(self):
        for kind in (251, 252):
            self.assertIn(self.both(dns.query(kind=kind)).rcode, (dns.REFUSED, dns.NOTIMP))

    def test_names_of_any_bytes_are_answered(self):
        for name in ("a\0b.example.com", "\xff\xfe.example.com", "a b.example.com", "_25._tcp.example.com"):
            self.assertIn(self.both(dns.query(name)).rcode, (dns.NOERROR, dns.NXDOMAIN))

    def test_bytes_after_the_message_do_no_harm(self):
        self.assert_address(self.both(dns.query() + b"more"))

    def test_it_answers_for_any_address(self):
        for server in (GATEWAY, ELSEWHERE, "8.8.8.8"):
            self.assert_address(udp(dns.query(), server))
            self.assert_address(tcp(dns.query(), server))


class Virtual(Case):
    """What flows teach about names. The SOCKS server says that no host behind port 113 can be had."""

    def test_a_name_that_tor_did_not_find_does_not_exist_for_a_while(self):
        name = "gone.example.com"
        address, = udp(dns.query(name)).texts
        with self.assertRaises(OSError):
            socket.create_connection((address, 113), 5).close()
        self.assert_no_name(udp(dns.query(name)))
        self.assert_no_name(udp(dns.query(name, dns.AAAA)))
        self.assert_address(udp(dns.query("other.example.com")))
        socket.create_connection((address, 80), 5).close()  # who knows the address may try; and it is there
        self.assert_address(udp(dns.query(name)))


class Streams(Case):
    """TCP (RFC 7766)."""

    def test_queries_may_be_pipelined(self):
        with dns.Stream(GATEWAY) as stream:
            names = [f"pipe{i}.example.com" for i in range(100)]
            stream.send(*(dns.query(name, number=i) for i, name in enumerate(names)))
            got = {}
            for _ in names:
                answer = stream.receive()
                got[answer.number] = answer.question
            self.assertEqual(got, {i: dns.question(name) for i, name in enumerate(names)})

    def test_a_message_may_come_byte_by_byte(self):
        message = dns.query()
        with dns.Stream(GATEWAY) as stream:
            for byte in struct.pack("!H", len(message)) + message:
                stream.peer.sendall(bytes([byte]))
                time.sleep(0.002)
            self.assert_address(stream.receive())

    def test_two_messages_in_one_segment_and_a_half(self):
        first, second = dns.query("one.example.com", number=1), dns.query("two.example.com", number=2)
        whole = b"".join(struct.pack("!H", len(each)) + each for each in (first, second))
        with dns.Stream(GATEWAY) as stream:
            stream.peer.sendall(whole[:-9])
            self.assertEqual(stream.receive().number, 1)
            stream.peer.sendall(whole[-9:])
            self.assertEqual(stream.receive().number, 2)

    def test_a_client_that_half_closes_gets_its_answers_and_then_the_end(self):
        with dns.Stream(GATEWAY) as stream:
            stream.send(*(dns.query(number=i) for i in range(5)))
            stream.peer.shutdown(socket.SHUT_WR)
            self.assertEqual(sorted(stream.receive().number for _ in range(5)), list(range(5)))
            began = time.monotonic()
            self.assertEqual(stream.peer.recv(1), b"")
            self.assertLess(time.monotonic() - began, 2)

    def test_a_connection_may_be_used_for_long(self):
        with dns.Stream(GATEWAY) as stream:
            for i in range(300):
                stream.send(dns.query(f"long{i}.example.com", number=i))
                self.assertEqual(stream.receive().number, i)

    def test_what_is_no_query_gets_no_answer_and_does_not_stop_what_follows(self):
        with dns.Stream(GATEWAY) as stream:
            stream.send(dns.query(flags=dns.QR), b"short", b"", dns.query(number=9))
            self.assertEqual(stream.receive().number, 9)

    def test_a_message_of_full_length_does_not_stop_what_follows(self):
        with dns.Stream(GATEWAY) as stream:
            stream.send(dns.query(number=8) + bytes(65000), dns.query(number=9))
            self.assertEqual([stream.receive().number, stream.receive().number], [8, 9])

    def test_a_client_that_does_not_read_for_a_while_loses_nothing(self):
        with dns.Stream(GATEWAY, 20) as stream:
            stream.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            count = 3000
            messages = b"".join(struct.pack("!H", len(each)) + each
                                for each in (dns.query(number=i) for i in range(count)))
            stream.peer.setblocking(False)
            sent = 0
            got = []
            # Send until nothing more is taken, then read all: what the gateway held back comes then.
            deadline = time.monotonic() + 20
            while len(got) < count and time.monotonic() < deadline:
                try:
                    sent += stream.peer.send(messages[sent:])
                except BlockingIOError:
                    pass
                if sent == len(messages) or len(got) == 0 and time.monotonic() > deadline - 19:
                    stream.peer.settimeout(0.2)
                    try:
                        got.append(stream.receive().number)
                    except TimeoutError:
                        pass
                    stream.peer.setblocking(False)
                elif got:
                    stream.peer.settimeout(5)
                    got.append(stream.receive().number)
                    stream.peer.setblocking(False)
            self.assertEqual(got, list(range(count)))

    def test_who_is_silent_is_closed_in_good_order(self):
        with dns.Stream(GATEWAY, 40) as stream:
            stream.send(dns.query())
            self.assert_address(stream.receive())
            began = time.monotonic()
            self.assertEqual(stream.peer.recv(1), b"")
            self.assertGreater(time.monotonic() - began, 10)
            self.assertLess(time.monotonic() - began, 30)

    def test_many_connections_at_once(self):
        streams = [dns.Stream(GATEWAY) for _ in range(200)]
        for i, stream in enumerate(streams):
            stream.send(dns.query(number=i))
        for i, stream in enumerate(streams):
            self.assertEqual(stream.receive().number, i)
            stream.peer.close()

    def test_one_connection_too_many_is_refused_and_counted_once(self):
        before = self.gateway.counters()
        streams = []
        with self.assertRaises(ConnectionRefusedError):
            while len(streams) < 900:
                streams.append(dns.Stream(GATEWAY))
        after = self.gateway.counters()
        for stream in streams:
            stream.peer.close()
        self.assertEqual({key: after[key] - before.get(key, 0) for key in after
                          if key.startswith("drop_") and key != "drop_ipv6_off" and after[key] != before.get(key, 0)},
                         {"drop_dns_quota": 1})

    def test_nothing_of_it_reaches_tor(self):
        self.assertEqual([request for request in self.gateway.server.requests if request[3] == 53], [])


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
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    smoke.run("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
