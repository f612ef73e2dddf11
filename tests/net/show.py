#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the host sees of a running gateway: the views, the control socket, the metrics, and that no workstation does.

    show.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import contextlib
import grp
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import smoke
from smoke import FAR, GATEWAY, WORKSTATION

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from lab import schema  # noqa: E402

PORT = 9779
CLIENTS_MAX = 8
# Holds flows to the echo service, with that many bytes in each.
HOLDER = """
import socket, sys
held = []
for i in range(int(sys.argv[1])):
    sock = socket.create_connection(("%s", 7), 10)
    sock.sendall(b"x" * 1000)
    got = 0
    while got < 1000:
        got += len(sock.recv(1000))
    held.append(sock)
print("ready", flush=True)
sys.stdin.read()
""" % FAR


class Held:
    def __init__(self, gateway, count):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", gateway.namespace, sys.executable, "-c", HOLDER, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError("the flows did not open")
        return self

    def __exit__(self, *_):
        self.process.communicate("", timeout=20)


class Shown(unittest.TestCase):
    extra = ""
    identities = "no"
    metrics = f"127.0.0.1:{PORT}"

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-show-"))
        cls.directory.chmod(0o755)
        cls.control = str(cls.directory / "control.d" / "control")
        cls.gateway = smoke.Gateway(cls.directory, f"[process]\ncontrol = {cls.control}\nmetrics = {cls.metrics}\n"
                                    f"{cls.extra}[log]\nidentities = {cls.identities}\n")

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def cloister(self, *words, check=True):
        done = subprocess.run([smoke.CLOISTER, *words, "--control", self.control], capture_output=True, text=True,
                              timeout=30, check=False)
        if check:
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done

    def view(self, what):
        return schema.check_lines(self.cloister("show", what, "--json").stdout)

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.control)  # waits for room, unlike one with a time limit
        sock.settimeout(10)
        return sock

    def ask(self, data, sock=None):
        """What comes back for these bytes up to the end of the answer, or of the connection."""
        with sock or self.connect() as own:
            own.sendall(data)
            return schema.check_lines(self.read_answer(own))

    @staticmethod
    def read_answer(sock):
        got = b""
        while not (got.endswith(b"\n") and json.loads(got.splitlines()[-1])["kind"] in ("end", "error")):
            piece = sock.recv(65536)
            if not piece:
                break
            got += piece
        return got.decode("ascii")

    def is_alive(self):
        self.assertIsNone(self.gateway.process.poll(), self.gateway.log())
        self.assertEqual(len(self.view("status")), 1)


class Views(Shown):
    identities = "yes"

    def test_the_status_is_ten_lines_and_fits_the_schema(self):
        self.gateway.curl(f"http://{FAR}/1000")
        text = self.cloister("show").stdout
        self.assertLessEqual(len(text.splitlines()), 10)
        self.assertRegex(text, r"Cloister +\d\S+, ready on cloister0 for ")
        status, = self.view("status")
        self.assertEqual((status["state"], status["tor"]), ("ready", {"mode": "external"}))
        self.assertGreaterEqual(status["flows"]["total"], 1)
        self.assertGreaterEqual(status["bytes"]["down"], 1000)

    def test_flows_are_shown_with_where_they_go_and_what_they_carried(self):
        with Held(self.gateway, 40):  # more than one piece
            flows = [flow for flow in self.view("flows") if flow["state"] == "ESTABLISHED"]
            self.assertEqual(len(flows), 40)
            self.assertEqual(len({flow["port"] for flow in flows}), 40)
            for flow in flows:
                self.assertEqual((flow["workstation"], flow["destination"], flow["way"], flow["stream"]),
                                 (WORKSTATION, f"{FAR}:7", "tor", "open"))
                self.assertEqual((flow["up"], flow["down"]), (1000, 1000))
            asked = {request[1][:8] for request in self.gateway.server.requests[-40:]}
            self.assertEqual({flow["identity"] for flow in flows}, asked)
            table = self.cloister("show", "flows").stdout.splitlines()
            self.assertIn("DESTINATION", table[0])
            self.assertEqual(sum(f"{FAR}:7" in line and "ESTABLISHED" in line for line in table), 40)

    def test_workstations_are_shown_with_their_bytes(self):
        before = [w for w in self.view("workstations") if WORKSTATION in w["addresses"]]
        self.gateway.curl(f"http://{FAR}/100000")
        station, = [w for w in self.view("workstations") if WORKSTATION in w["addresses"]]
        self.assertGreaterEqual(station["down"] - (before[0]["down"] if before else 0), 100000)
        self.assertIn(station["mac"], self.cloister("show", "workstations").stdout)

    def test_drops_are_shown_with_a_sentence(self):
        self.gateway.inside(smoke.send_datagrams, FAR, 4444, 5)
        deadline = time.monotonic() + 5
        drops = {}
        while drops.get("udp", {"count": 0})["count"] < 5 and time.monotonic() < deadline:
            drops = {drop["reason"]: drop for drop in self.view("drops")}
        self.assertGreaterEqual(drops["udp"]["count"], 5)
        self.assertEqual(drops["udp"]["text"], "a UDP datagram to a port other than 53")
        self.assertIn("a UDP datagram to a port other than 53", self.cloister("show", "drops").stdout)

    def test_an_external_tor_shows_no_circuits(self):
        self.assertEqual(self.view("circuits"), [])
        self.assertEqual(self.cloister("show", "circuits").stdout, "no circuits\n")

    def test_watch_without_a_terminal_looks_once(self):
        self.gateway.curl(f"http://{FAR}/10")
        text = self.cloister("watch").stdout
        self.assertIn("UP NOW", text)
        self.assertIn(WORKSTATION, text)
        self.assertNotIn("\033", text)

    def test_watch_takes_the_terminal_and_gives_it_back(self):
        leader, follower = os.openpty()
        process = subprocess.Popen([smoke.CLOISTER, "watch", "--control", self.control], stdin=follower,
                                   stdout=follower, stderr=follower)
        os.close(follower)
        got = b""
        try:
            while b"ADDRESS" not in got:
                got += os.read(leader, 65536)
            os.write(leader, b"q")
            self.assertEqual(process.wait(10), 0)
            try:
                while piece := os.read(leader, 65536):
                    got += piece
            except OSError:
                pass  # the follower is closed
        finally:
            process.kill()
            process.wait()
            os.close(leader)
        self.assertTrue(got.startswith(b"\033[?1049h"), got[:40])
        self.assertTrue(got.rstrip().endswith(b"\033[?1049l"), got[-40:])


class Newnym(Shown):
    def password_of(self, port):
        """The credential of a new flow from this source port of the workstation."""
        before = len(self.gateway.server.requests)
        code = ("import socket, struct; s = socket.socket(); s.setsockopt(1, 13, struct.pack('ii', 1, 0)); "
                f"s.bind(('', {port})); s.connect(('{FAR}', 7)); s.sendall(b'x'); s.recv(1)")
        smoke.run("ip", "netns", "exec", self.gateway.namespace, sys.executable, "-c", code)
        request, = self.gateway.server.requests[before:]
        return request[1]

    def test_new_flows_are_of_new_identities_from_then_on(self):
        seen = [self.password_of(40001)]
        self.assertEqual(self.password_of(40001), seen[0])
        for words in ((WORKSTATION,), (), (WORKSTATION,)):
            self.assertEqual(self.cloister("newnym", *words).stdout, "")
            password = self.password_of(40001)
            self.assertNotIn(password, seen)
            self.assertEqual(self.password_of(40001), password)
            seen.append(password)

    def test_what_is_open_stays(self):
        with Held(self.gateway, 2):
            self.cloister("newnym")
            self.assertEqual([flow["state"] for flow in self.view("flows")].count("ESTABLISHED"), 2)

    def test_nobody_else_is_renewed(self):
        before = self.password_of(40002)
        done = self.cloister("newnym", "10.152.152.99", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no such workstation", done.stderr)
        self.assertEqual(self.password_of(40002), before)

    def test_what_is_no_address_is_refused(self):
        for words in ("everybody", "10.152.152", "x" * 300, "10.152.152.11/32"):
            done = self.cloister("newnym", words, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("address", done.stderr)
        self.is_alive()


def send_queries(count):
    """A query for a name of its own each, and nobody waits for the answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for i in range(count):
            sock.sendto(i.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0\2n%d\7example\3com\0\0\1\0\1" % i,
                        (GATEWAY, 53))


class Lookups(Shown):
    extra = "[dns]\nanswers = resolve\n[isolation]\nrate = 4\nburst = 8\n"

    def test_lookups_are_metered_as_connections_are(self):
        self.gateway.inside(send_queries, 10)
        time.sleep(0.2)
        self.assertIn(len(self.gateway.server.requests), (6, 7))  # three quarters of the burst, and the rate
        deadline = time.monotonic() + 10
        while len(self.gateway.server.requests) < 10 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(len({request[1] for request in self.gateway.server.requests}), 10)


class Hidden(Shown):
    """Without log.identities, which is the default."""

    metrics = "none"

    def test_no_view_tells_where_flows_go(self):
        with Held(self.gateway, 3):
            flows = self.cloister("show", "flows", "--json").stdout
            self.assertEqual([f["destination"] for f in schema.check_lines(flows)][:3], [None] * 3)
            for what in ("status", "flows", "workstations", "drops"):
                for options in ((), ("--json",)):
                    self.assertNotIn(FAR, self.cloister("show", what, *options).stdout)
            self.assertNotIn(FAR, self.cloister("metrics").stdout)


class Metrics(Shown):
    def fetch(self, request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", PORT), 10) as sock:
            sock.sendall(request)
            got = b""
            while piece := sock.recv(65536):
                got += piece
            return got.decode("ascii")

    def check_text(self, text):
        """Prometheus' text format, as much of it as there is."""
        helped = set()
        for line in text.splitlines():
            if line.startswith("# "):
                helped.add(line.split()[2])
                continue
            self.assertRegex(line, r'^cloister_[a-z_]+(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? [0-9.]+$')
            self.assertIn(line.split("{")[0].split()[0], helped)

    def test_the_listener_and_the_command_say_the_same(self):
        answer = self.fetch()
        head, text = answer.split("\r\n\r\n", 1)
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"), head)
        self.assertIn("Content-Type: text/plain; version=0.0.4", head)
        self.assertIn(f"Content-Length: {len(text)}", head)
        self.check_text(text)
        self.check_text(self.cloister("metrics").stdout)
        names = [line.split()[0] for line in text.splitlines() if line[0] != "#"]
        self.assertEqual(names, [line.split()[0] for line in self.cloister("metrics").stdout.splitlines()
                                 if line[0] != "#"])
        self.assertIn("\ncloister_ready 1\n", text)

    def test_what_is_no_request_for_metrics_is_refused(self):
        for request, status in ((b"GET / HTTP/1.1\r\n\r\n", "404"), (b"GET /metricsx HTTP/1.1\r\n\r\n", "404"),
                                (b"POST /metrics HTTP/1.1\r\n\r\n", "405"), (b"\0\xff\n\n", "405"),
                                ((b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 2048)[:2048], "431")):
            self.assertIn(status, self.fetch(request).splitlines()[0])
        self.is_alive()

    def test_no_workstation_reaches_it(self):
        def probe():
            found = []
            for address in (GATEWAY, "127.0.0.1", "10.152.152.1"):
                for port in (PORT, 9051):
                    with socket.socket() as sock:
                        sock.settimeout(1)
                        try:
                            sock.connect((address, port))
                            found.append([address, port])
                        except OSError:
                            pass
            return found

        self.assertIn("200 OK", self.fetch())
        self.assertEqual(self.gateway.inside(probe), [])


class Socket(Shown):
    """The control socket against those who should not, or do not know how to."""

    metrics = "none"

    def test_it_is_roots_alone(self):
        status = os.stat(self.control)
        self.assertEqual((status.st_uid, stat.S_IMODE(status.st_mode)), (0, 0o600))

        def try_it():
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as sock:
                try:
                    sock.connect(self.control)
                    return "connected"
                except PermissionError:
                    return "refused"

        self.assertEqual(smoke.inside(self.gateway.namespace, try_it), "refused")

    def test_a_malformed_request_gets_an_error(self):
        for request in (b"\n", b"show\n", b"show  flows\n", b"SHOW FLOWS\n", b"show flows now\n", b"show \0\n",
                        b"show fl\xc3\xb6ws\n", b"\x1b[2J\n", b"x" * 200 + b"\n", b"x" * 10000, b"\r\n",
                        b"{\"show\":1}\n", b"GET / HTTP/1.1\r\n"):
            answer = self.ask(request)
            self.assertEqual([line["kind"] for line in answer], ["error"], request)
        self.is_alive()

    def test_several_requests_on_one_connection_are_answered_in_order(self):
        with self.connect() as sock:
            sock.sendall(b"show drops\nnonsense\nshow status\nshow workstations\nmetrics\n")
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while piece := sock.recv(65536):
                got += piece
        kinds = [line["kind"] for line in schema.check_lines(got.decode("ascii"))]
        self.assertEqual([k for k in kinds if k in ("end", "error", "status")], ["end", "error", "status", "end", "end", "end"])

    def test_a_request_in_pieces_is_one(self):
        with self.connect() as sock:
            for byte in b"show status\n":
                sock.sendall(bytes([byte]))
                time.sleep(0.005)
            self.assertEqual([line["kind"] for line in schema.check_lines(self.read_answer(sock))], ["status", "end"])

    def test_too_many_clients_are_turned_away_and_the_others_served(self):
        held = [self.connect() for _ in range(CLIENTS_MAX)]
        try:
            time.sleep(0.1)
            with self.connect() as sock:
                answer = schema.check_lines(self.read_answer(sock))
            self.assertEqual((answer[0]["kind"], answer[0]["error"]), ("error", "too many clients; try again"))
            for sock in held:
                self.assertEqual(self.ask(b"show status\n", sock)[-1]["kind"], "end")
        finally:
            for sock in held:
                sock.close()
        time.sleep(0.1)
        self.is_alive()

    def test_clients_that_vanish_or_do_not_read_stop_nothing(self):
        with Held(self.gateway, 200):
            sleepers = []
            for _ in range(5):
                sock = self.connect()
                sock.sendall(b"show flows\n" * 150)  # the answers fill all buffers
                sleepers.append(sock)
                self.addCleanup(sock.close)
            for _ in range(50):
                with self.connect() as sock, contextlib.suppress(BrokenPipeError):  # turned away
                    sock.sendall(b"show flows\n")
            time.sleep(0.5)  # those that are gone are noticed
            began = time.monotonic()
            self.assertEqual(sum(f["state"] == "ESTABLISHED" for f in self.view("flows")), 200)
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual(self.gateway.curl(f"http://{FAR}/1000").returncode, 0)
        self.is_alive()

    def test_who_does_not_read_is_closed(self):
        with Held(self.gateway, 100), self.connect() as sock:
            sock.sendall(b"show flows\n" * 150)
            time.sleep(13)
            sock.settimeout(5)
            got = 0
            try:
                while piece := sock.recv(1 << 20):
                    got += len(piece)
            except ConnectionResetError:
                pass  # with requests of ours unread
            self.assertLess(got, 150 * 100 * 200)
        self.is_alive()

    def test_a_gateway_that_hangs_is_said(self):
        pid = self.gateway.children()["gateway"]
        os.kill(pid, signal.SIGSTOP)
        try:
            done = self.cloister("show", check=False)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the gateway does not answer", done.stderr)
        time.sleep(0.2)
        self.is_alive()


class Group(Shown):
    """control_group, a second gateway, and what is left behind."""

    metrics = "none"
    extra = "control_group = games\n"

    def test_members_of_the_group_may_ask(self):
        status = os.stat(self.control)
        group = grp.getgrnam("games").gr_gid
        self.assertEqual((status.st_gid, stat.S_IMODE(status.st_mode)), (group, 0o660))

        def ask():
            os.setgroups([group])
            os.setresuid(65534, 65534, 65534)
            return subprocess.run([smoke.CLOISTER, "show", "--control", self.control], capture_output=True,
                                  text=True, timeout=20, check=False).stdout

        self.assertIn("ready on", smoke.inside(self.gateway.namespace, ask))

    def test_a_second_one_does_not_take_it_away(self):
        other = pathlib.Path(tempfile.mkdtemp(prefix="cloister-show-"))
        try:
            config = other / "cloister.conf"
            text = (self.directory / "cloister.conf").read_text(encoding="ascii")
            config.write_text(text.replace("[workstation]", "[workstation]\ndevice = other0"), encoding="ascii")
            done = subprocess.run([smoke.CLOISTER, "run", "--config", str(config)], capture_output=True, text=True,
                                  timeout=20, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("process.control", done.stderr)
        finally:
            shutil.rmtree(other)
        self.is_alive()

    def test_one_that_was_killed_leaves_nothing_in_the_way(self):
        self.gateway.process.kill()
        self.gateway.process.wait()
        time.sleep(0.3)
        self.gateway.close()
        self.assertTrue(os.path.exists(self.control))
        done = self.cloister("show", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is cloister running", done.stderr)
        self.setUpClass.__func__(type(self))
        self.is_alive()


if __name__ == "__main__":
    smoke.main()
