# SPDX-License-Identifier: BSD-3-Clause
"""A page is fetched by address, and its server sees an exit."""

from scenario import check, plan, scenario


@scenario()
def a_page_is_fetched_by_address(run):
    done = run.curl(f"http://{plan.WEB}/")
    check(done.stdout == plan.PAGE, done.stderr or done.stdout)
    seen = run.curl(f"http://{plan.WEB}/whoami").stdout.strip()
    check(seen in {relay.address for relay in plan.RELAYS if relay.exit},
          f"the server should see an exit's address, it saw {seen!r}")
