# SPDX-License-Identifier: BSD-3-Clause
"""A server that breaks off is not one that has finished: the first is a reset, the second an end."""

import errno
import time

from scenario import check, plan, read_all, scenario

ROUNDS = 10


def ending(peer):
    """(bytes, errno or 0 for an end, seconds from the last byte to the end)."""
    got, last = b"", time.monotonic()
    try:
        while piece := peer.recv(1 << 16):
            got, last = got + piece, time.monotonic()
        return got, 0, time.monotonic() - last
    except OSError as error:
        return got, error.errno, time.monotonic() - last


@scenario()
def a_server_that_breaks_off_is_told_from_one_that_ends(run):
    waits = []
    for _ in range(ROUNDS):
        with run.connect(plan.WEB, plan.RESETTER) as peer:
            got, error, _ = ending(peer)
            check(got == b"about to reset\n", f"what came before the reset was {got!r}")
            check(error == errno.ECONNRESET, f"a reset came as {errno.errorcode.get(error, 'an end')}")
        with run.connect(plan.WEB, plan.FIRST_CLOSER) as peer:
            got, error, wait = ending(peer)
            check(got.endswith(b"nothing more to say\n"), f"got {got!r}")
            check(error == 0, f"an end came as {errno.errorcode.get(error)}")
            waits.append(wait)
    # The server says its word and closes at once; 500 ms would be an end that nobody spoke of.
    waits.sort()
    check(waits[-1] < 0.4, f"an end took {waits[-1]:.3f} s after the last byte")
    print(f"from the last byte to the end: median {1000 * waits[ROUNDS // 2]:.2f} ms, "
          f"most {1000 * waits[-1]:.2f} ms")

    # A circuit that dies under a download.
    with run.watch() as watch:
        peer = run.connect(plan.WEB, plan.CHARGEN)
        peer.recv(1)
        flow, = watch.wait_flows(1, plan.CHARGEN)
        watch.control.command(f"CLOSECIRCUIT {flow.circuit}")
        _, error, _ = ending(peer)
        check(error == errno.ECONNRESET, f"a lost circuit came as {errno.errorcode.get(error, 'an end')}")
        peer.close()
    with run.connect(plan.WEB, plan.FIRST_CLOSER) as peer:
        check(read_all(peer), "nothing works any more")
