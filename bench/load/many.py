#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Has our gateway hold more and more flows, and says what that costs: a table, and results in many.json.

    bench/vm bench/load/many.py
    bench/vm bench/load/many.py --memory 64 --steps 2000,5000

At each step: resident memory of a flow, fresh and after it moved bytes both ways; CPU time of an exchange of one byte;
CPU at rest. At last, what memory is left over once all are closed. With --crowd, so many flows that move all they can,
there and back, beside those of the last step.
"""

import argparse
import json
import os
import pathlib
import resource
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import gateways
import load
import testbed

CGROUP = pathlib.Path("/sys/fs/cgroup/cloister-bench")
KEPT = ("anon", "file", "kernel", "sock", "slab")  # of memory.stat


class Small:
    """A control group of so much memory, kernel's included, for the gateway. Without any if that is 0."""

    def __init__(self, mib):
        self.mib = mib

    def __enter__(self):
        if self.mib > 0:
            pathlib.Path("/sys/fs/cgroup/cgroup.subtree_control").write_text("+memory", encoding="ascii")
            CGROUP.mkdir()
            (CGROUP / "memory.max").write_text(str(self.mib << 20), encoding="ascii")
        return self

    def __exit__(self, *_):
        if self.mib > 0:
            CGROUP.rmdir()

    def enter(self):
        """To be called in the process that is to be small."""
        if self.mib > 0:
            (CGROUP / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def state(self):
        """MiB of each kind, the most there ever was, and how often it was not enough."""
        if self.mib == 0:
            return {}
        pairs = lambda name: dict(line.split() for line in (CGROUP / name).read_text(encoding="ascii").splitlines())
        stat, events = pairs("memory.stat"), pairs("memory.events")
        row = {f"{key}_mib": int(stat[key]) / (1 << 20) for key in KEPT if key in stat}
        row["total_mib"] = int((CGROUP / "memory.current").read_text(encoding="ascii")) / (1 << 20)
        return row | {"reclaims": int(events["max"]), "oom_kills": int(events["oom_kill"])}


class Gateway(gateways.Cloister):
    """Ours, in a control group, and with the limits that it takes on a machine of so much memory."""

    def __init__(self, lab, binary, small):
        super().__init__(lab, binary)
        self.small = small

    def prepare(self):
        return {"preexec_fn": self.small.enter}

    def limits(self):
        if self.small.mib == 0:
            return super().limits()
        # Not what the gateway finds by itself, for it does not look at control groups; but the same (core/daemon/fit.c).
        flows = max(1024, self.small.mib << 6)
        return f"[limits]\nflows = {flows}\nworkstation_flows = {flows}\nbuffers = {max(4, self.small.mib >> 4)}\n"


def rest(gateway, seconds):
    """Percent of a core."""
    time.sleep(2)
    began, cpu = time.monotonic(), load.cpu_seconds(gateway)
    time.sleep(seconds)
    return 100 * (load.cpu_seconds(gateway) - cpu) / (time.monotonic() - began)


def step(gateway, held, flows, start, arguments):
    row = {"flows": flows}
    before = time.monotonic()
    held.order(f"open {flows}")
    row["opened_s"] = time.monotonic() - before
    row["rest_percent"] = rest(gateway, arguments.rest)
    row["fresh_kib"] = (load.memory(gateway) - start) / flows
    if arguments.move > 0:
        held.order(f"move {arguments.move << 10}")
        time.sleep(3)
        row["used_kib"] = (load.memory(gateway) - start) / flows
    done = [held.order(f"ping {arguments.pings}") for _ in range(3)]
    row["ping_us"] = sorted(ping["cpu_us"] for ping in done)[1]
    return row


def crowd(lab, gateway, flows, direction):
    """Many flows that move all they can."""
    service = load.to(load.SINK if direction == "up" else load.SOURCE, load.INSIDE)
    row = lab.client("bulk", f"--{direction}", "--flows", str(flows), "--seconds", "5", "--warm", "2",
                     *load.charged(gateway), "--stats", str(lab.stats), *service)
    return {"crowd": f"{flows} {direction}", "gbit": row["gbit"], "slowest": row["slowest"]}


def show(row):
    print("  ".join(f"{key}={value:.2f}" if isinstance(value, float) else f"{key}={value}"
                    for key, value in row.items()), flush=True)


def measure(lab, arguments, small):
    gateway = Gateway(lab, arguments.cloister, small)
    gateway.start()
    rows, held = [], None
    try:
        time.sleep(1)
        start = load.memory(gateway)
        rows.append({"start_kib": start, **small.state()})
        show(rows[-1])
        steps = [int(flows) for flows in arguments.steps.split(",")]
        held = load.Held(lab, gateway, steps[-1])
        for flows in steps:
            rows.append(step(gateway, held, flows, start, arguments) | small.state())
            show(rows[-1])
        for direction in ("up", "down") if arguments.crowd > 0 else ():
            rows.append(crowd(lab, gateway, arguments.crowd, direction) | small.state())
            show(rows[-1])
        held.order("close")
        for second in range(60):
            time.sleep(1)
            left = load.memory(gateway) - start
            if left <= load.LITTLE_KIB:
                break
        rows.append({"left_kib": left, "after_s": second + 1, **small.state()})
        show(rows[-1])
    except (RuntimeError, OSError) as error:
        rows.append({"stopped": str(error), **small.state()})
        show(rows[-1])
        print(lab.log(gateway.process))
    finally:
        if held is not None:
            held.stop()
        gateway.stop()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "release")
    parser.add_argument("--steps", default="10,1000,2000,10000,50000", metavar="N,N", help="flows held (%(default)s)")
    parser.add_argument("--move", type=int, default=256, metavar="KIB", help="both ways on each flow (%(default)s)")
    parser.add_argument("--pings", type=int, default=50000, help="exchanges of a byte, three times (%(default)s)")
    parser.add_argument("--rest", type=float, default=10, metavar="SECONDS", help="that nothing is done (%(default)s)")
    parser.add_argument("--memory", type=int, default=0, metavar="MIB",
                        help="that the gateway and its sockets may have (0: all there is)")
    parser.add_argument("--crowd", type=int, default=0, metavar="N", help="flows that move all they can (%(default)s)")
    parser.add_argument("--results", type=pathlib.Path, default=HERE.parent / "results")
    arguments = parser.parse_args()
    arguments.cloister = arguments.build / "cloister"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Small(arguments.memory) as small, testbed.Lab(arguments.build / "bench" / "load") as lab:
        rows = measure(lab, arguments, small)
    (arguments.results / "many.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")
    sys.exit(any("stopped" in row for row in rows))


if __name__ == "__main__":
    main()
