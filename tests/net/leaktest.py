#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`cloister leaktest` in the networks that it makes for itself: every kind of link holds, a forwarding kernel in place of
the gateway is seen to leak, and what cannot be tested is said to be so. Its probes are held against those of
tests/attack/matrix.py, which know nothing of one another.

    leaktest.py CLOISTER [TEST ...]     exit status 77: cannot run here (no root, no namespaces)
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "attack"),
                os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

CLOISTER = None
SKIPPED = 77
MUTANTS = os.environ.get("CLOISTER_MUTANTS", "10000")


def leaktest(*arguments, seconds=60):
    return subprocess.run([CLOISTER, "leaktest", *arguments], capture_output=True, text=True, timeout=seconds, check=False)


class Holds(unittest.TestCase):
    def holds(self, link):
        done = leaktest("--private", "--link", link, "--mutants", MUTANTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\nNothing leaked: 2\d{3} probes and " + MUTANTS + " mutated frames")
        self.assertNotIn("<--", done.stdout)

    def test_a_segment_holds(self):
        self.holds("attach")

    def test_a_bridge_of_the_hosts_holds(self):
        self.holds("bridge")

    def test_a_tap_alone_holds(self):
        self.holds("device")

    def test_every_probe_has_its_line(self):
        done = leaktest("--private", "--verbose", "--mutants", "0")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\nICMP +echo to the gateway +echo reply +echo reply +0\n")
        self.assertRegex(done.stdout, r"\nIPv6 +echo to the gateway +echo reply +echo reply +0\n")
        self.assertRegex(done.stdout, r"\nUDP +port 443 to the Internet +silence +silence +0\n")

    def test_it_speaks_json(self):
        done = leaktest("--private", "--json", "--mutants", "50", "--seed", "7")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["status"], said["leaked"], said["told"], said["seed"], said["mutants"]),
                         (0, 0, 0, [], 7, 50))
        self.assertGreater(said["uplink"]["tor"], 10)
        self.assertEqual(sum(group["probes"] for group in said["groups"]), said["probes"])


class Blind(unittest.TestCase):
    """If this fails, the others prove nothing."""

    def test_a_forwarding_kernel_is_seen_to_leak(self):
        done = leaktest("--private", "--blind", "--json", "--mutants", "1000")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["status"]), (1, 1))
        self.assertGreaterEqual(said["leaked"], 300)
        leaked = {group["name"]: group["leaked"] for group in said["groups"]}
        for group in ("TCP", "UDP", "IP protocols", "ICMP", "IPv6", "ICMPv6", "IPv6 headers", "Spoofed", "Fragments",
                      "IP options", "IP headers", "Names", "Frames to others"):
            self.assertGreater(leaked[group], 0, group)
        for what in ("MAC address of port0", "address of uplink 198.18.1.2", "MTU of the uplink"):
            self.assertIn(what, said["told"])
        self.assertGreater(said["forwarded"], 300)
        self.assertGreater(said["heard"], 0)
        # What is forwarded to the relay's own port is not taken for Tor's.
        self.assertTrue([bad for bad in said["bad"] if bad["name"] == "SYN to the relay's own port" and bad["frames"]])
        # The host's own answers are seen for what they are.
        self.assertTrue([bad for bad in said["bad"] if bad["name"] == "echo to the host" and bad["seen"] == "echo reply"])


class Refusal(unittest.TestCase):
    """2: nothing was tested."""

    def expect(self, said, *arguments):
        done = leaktest(*arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, said)

    def test_wrong_arguments(self):
        self.expect("unknown option --colour; see cloister leaktest --help", "--colour")
        self.expect("unexpected argument", "now")
        self.expect("--blind is for --private", "--blind")
        self.expect("--rate \"0\"", "--rate", "0")

    def test_no_gateway(self):
        self.expect("no gateway runs here; start it, or see --private")
        self.expect("no gateway runs here with the configuration /nowhere", "--config", "/nowhere")

    def test_without_root(self):
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", CLOISTER, "leaktest", "--private"],
                              capture_output=True, text=True, timeout=20, check=False)
        if "Permission denied" in done.stderr:
            self.skipTest("another user cannot reach the program")
        self.assertEqual(done.returncode, 2)
        self.assertIn("needs to be started as root", done.stderr)

    def test_help_is_no_refusal(self):
        done = leaktest("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("exit status: 0 nothing leaked, 1 something did, 2 it could not be tested", done.stdout)

    def test_a_signal_ends_it_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="lt", dir="/tmp") as directory:
            self.interrupt(directory)
            self.assertEqual(os.listdir(directory), [])

    def interrupt(self, directory):
        os.chmod(directory, 0o755)
        with subprocess.Popen([CLOISTER, "leaktest", "--private", "--mutants", "1000000"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": directory}) as process:
            time.sleep(1.5)
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.send_signal(signal.SIGTERM)
            out, error = process.communicate(timeout=10)
        self.assertEqual((process.returncode, out), (2, ""))
        self.assertIn("interrupted", error)
        self.assertTrue(children)
        for pid in children:
            self.assertFalse(os.path.exists(f"/proc/{pid}"), "a child is left")


class Matrix(unittest.TestCase):
    """Against the probes of the attack tests."""

    @classmethod
    def setUpClass(cls):
        import matrix  # pylint: disable=import-outside-toplevel
        ground = matrix.Ground(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", {"the bridge": b"\2\0\0\0\0\3"},
                               (40000, "198.18.17.1", 9001))
        cls.theirs = matrix.Matrix(ground).probes
        done = leaktest("--list", "--json")
        cls.ours = json.loads(done.stdout)
        cls.mark = staticmethod(matrix.mark)

    def test_every_group_is_there_and_about_as_large(self):
        def count(groups):
            return {group: groups.count(group) for group in groups}
        ours = count([probe["group"] for probe in self.ours])
        for group, n in count([probe.group for probe in self.theirs]).items():
            self.assertGreaterEqual(ours.get(group, 0), 0.75 * n, group)

    def test_every_probe_bears_the_mark_of_its_number(self):
        for number, probe in enumerate(self.ours):
            self.assertEqual(probe["number"], number)
            frame = bytes.fromhex(probe["frame"])
            # In a name, the two bytes in front are none of a label's.
            self.assertIn(self.mark(number), frame, probe["name"])

    def shapes(self, probes):
        """What kinds of packet there are, of (name, frame): EtherType, protocol, ICMP type, port, version, flags."""
        found = set()
        for name, frame in probes:
            kind = int.from_bytes(frame[12:14], "big")
            found.add(("type", kind))
            if kind == 0x0800 and len(frame) >= 42:
                found.add(("protocol", frame[23]))
                found.add(("version", frame[14] >> 4))
                found.add(("words", frame[14] & 15))
                if frame[14] == 0x45:
                    if frame[23] == 1:
                        found.add(("icmp", frame[34], frame[35]))
                    if frame[23] == 17:
                        found.add(("udp", int.from_bytes(frame[36:38], "big")))
                    if frame[23] == 6 and len(frame) > 47:
                        found.add(("tcp flags", frame[47]))
                # Where the length of the header is a lie, a source port stands there instead, and that goes by the clock.
                elif frame[14] in (0x46, 0x47) and "header of" not in name:
                    found.add(("option", frame[34]))
            if kind == 0x86DD and len(frame) >= 56:
                found.add(("next", frame[20]))
                if frame[20] == 58:
                    found.add(("icmpv6", frame[54]))
            if kind == 0x0806:
                found.add(("arp", int.from_bytes(frame[20:22], "big")))
            if frame[0] & 1:
                found.add(("group", frame[:6] if frame[:3] != b"\x33\x33\xff" else b"solicited node"))
        return found

    def test_every_kind_of_packet_is_there(self):
        theirs = self.shapes([(probe.name, probe.frame) for probe in self.theirs])
        ours = self.shapes([(probe["name"], bytes.fromhex(probe["frame"])) for probe in self.ours])
        self.assertEqual(sorted(map(str, theirs - ours)), [])


def main():
    global CLOISTER  # pylint: disable=global-statement
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    CLOISTER = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(SKIPPED)
    # In namespaces of its own, so that it cannot find a gateway that runs here by another's doing.
    if os.environ.get("CLOISTER_LEAKTEST") != "inside":
        os.environ["CLOISTER_LEAKTEST"] = "inside"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


if __name__ == "__main__":
    main()
