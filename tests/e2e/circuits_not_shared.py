# SPDX-License-Identifier: BSD-3-Clause
"""Two flows never share a circuit, and what tells Tor so betrays nothing."""

from scenario import check, plan, scenario


@scenario()
def two_flows_never_share_a_circuit(run):
    with run.watch() as watch:
        # At once, one after the other, by name and by address, to one server: all are strangers.
        together = [run.connect(plan.WEB, plan.ECHO) for _ in range(3)]
        for peer in together:
            peer.sendall(b"x")
            check(peer.recv(1) == b"x", "no echo")
        for _ in range(3):
            run.curl(f"http://{plan.WEB}/", f"http://www.{plan.ZONE}/")
        ports = [peer.getsockname()[1] for peer in together]
        for peer in together:
            peer.close()
        flows = watch.wait_flows(9)
        check(len(flows) == 9, f"Tor carried {len(flows)} flows, not 9")
        for identity, those in watch.shared(flows):
            check(False, f"{identity} carried {[(f.target, f.id) for f in those]}")
        for flow in flows:
            check(flow.username == "<torS0X>0", f"username {flow.username!r}")
            for secret in (plan.WORKSTATION, *map(str, ports)):
                check(secret not in flow.password, f"the password contains {secret}")
        check(len({flow.password for flow in flows}) == 9, "two flows had the same credentials")
