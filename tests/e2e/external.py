# SPDX-License-Identifier: BSD-3-Clause
"""`mode = external`: the same over a Tor that is not ours."""

from scenario import check, plan, scenario
from lab import client


@scenario(started=False)
def a_stock_tor_client_serves_as_well(run):
    with client.Client(run.lab) as tor:
        run.gateway.write_config({"tor": {"mode": "external", "socks": f"unix:{tor.socks}"}})
        with run.gateway, run.watch(tor.control) as watch:
            roles = run.gateway.roles()
            check("tor" not in roles, f"a Tor of our own runs beside it: {roles}")
            for host in (f"www.{plan.ZONE}", plan.WEB):
                done = run.curl(f"http://{host}/")
                check(done.stdout == plan.PAGE, f"{host}: {done.stderr or done.stdout}")
            flows = watch.wait_flows(2, plan.HTTP)
            check(len(flows) == 2 and not watch.shared(flows), f"the flows: {flows}")
            check(all(flow.username == "<torS0X>0" for flow in flows), f"the flows: {flows}")
            status, _ = run.gateway.terminate()
            check(status == 0, f"exit status {status}")
            check(tor.process.poll() is None, "the stock client ended with it")
