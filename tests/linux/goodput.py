#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Goodput over a link with loss and delay: the engine sending, and Linux with CUBIC sending, to the same kernel
through the same middlebox, at the same time. Prints both.

    goodput.py IMPAIR CLOISTER [SEED [LOSS_PPM [DELAY_US]]]

Exit status 1 if the engine has less than three quarters of Linux's, which is no accident; 77: cannot run here.
"""

import pathlib
import random
import shutil
import sys
import tempfile

import bed

FLOWS = 12          # in each bed; loss at random makes single flows differ
SKIP, SECONDS = 1.0, 8.0
LEAST = 0.75


def main():
    impair, binary, *numbers = sys.argv[1:]
    numbers = list(map(int, numbers))
    seed, loss, delay = (numbers + [random.randrange(1 << 30), 10000, 25000][len(numbers):])[:3]
    if not bed.can_run():
        print("needs root, /dev/net/tun and network namespaces")
        return bed.SKIPPED
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-linux-"))
    beds = []
    try:
        beds.append(bed.CloisterBed(impair, binary, directory, seed))
        beds.append(bed.LinuxBed(impair, seed + 1))
        for one in beds:
            one.set_link(loss=loss, delay=delay)
        drains = [one.start_peer("drain", FLOWS, SKIP, SECONDS) for one in beds]
        counts = [one.report(drain, 60) for one, drain in zip(beds, drains)]
        ours, theirs = (sum(count) * 8 / SECONDS / FLOWS / 1e6 for count in counts)
        print(f"seed={seed} loss={loss / 10000} % rtt={delay / 500} ms flows={FLOWS}: "
              f"cloister={ours:.2f} linux-cubic={theirs:.2f} Mbit/s per flow, ratio={ours / theirs:.2f}")
        return 0 if ours >= LEAST * theirs else 1
    finally:
        for one in beds:
            one.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
