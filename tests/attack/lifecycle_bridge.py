# SPDX-License-Identifier: BSD-3-Clause
"""The same as lifecycle.py, with the TAP in a bridge of the host's: where the wire stays when Cloister is gone, and the
host's own stack is on it."""

from ground import BRIDGE, Bridge, scenario
from lifecycle import WAYS, live_through

_SETTINGS = {"workstation": {"bridge": BRIDGE}}


@scenario(_SETTINGS, started=False)
def nothing_leaks_whatever_ends_on_a_bridge(run):
    live_through(run, Bridge(run), tuple(way for way in WAYS if way != "keeper"), _SETTINGS)
