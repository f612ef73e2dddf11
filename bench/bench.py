#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmarks and writes bench/results/."""

import argparse
import configparser
import json
import os
import pathlib
import resource
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "load")]

import machine
import report


PARTS = ("replay", "devices", "instructions", "load", "tor")
NEED_ROOT = {"devices", "load", "tor"}  # for network namespaces and devices
DESCRIPTORS = 200000
GATEWAY_FILE = """\
FILE.ini describes a program that holds a TUN or TAP device and speaks to a SOCKS5 server:

  [gateway]
  name     = word
  command  = /path/to/program --config {config}
  device   = tun0
  template = FILE        optional: its configuration, beside this file

In the command and the template {config} {device} {mtu} {socks_host} {socks_port} {socks_path} are filled in.

To have more descriptors than this machine allows, or less memory than it has: bench/vm bench/bench.py OPTION ...
"""


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


def allow_descriptors():
    """As many as the system gives: a flow takes one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, DESCRIPTORS), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
        except (ValueError, OSError):
            pass


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=GATEWAY_FILE)
    parser.add_argument("--build", default=str(HERE.parent / "build" / "release"), help="directory of the build")
    parser.add_argument("--quick", action="store_true", help="one short round of everything, in two minutes")
    parser.add_argument("--gateway", action="append", default=[], metavar="FILE.ini",
                        help="another program to measure beside ours, described by a file (below)")
    parser.add_argument("--only", metavar="NAME,NAME", help="of the gateways, only these")
    parser.add_argument("--parts", metavar="PART,PART", default=",".join(PARTS),
                        help=f"only these of {', '.join(PARTS)}")
    parser.add_argument("--results", default=str(HERE / "results"), help="directory for what was measured")
    arguments = parser.parse_args()
    unknown = set(arguments.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--parts: {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    build = pathlib.Path(arguments.build)
    parts = arguments.parts.split(",")
    results_directory = pathlib.Path(arguments.results)
    results_directory.mkdir(exist_ok=True)
    progress = Progress()
    allow_descriptors()
    of = machine.describe()
    results = {"failed": []}

    if NEED_ROOT & set(parts) and os.geteuid() != 0:
        sys.exit(f"bench: {', '.join(sorted(NEED_ROOT & set(parts)))} need root, for network namespaces and devices; "
                 f"without it: --parts replay,instructions")
    only = set(arguments.only.split(",")) if arguments.only else None
    if "replay" in parts:
        import replay.runs
        results["replay"], failed = replay.runs.run(build, arguments.quick, progress)
        results["failed"] += failed
    if "devices" in parts:
        import replay.devices
        results["devices"], failed = replay.devices.run(build, arguments.gateway, arguments.quick, progress, only)
        results["failed"] += failed
    if "instructions" in parts:
        import replay.instructions
        if shutil.which("valgrind"):
            results["instructions"] = replay.instructions.measure(build, progress)
        else:
            results["failed"].append("instructions per packet: no valgrind")
    if "load" in parts:
        import load
        among = only
        if arguments.quick and only is None:
            among = {"copier-tso", "cloister", *map(gateway_name, arguments.gateway)}
        results["load"], failed = load.run(build / "bench" / "load", build / "cloister", arguments.gateway,
                                           load.Plan(arguments.quick), progress, only=among,
                                           unpacked=HERE.parent / "build" / "peers")
        results["failed"] += failed
    if "tor" in parts:
        import tor.compare
        results["tor"], failed = tor.compare.run(build / "bench" / "load", build / "cloister", arguments.quick, progress)
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
