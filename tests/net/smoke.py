#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The whole path with an external SOCKS5 server: a workstation in a namespace of its own, `cloister run`, and what was
asked of the server. Everything happens in network namespaces that this program makes, without a route out.

    smoke.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import concurrent.futures
import ctypes
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import socks_server

SKIPPED = 77
GATEWAY, WORKSTATION = "10.152.152.10", "10.152.152.11"
FAR = "198.51.100.7"  # reserved for documentation (RFC 5737)
FAR2 = "198.51.100.8"
CLOISTER = None
CLONE_NEWNET = 0x40000000


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **options).stdout


def enter_namespace(name):
    """For the calling thread's process: only to be used in a child."""
    with open(f"/run/netns/{name}", encoding="ascii") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def inside(namespace, function, *arguments):
    """Call a function in a forked child in a namespace; its result comes back as JSON."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = {"error": "no answer"}
        try:
            enter_namespace(namespace)
            answer = {"result": function(*arguments)}
        except BaseException as error:  # pylint: disable=broad-except
            answer = {"error": repr(error)}
        finally:
            os.write(theirs, json.dumps(answer).encode())
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        answer = json.loads(pipe.read())
    os.waitpid(pid, 0)
    if "error" in answer:
        raise AssertionError(answer["error"])
    return answer["result"]


def is_alive(pid):
    """Whoever is init here may take a while to collect it: a zombie is dead."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def counters_of(line):
    return {key: int(value) for key, value in re.findall(r" ([a-z0-9_-]+)=(\d+)", line)}


class Gateway:
    """`cloister run` with its TAP in the workstation's namespace."""

    def __init__(self, directory, extra="", attach=True):
        self.directory = directory
        self.namespace = f"cloister-ws-{os.getpid()}"
        (directory / "socks").mkdir(exist_ok=True)
        for path in (directory, directory / "socks"):
            path.chmod(0o755)
        socket_path = directory / "socks" / "socks"
        socket_path.unlink(missing_ok=True)
        self.server = socks_server.Server(str(socket_path))
        config = directory / "cloister.conf"
        # The usual control socket is for a gateway that somebody uses.
        control = "" if "\ncontrol =" in extra else "[process]\ncontrol = none\n"
        config.write_text(f"{control}[workstation]\naddress = {GATEWAY}/18\n[tor]\nmode = external\n"
                          f"socks = unix:{socket_path}\n{extra}")
        self.log_path = directory / "log"
        with open(self.log_path, "w", encoding="ascii") as log:
            self.process = subprocess.Popen([CLOISTER, "run", "--config", str(config)], stderr=log)
        self.wait_for("event=ready")
        if attach:
            self.attach()

    def attach(self):
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "set", "cloister0", "netns", self.namespace)
        for command in ("link set lo up", f"addr add {WORKSTATION}/18 dev cloister0", "link set cloister0 up",
                        f"route add default via {GATEWAY}"):
            run("ip", "-n", self.namespace, *command.split())

    def log(self):
        return self.log_path.read_text(encoding="ascii")

    def wait_for(self, text, seconds=10, count=1):
        """The last line of the log with `text`, once there are `count` of them."""
        end = time.monotonic() + seconds
        while True:
            lines = [line for line in self.log().splitlines() if text in line]
            if len(lines) >= count:
                return lines[-1]
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"no {text} in the log:\n{self.log()}")
            time.sleep(0.02)

    def children(self):
        """Process ids by role."""
        found = {}
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            for word in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                if word.startswith(b"--role="):
                    found[word[7:].decode()] = int(pid)
        return found

    def counters(self):
        before = self.log().count("event=counters")
        self.process.send_signal(signal.SIGUSR1)
        return counters_of(self.wait_for("event=counters", count=before + 1))

    def curl(self, *arguments, **options):
        return subprocess.run(["ip", "netns", "exec", self.namespace, "curl", "-sS", "-m", "30", *arguments],
                              capture_output=True, timeout=40, **options)

    def inside(self, function, *arguments):
        return inside(self.namespace, function, *arguments)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)


# What is run in the workstation's namespace.

def ask(server, name, kind=1):
    """(rcode, addresses, TTL) of a DNS query over UDP; None if nothing came."""
    number = random.randrange(65536)
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect((server, 53))
        sock.send(query)
        answer = sock.recv(4096)
    got, flags, _, count, _, _ = struct.unpack("!6H", answer[:12])
    if got != number:
        raise ValueError("another id")
    at, addresses, ttl = 12 + len(question) + 4, [], None
    for _ in range(count):
        at += 2 if answer[at] >= 0xc0 else len(question)
        rtype, _, ttl, length = struct.unpack("!2HIH", answer[at:at + 10])
        if rtype == 1:
            addresses.append(socket.inet_ntoa(answer[at + 10:at + 10 + length]))
        at += 10 + length
    return flags & 15, addresses, ttl


def half_close(port):
    """Send a line, close our side, and count what comes until the end."""
    with socket.create_connection((FAR, port), 10) as sock:
        sock.sendall(b"hello\n")
        sock.shutdown(socket.SHUT_WR)
        got = 0
        while piece := sock.recv(65536):
            got += len(piece)
        return got


def talk_after_their_close():
    """The far end closes first; what we still send must be taken."""
    with socket.create_connection((FAR, 1001), 10) as sock:
        word = b""
        while piece := sock.recv(64):
            word += piece
        sock.sendall(b"y" * 100000)
        sock.shutdown(socket.SHUT_WR)
        return word.decode()


def echo_many(count, size):
    """`count` flows at once, each of which echoes `size` random bytes; how many came back equal."""
    def one(_):
        data = os.urandom(size)
        with socket.create_connection((FAR, 7), 30) as sock:
            sock.settimeout(30)
            sent, got = 0, b""
            sock.setblocking(False)
            end = time.monotonic() + 30
            while len(got) < size and time.monotonic() < end:
                try:
                    if sent < size:
                        sent += sock.send(data[sent:])
                except BlockingIOError:
                    pass
                try:
                    piece = sock.recv(65536)
                    if not piece:
                        break
                    got += piece
                except BlockingIOError:
                    time.sleep(0.001)
            return got == data
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return sum(pool.map(one, range(count)))


def connect_result(address, port):
    start = time.monotonic()
    with socket.socket() as sock:
        sock.settimeout(5)
        try:
            sock.connect((address, port))
            error = 0
        except TimeoutError:
            error = "timeout"
        except OSError as failure:
            error = failure.errno
    return error, time.monotonic() - start


def send_datagrams(address, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"hello", (address, port))


def hold_until_it_ends():
    """Open a flow, and tell how it ended."""
    with socket.create_connection((FAR, 7), 10) as sock:
        sock.settimeout(10)
        sock.sendall(b"x")
        sock.recv(1)
        try:
            return "end" if sock.recv(1) == b"" else "data"
        except OSError as error:
            return error.errno


def one_port_to_two_places():
    """Two flows at once from one source port, then a third from the same when they have ended."""
    port = 40444

    def begin(address):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        sock.settimeout(10)
        sock.connect((address, 7))
        return sock

    def end(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    both = [begin(FAR), begin(FAR2)]
    for sock in both:
        end(sock)
    time.sleep(0.2)
    end(begin(FAR))


class Path(unittest.TestCase):
    """Everything that goes through one running gateway."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))
        cls.gateway = Gateway(cls.directory, "[isolation]\nlifetime = 0\n")  # no epoch ends meanwhile

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def test_a_page_by_address(self):
        got = self.gateway.curl(f"http://{FAR}/1000")
        self.assertEqual((got.returncode, got.stdout), (0, socks_server.body(1000)))
        username, password, target, port = self.gateway.server.requests[-1]
        self.assertEqual((username, target, port), ("<torS0X>0", FAR, 80))
        self.assertRegex(password, "^[0-9a-f]{32}$")

    def test_a_name_travels_to_the_far_end(self):
        for server in (GATEWAY, "192.0.2.53"):
            rcode, addresses, ttl = self.gateway.inside(ask, server, "www.example.com")
            self.assertEqual((rcode, len(addresses)), (0, 1))
            self.assertLessEqual(ttl, 60)
            got = self.gateway.curl("--resolve", f"www.example.com:80:{addresses[0]}", "http://www.example.com/10")
            self.assertEqual(got.stdout, socks_server.body(10), got.stderr)
            self.assertEqual(self.gateway.server.requests[-1][2:], ("www.example.com", 80))

    def test_no_two_flows_share_credentials(self):
        before = len(self.gateway.server.requests)
        for _ in range(20):
            self.gateway.curl(f"http://{FAR}/1")
        passwords = [request[1] for request in self.gateway.server.requests[before:]]
        self.assertEqual(len(passwords), 20)
        self.assertEqual(len(set(passwords)), 20)

    def test_one_source_port_to_two_places_at_once_is_two_identities(self):
        before = len(self.gateway.server.requests)
        self.gateway.inside(one_port_to_two_places)
        first, second, later = (request[1] for request in self.gateway.server.requests[before:])
        self.assertNotEqual(first, second)
        self.assertEqual(first, later)

    def test_fifty_megabytes_down(self):
        size = 50_000_000
        got = self.gateway.curl(f"http://{FAR}/{size}")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(hashlib.sha256(got.stdout).digest(), hashlib.sha256(socks_server.body(size)).digest())

    def test_twenty_megabytes_up(self):
        data = random.Random(1).randbytes(20_000_000)
        got = self.gateway.curl("-T", "-", "-H", f"Content-Length: {len(data)}", "-H", "Transfer-Encoding:",
                                f"http://{FAR}/", input=data)
        self.assertEqual(got.stdout.decode(), f"{len(data)} {hashlib.sha256(data).hexdigest()}", got.stderr)

    def test_two_hundred_flows_at_once(self):
        self.assertEqual(self.gateway.inside(echo_many, 200, 20000), 200)

    def test_a_half_closed_flow_gets_its_whole_answer(self):
        self.assertEqual(self.gateway.inside(half_close, 1000), 5000)

    def test_a_server_that_closes_first_still_hears_us(self):
        self.assertEqual(self.gateway.inside(talk_after_their_close), "bye")

    def test_a_closed_port_is_refused_at_once(self):
        error, seconds = self.gateway.inside(connect_result, FAR, 81)
        self.assertEqual(error, 111)
        self.assertLess(seconds, 0.5)

    def test_an_unreachable_host_is_told(self):
        error, seconds = self.gateway.inside(connect_result, FAR, 113)
        self.assertIn(error, (111, 113))
        self.assertLess(seconds, 0.5)

    def test_the_gateway_itself_and_unknown_virtual_addresses_are_refused(self):
        before = len(self.gateway.server.requests)
        for address in (GATEWAY, "10.152.152.99", "10.223.1.2"):
            error, seconds = self.gateway.inside(connect_result, address, 80)
            self.assertIn(error, (111, 113), address)
            del seconds
        self.assertEqual(len(self.gateway.server.requests), before)

    def test_addresses_that_are_not_the_internets_are_refused(self):
        before = len(self.gateway.server.requests)
        dropped = self.gateway.counters().get("drop_destination_refused", 0)
        addresses = ("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.1")
        for address in addresses:
            error, seconds = self.gateway.inside(connect_result, address, 80)
            self.assertEqual(error, 111, address)
            self.assertLess(seconds, 0.5)
        self.assertEqual(self.gateway.counters()["drop_destination_refused"], dropped + len(addresses))
        self.assertEqual(len(self.gateway.server.requests), before)

    def test_an_address_in_the_clothes_of_a_name_is_refused(self):
        before = len(self.gateway.server.requests)
        _, addresses, _ = self.gateway.inside(ask, GATEWAY, "192.168.1.1")
        for address in addresses:
            self.assertEqual(self.gateway.inside(connect_result, address, 80)[0], 111)
        self.assertEqual(len(self.gateway.server.requests), before)

    def test_other_datagrams_are_dropped_and_counted(self):
        before = self.gateway.counters().get("drop_udp", 0)
        self.gateway.inside(send_datagrams, FAR, 443, 5)
        self.gateway.inside(send_datagrams, GATEWAY, 123, 2)
        # Frames may still be on their way through the TAP when the counters are asked for.
        end = time.monotonic() + 5
        while (seen := self.gateway.counters()["drop_udp"]) < before + 7 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(seen, before + 7)

    def test_counters_are_told_as_often_as_they_are_asked_for(self):
        for _ in range(60):
            self.gateway.counters()

    def test_the_log_names_nobody(self):
        self.gateway.curl(f"http://{FAR}/1")
        self.gateway.inside(ask, GATEWAY, "secret.example.com")
        for word in (FAR, WORKSTATION, "example.com"):
            self.assertNotIn(word, self.gateway.log())


class End(unittest.TestCase):
    """How it ends."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))
        self.gateway = Gateway(self.directory)

    def tearDown(self):
        self.gateway.close()
        shutil.rmtree(self.directory)

    def expect_end(self, status):
        start = time.monotonic()
        self.assertEqual(self.gateway.process.wait(5), status)
        self.assertLess(time.monotonic() - start, 2)
        time.sleep(0.1)
        self.assertEqual(run("ip", "-n", self.gateway.namespace, "-o", "link", "show", "type", "tun"), "")

    def test_sigterm_ends_it_in_good_order(self):
        self.gateway.curl(f"http://{FAR}/12345")
        pids = self.gateway.children()
        self.gateway.process.terminate()
        self.expect_end(0)
        log = self.gateway.log()
        self.assertIn("event=exit reason=SIGTERM status=0", log)
        counters = counters_of([line for line in log.splitlines() if "event=counters" in line][-1])
        self.assertEqual((counters["flows"], counters["active"]), (1, 0))
        self.assertGreater(counters["down_bytes"], 12345)
        for pid in pids.values():
            self.assertFalse(is_alive(pid))

    def test_sigterm_resets_the_flows(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            flow = pool.submit(self.gateway.inside, hold_until_it_ends)
            while not self.gateway.server.requests:
                time.sleep(0.02)
            time.sleep(0.3)
            self.gateway.process.terminate()
            self.expect_end(0)
            self.assertEqual(flow.result(), 104)

    def test_signals_without_a_meaning_end_nothing(self):
        for number in (signal.SIGHUP, signal.SIGUSR2):
            self.gateway.process.send_signal(number)
        self.assertIn("restart cloister", self.gateway.wait_for("event=reload"))
        self.gateway.curl(f"http://{FAR}/12345")
        self.assertIsNone(self.gateway.process.poll())

    def test_the_end_of_its_terminal_ends_it(self):
        self.gateway.close()
        ours, theirs = os.openpty()
        config = self.directory / "cloister.conf"
        process = subprocess.Popen([CLOISTER, "run", "--config", str(config)], stderr=theirs, stdin=theirs)
        os.close(theirs)
        said = b""
        while b"event=ready" not in said:
            said += os.read(ours, 4096)
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(5), 0)
        os.close(ours)

    def test_a_signal_to_all_processes_is_a_good_end_too(self):
        pids = list(self.gateway.children().values())
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        self.assertIsNone(self.gateway.process.poll())
        self.gateway.process.send_signal(signal.SIGINT)
        self.expect_end(0)

    def test_the_death_of_the_gateway_ends_all_with_a_reason(self):
        os.kill(self.gateway.children()["gateway"], signal.SIGKILL)
        self.expect_end(1)
        self.assertIn('event=exit reason="gateway was killed by signal 9 (Killed)" status=1', self.gateway.log())

    def test_the_death_of_the_supervisor_takes_the_gateway_with_it(self):
        pid = self.gateway.children()["gateway"]
        # One that is stopped cannot notice anything by itself: this is the kernel's doing.
        os.kill(pid, signal.SIGSTOP)
        self.gateway.process.kill()
        self.expect_end(-9)
        self.assertFalse(is_alive(pid))

    def test_a_gateway_that_hangs_is_killed_in_time(self):
        os.kill(self.gateway.children()["gateway"], signal.SIGSTOP)
        self.gateway.process.terminate()
        self.expect_end(1)
        self.assertIn("event=kill role=gateway", self.gateway.log())

    def test_the_removal_of_the_device_ends_all(self):
        run("ip", "-n", self.gateway.namespace, "link", "del", "cloister0")
        self.expect_end(1)


class HalfClose(unittest.TestCase):
    """A SOCKS server that can half close, and `half_close = forward`."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))

    def tearDown(self):
        shutil.rmtree(self.directory)

    def answer(self, lines):
        gateway = Gateway(self.directory, f"[tcp]\nhalf_close_timeout = 3\n{lines}")
        try:
            got = gateway.inside(half_close, 1002)
            self.assertTrue(gateway.process.poll() is None)
            return got
        finally:
            gateway.close()

    def test_a_server_that_waits_for_the_end_answers(self):
        self.assertEqual(self.answer("half_close = forward\n"), len(b"hello\n"))

    def test_also_if_all_is_said_before_the_stream_is_open(self):
        self.assertEqual(self.answer("half_close = forward\naccept = optimistic\n"), len(b"hello\n"))

    def test_it_is_not_told_unless_asked_for(self):
        self.assertEqual(self.answer(""), 0)


class Cell(unittest.TestCase):
    """The gateway process, looked at from outside."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))
        cls.gateway = Gateway(cls.directory)
        cls.pid = cls.gateway.children()["gateway"]

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()
        shutil.rmtree(cls.directory)

    def status(self, pid):
        return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())

    def test_it_has_no_capability_and_users_differ(self):
        status = self.status(self.pid)
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[key], 16), 0)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertNotIn("0", status["Uid"].split() + status["Gid"].split())
        self.assertEqual(status["Groups"].split(), [])
        supervisor = self.status(self.gateway.process.pid)
        self.assertNotEqual(supervisor["Uid"], status["Uid"])
        self.assertNotIn("0", supervisor["Uid"].split())
        self.assertEqual(int(supervisor["CapPrm"], 16), 1 << 5)  # CAP_KILL
        self.assertEqual(int(supervisor["CapBnd"], 16), 0)

    def test_system_calls_are_filtered(self):
        for pid in (self.pid, self.gateway.process.pid):
            self.assertEqual(self.status(pid)["Seccomp"], "2")

    def test_namespaces_are_its_own(self):
        for kind in ("net", "mnt", "ipc", "uts", "pid", "cgroup"):
            self.assertNotEqual(os.readlink(f"/proc/{self.pid}/ns/{kind}"), os.readlink(f"/proc/self/ns/{kind}"), kind)
        links = run("nsenter", "-t", str(self.pid), "-n", "ip", "-o", "link")
        self.assertEqual(len(links.splitlines()), 1)
        self.assertRegex(links, r"^1: lo: <LOOPBACK> .* state DOWN")

    def test_the_root_is_empty_and_the_environment_too(self):
        self.assertEqual(os.listdir(f"/proc/{self.pid}/root"), ["socks"])
        self.assertEqual(pathlib.Path(f"/proc/{self.pid}/environ").read_bytes(), b"")
        mounts = pathlib.Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        self.assertEqual(len(mounts), 2)
        for mount in mounts:
            self.assertRegex(mount, " ro,nosuid,nodev,noexec")

    def test_only_known_descriptors_are_open(self):
        descriptors = pathlib.Path(f"/proc/{self.pid}/fd")
        targets = [os.readlink(path) for path in descriptors.iterdir()]
        self.assertEqual(targets.count("/dev/net/tun"), 1)
        self.assertEqual([t for t in targets if t.startswith("/")
                          and t not in ("/dev/net/tun", "/dev/null", str(self.gateway.log_path))], [])
        self.assertEqual(len([t for t in targets if t.startswith("socket:")]), 1)  # the channel
        self.assertNotIn("/dev/net/tun", [os.readlink(path) for path in
                                          pathlib.Path(f"/proc/{self.gateway.process.pid}/fd").iterdir()])


class Lacking(unittest.TestCase):
    """A kernel that lacks a piece: refused, or said."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))
        self.directory.chmod(0o755)
        (self.directory / "socks").mkdir()

    def tearDown(self):
        shutil.rmtree(self.directory)

    def start(self, lacks, hardening, tor=None, until="event=ready"):
        """What it logs until it is ready or has ended, and its exit status then or None."""
        config, log = self.directory / "cloister.conf", self.directory / "log"
        tor = tor or f"mode = external\nsocks = unix:{self.directory}/socks/socks\n"
        config.write_text(f"[tor]\n{tor}[process]\nhardening = {hardening}\ncontrol = none\n")
        with open(log, "w", encoding="ascii") as file:
            process = subprocess.Popen([os.environ["CLOISTER_LACKING"], lacks, CLOISTER, "run", "--config", config],
                                       stderr=file)
        end = time.monotonic() + 10
        while process.poll() is None and until not in log.read_text() and time.monotonic() < end:
            time.sleep(0.02)
        status = process.poll()
        if status is None:
            process.terminate()
            self.assertEqual(process.wait(5), 0)
        return log.read_text(), status

    def test_what_is_missing_is_a_reason_not_to_start(self):
        for lacks, words in (("landlock_create_ruleset", "Landlock"), ("seccomp", "filter system calls"),
                             ("ipc", "IPC namespace"), ("cgroup", "cgroup namespace")):
            log, status = self.start(lacks, "strict")
            self.assertEqual(status, 1, log)
            self.assertIn(words, log)
            self.assertNotIn("event=ready", log)

    def test_best_effort_goes_on_and_says_what_is_missing(self):
        for lacks, words in (("landlock_create_ruleset", "landlock"), ("seccomp", "system-call-filter"),
                             ("ipc", "ipc-namespace"), ("cgroup", "cgroup-namespace"),
                             ("landlock_create_ruleset,seccomp,ipc",
                              "system-call-filter,landlock,ipc-namespace")):
            log, status = self.start(lacks, "best-effort")
            self.assertIsNone(status, log)
            self.assertIn(f"role=gateway event=hardening missing={words}", log)

    def test_a_tap_stands_alone_beside_an_uplink_only_behind_a_wall(self):
        (self.directory / "torrc").write_text("DirAuthority nobody orport=1 v3ident=" + "0" * 40 + " 127.0.0.1:1 "
                                              + "0" * 40 + "\n")
        tor = f"data = {self.directory}/data\ntorrc = {self.directory}/torrc\n"
        log, status = self.start("netfilter", "strict", tor)
        self.assertEqual(status, 1, log)
        self.assertIn("drop what the TAP hands to this host", log)
        log, status = self.start("netfilter", "best-effort", tor, "event=hardening missing=nf-tables")
        self.assertIsNone(status, log)
        self.assertIn("role=supervisor event=hardening missing=nf-tables", log)

    def test_with_everything_there_nothing_is_said(self):
        log, status = self.start("acct", "best-effort")
        self.assertIsNone(status, log)
        self.assertNotIn("event=hardening", log)


class Refusal(unittest.TestCase):
    """The command line, and what `run` says when it cannot start: a reason, a status, and nothing left behind."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-smoke-"))
        self.directory.chmod(0o755)
        self.config = self.directory / "cloister.conf"

    def tearDown(self):
        shutil.rmtree(self.directory)

    @staticmethod
    def call(*arguments, **options):
        return subprocess.run([CLOISTER, *arguments], capture_output=True, text=True, timeout=20, **options)

    def start(self, text, **options):
        self.config.write_text(text)
        return self.call("run", "--config", str(self.config), **options)

    def external(self, mode=0o755):
        path = self.directory / "socks"
        path.mkdir()
        path.chmod(mode)
        return f"[tor]\nmode = external\nsocks = unix:{path}/socks\n"

    def expect_failure(self, ended, *words):
        self.assertEqual(ended.returncode, 1, ended.stderr)
        last = ended.stderr.splitlines()[-1]
        self.assertIn("event=exit", last)
        self.assertIn("status=1", last)
        for word in words:
            self.assertIn(word, last)
        self.assertEqual(run("ip", "-o", "link", "show", "type", "tun"), "")

    def test_the_command_line(self):
        for arguments, status, words in (
                (["--help"], 0, "usage:"), (["help"], 0, "usage:"), (["version"], 0, "cloister "),
                (["--version"], 0, "Tor "), ([], 2, "no command"), (["walk"], 2, 'unknown command "walk"'),
                (["run"], 2, "run needs --config FILE"), (["check", "--config"], 2, "--config needs a value"),
                (["run", "--fast"], 2, "unknown option --fast"),
                (["run", "x", "--config", "y"], 2, 'unexpected argument "x"'),
                (["--role=gateway", "--fd=3"], 2, "--role is for cloister itself"),
                (["--role=gateway"], 2, "--role is for cloister itself"),
                (["--role=tor", "--fd=0"], 2, "--role is for cloister itself")):
            ended = self.call(*arguments)
            self.assertEqual(ended.returncode, status, arguments)
            self.assertIn(words, ended.stdout if status == 0 else ended.stderr, arguments)
            self.assertEqual(ended.stderr if status == 0 else ended.stdout, "", arguments)

    def test_check_says_ok_or_what_is_wrong(self):
        self.config.write_text("[log]\nlevel = warn\n")
        ended = self.call("check", "--config", str(self.config))
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{self.config}: ok\n"))
        self.config.write_text("[log]\n\nlevel = loud\n")
        for command in ("check", "run"):
            ended = self.call(command, "--config", str(self.config))
            self.assertEqual(ended.returncode, 2)
            self.assertEqual(ended.stderr, f'{self.config}:3: log.level: "loud" will not do; '
                                           "write error, warn, info or debug\n")

    def test_it_needs_root(self):
        # By descriptor: the way to the binary may be closed to others than root.
        with open(CLOISTER, "rb") as binary:
            ended = self.start("[log]\nlevel = info\n", user=60899, group=60899, pass_fds=[binary.fileno()],
                               executable=f"/proc/self/fd/{binary.fileno()}")
        self.expect_failure(ended, "needs to be started as root")

    def test_a_data_directory_in_use_or_of_somebody_else(self):
        data = self.directory / "data"
        (data / "tor" / "keys").mkdir(parents=True)
        text = f"[tor]\ndata = {data}\n"
        self.expect_failure(self.start(text), "somebody else's")
        self.assertEqual(((data / "tor").stat().st_uid, (data / "socks").exists()), (0, False))
        holder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX)
            self.expect_failure(self.start(text), "another cloister runs on it")
        finally:
            os.close(holder)

    def test_a_name_that_is_taken(self):
        run("ip", "tuntap", "add", "cloister9", "mode", "tap")
        try:
            ended = self.start("[workstation]\ndevice = cloister9\n" + self.external())
        finally:
            run("ip", "link", "del", "cloister9")
        self.expect_failure(ended, "busy")

    def test_a_control_socket_beside_the_socks_socket(self):
        text = self.external()
        for mode, group in ((0o666, 0), (0o660, 60898)):
            other = socket.socket(socket.AF_UNIX)
            path = self.directory / "socks" / "control"
            other.bind(str(path))
            os.chown(path, 0, group)
            path.chmod(mode)
            os.chown(path.parent, 0, group)
            path.parent.chmod(0o755 if group == 0 else 0o750)
            self.expect_failure(self.start(text), "tor.socks", str(path), "a directory of its own")
            other.close()
            path.unlink()

    def test_a_bridge_that_is_not_there(self):
        self.expect_failure(self.start("[workstation]\nbridge = br99\n" + self.external()), "br99", "create it first")

    def expect_refusal(self, text, line, *words):
        """Of the configuration: by `check` and `run` alike."""
        self.config.write_text(text)
        for command in ("check", "run"):
            ended = self.call(command, "--config", str(self.config))
            self.assertEqual(ended.returncode, 2, ended.stderr)
            for word in (f"{self.config}:{line}: ", *words):
                self.assertIn(word, ended.stderr)

    def test_a_group_that_is_not_there(self):
        self.expect_refusal("[process]\ncontrol_group = nogroup-at-all\n" + self.external(), 2,
                            "process.control_group", "nogroup-at-all")

    def test_a_user_that_is_not_there(self):
        self.expect_refusal("[process]\ngateway_user = nobody-at-all\n" + self.external(), 2,
                            "process.gateway_user", "nobody-at-all")

    def test_a_torrc_that_is_not_there(self):
        self.expect_refusal("[tor]\n\ntorrc = /nonexistent/torrc\n", 3, "tor.torrc: /nonexistent/torrc: No such file")

    def test_a_torrc_that_tor_does_not_like(self):
        torrc = self.directory / "torrc"
        torrc.write_text("NoSuchOption 1\n")
        ended = self.start(f"[tor]\ndata = {self.directory}/data\ntorrc = {torrc}\n")
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("NoSuchOption", ended.stderr)
        self.assertIn("Tor gave up: what it said stands above", ended.stderr)
        self.assertNotIn("not permitted", ended.stderr)
        self.assertIn('reason="tor exited with status 1"', ended.stderr.splitlines()[-1])

    def test_a_signal_to_end_before_it_has_started(self):
        self.config.write_text(self.external())
        process = subprocess.Popen([CLOISTER, "run", "--config", str(self.config)], stderr=subprocess.PIPE, text=True)
        while not (children := pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
            self.assertIsNone(process.poll())
        os.kill(int(children[0]), signal.SIGSTOP)
        began = time.monotonic()
        process.terminate()
        said = process.communicate(timeout=5)[1]
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(process.returncode, 0, said)
        self.assertIn('event=exit reason="a signal to end, before it had started" status=0', said)
        self.assertFalse(is_alive(int(children[0])))
        self.assertEqual(run("ip", "-o", "link", "show", "type", "tun"), "")

    def test_users_that_are_the_same(self):
        self.expect_refusal("[process]\ngateway_user = 5000\ntor_user = 5000\n" + self.external(), 3,
                            "three different users")

    def test_a_socket_directory_for_root_only(self):
        self.expect_failure(self.start(self.external(0o700)), "tor.socks", "GroupWritable")

    def test_a_socket_directory_that_is_not_there(self):
        self.expect_failure(self.start(f"[tor]\nmode = external\nsocks = unix:{self.directory}/no/socks\n"),
                            "tor.socks", "no such directory")

    def test_a_data_directory_without_a_parent(self):
        self.expect_failure(self.start(f"[tor]\ndata = {self.directory}/a/b\n"), "tor.data")

    def test_a_data_directory_that_is_a_link(self):
        data = self.directory / "data"
        data.mkdir()
        (data / "tor").symlink_to("/etc")
        before = os.stat("/etc")
        self.expect_failure(self.start(f"[tor]\ndata = {data}\n"), "tor.data")
        self.assertEqual((before.st_uid, before.st_mode), (os.stat("/etc").st_uid, os.stat("/etc").st_mode))

    def test_a_torrc_that_tor_may_not_read(self):
        torrc = self.directory / "torrc"
        torrc.write_text("")
        torrc.chmod(0o600)
        ended = self.start(f"[tor]\ndata = {self.directory}/data\ntorrc = {torrc}\n")
        self.expect_failure(ended, "tor exited with status 1")
        self.assertIn("read tor.torrc", ended.stderr)

    def test_a_torrc_that_tor_does_not_understand(self):
        torrc = self.directory / "torrc"
        torrc.write_text("NoSuchOption 1\n")
        ended = self.start(f"[tor]\ndata = {self.directory}/data\ntorrc = {torrc}\n")
        self.expect_failure(ended, "tor exited with status 1")
        self.assertIn("NoSuchOption", ended.stderr)

    def test_a_group_that_may_use_the_socket_is_enough(self):
        text = self.external(0o750)
        os.chown(self.directory / "socks", 0, 60897)
        self.config.write_text(text)
        with open(self.directory / "log", "w", encoding="ascii") as log:
            process = subprocess.Popen([CLOISTER, "run", "--config", str(self.config)], stderr=log)
        try:
            end = time.monotonic() + 10
            while "event=ready" not in (self.directory / "log").read_text() and time.monotonic() < end:
                time.sleep(0.02)
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            self.assertEqual(len(children), 1)
            self.assertRegex(pathlib.Path(f"/proc/{children[0]}/status").read_text(), r"\nGroups:\t60897 *\n")
        finally:
            process.terminate()
            self.assertEqual(process.wait(5), 0)


def main():
    global CLOISTER  # pylint: disable=global-statement
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    CLOISTER = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(SKIPPED)
    # In a network namespace of its own, so that nothing of this host is touched and nothing can get out.
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    run("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
