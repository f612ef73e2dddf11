# SPDX-License-Identifier: BSD-3-Clause
"""The attack matrix from a workstation on a bridge in the host's namespace, frames to the bridge's own MAC address
included."""

from ground import BRIDGE, Bridge, check_matrix, hostile, scenario


@scenario({"workstation": {"address6": "fd19:c33d:88bc::10/64", "bridge": BRIDGE}}, started=False)
def nothing_leaks_through_a_bridge(run):
    run.gateway.binary = hostile.disguised(run.lab, run.gateway.binary)
    check_matrix(run, Bridge(run))
