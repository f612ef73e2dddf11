# SPDX-License-Identifier: BSD-3-Clause
"""On a machine whose clock is days off Cloister ends, says why, and nothing passes.

    usage: clock_far_off.py --state LAB-STATE --binary CLOISTER-CLOCK-FAST or -SLOW
"""

from scenario import check, scenario


@scenario(started=False)
def a_clock_that_is_far_off_is_said_and_ends_all(run):
    word = "fast" if "fast" in run.binary else "slow"
    run.gateway.start()
    status, taken = run.gateway.wait_end(60)
    check(status is not None, "it runs on")
    ended = run.gateway.log.events("exit")
    print(f"after {taken:.1f} s, status {status}: {ended[0]['reason'] if ended else 'no reason'}")
    check(status == 1, f"ended with {status}")
    check(ended and "clock" in ended[0]["reason"] and word in ended[0]["reason"], "the reason does not say it")
    check(not run.gateway.log.events("ready"), "it was ready before")
    check(not run.host_pids(), "a process is left in the host's namespace")
