# SPDX-License-Identifier: BSD-3-Clause
"""The jobs that every gateway gets, in turns, and what each says.

A result is results[gateway][column] = [what each round measured], where what was measured is a dict of numbers.
"""

import pathlib
import subprocess
import time

import gateways
import testbed

ECHO, SINK, ANSWER, SOURCE = 7, 9, 13, 19
SPLICED, INSIDE = 9000, 9100
BULK = [("up", 1), ("down", 1), ("up", 8), ("down", 8)]


class Plan:
    """How long, and how often."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 5
        self.seconds = 1.0 if quick else 2.0
        self.many = 512
        self.held = 1000 if quick else 2000
        self.idle_seconds = 2 if quick else 10
        self.pings = 20000 if quick else 50000


def to(service, base=SPLICED):
    return ["--to", f"{testbed.FAR}:{base + service}"]


def charged(gateway):
    return ["--cpu", ",".join(map(str, gateway.pids()))] if gateway.pids() else []


def bulk(lab, gateway, plan, direction, flows):
    return lab.client("bulk", f"--{direction}", "--flows", str(flows), "--seconds", str(plan.seconds), "--warm",
                      "0.5" if flows < 100 else "4", *charged(gateway), "--stats", str(lab.stats),
                      *to(SINK if direction == "up" else SOURCE, SPLICED if flows < 100 else INSIDE))


def rate(lab, gateway, plan):
    return lab.client("rate", "--flows", "32", "--seconds", str(plan.seconds), "--warm", "0.5", "--spread", "100",
                      *charged(gateway), *to(ANSWER))


def latency(lab, gateway, plan):
    del gateway
    return lab.client("latency", "--rate", "100", "--seconds", str(2 * plan.seconds), "--spread", "100", *to(ANSWER))


def latency_direct(lab, plan):
    """The same without a gateway: in the host's namespace, asking the SOCKS server itself."""
    return lab.client("latency", "--rate", "100", "--seconds", str(2 * plan.seconds), "--spread", "100",
                      "--socks-unix", str(lab.socks_path), *to(ANSWER), namespace=lab.host)


def memory(gateway):
    """Resident KiB of what is charged, each shared page by its share."""
    total = 0
    for pid in gateway.pids():
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def cpu_ticks(gateway):
    total = 0
    for pid in gateway.pids():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total


class Held:
    """A client that holds flows open and takes orders."""

    def __init__(self, lab, gateway, flows):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.workstation, str(lab.programs / "client"), "hold", "--flows", str(flows),
             "--spread", "100", *charged(gateway), *to(ECHO, INSIDE), *lab.congestion],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = self.listen()

    def listen(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
            raise RuntimeError(f"the client: {self.process.stderr.read().strip()}")
        return testbed.pairs(line)

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.listen()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def hold(lab, gateway, plan):
    """Memory of idle flows: fresh, after each moved 256 KiB, and after all are closed; CPU time at rest; and the cost of
    a small exchange on one of 10 and on one of all flows."""
    start = memory(gateway)
    few = Held(lab, gateway, 10)
    try:
        small = few.order(f"ping {plan.pings}")
        few.order("close")
    finally:
        few.stop()
    held = Held(lab, gateway, plan.held)
    try:
        time.sleep(1)
        fresh = memory(gateway)
        ticks = cpu_ticks(gateway)
        time.sleep(plan.idle_seconds)
        idle = cpu_ticks(gateway) - ticks
        held.order(f"move {256 << 10}")
        time.sleep(2)
        used = memory(gateway)
        large = held.order(f"ping {plan.pings}")
        held.order("close")
    finally:
        held.stop()
    time.sleep(4)
    return {"start_kib": start, "fresh_kib": (fresh - start) / plan.held, "used_kib": (used - start) / plan.held,
            "left_kib": memory(gateway) - start, "idle_percent": idle / plan.idle_seconds,
            "few_us": small["cpu_us"], "many_us": large["cpu_us"], "flows": plan.held,
            "ping_p50_us": small["p50_us"], "ping_p99_us": small["p99_us"]}


def jobs(plan):
    """(column, function of lab and gateway) in the order in which they are done."""
    for direction, flows in BULK:
        yield f"{direction} {flows}", lambda lab, gateway, d=direction, n=flows: bulk(lab, gateway, plan, d, n)
    yield "rate", lambda lab, gateway: rate(lab, gateway, plan)
    yield "latency", lambda lab, gateway: latency(lab, gateway, plan)
    yield "hold", lambda lab, gateway: hold(lab, gateway, plan)
    for direction in ("up", "down"):
        yield (f"{direction} {plan.many}",
               lambda lab, gateway, d=direction: bulk(lab, gateway, plan, d, plan.many))


# What is done once with each gateway, not in every round; and what says nothing of a copier.
ONCE = ("hold", "512")
NOT_OF_COPIER = ("hold",)


def run(programs, cloister, described, plan, progress, mtu=1500, only=None):
    """Measure. `progress` is called with what comes next. Returns results, and what failed as lines."""
    results, failed = {}, []
    with testbed.Lab(programs, mtu) as lab:
        everything = [gateways.Copier(lab, True), gateways.Cloister(lab, cloister),
                      gateways.Cloister(lab, cloister, "offload = no\n", "cloister-no-offload")]
        everything += [gateways.Described(lab, path) for path in described]
        everything += gateways.debian(lab)
        wanted = [gateway for gateway in everything if only is None or gateway.name in only]
        for number in range(plan.rounds):
            progress(f"round {number + 1} of {plan.rounds}: the SOCKS server itself")
            results.setdefault("direct", {}).setdefault("latency", []).append(latency_direct(lab, plan))
            for gateway in wanted:
                try:
                    gateway.start()
                    for column, job in jobs(plan):
                        if (number > 0 and column.endswith(ONCE)) or \
                           (isinstance(gateway, gateways.Copier) and column in NOT_OF_COPIER):
                            continue
                        progress(f"round {number + 1} of {plan.rounds}: {gateway.name}, {column}")
                        try:
                            row = job(lab, gateway)
                            results.setdefault(gateway.name, {}).setdefault(column, []).append(row)
                        except (RuntimeError, subprocess.TimeoutExpired) as error:
                            failed.append(f"{gateway.name}, {column}: {error}")
                except RuntimeError as error:
                    failed.append(f"{gateway.name}: {error}")
                finally:
                    gateway.stop()
    return results, failed
