#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per packet, counted by callgrind.

    instructions.py --programs DIRECTORY           shows them
    instructions.py --programs DIRECTORY --guard   fails if they grew by more than 3 % over recorded.txt
    instructions.py --programs DIRECTORY --record  writes recorded.txt

They depend on the compiler and on the processor, but on nothing that happens at the time: recorded.txt says which
they are of, and with others the guard passes with a word (and exit status 77).
"""

import argparse
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

# A long memcpy() is one instruction a byte to callgrind, where glibc leaves it to the processor; so it shall not.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1048576"}
HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "recorded.txt"
ALLOWED = 1.03
REPLAYS = ("download", "page", "upload")
LOOPS = [(layer, kind, batch) for kind in ("ack", "data") for layer in ("engine", "tun") for batch in (1, 8)]
COUNT = 2000


def callgrind(function, *command):
    """Instructions that calls of a function took, and what the program said."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--toggle-collect={function}",
                               f"--callgrind-out-file={directory}/out", *map(str, command)],
                              check=False, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or found[1] == "0":
        raise RuntimeError(f"{command}: {done.stderr.strip()[-500:]}")
    return int(found[1]), done.stdout


def replays(programs, progress=lambda what: None):
    counts = {}
    for name in REPLAYS:
        progress(f"counting instructions of {name}")
        total, said = callgrind("measured_turn", programs / "replay-counted",
                                HERE.parent / "captures" / f"{name}.pcap", "--copies", "4", "--total", "8")
        packets = int(re.search(r"\bpackets=(\d+)", said)[1])
        counts[f"replay of {name}"] = total / packets
    return counts


def loops(programs, progress=lambda what: None):
    counts = {}
    for layer, kind, batch in LOOPS:
        progress(f"counting instructions of {layer}, {kind}, {batch} in a turn")
        total, _ = callgrind(f"measured_{layer}", programs / "instructions-counted", layer, kind, COUNT, batch)
        what = "pure ACK" if kind == "ack" else "segment of 1448 bytes"
        where = "engine" if layer == "engine" else "link and engine, with checksum"
        counts[f"{what}, {where}, {batch} in a turn"] = total / COUNT
    return counts


def measure(build, progress):
    programs = build / "bench" / "replay"
    return {**replays(programs, progress), **loops(programs, progress)}


def conditions(programs):
    """What the figures are of."""
    compiler = (programs / "compiler.txt").read_text(encoding="utf-8").strip()
    return f"{compiler} {platform.machine()}"


def guard(programs):
    recorded = dict(line.rsplit(" ", 1) for line in RECORDED.read_text(encoding="utf-8").splitlines()
                    if line and not line.startswith("#"))
    told = next(line[2:] for line in RECORDED.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    if told != conditions(programs):
        print(f"skipped: recorded with {told}, this is {conditions(programs)}")
        return 77
    status = 0
    for name, count in (replays(programs) | loops(programs)).items():
        ratio = count / float(recorded[name])
        print(f"{name}: {count:.1f} instructions per packet, {100 * (ratio - 1):+.1f} % of what is recorded")
        if ratio > ALLOWED:
            print(f"more than {ALLOWED}: reduce it, or record it with --record in the same commit and say why")
            status = 1
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--guard", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: no valgrind")
        sys.exit(77)
    if arguments.guard:
        sys.exit(guard(arguments.programs))
    counts = replays(arguments.programs) | loops(arguments.programs)
    if arguments.record:
        RECORDED.write_text(f"# {conditions(arguments.programs)}\n" +
                            "".join(f"{name} {count:.1f}\n" for name, count in counts.items()), encoding="utf-8")
    for name, count in counts.items():
        print(f"{count:8.1f}  {name}")


if __name__ == "__main__":
    main()
