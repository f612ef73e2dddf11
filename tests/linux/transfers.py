#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's TCP as the peer, through a bad link: every byte arrives, both ways, and nothing stalls.

    transfers.py IMPAIR CLOISTER [SEED]     exit status 77: cannot run here (no root, no namespaces)
"""

import pathlib
import random
import shutil
import sys
import tempfile

import bed

FLOWS = 3        # each way, at once
SILENCE = 8.0    # seconds: a retransmission timeout doubled five times from 200 ms, by chance one in a million
DELAY = 5000     # us each way
LINKS = [
    ("as it is", {}, 8_000_000),
    ("loss 0.1 %", {"delay": DELAY, "loss": 1000}, 2_000_000),
    ("loss 1 %", {"delay": DELAY, "loss": 10000}, 1_000_000),
    ("loss 5 %", {"delay": DELAY, "loss": 50000}, 400_000),
    ("reordering", {"delay": DELAY, "reorder": 100000, "late": 4000}, 1_000_000),
    ("all of it", {"delay": DELAY, "loss": 10000, "reorder": 50000, "late": 10000, "duplicate": 20000}, 500_000),
]


def check(name, size, reports):
    bad = [report for report in reports if not report["equal"] or report["silence"] > SILENCE]
    for way in ("download", "upload"):
        of_way = [report for report in reports if report["way"] == way]
        slowest = max(report["seconds"] for report in of_way)
        print(f"{name:12} {way:8} {len(of_way)} x {size} bytes, slowest {slowest:.2f} s, "
              f"longest silence {max(report['silence'] for report in of_way):.2f} s", flush=True)
    for report in bad:
        print(f"  wrong: {report}")
    return not bad and len(reports) == 2 * FLOWS


def main():
    impair, binary = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    if not bed.can_run():
        print("needs root, /dev/net/tun and network namespaces")
        return bed.SKIPPED
    print(f"seed={seed}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-linux-"))
    test = None
    try:
        test = bed.CloisterBed(impair, binary, directory, seed)
        held = True
        for k, (name, properties, size) in enumerate(LINKS):
            test.set_link(**properties)
            reports = test.report(test.start_peer("transfer", FLOWS, size, seed + 100 * k), 30)
            held &= check(name, size, reports)
        return 0 if held else 1
    finally:
        if test:
            test.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
