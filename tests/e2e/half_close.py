# SPDX-License-Identifier: BSD-3-Clause
"""A client that is done sending still gets the whole answer."""

import socket
import time

from scenario import check, plan, read_all, scenario

ANSWER = b"".join(bytes([ord("0") + n]) * plan.SLOW_PART_BYTES for n in range(plan.SLOW_PARTS))


@scenario()
def a_half_closed_request_is_answered_in_full(run):
    # The server answers a line: it starts before the client's FIN could have any effect on it.
    peer = run.connect(plan.WEB, plan.SLOW)
    peer.sendall(b"a request\n")
    peer.shutdown(socket.SHUT_WR)
    began = time.monotonic()
    got = read_all(peer)
    check(got == ANSWER, f"{len(got)} of {len(ANSWER)} bytes")
    check(time.monotonic() - began > 0.8 * plan.SLOW_PARTS * plan.SLOW_PAUSE_S, "it was not slow")
    peer.close()
    done = run.lab.run("ws", ["nc", "-N", plan.WEB, plan.SLOW], input="a request\n")
    check(done.stdout.encode() == ANSWER, f"nc -N got {len(done.stdout)} bytes: {done.stderr}")
