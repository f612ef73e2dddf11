# SPDX-License-Identifier: BSD-3-Clause
"""SIGTERM: the end within 2 s, with status 0 and the counters."""

from scenario import check, plan, scenario
from lab.gateway import counters_of


@scenario()
def sigterm_ends_it_cleanly(run):
    check(run.curl(f"http://{plan.WEB}/").stdout == plan.PAGE, "no page")
    peer = run.connect(plan.WEB, plan.ECHO)  # and one that is still open
    roles = run.gateway.roles()
    status, taken = run.gateway.terminate()
    check(status == 0, f"exit status {status}")
    check(taken < 2, f"it took {taken:.1f} s")
    last = run.gateway.log.events("counters")
    check(last, "no counters line")
    check(counters_of(last[-1])["flows"] >= 2, f"the counters: {last[-1]}")
    run.check_nothing_is_left(roles)
    peer.close()
    print(f"{taken * 1e3:.0f} ms")
