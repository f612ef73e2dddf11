# SPDX-License-Identifier: BSD-3-Clause
"""The jobs that every gateway gets, in turns, and what each says.

A result is results[gateway][column] = [what each round measured], where what was measured is a dict of numbers.
"""

import pathlib
import resource
import subprocess
import time

import gateways
import testbed

LITTLE_KIB = 256  # left over, for which it is not worth to wait
ECHO, SINK, ANSWER, SOURCE = 7, 9, 13, 19
SPLICED, INSIDE = 9000, 9100
BULK = [("up", 1), ("down", 1), ("up", 8), ("down", 8)]


class Plan:
    """How long, and how often."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 5
        self.seconds = 1.0 if quick else 2.0
        self.many = 512
        self.warm = "2" if quick else "4"  # seconds, with so many
        self.steps = [10, 1000, min(10000, most_flows()), min(50000, most_flows())]
        self.held = 2000
        self.idle_seconds = 2 if quick else 10
        self.pings = 5000 if quick else 50000


def most_flows():
    """That one process may hold, with a descriptor for each, beside those of the jobs before."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 2000


def to(service, base=SPLICED):
    return ["--to", f"{testbed.FAR}:{base + service}"]


def charged(gateway):
    return ["--cpu", ",".join(map(str, gateway.pids()))] if gateway.pids() else []


def bulk(lab, gateway, plan, direction, flows):
    return lab.client("bulk", f"--{direction}", "--flows", str(flows), "--seconds", str(plan.seconds), "--warm",
                      "0.5" if flows < 100 else plan.warm, *charged(gateway), "--stats", str(lab.stats),
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


def resident(pid):
    """KiB, each shared page by its share."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def memory(gateway):
    """Resident KiB of what is charged."""
    return sum(resident(pid) for pid in gateway.pids())


def cpu_seconds(gateway):
    """CPU time so far of what is charged, by its clocks (man 2 clock_getres tells how they are numbered)."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in gateway.pids())


class Held:
    """A client that holds flows open and takes orders."""

    def __init__(self, lab, gateway, flows):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.workstation, str(lab.programs / "client"), "hold", "--flows", str(flows),
             "--spread", "100", *charged(gateway), *to(ECHO, INSIDE), *lab.congestion],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

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


def cost(lab, gateway, plan, held):
    """CPU time of a small exchange on one flow after another of those that are held, and of a bulk flow beside them."""
    pinged = held.order(f"ping {plan.pings}")
    beside = bulk(lab, gateway, plan, "down", 1)
    return {"ping_us": pinged["cpu_us"], "ping_p50_us": pinged["p50_us"], "ping_p99_us": pinged["p99_us"],
            "gb_s": beside["cpu_per_gb"], "gbit": beside["gbit"]}


def idle(gateway, plan, held, start):
    """Memory of idle flows, fresh and after each moved 256 KiB, and CPU time at rest."""
    time.sleep(1)
    fresh = memory(gateway)
    began, cpu = time.monotonic(), cpu_seconds(gateway)
    time.sleep(plan.idle_seconds)
    percent = 100 * (cpu_seconds(gateway) - cpu) / (time.monotonic() - began)
    held.order(f"move {256 << 10}")
    time.sleep(2)
    return {"fresh_kib": (fresh - start) / plan.held, "used_kib": (memory(gateway) - start) / plan.held,
            "idle_percent": percent, "idle_flows": plan.held}


def hold(lab, gateway, plan):
    """What more and more flows that are held cost, and what is left when they are closed. If a gateway cannot hold as
    many, what it could is told, and `stopped` says where it ended."""
    start = memory(gateway)
    row = {"start_kib": start}
    held = Held(lab, gateway, plan.steps[-1])
    try:
        for flows in sorted({*plan.steps, plan.held}):
            held.order(f"open {flows}")
            if flows == plan.held:
                row |= idle(gateway, plan, held, start)
            else:
                row |= {f"{key} {flows}": value for key, value in cost(lab, gateway, plan, held).items()}
            row["held"] = flows
        time.sleep(1)
        row["held_kib"] = (memory(gateway) - start) / plan.steps[-1]
        held.order("close")
    except RuntimeError as error:
        row["stopped"] = str(error)
    finally:
        held.stop()
    for _ in range(8):
        time.sleep(1)
        row["left_kib"] = memory(gateway) - start
        if row["left_kib"] <= LITTLE_KIB:
            break
    return row


def jobs(plan):
    """(column, function of lab and gateway) in the order in which they are done."""
    yield "rest", lambda lab, gateway: {"rest_kib": resident(gateway.worker())}
    # From a fresh start: memory that another job had needed would be there already, and flows look as if they cost nothing.
    yield "hold", lambda lab, gateway: hold(lab, gateway, plan)
    for direction, flows in BULK:
        yield f"{direction} {flows}", lambda lab, gateway, d=direction, n=flows: bulk(lab, gateway, plan, d, n)
    yield "rate", lambda lab, gateway: rate(lab, gateway, plan)
    yield "latency", lambda lab, gateway: latency(lab, gateway, plan)
    for direction in ("up", "down"):
        yield (f"{direction} {plan.many}",
               lambda lab, gateway, d=direction: bulk(lab, gateway, plan, d, plan.many))


# What is done once with each gateway, not in every round; and what says nothing of a copier.
ONCE = ("rest", "hold", "512")
NOT_OF_COPIER = ("rest", "hold", "512")


def run(programs, cloister, described, plan, progress, mtu=1500, only=None, unpacked=""):
    """Measure. `progress` is called with what comes next. Returns results, and what failed as lines."""
    results, failed = {}, []
    with testbed.Lab(programs, mtu) as lab:
        everything = [gateways.Copier(lab, True), gateways.Cloister(lab, cloister),
                      gateways.Cloister(lab, cloister, "offload = no\n", "cloister-no-offload")]
        everything += [gateways.Described(lab, path) for path in described]
        everything += gateways.debian(lab, unpacked)
        wanted = [gateway for gateway in everything if only is None or gateway.name in only]
        for number in range(plan.rounds):
            progress(f"round {number + 1} of {plan.rounds}: the SOCKS server itself")
            results.setdefault("direct", {}).setdefault("latency", []).append(latency_direct(lab, plan))
            for gateway in wanted:
                try:
                    gateway.start()
                    for column, job in jobs(plan):
                        if (number > 0 and column.endswith(ONCE)) or \
                           (isinstance(gateway, gateways.Copier) and column.endswith(NOT_OF_COPIER)):
                            continue
                        progress(f"round {number + 1} of {plan.rounds}: {gateway.name}, {column}")
                        try:
                            row = job(lab, gateway)
                            if "stopped" in row:
                                failed.append(f"{gateway.name}, {column}: {row.pop('stopped')}")
                            results.setdefault(gateway.name, {}).setdefault(column, []).append(row)
                        except (RuntimeError, subprocess.TimeoutExpired) as error:
                            failed.append(f"{gateway.name}, {column}: {error}")
                except RuntimeError as error:
                    failed.append(f"{gateway.name}: {error}")
                finally:
                    gateway.stop()
    return results, failed
