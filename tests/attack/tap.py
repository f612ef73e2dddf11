# SPDX-License-Identifier: BSD-3-Clause
"""The attack matrix from a workstation that has the TAP itself."""

from ground import Tap, check_matrix, hostile, scenario


@scenario({"workstation": {"address6": "fd19:c33d:88bc::10/64"}}, started=False)
def nothing_leaks_through_the_tap(run):
    run.gateway.binary = hostile.disguised(run.lab, run.gateway.binary)
    check_matrix(run, Tap(run))
