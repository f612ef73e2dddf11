# SPDX-License-Identifier: BSD-3-Clause
"""A closed port is refused, and the gateway adds less than a round trip to what Tor takes to learn it."""

import time

from scenario import check, plan, scenario


def _time_to_refusal(run):
    """When connect() was told, and how long it took."""
    began = time.monotonic()
    try:
        run.connect(plan.WEB, plan.CLOSED).close()
    except ConnectionRefusedError:
        return time.monotonic(), time.monotonic() - began
    except OSError as error:
        check(False, f"refused should be told as refused: {error!r}")
    check(False, "a closed port looked open")


@scenario()
def a_closed_port_is_refused_at_once(run):
    with run.watch() as watch:
        connects = []
        for _ in range(5):
            began = time.monotonic()
            run.connect(plan.WEB, plan.ECHO).close()
            connects.append(time.monotonic() - began)
        round_trip = sorted(connects)[2]
        for _ in range(3):
            told, taken = _time_to_refusal(run)
            time.sleep(0.3)  # the event may come behind the refusal
            stream = [s for s in watch.streams.values() if s.target.endswith(f":{plan.CLOSED}")][-1]
            check("FAILED" in stream.statuses, f"Tor says {stream.statuses}")
            # Tor itself asks up to three exits (see plan.CLOSED); that time is not the gateway's.
            verdict = stream.times[stream.statuses.index("FAILED")]
            print(f"connect {round_trip * 1e3:.0f} ms, refusal {taken * 1e3:.0f} ms, "
                  f"{(told - verdict) * 1e3:+.1f} ms from Tor's verdict")
            check(told - verdict < max(round_trip, 0.01), "the gateway kept the refusal to itself")
            check(taken < 4 * max(connects) + 0.2, "a refusal took longer than three attempts")
