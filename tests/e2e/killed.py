# SPDX-License-Identifier: BSD-3-Clause
"""What must hold after any one of the three processes was killed."""

import time

from scenario import check
from lab import capture, plan, proc


def check_that_all_ends(run, role):
    peer = run.connect(plan.WEB, plan.ECHO)
    peer.sendall(b"x")
    check(peer.recv(1) == b"x", "no echo")
    roles = run.gateway.roles()
    expected = {"supervisor", "gateway"} | (set() if run.external else {"tor"})
    check(set(roles) == expected, f"the processes are {roles}")

    proc.kill(roles[role])
    status, taken = run.gateway.wait_end(5)
    check(status is not None, "Cloister still runs")
    check(status != 0, "Cloister says that all was well")
    print(f"ended with {status} after {taken * 1e3:.0f} ms")
    run.check_nothing_is_left(roles)
    if role != "supervisor":  # which has no last word
        said = run.gateway.log.events("exit")
        check(said and said[-1].get("reason"), "no reason was logged")
        print(said[-1]["reason"])

    # The workstation goes on; there is nowhere to go. (The host's kernel may still close Tor's sockets.)
    with capture.Capture(run.lab) as after:
        for send in (lambda: peer.sendall(b"y"),
                     lambda: run.connect(plan.WEB, plan.HTTP, seconds=1).close()):
            try:
                send()
            except OSError:
                continue
        check(run.curl(f"http://www.{plan.ZONE}/", timeout=2).returncode != 0, "a page came")
        time.sleep(0.5)
    check(not run.host_pids(), "something still runs in the host's namespace")
    check(after.is_clean, f"after the end: {after.describe()}")
    peer.close()
