#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures gateways, each the same way, in turns."""

import argparse
import statistics
import sys

import gateways
import lab as labs

ECHO, SINK, ANSWER, SOURCE = 7, 9, 13, 19
SPLICED, INSIDE = 9000, 9100


def to(service, base=SPLICED):
    return ["--to", f"{labs.FAR}:{base + service}"]


def bulk(lab, gateway, direction, flows, seconds):
    cpu = ",".join(map(str, gateway.pids()))
    service = SINK if direction == "up" else SOURCE
    return lab.client("bulk", f"--{direction}", "--flows", str(flows), "--seconds", str(seconds), "--warm", "0.7",
                      "--cpu", cpu, "--stats", str(lab.stats), *to(service))


def rate(lab, gateway, seconds):
    return lab.client("rate", "--flows", "32", "--seconds", str(seconds), "--warm", "0.5", "--spread", "100",
                      "--cpu", ",".join(map(str, gateway.pids())), *to(ANSWER))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--cloister")
    parser.add_argument("--gateway", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--mtu", type=int, default=1500)
    arguments = parser.parse_args()
    with labs.Lab(arguments.programs, arguments.mtu) as lab:
        all_gateways = [gateways.Copier(lab, True), gateways.Copier(lab, False)]
        all_gateways += [gateways.Described(lab, path) for path in arguments.gateway]
        if arguments.cloister:
            all_gateways.append(gateways.Cloister(lab, arguments.cloister))
            all_gateways.append(gateways.Cloister(lab, arguments.cloister, "offload = no\n", "cloister-no-offload"))
        results = {}
        for number in range(arguments.rounds):
            for gateway in all_gateways:
                gateway.start()
                try:
                    for direction, flows in (("up", 1), ("down", 1), ("up", 8), ("down", 8)):
                        got = bulk(lab, gateway, direction, flows, arguments.seconds)
                        print(number, gateway.name, direction, flows, got, file=sys.stderr, flush=True)
                        results.setdefault(gateway.name, {}).setdefault((direction, flows), []).append(got)
                    if not isinstance(gateway, gateways.Copier) or True:
                        got = rate(lab, gateway, arguments.seconds)
                        print(number, gateway.name, "rate", got, file=sys.stderr, flush=True)
                        results[gateway.name].setdefault("rate", []).append(got)
                except RuntimeError as error:
                    print(gateway.name, "failed:", error, lab.log(gateway.process)[-500:], file=sys.stderr)
                finally:
                    gateway.stop()
        median = lambda rows, key: statistics.median(row[key] for row in rows)
        for name, columns in results.items():
            print(f"{name:22}", end="")
            for key, rows in columns.items():
                if key == "rate":
                    print(f" | rate {median(rows, 'per_second'):7.0f}/s {median(rows, 'cpu_us'):6.1f}us p50 {median(rows, 'p50_us'):6.0f}us", end="")
                else:
                    print(f" | {key[0]} {key[1]}: {median(rows, 'gbit'):6.2f} Gbit/s {median(rows, 'cpu_per_gb'):5.2f} s/GB", end="")
            print()


if __name__ == "__main__":
    main()
