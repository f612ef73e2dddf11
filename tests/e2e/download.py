# SPDX-License-Identifier: BSD-3-Clause
"""50 MB arrive whole."""

import hashlib
import time

from scenario import check, plan, scenario
from lab import servers


@scenario()
def fifty_megabytes_arrive_whole(run):
    began = time.monotonic()
    done = run.curl(f"http://www.{plan.ZONE}/50m", timeout=120, text=False)
    taken = time.monotonic() - began
    check(done.returncode == 0, done.stderr.decode())
    check(len(done.stdout) == servers.FIFTY_MB, f"{len(done.stdout)} bytes came")
    check(hashlib.sha256(done.stdout).hexdigest() == servers.body_sha256(servers.FIFTY_MB),
          "the bytes differ")
    counters = run.gateway.counters()
    check(counters["down_bytes"] >= servers.FIFTY_MB, f"the counters missed it: {counters}")
    print(f"{servers.FIFTY_MB * 8 / taken / 1e6:.0f} Mbit/s")
