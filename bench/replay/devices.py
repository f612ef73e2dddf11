#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays of the captures through a TAP, or TUN, and a gateway on it, which connects to the replay's SOCKS end.

    devices.py BUILD     as a test: ours carries each capture, byte by byte (exit status 77: not without root)
"""

import os
import pathlib
import subprocess
import sys

if __name__ == "__main__":
    BENCH = pathlib.Path(__file__).resolve().parent.parent
    sys.path[0:1] = [str(BENCH), str(BENCH / "load")]

import gateways
import testbed
from replay.runs import CAPTURES, median_row, pairs

COPIES = 20
RATE = 2000  # packets of the client a second, so few that seldom one waits for another


def play(lab, gateway, program, capture, *more):
    command = ["ip", "netns", "exec", lab.host, str(program), str(capture), "--device", lab.device, "--netns",
               f"/run/netns/{lab.workstation}", "--socks-unix", str(lab.socks_path), "--socks-tcp",
               str(testbed.SOCKS_PORT), "--client", testbed.WORKSTATION, "--gateway", testbed.GATEWAY, "--cpu",
               ",".join(map(str, gateway.pids())), *map(str, more)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return pairs(done.stdout)


def memory(gateway):
    """Resident KiB, at most so far, of the process that has most."""
    most = 0
    for pid in gateway.pids():
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]))
    return most


def jobs(quick):
    """(what, options) of each replay."""
    total = 10 if quick else 40
    yield "flat out", ("--copies", COPIES, "--total", COPIES * total)
    yield f"{RATE}/s", ("--copies", COPIES, "--total", COPIES, "--rate", RATE)


def run(build, described, quick, progress, only=None):
    """Rows for the report, and what failed."""
    program = build / "bench" / "replay" / "replay"
    rounds = 1 if quick else 5
    got, failed = {}, []
    captures = sorted(CAPTURES.glob("*.pcap"))
    with testbed.Lab(build / "bench" / "load", bare=True) as lab:
        without = [] if quick else [gateways.Cloister(lab, build / "cloister", "offload = no\n", "cloister-no-offload")]
        everything = [gateways.Cloister(lab, build / "cloister"), *without, *(gateways.Described(lab, path) for path in described)]
        for number in range(rounds):
            for gateway in everything:
                if only is not None and gateway.name not in only:
                    continue
                for capture in captures:
                    progress(f"replay of {capture.stem} through {gateway.name}, {number + 1} of {rounds}")
                    try:
                        for what, options in jobs(quick):
                            gateway.start()  # a new one each time, so that its memory is this replay's
                            try:
                                row = play(lab, gateway, program, capture, *options)
                                row["memory_kib"] = memory(gateway)
                            finally:
                                gateway.stop()
                            got.setdefault((capture.stem, what, gateway.name), []).append(row)
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        failed.append(f"replay of {capture.stem} through {gateway.name}: {error}")
    return [{"capture": capture, "how": what, **median_row(rows), "stack": name}
            for (capture, what, name), rows in sorted(got.items())], failed


def main():
    if os.geteuid() != 0:
        print("skipped: it makes network namespaces and devices, which needs root")
        sys.exit(77)
    rows, failed = run(pathlib.Path(sys.argv[1]), [], True, print, {"cloister"})
    for row in rows:
        print(row)
    print("\n".join(failed))
    sys.exit(bool(failed) or len(rows) < 2 * len(list(CAPTURES.glob("*.pcap"))))


if __name__ == "__main__":
    main()
