# SPDX-License-Identifier: BSD-3-Clause
"""The tor process is killed: all of Cloister ends, flows with it, and nothing leaves."""

from scenario import scenario
from killed import check_that_all_ends


@scenario()
def tor_killed_ends_everything(run):
    check_that_all_ends(run, "tor")
