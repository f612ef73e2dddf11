# SPDX-License-Identifier: BSD-3-Clause
"""The attack matrix from a workstation whose cable Cloister took into a namespace of its own."""

from ground import PORT, Segment, check_matrix, hostile, scenario


@scenario({"workstation": {"address6": "fd19:c33d:88bc::10/64", "attach": PORT}}, started=False)
def nothing_leaks_through_a_segment(run):
    run.gateway.binary = hostile.disguised(run.lab, run.gateway.binary)
    check_matrix(run, Segment(run))
