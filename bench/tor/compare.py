# SPDX-License-Identifier: BSD-3-Clause
"""Through the private Tor network: ways for a workstation to reach the same far end over the same stock Tor client, in
turns. Throughput of one download, and the time to the first byte of new connections.

    socks         a program on the host that asks Tor itself, with credentials of its own for every connection
    transport     Tor's TransPort behind an nftables redirect: all connections share a circuit
    workstation   Cloister with a key per workstation, which is what TransPort has
    source-port   with a key per source port: a circuit for every connection
    optimistic    the same, and connections are accepted at once
    workstation-optimistic   the key of the third, and connections are accepted at once
"""

import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))

from lab import client, gateway, net, plan, proc  # noqa: E402
from lab.lab import Lab, LabError  # noqa: E402

PAGE, SOURCE = 9180, 9119  # of the far end
TRANS_PORT, TABLE = 9040, "bench"
ROUTER, NEIGHBOUR = "192.0.2.1", "192.0.2.2"  # RFC 5737
OURS = {
    "workstation": {"isolation": {"key": "workstation"}},
    "source-port": {"isolation": {"key": "source-port"}},
    "optimistic": {"isolation": {"key": "source-port"}, "tcp": {"accept": "optimistic"}},
    "workstation-optimistic": {"isolation": {"key": "workstation"}, "tcp": {"accept": "optimistic"}},
}


def acknowledge_at_once(namespace):
    """Relays leave Nagle's algorithm on, so that a cell which follows another one waits until that is acknowledged. On
    links without a round trip time of their own it is only the delay of the acknowledgment, 40 ms, that this measures."""
    for table in ("local", "main"):
        for route in net.ip("-n", namespace, "route", "show", "table", table).splitlines():
            if not route.startswith(("broadcast", "blackhole")):
                net.ip("-n", namespace, "route", "replace", *route.split(), "table", table, "quickack", "1")


class Place:
    """The lab with a far end, a stock client, and a second workstation that has TransPort."""

    def __init__(self, lab, programs, cloister):
        self.lab, self.programs, self.cloister = lab, pathlib.Path(programs), cloister
        self.neighbour = f"{lab.prefix}-tp"
        self.far = self.tor = None

    def __enter__(self):
        try:
            self.far = self.lab.start("web", [self.programs / "farend", "--stats", f"{self.lab.state}/far-stats",
                                              "--direct"], stdout=subprocess.PIPE, text=True)
            if not self.far.stdout.readline().startswith("ready"):
                raise RuntimeError("the far end did not start")
            self.tor = client.Client(self.lab, torrc=f"TransPort 0.0.0.0:{TRANS_PORT}").start()
            self._join()
            for short in ("tornet", "host", "web"):
                acknowledge_at_once(self.lab.ns(short))
            proc.wait_for("a first connection through Tor", self._is_usable, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.tor:
            self.tor.stop()
        if self.far:
            proc.stop([self.far])
            self.far.stdout.close()
        subprocess.run(["ip", "netns", "del", self.neighbour], check=False, capture_output=True)

    def _join(self):
        host = self.lab.ns("host")
        net.ip("netns", "add", self.neighbour)
        net.ip("link", "add", "trans0", "netns", host, "type", "veth", "peer", "name", "eth0", "netns", self.neighbour)
        for name, device, address in ((host, "trans0", ROUTER), (self.neighbour, "eth0", NEIGHBOUR)):
            net.ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            net.ip("-n", name, "link", "set", device, "up")
        net.ip("-n", self.neighbour, "route", "add", "default", "via", ROUTER)
        done = self.lab.run("host", ["nft", f"table ip {TABLE} {{ chain in {{ type nat hook prerouting priority dstnat; "
                                            f"iifname trans0 meta l4proto tcp redirect to :{TRANS_PORT}; }}; }}"])
        if done.returncode:
            raise RuntimeError(f"nft: {done.stderr.strip()}")

    def _is_usable(self):
        """Bootstrapped is not yet able to carry a connection."""
        try:
            return self.client(self.lab.ns("host"), PAGE, "latency", "--rate", "4", "--seconds", "0.5",
                               "--socks-unix", self.tor.socks)
        except RuntimeError:
            return None

    def client(self, namespace, port, *words):
        command = [str(self.programs / "client"), *words, "--to", f"{plan.WEB}:{port}"]
        done = subprocess.run(net.argv_in(namespace, command), check=False, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return {key: float(value) for key, value in (word.split("=", 1) for word in done.stdout.split())}

    def measure(self, namespace, quick, *more):
        # First so much that whatever circuit is shared is there.
        self.client(namespace, PAGE, "latency", "--rate", "4", "--seconds", "0.5", *more)
        moved = self.client(namespace, SOURCE, "bulk", "--down", "--flows", "1", "--warm", "0.7" if quick else "1.5",
                            "--seconds", "1" if quick else "4", *more)
        first = self.client(namespace, PAGE, "latency", "--rate", "8", "--seconds", "1.25" if quick else "5", *more)
        return {"mbit": 1000 * moved["gbit"], "first_ms": first["p50_us"] / 1000, "first_p90_ms": first["p90_us"] / 1000}

    def through(self, name, quick):
        if name == "socks":
            return self.measure(self.lab.ns("host"), quick, "--socks-unix", self.tor.socks)
        if name == "transport":
            return self.measure(self.neighbour, quick)
        settings = {"tor": {"mode": "external", "socks": f"unix:{self.tor.socks}"}, **OURS[name]}
        with gateway.Gateway(self.lab, self.cloister, settings):
            return self.measure(self.lab.ns("ws"), quick)


def run(programs, cloister, quick, progress):
    """{way: [what each round measured]}, and what failed."""
    results, failed = {}, []
    began = time.monotonic()
    progress("a private Tor network starts")
    try:
        with Lab.up() as lab, Place(lab, programs, cloister) as place:
            progress(f"a private Tor network is up after {time.monotonic() - began:.0f} s")
            rounds = 1 if quick else 5
            # Whoever comes first finds circuits that Tor made in advance, and twice the throughput: that is nobody's.
            progress("the first connections through Tor, which do not count")
            place.through("socks", True)
            ways = ["socks", "transport", *OURS]
            for number in range(rounds):
                # Each round begins with another one, for the network is not as fresh for the second.
                for name in ways[number % len(ways):] + ways[:number % len(ways)]:
                    progress(f"round {number + 1} of {rounds}: through Tor, {name}")
                    try:
                        results.setdefault(name, []).append(place.through(name, quick))
                    except (RuntimeError, proc.ProcessError, subprocess.TimeoutExpired) as error:
                        failed.append(f"through Tor, {name}: {error}")
    except (LabError, net.CommandError, proc.ProcessError, RuntimeError) as error:
        failed.append(f"the private Tor network: {error}")
    return {name: rows for name, rows in results.items() if rows}, failed
