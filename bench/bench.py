#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmarks and writes bench/results/."""

import argparse
import configparser
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "load")]

import machine
import report


class Progress:
    """One line that says what is being done."""

    def __init__(self):
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def __call__(self, what):
        text = f"[{time.monotonic() - self.began:4.0f} s] {what}"
        print(f"\r\033[K{text}" if self.terminal else text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)

    def done(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def gateway_name(path):
    file = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    file.read(path, encoding="utf-8")
    return file["gateway"]["name"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(HERE.parent / "build" / "release"), help="directory of the build")
    parser.add_argument("--quick", action="store_true", help="one short round of everything, in two minutes")
    parser.add_argument("--gateway", action="append", default=[], metavar="FILE.ini",
                        help="another program to measure beside ours; see bench/load/gateways.py")
    parser.add_argument("--only", metavar="NAME,NAME", help="of the gateways, only these")
    parser.add_argument("--parts", default="replay,load", metavar="PART,PART", help="replay, instructions, load")
    parser.add_argument("--results", default=str(HERE / "results"), help="directory for what was measured")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build)
    parts = arguments.parts.split(",")
    results_directory = pathlib.Path(arguments.results)
    results_directory.mkdir(exist_ok=True)
    progress = Progress()
    of = machine.describe()
    results = {"failed": []}

    if "replay" in parts:
        import replay.runs
        results["replay"], failed = replay.runs.run(build, arguments.quick, progress)
        results["failed"] += failed
    if "instructions" in parts:
        import replay.instructions
        results["instructions"] = replay.instructions.measure(build, progress)
    if "load" in parts:
        if os.geteuid() != 0:
            sys.exit("bench: this needs root, for network namespaces and TAP devices")
        import load
        only = set(arguments.only.split(",")) if arguments.only else None
        if arguments.quick and only is None:
            only = {"copier-tso", "cloister", *map(gateway_name, arguments.gateway or [])}
        results["load"], failed = load.run(build / "bench" / "load", build / "cloister", arguments.gateway,
                                           load.Plan(arguments.quick), progress, only=only)
        results["failed"] += failed
    progress.done()

    text = report.markdown(of, results)
    figures = report.figures(results_directory, results)
    text += "".join(f"\n![{name.removesuffix('.svg')}]({name})\n" for name in figures)
    (results_directory / "results.md").write_text(text, encoding="utf-8")
    (results_directory / "results.json").write_text(json.dumps({"machine": of, **results}, indent=1) + "\n",
                                                    encoding="utf-8")
    print(text)
    print(f"Written: {results_directory}/results.md, results.json" + "".join(f", {name}" for name in figures))


if __name__ == "__main__":
    main()
