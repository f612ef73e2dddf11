#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How workstations are attached: interfaces taken into a segment and given back, and a bridge of the host's that is
watched. Each workstation is a namespace with one end of a veth pair; the host is the namespace that this runs in, with an
address of its own to find.

    attach.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import json
import os
import pathlib
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

import smoke
import socks_server
from smoke import FAR, GATEWAY, run

HOST = "203.0.113.5"  # the host's own, on another interface
KEEPER_UID = 60801


def exists(name):
    return subprocess.run(["ip", "link", "show", name], check=False, capture_output=True).returncode == 0


def sysctl(name, value):
    pathlib.Path(f"/proc/sys/net/{name}").write_text(f"{value}\n", encoding="ascii")


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come to that")
        time.sleep(0.02)


def state_of(interface):
    """What workstation.bridge may change of an interface: the host's settings of it, the bridge's own, and the walls."""
    values = [(pathlib.Path(f"/proc/sys/net/{name}").read_text(encoding="ascii"), name) for name in (
        f"{family}/conf/{interface}/{key}" for family, key in (
            ("ipv6", "disable_ipv6"), ("ipv4", "forwarding"), ("ipv4", "rp_filter"), ("ipv4", "arp_ignore"),
            ("ipv4", "accept_local"), ("ipv4", "route_localnet")))]
    kind = json.loads(run("ip", "-j", "-d", "link", "show", interface))[0].get("linkinfo", {}).get("info_data", {})
    tables = run("nft", "list", "tables") if shutil.which("nft") else ""
    return [*values, kind.get("group_fwd_mask"), kind.get("stp_state"), tables]


class Link(unittest.TestCase):
    """A host with an uplink, and workstations behind port0, port1."""

    workstations = 1

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-attach-"))
        (self.directory / "socks").mkdir()
        for path in (self.directory, self.directory / "socks"):
            path.chmod(0o755)
        self.server = socks_server.Server(str(self.directory / "socks" / "socks"))
        self.process, self.namespaces = None, []
        run("ip", "link", "add", "uplink", "type", "bridge")
        run("ip", "addr", "add", f"{HOST}/24", "dev", "uplink")
        run("ip", "link", "set", "uplink", "up")
        run("ip", "route", "add", "default", "via", "203.0.113.1")
        for n in range(self.workstations):
            name = f"cloister-ln{os.getpid()}-{n}"
            self.namespaces.append(name)
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"port{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            for command in ("link set lo up", f"addr add 10.152.152.{11 + n}/18 dev eth0", "link set eth0 up",
                            f"route add default via {GATEWAY}"):
                run("ip", "-n", name, *command.split())
        # Everything that could go wrong on a host does.
        for name in ("ipv4/ip_forward", "ipv4/conf/all/accept_local"):
            sysctl(name, 0 if name.endswith("local") else 1)
        for name in ("ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"):
            sysctl(name, 0)

    def tearDown(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(5)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        for name in ("uplink", "br7", *(f"port{n}" for n in range(self.workstations))):
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
        shutil.rmtree(self.directory)

    def start(self, workstation, ready=True):
        config = self.directory / "cloister.conf"
        config.write_text(f"[workstation]\naddress = {GATEWAY}/18\n{workstation}[tor]\nmode = external\n"
                          f"socks = unix:{self.directory}/socks/socks\n")
        with open(self.directory / "log", "w", encoding="ascii") as log:
            self.process = subprocess.Popen([smoke.CLOISTER, "run", "--config", str(config)], stderr=log)
        if ready:
            wait_until(lambda: "event=ready" in self.log() or self.process.poll() is not None)
            self.assertIsNone(self.process.poll(), self.log())
        return self.process

    def log(self):
        return (self.directory / "log").read_text(encoding="ascii")

    def expect_end(self, status, *words):
        self.assertEqual(self.process.wait(5), status, self.log())
        for word in words:
            self.assertIn(word, self.log())

    def child(self, role):
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if f"--role={role}".encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return int(pid)
        raise AssertionError(f"no {role}")

    def inside(self, number, *command, seconds=20):
        return subprocess.run(["ip", "netns", "exec", self.namespaces[number], *command], check=False,
                              capture_output=True, timeout=seconds)

    def page(self, number):
        return self.inside(number, "curl", "-sS", "-m", "10", f"http://{FAR}/100").stdout

    def send(self, number, *frames):
        """Raw frames from a workstation."""
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                smoke.enter_namespace(self.namespaces[number])
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                    sock.bind(("eth0", 0))
                    for frame in frames:
                        sock.send(frame)
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def ask_arp(self, source, target, to=b"\xff" * 6):
        """The answer to an ARP request, or None."""
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                smoke.enter_namespace(self.namespaces[0])
                mac = mac_of("eth0")
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as sock:
                    sock.bind(("eth0", 0x0806))
                    sock.send(to + mac + struct.pack("!HHHBBH6s4s6s4s", 0x0806, 1, 0x0800, 6, 4, 1, mac,
                                                              socket.inet_aton(source), b"\0" * 6,
                                                              socket.inet_aton(target)))
                    sock.settimeout(0.5)
                    while True:
                        frame = sock.recv(100)
                        if frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(target):
                            os.write(theirs, b"y")
                            break
            except TimeoutError:
                pass
            finally:
                os._exit(0)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return answer or None


def mac_of(name, namespace=None):
    where = ["-n", namespace] if namespace else []
    text = run("ip", *where, "-o", "link", "show", "dev", name)
    return bytes.fromhex(re.search(r"link/ether ([0-9a-f:]+)", text).group(1).replace(":", ""))


def datagram(destination_mac, source, destination, port):
    """A UDP datagram in a frame."""
    payload = struct.pack("!4H", 4000, port, 8 + 4, 0) + b"leak"
    header = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, 17, 0,
                                   socket.inet_aton(source), socket.inet_aton(destination)))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    struct.pack_into("!H", header, 10, ~(total + (total >> 16)) & 0xffff)
    return destination_mac + b"\x02\0\0\0\0\x11" + b"\x08\0" + header + payload


class Segment(Link):
    """workstation.attach"""

    workstations = 2

    def test_workstations_reach_tor_and_the_host_has_no_part_in_it(self):
        self.start("attach = port0\nattach = port1\n")
        for name in ("port0", "port1", "cloister0", "segment"):
            self.assertFalse(exists(name), name)
        for number in (0, 1):
            self.assertEqual(self.page(number), socks_server.body(100))
        inside = ["nsenter", "-t", str(self.child("keeper")), "-n"]
        self.assertEqual(run(*inside, "ip", "-o", "addr"), "")
        self.assertEqual(run(*inside, "ip", "route", "show", "table", "all"), "")
        links = re.findall(r"^\d+: ([^:@]+)", run(*inside, "ip", "-o", "link"), re.M)
        self.assertEqual(sorted(links), ["cloister0", "lo", "port0", "port1", "segment"])
        self.assertEqual(run(*inside, "cat", "/proc/sys/net/ipv4/ip_forward").strip(), "0")

    def test_frames_to_the_bridge_itself_get_nowhere(self):
        self.start("attach = port0\n")
        text = run("nsenter", "-t", str(self.child("keeper")), "-n", "ip", "-o", "link", "show", "dev", "segment")
        mac = bytes.fromhex(re.search(r"link/ether ([0-9a-f:]+)", text).group(1).replace(":", ""))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("", 4001))
            listener.settimeout(0.5)
            for destination_mac in (mac, b"\xff" * 6, mac_of("uplink")):
                for source in ("10.152.152.11", "0.0.0.0", HOST, "203.0.113.9"):
                    self.send(0, *(datagram(destination_mac, source, to, 4001)
                                   for to in (HOST, "255.255.255.255", "127.0.0.1")))
            with self.assertRaises(TimeoutError):
                listener.recv(100)

    def test_nobody_takes_the_gateways_place_in_the_bridge(self):
        self.start("attach = port0\nattach = port1\nmac = 02:00:5e:10:00:01\n")
        self.assertEqual(len(self.page(0)), 100)
        for _ in range(3):
            # A frame of the other workstation's that says that it comes from the gateway.
            self.send(1, b"\xff" * 6 + bytes.fromhex("02005e100001") + b"\x08\x06" + bytes(46))
            self.assertIsNotNone(self.ask_unicast("02005e100001"), "what is for the gateway goes to who claimed its address")

    def ask_unicast(self, mac):
        """The answer of whoever has this MAC address to a question for the gateway's."""
        return self.ask_arp("10.152.152.11", GATEWAY, bytes.fromhex(mac))

    def test_clients_are_isolated_unless_they_shall_not_be(self):
        neighbours = "10.152.152.11", "10.152.152.12"
        self.start("attach = port0\nattach = port1\n")
        self.assertIsNone(self.ask_arp(*neighbours))
        self.process.terminate()
        self.expect_end(0)
        self.start("attach = port0\nattach = port1\nisolate_clients = no\n")
        self.assertIsNotNone(self.ask_arp(*neighbours))

    def expect_given_back(self):
        wait_until(lambda: exists("port0") and exists("port1"))
        for name in ("port0", "port1"):
            self.assertNotIn("UP", re.search(r"<([^>]*)>", run("ip", "-o", "link", "show", "dev", name)).group(1))
        wait_until(lambda: not exists("cloister0"))

    def test_interfaces_are_given_back_after_sigterm(self):
        self.start("attach = port0\nattach = port1\n")
        began = time.monotonic()
        self.process.terminate()
        self.expect_end(0)
        self.assertLess(time.monotonic() - began, 2)
        self.expect_given_back()

    def test_interfaces_are_given_back_after_a_crash_of_the_supervisor(self):
        self.start("attach = port0\nattach = port1\n")
        keeper = self.child("keeper")
        self.process.kill()
        self.process.wait()
        self.expect_given_back()
        wait_until(lambda: not smoke.is_alive(keeper))

    def test_interfaces_are_given_back_after_a_crash_of_the_gateway(self):
        self.start("attach = port0\nattach = port1\n")
        os.kill(self.child("gateway"), signal.SIGKILL)
        self.expect_end(1, "gateway was killed by signal 9")
        self.expect_given_back()

    def test_interfaces_are_given_back_when_it_cannot_start(self):
        self.start("attach = port0\nattach = port1\nattach = nowhere0\n", ready=False)
        self.expect_end(1, "nowhere0", "find the interface", "keeper exited with status 1")
        self.expect_given_back()

    def test_the_death_of_the_keeper_ends_all(self):
        self.start("attach = port0\nattach = port1\n")
        os.kill(self.child("keeper"), signal.SIGKILL)
        self.expect_end(1, "keeper was killed by signal 9")

    def test_signals_to_every_process_are_no_reason_to_give_back(self):
        self.start("attach = port0\n")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(self.child("keeper"), number)
        time.sleep(0.2)
        self.assertEqual(self.page(0), socks_server.body(100))

    def test_an_interface_with_an_address_is_refused(self):
        self.start("attach = uplink\n", ready=False)
        self.expect_end(1, "interface=uplink", "is it the uplink?")
        self.assertTrue(exists("uplink"))

    def test_the_keeper_holds_one_capability_and_is_filtered(self):
        self.start("attach = port0\n")
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{self.child('keeper')}/status").read_text().splitlines())
        self.assertEqual(int(status["CapPrm"], 16), 1 << 12)  # CAP_NET_ADMIN
        self.assertEqual(int(status["CapBnd"], 16), 0)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(set(status["Uid"].split()), {str(KEEPER_UID)})

    @unittest.skipUnless(os.path.isdir("/proc/sys/net/bridge"), "br_netfilter is not there")
    def test_nothing_looks_into_frames_between_ports(self):
        self.start("attach = port0\n")
        for table in ("iptables", "ip6tables", "arptables"):
            value = run("nsenter", f"--net=/proc/{self.child('keeper')}/ns/net", "cat",
                        f"/proc/sys/net/bridge/bridge-nf-call-{table}")
            self.assertEqual(value.strip(), "0", table)


    def test_a_port_of_a_bridge_is_refused_and_stays_there(self):
        run("ip", "link", "add", "br7", "type", "bridge")
        run("ip", "link", "set", "port0", "master", "br7")
        self.start("attach = port0\n", ready=False)
        self.expect_end(1, "in no bridge", "nomaster")
        self.assertIn("master br7", run("ip", "link", "show", "port0"))


class HostBridge(Link):
    """workstation.bridge"""

    def setUp(self):
        super().setUp()
        run("ip", "link", "add", "br7", "type", "bridge")
        run("ip", "link", "set", "br7", "up")
        run("ip", "link", "set", "port0", "master", "br7", "up")

    def test_a_workstation_reaches_tor_and_nothing_of_the_host(self):
        self.start("bridge = br7\n")
        self.assertEqual(self.page(0), socks_server.body(100))
        for name, value in (("ipv6/conf/br7/disable_ipv6", "1"), ("ipv4/conf/br7/forwarding", "0"),
                            ("ipv4/conf/br7/rp_filter", "1"), ("ipv4/conf/br7/arp_ignore", "8")):
            self.assertEqual(pathlib.Path(f"/proc/sys/net/{name}").read_text().strip(), value, name)
        bridge = mac_of("br7")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("", 4001))
            listener.settimeout(0.5)
            for source in ("10.152.152.11", HOST, "203.0.113.9", "127.0.0.1", "8.8.8.8"):
                self.send(0, *(datagram(bridge, source, to, 4001) for to in (HOST, "127.0.0.1")))
            with self.assertRaises(TimeoutError):
                listener.recv(100)

    def test_no_arp_probe_finds_the_address_of_the_host(self):
        self.start("bridge = br7\n")
        for source in ("0.0.0.0", "10.152.152.11", "203.0.113.9"):
            self.assertIsNone(self.ask_arp(source, HOST), source)
        self.assertIsNotNone(self.ask_arp("10.152.152.11", GATEWAY))

    def expect_refusal(self, interface, workstation, *words):
        """It does not start, and the interface is as it was."""
        before = state_of(interface)
        self.start(workstation, ready=False)
        self.expect_end(1, *words)
        self.assertFalse(exists("cloister0"))
        self.assertEqual(state_of(interface), before)

    def test_a_bridge_with_an_address_is_refused_and_left_alone(self):
        run("ip", "addr", "add", "10.152.152.1/18", "dev", "br7")
        self.expect_refusal("br7", "bridge = br7\n", "br7 has an address", "workstation.attach")
        self.assertNotIn("flush", self.log())

    def test_what_a_later_step_refuses_is_undone(self):
        run("ip", "link", "set", "br7", "type", "bridge", "stp_state", "1", "group_fwd_mask", "8")
        self.expect_refusal("br7", "bridge = br7\ndevice = uplink\n", "TAP")

    def test_the_wall_of_an_earlier_run_outlives_a_refusal(self):
        """After a crash, workstations are kept from the host by what it left."""
        self.start("bridge = br7\n")
        walled = state_of("br7")
        self.process.kill()
        self.process.wait(5)
        wait_until(lambda: not exists("cloister0"))
        stays = "event=wall" not in self.log()
        self.start("bridge = br7\ndevice = uplink\n", ready=False)
        self.expect_end(1, "TAP")
        after = state_of("br7")
        self.assertEqual(after[:-1], walled[:-1])
        if stays and shutil.which("nft"):
            self.assertIn("cloister_br7", after[-1])

    def test_a_loose_reverse_path_for_all_is_refused(self):
        sysctl("ipv4/conf/all/rp_filter", 2)
        self.start("bridge = br7\n", ready=False)
        self.expect_end(1, "net.ipv4.conf.all.rp_filter is 2")

    def test_a_bridge_that_is_none_is_refused_and_left_alone(self):
        for name in ("port0", "lo"):
            self.expect_refusal(name, f"bridge = {name}\n", f"{name} is not a bridge")
            self.assertNotIn("event=wall", self.log())

    def expect_to_notice(self, change, *words):
        self.start("bridge = br7\n")
        change()
        self.expect_end(1, "event=exit", *words)
        self.assertFalse(exists("cloister0"))

    def test_an_address_that_comes_later_ends_all(self):
        self.expect_to_notice(lambda: run("ip", "addr", "add", "10.152.152.1/18", "dev", "br7"), "br7 has an address")

    def test_forwarding_that_comes_later_ends_all(self):
        def change():
            sysctl("ipv4/ip_forward", 0)
            sysctl("ipv4/ip_forward", 1)  # which sets it on every interface
        self.expect_to_notice(change, "net.ipv4.conf.br7.forwarding to 1")

    def test_ipv6_that_comes_later_ends_all(self):
        self.expect_to_notice(lambda: sysctl("ipv6/conf/br7/disable_ipv6", 0), "br7")

    def test_what_the_kernel_does_not_tell_is_noticed_too(self):
        self.expect_to_notice(lambda: sysctl("ipv4/conf/br7/arp_ignore", 0), "net.ipv4.conf.br7.arp_ignore to 0")

    def test_the_end_of_the_bridge_ends_all(self):
        self.expect_to_notice(lambda: run("ip", "link", "del", "br7"), "br7 is gone")


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
