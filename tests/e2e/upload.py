# SPDX-License-Identifier: BSD-3-Clause
"""20 MB go up whole."""

import hashlib
import time

from scenario import check, plan, scenario
from lab import servers

SIZE = 20_000_000


@scenario()
def twenty_megabytes_go_up_whole(run):
    body = b"".join(servers.body_chunks(SIZE))
    began = time.monotonic()
    done = run.curl("-T", "-", f"http://www.{plan.ZONE}/sink", timeout=120, input=body, text=False)
    taken = time.monotonic() - began
    check(done.returncode == 0, done.stderr.decode())
    check(done.stdout.decode().strip() == hashlib.sha256(body).hexdigest(), "the bytes differ")
    counters = run.gateway.counters()
    check(counters["up_bytes"] >= SIZE, f"the counters missed it: {counters}")
    print(f"{SIZE * 8 / taken / 1e6:.0f} Mbit/s")
