# SPDX-License-Identifier: BSD-3-Clause
"""SIGUSR1: one line of counters that are true, and Cloister goes on."""

import socket
import time

from scenario import check, plan, scenario


@scenario()
def sigusr1_tells_the_counters(run):
    before = run.gateway.counters()
    check(before["flows"] == before["active"] == 0, f"at the start: {before}")
    # A server that keeps the connection alive would make the flow wait for half_close_timeout.
    run.curl("-H", "Connection: close", "-o", "/dev/null", f"http://{plan.WEB}/bytes/100000")
    peer = run.connect(plan.WEB, plan.ECHO)
    peer.sendall(b"x" * 1000)
    check(len(peer.recv(1000, socket.MSG_WAITALL)) == 1000, "the echo was short")
    time.sleep(0.5)  # the first flow's last segments
    after = run.gateway.counters()
    check((after["flows"], after["active"]) == (2, 1), f"two flows, one still open: {after}")
    check(after["down_bytes"] >= 101_000 and after["up_bytes"] >= 1000, f"bytes: {after}")
    peer.close()
    check(run.gateway.is_running(), "it ended")
