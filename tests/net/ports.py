#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The SOCKS and HTTP tunnel ports on the gateway's address, as clients of every kind see them, and what was asked of the
SOCKS server behind.

    ports.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import unittest

import smoke
import socks_client
from smoke import FAR, FAR2, GATEWAY, run

OTHER = "10.152.152.12"


class Scene(unittest.TestCase):
    extra = ""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-ports-"))
        cls.gateway = smoke.Gateway(cls.directory, cls.extra)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def call(self, function, *arguments):
        return self.gateway.inside(getattr(socks_client, function), *arguments)

    def asked(self, function, *arguments):
        """The last request that reached the server, and the result."""
        before = len(self.gateway.server.requests)
        result = self.call(function, *arguments)
        requests = self.gateway.server.requests[before:]
        self.assertEqual(len(requests), 1, (function, arguments, result))
        return requests[0], result

    def identity(self, function, *arguments):
        return self.asked(function, *arguments)[0][1]

    def dropped(self, why):
        return self.gateway.counters().get("drop_" + why.replace("-", "_"), 0)


class Spoken(Scene):
    """What is spoken, and answered."""

    def test_socks5_by_name_and_by_address(self):
        for target in ("www.example.com", FAR, "2001:db8::7", "WWW.example.com."):
            request, result = self.asked("echo5", 9050, target, 7)
            self.assertEqual(result, "hello")
            self.assertEqual(request[2:], (target.removesuffix("."), 7))  # Tor knows no onion name with a dot behind it
            self.assertEqual(request[0], "<torS0X>0")
            self.assertRegex(request[1], "^[0-9a-f]{32}$")

    def test_an_address_written_as_a_name_is_an_address(self):
        for target in (FAR, f"{FAR}."):
            request, _ = self.asked("connect", 9190, f"CONNECT {target}:7 HTTP/1.1")
            self.assertEqual(request[2:], (FAR, 7))
        request, _ = self.asked("connect", 9190, "CONNECT [2001:db8::7]:7 HTTP/1.1")
        self.assertEqual(request[2:], ("2001:db8::7", 7))

    def test_socks4_and_4a(self):
        request, result = self.asked("ask4", 9050, FAR, 7)
        self.assertEqual((request[2:], result[0], result[2]), ((FAR, 7), 0x5A, "four"))
        request, result = self.asked("ask4", 9050, "0.0.0.1", 7, 1, "me", "www.example.com")
        self.assertEqual((request[2:], result[0], result[2]), (("www.example.com", 7), 0x5A, "four"))
        self.assertEqual(self.call("ask4", 9050, FAR, 81)[0], 0x5B)

    def test_any_cut_of_the_bytes_with_data_right_behind(self):
        want = "0502" + "0100" + "05000001000000000000" + b"early data".hex()
        for pieces in (1, 2, 3, 5, 7, 11, 1000):
            self.assertEqual(self.call("split", 9050, "www.example.com", 7, pieces), want, pieces)

    def test_tors_errors_are_passed_on(self):
        self.assertEqual(self.call("ask5", 9050, FAR, 81), [5, "0.0.0.0", ""])
        self.assertEqual(self.call("ask5", 9050, FAR, 113), [4, "0.0.0.0", ""])
        self.assertEqual(self.call("connect", 9190, f"CONNECT {FAR}:81 HTTP/1.1")[0], "HTTP/1.0 502 Bad Gateway")

    def test_a_server_that_ends_or_talks_nonsense_is_a_failure(self):
        for port in (114, 115, 116, 117):
            text = b"\x05\x01\x00" + socks_client.request5(FAR, port) + b"early"
            self.assertEqual(self.call("say", 9050, text.hex()), "0500" + "05010001000000000000", port)
            self.assertEqual(self.call("connect", 9190, f"CONNECT {FAR}:{port} HTTP/1.1")[0],
                             "HTTP/1.0 500 Internal Server Error", port)

    def test_what_comes_right_behind_an_answer_is_the_clients(self):
        for port, text in ((118, b""), (119, b"bye"), (120, b"long goodbye")):
            for _ in range(5):
                request = b"\x05\x01\x00" + socks_client.request5(FAR, port)
                self.assertEqual(self.call("say", 9050, request.hex()), "0500" + "05000001000000000000" + text.hex(), port)

    def test_resolve_and_its_reverse(self):
        self.gateway.server.names.update({"www.example.com": "192.0.2.9", "six.example.com": "2001:db8::9",
                                          "192.0.2.9": "back.example.com"})
        self.assertEqual(self.call("ask5", 9050, "www.example.com", 0, 0xF0), [0, "192.0.2.9", ""])
        self.assertEqual(self.call("ask5", 9050, "six.example.com", 0, 0xF0), [0, "2001:db8::9", ""])
        self.assertEqual(self.call("ask5", 9050, "192.0.2.9", 0, 0xF1), [0, "back.example.com", ""])
        self.assertEqual(self.call("ask5", 9050, "none.example.com", 0, 0xF0), [4, "0.0.0.0", ""])
        self.assertEqual(self.call("ask4", 9050, "0.0.0.1", 0, 0xF0, "", "www.example.com"), [0x5A, "192.0.2.9", ""])

    def test_an_exit_tells_of_no_address_of_ours(self):
        before = self.dropped("destination-refused")
        _, virtual, _ = self.gateway.inside(smoke.ask, GATEWAY, "v.example.com")
        found = (GATEWAY, "192.168.1.1", "127.0.0.1", virtual[0], "10.200.0.1", "fd00::1", "::ffff:10.0.0.1", "fe80::1")
        for address in found:
            self.gateway.server.names["evil.example.com"] = address
            self.assertEqual(self.call("ask5", 9050, "evil.example.com", 0, 0xF0), [4, "0.0.0.0", ""], address)
        self.assertEqual(self.call("ask4", 9050, "0.0.0.1", 0, 0xF0, "", "evil.example.com")[0], 0x5B)
        self.gateway.server.names["192.0.2.66"] = "a\r\nb"
        self.assertEqual(self.call("ask5", 9050, "192.0.2.66", 0, 0xF1), [4, "0.0.0.0", ""])
        self.assertEqual(self.dropped("destination-refused"), before + len(found) + 2)

    def test_bind_and_udp_are_not_supported(self):
        before = self.dropped("socks-bad")
        for command in (2, 3, 0x77):
            self.assertEqual(self.call("ask5", 9050, FAR, 80, command), [7, "0.0.0.0", ""])
        self.assertEqual(self.call("ask4", 9050, FAR, 80, 2)[0], 0x5B)
        self.assertEqual(self.dropped("socks-bad"), before + 4)

    def test_nobody_gets_where_he_should_not(self):
        before = self.dropped("destination-refused")
        for target in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd00::1", GATEWAY, "::ffff:192.168.1.1", "0x7f.1",
                       "127.0.0.1."):
            self.assertIn(self.call("ask5", 9050, target, 80)[0], (2, 4), target)
        for target in ("localhost", "printer.local", "router", "x.exit", "home.arpa"):
            self.assertEqual(self.call("ask5", 9050, target, 80)[0], 4, target)
        self.assertEqual(self.dropped("destination-refused"), before + 14)
        self.assertEqual(self.call("connect", 9190, "CONNECT 10.0.0.1:22 HTTP/1.1")[0], "HTTP/1.0 403 Forbidden")

    def test_what_is_no_request_is_answered_and_ended(self):
        for text, want in (
                ("06", ""), ("0501ff", "05ff"), ("0500", "05ff"), ("050101", "05ff"),
                ("0501000401", "05000501000100000000" + "0000"),        # version of the request
                ("05010005010101", "05000501000100000000" + "0000"),    # reserved byte
                ("05010005010002", "05000508000100000000" + "0000"),    # type of address
                ("0501000501000300", "05000501000100000000" + "0000"),  # a name without a letter
                ("050100" + "05010003" + "03" + "612062" + "0050", "05000501000100000000" + "0000"),
                ("050100" + "050100017f000001" + "0000", "05000501000100000000" + "0000"),  # port 0
                ("05010202", "0502"), ("0501020101000000", "0502" "0100" "05010001000000000000"),
                ("050102" + "01" + "09" + b"<torS0X>1".hex() + "00", "0502" + "0101"),
                ("0401005001020304" + "61" * 256, "005b" + "00" * 6),
                ("04010050" + "00000001" + "00" + "61" * 256, "005b" + "00" * 6),
                ("04010000" + "01020304" + "00", "005b" + "00" * 6)):
            half_close = text in ("05010202",)
            self.assertEqual(self.call("say", 9050, text, half_close), want, text)
        self.assertIn(b"HTTP/1.0 501", bytes.fromhex(self.call("say", 9050, b"GET / HTTP/1.0\r\n\r\n".hex())))

    def test_http_that_is_no_connect(self):
        for line, headers, want in (
                ("GET http://www.example.com/ HTTP/1.1", (), 405), ("CONNECT www.example.com HTTP/1.1", (), 400),
                ("CONNECT www.example.com:0 HTTP/1.1", (), 400), ("CONNECT www.example.com:70000 HTTP/1.1", (), 400),
                ("CONNECT 2001:db8::7:7 HTTP/1.1", (), 400), ("CONNECT www.example.com:7 HTTP/2.0", (), 400),
                ("CONNECT a b:7 HTTP/1.1", (), 400), ("CONNECT :7 HTTP/1.1", (), 400),
                ("CONNECT www.example.com:7 HTTP/1.1", (" folded: x",), 400),
                ("CONNECT www.example.com:7 HTTP/1.1", ("nothing",), 400),
                ("CONNECT www.example.com:7 HTTP/1.1", ("X: " + "y" * 1100,), 431),
                ("CONNECT www.example.com:7 HTTP/1.1", ["X: y"] * 100, 431),
                ("CONNECT www.example.com:7 HTTP/1.1", ("Proxy-Authorization: " + "y" * 600,), 431)):
            status = self.call("connect", 9190, line, headers)[0]
            self.assertTrue(status.startswith(f"HTTP/1.0 {want} "), (line, headers, status))
        self.assertEqual(self.call("connect", 9190, "CONNECT www.example.com:7 HTTP/1.1", ("Host: x", "A: b")),
                         ["HTTP/1.0 200 OK", "tunnel"])

    def test_curl_speaks_all_of_it(self):
        url = "http://www.example.com/100000"
        want = smoke.socks_server.body(100000)
        for proxy in (["--socks5-hostname", f"{GATEWAY}:9050"], ["--socks4a", f"{GATEWAY}:9050"],
                      ["--socks5-hostname", f"{GATEWAY}:9050", "-U", "user:secret"],
                      ["-x", f"http://{GATEWAY}:9190", "-p"], ["-x", f"http://{GATEWAY}:9190", "-p", "-U", "user:x"],
                      ["--socks5", f"{GATEWAY}:9050"], ["--socks4", f"{GATEWAY}:9050"]):
            at = url.replace("www.example.com", FAR) if "--socks5" in proxy or "--socks4" in proxy else url
            done = self.gateway.curl(*proxy, at)
            self.assertEqual(done.returncode, 0, (proxy, done.stderr))
            self.assertEqual(done.stdout, want, proxy)

    def test_a_client_that_closes_half_gets_the_rest(self):
        self.assertEqual(self.call("say", 9050, (b"\x05\x01\x00" + socks_client.request5(FAR, 1000) + b"x\n").hex(),
                                   True), "0500" + "05000001000000000000" + "78" * 5000)

    def test_one_that_closes_before_he_asked_is_let_go(self):
        self.assertEqual(self.call("say", 9050, "0501", True), "")
        self.assertEqual(self.call("say", 9050, "050100", True), "0500")

    def test_many_at_once_with_early_data(self):
        self.assertEqual(self.call("echo_many", 9050, FAR, 200, 20000), 200)

    def test_a_virtual_address_leads_to_its_name(self):
        _, addresses, _ = self.gateway.inside(smoke.ask, GATEWAY, "v.example.com")
        request, result = self.asked("ask4", 9050, addresses[0], 7)
        self.assertEqual((request[2:], result[2]), (("v.example.com", 7), "four"))
        self.assertEqual(self.call("ask5", 9050, "10.200.0.1", 7)[0], 2)  # one that was never given

    def test_what_is_not_a_port_is_closed(self):
        for port in (9049, 9051, 9120, 9230, 80, 22):
            self.assertEqual(self.call("refused", GATEWAY, port), 111, port)


class Apart(Scene):
    """What is kept apart, by the credentials that reach the server."""

    def test_each_port_and_each_workstation_is_an_identity(self):
        run("ip", "-n", self.gateway.namespace, "addr", "add", f"{OTHER}/18", "dev", "cloister0")
        seen = {self.identity("echo5", port, FAR, 7) for port in (9050, 9100, 9104, 9122, 9150, 9152, 9153, 9111)}
        seen.add(self.identity("connect", 9190, f"CONNECT {FAR}:7 HTTP/1.1"))
        self.assertEqual(len(seen), 9)
        mine = self.identity("echo5", 9050, FAR, 7)
        self.assertIn(mine, seen)
        before = len(self.gateway.server.requests)
        self.gateway.inside(from_other, OTHER)
        self.assertNotIn(self.gateway.server.requests[before][1], seen)

    def test_a_transparent_flow_is_another(self):
        before = len(self.gateway.server.requests)
        self.gateway.curl(f"http://{FAR}/1")
        self.assertNotEqual(self.gateway.server.requests[before][1], self.identity("echo5", 9050, FAR, 80 - 73))

    def test_credentials_of_the_client_divide_further(self):
        def who(*arguments):
            return self.identity("echo5", 9050, FAR, 7, *arguments)
        self.assertEqual(who(), who())
        self.assertEqual(who("a", "b"), who("a", "b"))
        ways = [(), ("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"), ("", ""), ("a", "b" * 255), ("<torS0X>0", "x")]
        self.assertEqual(len({who(*way) for way in ways}), len(ways))

    def test_so_do_those_of_socks4_and_http(self):
        four = [self.identity("ask4", 9050, FAR, 7, 1, user) for user in ("", "me", "you")]
        self.assertEqual(len(set(four)), 3)
        self.assertEqual(four[0], self.identity("echo5", 9050, FAR, 7))
        line = f"CONNECT {FAR}:7 HTTP/1.1"
        sets = [(), ("Proxy-Authorization: Basic eA==",), ("X-Tor-Stream-Isolation: Basic eA==",),
                ("Proxy-Authorization: a", "X-Tor-Stream-Isolation: b"), ("Proxy-Authorization: ab",)]
        self.assertEqual(len({self.identity("connect", 9190, line, headers) for headers in sets}), len(sets))
        self.assertEqual(self.identity("connect", 9190, line, ("Host: a",)),
                         self.identity("connect", 9190, line, ("Host: b",)))

    def test_flags_divide_by_destination_and_port(self):
        # (is divided by address, by port)
        for port, address, other_port in ((9050, False, False), (9101, True, True), (9160, True, False),
                                          (9170, False, True), (9180, True, True), (9150, False, False)):
            base = self.identity("echo5", port, "a.example.com", 7)
            self.assertEqual(base, self.identity("echo5", port, "A.example.com", 7), port)
            self.assertEqual(base != self.identity("echo5", port, "b.example.com", 7), address, port)
            self.assertEqual(base != self.identity("say", port, request_of("a.example.com", 1000), False),
                             other_port, port)
        for port, address in ((9190, False), (9200, True), (9210, False), (9220, True)):
            one, two = (self.identity("connect", port, f"CONNECT {name}:7 HTTP/1.1") for name in ("a.example", "b.example"))
            self.assertEqual(one != two, address, port)


def request_of(name, port):
    return (b"\x05\x01\x00" + socks_client.request5(name, port) + b"\n").hex()


def from_other(address):
    with socks_client.socket.create_connection((GATEWAY, 9050), 10, (address, 0)) as peer:
        peer.sendall(b"\x05\x01\x00" + socks_client.request5(FAR, 7) + b"x")
        return socks_client.exactly(peer, 13).hex()


def add_station(gateway, name, mac, address, table):
    """One more workstation in the namespace of the first, with a routing table of its own."""
    for command in (f"link add link cloister0 name {name} address {mac} type macvlan mode bridge",
                    f"addr add {address}/32 dev {name}", f"link set {name} up",
                    f"route add default via {GATEWAY} dev {name} onlink src {address} table {table}",
                    f"rule add from {address} lookup {table}"):
        run("ip", "-n", gateway.namespace, *command.split())


class Control(Scene):
    """The filtered control port."""

    extra = '[ports]\ncontrol = yes\n[socks-port "9150"]\n'

    def test_tor_browsers_new_identity(self):
        run("ip", "-n", self.gateway.namespace, "addr", "add", f"{OTHER}/18", "dev", "cloister0")
        before = self.identity("echo5", 9150, FAR, 7, "site", "0")
        self.assertEqual(before, self.identity("echo5", 9150, FAR, 7, "site", "0"))
        # What Tor Browser's "new identity" sends, and waits for, one line after the other.
        self.assertEqual(self.call("control", ["AUTHENTICATE 01ab", "SIGNAL NEWNYM", "QUIT"]),
                         ["250 OK", "250 OK", "250 closing connection", "<end>"])
        self.assertNotEqual(before, self.identity("echo5", 9150, FAR, 7, "site", "0"))

    def test_what_stem_asks_first(self):
        answers = self.call("control", ["PROTOCOLINFO 1", "AUTHENTICATE", "GETINFO net/listeners/socks",
                                        "GETINFO status/circuit-established"])
        self.assertEqual(answers[0], "250-PROTOCOLINFO 1")
        self.assertIn(f'250-net/listeners/socks="{GATEWAY}:9150" "{GATEWAY}:9050"', answers)
        self.assertIn("250-status/circuit-established=1", answers)

    def test_everything_else_is_refused_and_counted(self):
        before = self.dropped("control-filtered")
        lines = ["GETINFO address", "GETINFO circuit-status", "SETCONF Log=x", "SIGNAL HALT", "SETEVENTS CIRC"]
        self.assertEqual(self.call("control", lines), ["510 Command filtered"] * 5)
        self.assertEqual(self.dropped("control-filtered"), before + 5)
        self.assertEqual(self.call("control", ["x" * 600])[-2:], ["510 Command filtered", "<end>"])

    def test_a_page_in_a_browser_gets_no_new_identity(self):
        before = self.identity("echo5", 9150, FAR, 7, "site", "0")
        for first in ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\n"):
            text = (first + "AUTHENTICATE\r\nSIGNAL NEWNYM\r\nQUIT\r\n").encode("latin-1").hex()
            self.assertEqual(self.call("say", 9051, text), b"510 Command filtered\r\n".hex())
        self.assertEqual(before, self.identity("echo5", 9150, FAR, 7, "site", "0"))

    def test_sessions_are_bounded(self):
        self.assertEqual(self.call("hold", 9051, 12), 8)

    def test_many_who_say_nothing_keep_nobody_out(self):
        sources = [f"10.152.152.{100 + i}" for i in range(16)]
        for i, source in enumerate(sources):
            add_station(self.gateway, f"many{i}", f"02:00:00:00:01:{i:02x}", source, 100 + i)
        held, said, ended = self.call("hold_from", sources, 8)
        self.assertEqual((held, said, ended), (128, ["250 OK"], 1))


class Free(Scene):
    """Ports of one's own, and nothing transparent."""

    extra = ('[ports]\nsocks_ports = none\n[socks-port "1080"]\n[socks-port "1081"]\n'
             'isolate = destination-address, destination-port\n[socks-port "8118"]\nkind = http\nisolate = none\n'
             f"[tcp]\ntransparent = no\ntransparent_except = {OTHER}\n")

    def test_only_they_are_there(self):
        self.assertEqual(self.call("echo5", 1080, FAR, 7), "hello")
        self.assertEqual(self.call("connect", 8118, f"CONNECT {FAR}:7 HTTP/1.1")[1], "tunnel")
        self.assertEqual(self.call("refused", GATEWAY, 9050), 111)
        self.assertNotEqual(self.identity("echo5", 1081, FAR, 7), self.identity("echo5", 1081, FAR2, 7))
        self.assertEqual(self.identity("echo5", 1080, FAR, 7), self.identity("echo5", 1080, FAR2, 7))

    def test_what_is_transparent_is_refused_but_for_whom_it_is_not(self):
        before = self.dropped("transparent-off")
        self.assertEqual(self.call("refused", FAR, 7), 111)
        self.assertEqual(self.dropped("transparent-off"), before + 1)
        run("ip", "-n", self.gateway.namespace, "addr", "add", f"{OTHER}/18", "dev", "cloister0")
        self.assertEqual(self.gateway.inside(reach_from, OTHER, FAR, 7), 0)
        self.assertEqual(self.gateway.inside(smoke.ask, GATEWAY, "www.example.com")[0], 0)


class Hostile(Scene):
    """Clients that mean no good, in great numbers; whoever does not is served meanwhile and afterwards."""

    extra = ("[workstation]\naddress6 = fd19:c33d:88bc::10/64\n[ports]\ncontrol = yes\n"
             "[limits]\nflows = 256\nworkstation_flows = 256\n[tcp]\nhalf_close_timeout = 1\n")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.gateway.children()['gateway']}/fd"))

    def settled(self):
        """Descriptors of the gateway, when no flow is left."""
        for _ in range(100):
            if self.gateway.counters()["active"] == 0:
                return self.descriptors()
            time.sleep(0.1)
        self.fail(f"flows are left: {self.gateway.counters()}")

    def test_whatever_they_say_nothing_is_left_of_it(self):
        self.assertEqual(self.call("echo5", 9050, FAR, 7), "hello")
        before = self.settled()
        seed = random.randrange(1 << 32)
        for i in range(4):
            self.assertEqual(self.call("babble", 100, seed + i), 100, f"seed {seed + i}")
        self.assertEqual(self.call("echo5", 9050, FAR, 7), "hello", f"seed {seed}")
        self.assertEqual(self.settled(), before, f"seed {seed}")
        self.assertIsNone(self.gateway.process.poll())

    def test_those_who_say_half_of_it_leave_room_for_another(self):
        add_station(self.gateway, "other", "02:00:00:00:00:77", OTHER, 7)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            half = pool.submit(self.call, "say_half", 9050, 256, 4)
            while self.gateway.counters()["active"] < 192 and not half.done():
                time.sleep(0.05)
            self.assertEqual(len(self.gateway.inside(from_other, OTHER)), 26)
            self.assertFalse(half.done())
            self.assertEqual(half.result(), 192)  # three quarters: the others get no answer

    def test_ports_are_there_by_ipv6(self):
        run("ip", "-n", self.gateway.namespace, *"addr add fd19:c33d:88bc::11/64 dev cloister0 nodad".split())
        four = self.identity("echo5", 9050, FAR, 7)
        six = self.identity("ask5", 9050, FAR, 7, 1, None, None, "fd19:c33d:88bc::10")
        self.assertNotEqual(four, six)  # the addresses of a workstation are apart, as those of its transparent flows are
        self.assertEqual(self.call("refused", "fd19:c33d:88bc::10", 9049), 111)


class Forward(Scene):
    """A server that can half close is told when a client does."""

    extra = "[tcp]\nhalf_close = forward\n"

    def test_one_who_closes_with_his_request(self):
        text = b"\x05\x01\x00" + socks_client.request5(FAR, 1002) + b"early data"
        for _ in range(5):
            self.assertEqual(self.call("say", 9050, text.hex(), True), "0500" + "05000001000000000000" + b"early data".hex())

    def test_one_who_closes_later(self):
        self.assertEqual(self.call("echo_at_end", 9050, FAR, 1002, "later"), "later")


def reach_from(source, address, port):
    with socks_client.socket.socket() as peer:
        peer.settimeout(5)
        peer.bind((source, 0))
        return peer.connect_ex((address, port))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    smoke.CLOISTER = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(smoke.SKIPPED)
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, "-B", *sys.argv])
    run("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
