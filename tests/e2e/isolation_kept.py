# SPDX-License-Identifier: BSD-3-Clause
"""A client's credentials at Tor Browser's port stay one identity, on one circuit, while they are used: beyond the lifetime of
an identity, and beyond what Tor gives a circuit by itself. At another port they do not."""

import time

from isolation_policies import PLAIN
from scenario import check, plan, scenario

LIFETIME, DIRTINESS = 8, 10  # seconds; Tor takes no less than ten
PAUSE, TIMES = 3, 9          # between two uses, and how many there are


def _page(run, port):
    got = run.curl("--retry", "3", "--retry-all-errors", "--socks5-hostname", f"site:secret@{plan.GATEWAY}:{port}",
                   f"http://www.{plan.ZONE}/")
    check(got.stdout == plan.PAGE, f"no page by port {port}: {got.stderr}")


@scenario({"isolation": {"lifetime": LIFETIME}}, f"{PLAIN}MaxCircuitDirtiness {DIRTINESS}\n")
def what_tor_browser_uses_stays_on_its_circuit(run):
    streams = {"9150": [], "9050": []}
    with run.watch() as watch:
        began = time.monotonic()
        for number in range(TIMES):
            time.sleep(max(0, began + number * PAUSE - time.monotonic()))
            for port, own in streams.items():
                known = set(watch.streams)
                _page(run, port)
                own += [watch.streams[stream] for stream in sorted(set(watch.streams) - known)]
        kept, others = streams["9150"], streams["9050"]
        check(time.monotonic() - began > max(LIFETIME, DIRTINESS) + PAUSE, "that was too short to tell")
        check(len(kept) >= TIMES, f"{len(kept)} streams by 9150")
        check(len({stream.password for stream in kept}) == 1, "an identity at 9150 did not last")
        circuits = [watch.circuit_of(stream).identity for stream in kept if stream.circuit]
        check(len(set(circuits)) == 1, f"its circuit was another in between: {circuits}")
        check(len({stream.password for stream in others}) > 1, "an identity at 9050 should be a new one after its lifetime")
