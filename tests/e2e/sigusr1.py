# SPDX-License-Identifier: BSD-3-Clause
"""SIGUSR1: one line of counters that are true, and Cloister goes on."""

import socket

from scenario import check, plan, scenario


@scenario()
def sigusr1_tells_the_counters(run):
    before = run.gateway.counters()
    check(before["flows"] == before["active"] == 0, f"at the start: {before}")
    run.curl(f"http://{plan.WEB}/bytes/100000")
    peer = run.connect(plan.WEB, plan.ECHO)
    peer.sendall(b"x" * 1000)
    check(len(peer.recv(1000, socket.MSG_WAITALL)) == 1000, "the echo was short")
    after = run.gateway.counters()
    check((after["flows"], after["active"]) == (2, 1), f"two flows, one still open: {after}")
    check(after["down_bytes"] >= 101_000 and after["up_bytes"] >= 1000, f"bytes: {after}")
    peer.close()
    check(run.gateway.is_running(), "it ended")
