# SPDX-License-Identifier: BSD-3-Clause
"""A workstation with nothing but IPv6 reaches what has IPv6, and by name what has not."""

from scenario import check, plan, scenario

from lab import net

GATEWAY6, WORKSTATION6 = "fd19:c33d:88bc::10", "fd19:c33d:88bc::11"


@scenario({"workstation": {"address6": f"{GATEWAY6}/64"}})
def ipv6_leads_everywhere(run):
    ws = run.lab.ns("ws")
    net.ip("-n", ws, "addr", "flush", "dev", "cloister0")
    net.ip("-n", ws, "addr", "add", f"{WORKSTATION6}/64", "dev", "cloister0", "nodad")
    net.ip("-n", ws, "route", "add", "default", "via", GATEWAY6)
    net.resolv_conf_set(ws, GATEWAY6)

    exits = {relay.address6 for relay in plan.RELAYS if relay.exit}
    exits4 = {relay.address for relay in plan.RELAYS if relay.exit}
    for host, seen_as in ((f"[{plan.WEB6}]", exits), (f"www6.{plan.ZONE}", exits), (f"www4.{plan.ZONE}", exits4),
                          (f"www.{plan.ZONE}", exits | exits4)):
        done = run.curl(f"http://{host}/")
        check(done.stdout == plan.PAGE, f"{host}: {done.stderr or done.stdout}")
        seen = run.curl(f"http://{host}/whoami").stdout.strip()
        check(seen in seen_as, f"{host}: the server should see an exit's address, it saw {seen!r}")

    done = run.curl(f"http://[{plan.WEB6}]:{plan.CLOSED}/")
    check(done.returncode == 7, f"a closed port should be refused: {done.stderr}")
