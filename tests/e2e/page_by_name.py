# SPDX-License-Identifier: BSD-3-Clause
"""A page is fetched by name."""

from scenario import check, plan, scenario


@scenario()
def a_page_is_fetched_by_name(run):
    for host in ("www", "www4", "alias"):
        done = run.curl(f"http://{host}.{plan.ZONE}/")
        check(done.stdout == plan.PAGE, f"{host}: {done.stderr or done.stdout}")
    with run.watch() as watch:
        run.curl(f"http://www.{plan.ZONE}/")
        flow, = watch.wait_flows(1, plan.HTTP)
        check(flow.target == f"www.{plan.ZONE}:80",
              f"the name should have gone to Tor, not an address: {flow.target}")
    done = run.curl(f"http://none.{plan.ZONE}/")
    check(done.returncode in (6, 7, 56), f"a name that is not there: {done.returncode} {done.stderr}")
