# SPDX-License-Identifier: BSD-3-Clause
"""A server that closes first: the client reads to the end, and may take its time to close."""

import time

from scenario import check, plan, read_all, scenario


@scenario()
def a_server_that_closes_first_is_read_to_the_end(run):
    peer = run.connect(plan.WEB, plan.FIRST_CLOSER)
    got = read_all(peer)  # a reset would raise
    check(got == b"the server has nothing more to say\n", f"got {got!r}")
    time.sleep(0.5)
    peer.close()
    time.sleep(0.5)
    counters = run.gateway.counters()
    check(counters["active"] == 0, f"the flow did not end: {counters}")
