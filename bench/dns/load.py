#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Queries per second of Cloister's virtual answers, beside dnsmasq's cached ones in the same run, by dnsperf.

    load.py CLOISTER [--seconds N] [--names N] [--json FILE] [--memory]

Everything is in network namespaces that this program makes, without a route out. dnsmasq is reached over a veth pair,
Cloister over its TAP. First both are asked for the same few names, as fast as they answer and at a fixed rate; then
Cloister for as many different names as are given, while its memory is watched. Exit status 0 if no query was lost at
the fixed rate and memory kept to its bound, which is what Cloister's table of names may take and some slack; 77 if it
cannot be run here. That Cloister is the faster of the two is said, and not judged: it depends on who else computes.
With --memory there is only the last part, and nothing is judged but memory.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "net"))

import smoke  # noqa: E402

SKIPPED = 77
DNSMASQ = "198.51.100.53"
FEW = 1000
RATE = 20000  # queries per second that both must answer without loss
SLACK_KIB = 16384  # memory that is no name's: buffers that a burst touches


def write_names(path, count):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"host{i}.load.example A\n" for i in range(count))


def dnsperf(namespace, server, names, seconds, *options):
    """The figures that dnsperf tells."""
    done = subprocess.run(["ip", "netns", "exec", namespace, "dnsperf", "-s", server, "-d", names, "-l", str(seconds),
                           "-c", "4", "-t", "2", *options], capture_output=True, text=True, timeout=seconds + 120,
                          check=True)
    figure = lambda label: float(re.search(rf"{label}:\s+([\d.]+)", done.stdout).group(1))  # noqa: E731
    return {"sent": int(figure("Queries sent")), "lost": int(figure("Queries lost")),
            "per_second": round(figure("Queries per second")), "latency_us": round(figure(r"Average Latency \(s\)") * 1e6)}


class Dnsmasq:
    """In a namespace of its own, with the few names in its hosts file: the best case of a cache."""

    def __init__(self, home):
        self.server, self.client = f"cloister-dm-{os.getpid()}", f"cloister-dc-{os.getpid()}"
        for name in (self.server, self.client):
            smoke.run("ip", "netns", "add", name)
            smoke.run("ip", "-n", name, "link", "set", "lo", "up")
        smoke.run("ip", "-n", self.server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
                  "netns", self.client)
        for name, address in ((self.server, DNSMASQ), (self.client, "198.51.100.1")):
            smoke.run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            smoke.run("ip", "-n", name, "link", "set", "eth0", "up")
        hosts = home / "hosts"
        hosts.write_text("".join(f"192.0.2.{i % 250 + 1} host{i}.load.example\n" for i in range(FEW)))
        hosts.chmod(0o644)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.server, "dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-H", str(hosts), "-u",
             "root", "-c", "10000", "-a", DNSMASQ, "--pid-file="], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def close(self):
        self.process.terminate()
        self.process.wait()
        for name in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", name], check=False)


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")).group(1))


def measure(arguments, home):
    few, many = home / "few", home / "many"
    write_names(few, FEW)
    write_names(many, arguments.names)
    home.chmod(0o755)
    found = {"names": arguments.names}
    with contextlib.ExitStack() as stack:
        gateway = smoke.Gateway(home, "[limits]\nqueries = 0\n")
        stack.callback(gateway.close)
        both = {"cloister": (gateway.namespace, smoke.GATEWAY)}
        if not arguments.memory:
            dnsmasq = Dnsmasq(home)
            stack.callback(dnsmasq.close)
            both["dnsmasq"] = dnsmasq.client, DNSMASQ
        for how, seconds, options in (("warm", 2, ("-Q", "1000")), ("fastest", arguments.seconds, ("-q", "500")),
                                      ("paced", arguments.seconds, ("-Q", str(RATE)))):
            for who, (namespace, server) in both.items():
                if how == "warm" or not arguments.memory:
                    found[f"{who}_{how}"] = dnsperf(namespace, server, str(few), seconds, *options)
        pid = gateway.children()["gateway"]
        found["resident_before_kib"] = resident_kib(pid)
        found["cloister_many"] = dnsperf(gateway.namespace, smoke.GATEWAY, str(many), 600, "-n", "1", "-q", "200")
        found["resident_after_kib"] = resident_kib(pid)
    return found


def main():
    parser = argparse.ArgumentParser(description="Load of DNS queries.")
    parser.add_argument("cloister")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--names", type=int, default=1000000)
    parser.add_argument("--json")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    smoke.CLOISTER = os.path.abspath(arguments.cloister)
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or not shutil.which("dnsperf") or \
            not (arguments.memory or shutil.which("dnsmasq")):
        print("skipped: needs root, /dev/net/tun, dnsperf, and dnsmasq to compare with")
        return SKIPPED
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    smoke.run("ip", "link", "set", "lo", "up")
    home = pathlib.Path(tempfile.mkdtemp(prefix="cloister-dns-load-"))
    try:
        found = measure(arguments, home)
    finally:
        shutil.rmtree(home)
    for key, value in found.items():
        print(f"{key:22} {value}")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n", encoding="ascii")
    grown = found["resident_after_kib"] - found["resident_before_kib"]
    # 65536 slots of 64 bytes, the default of limits.names, and their hash tables.
    bound = 65536 * (64 + 2 * 4) // 1024 + SLACK_KIB
    print(f"{arguments.names} names took {grown} KiB of at most {bound}")
    lost = 0
    if not arguments.memory:
        lost = found["cloister_paced"]["lost"]
        ratio = found["cloister_fastest"]["per_second"] / found["dnsmasq_fastest"]["per_second"]
        print(f"Cloister answers {ratio:.2f} times as many as dnsmasq; at {RATE} per second it lost {lost}")
    return 0 if lost == 0 and grown <= bound else 1


if __name__ == "__main__":
    sys.exit(main())
