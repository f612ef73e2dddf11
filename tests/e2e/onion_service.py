# SPDX-License-Identifier: BSD-3-Clause
"""An onion service is reached by its name, like any web server; one that is not there, and a name that is none, are not."""

from scenario import check, plan, scenario
from lab.onion import Onion


def _is_known(run, name):
    return run.lab.run("ws", ["getent", "ahosts", name]).returncode == 0


@scenario()
def an_onion_service_is_reached_by_name(run):
    with Onion(run.lab) as service:
        done = run.curl(f"http://{service.address}/", timeout=90)
        check(done.stdout == plan.PAGE, f"{done.stderr or done.stdout}\n{service.address}")
        # Names below it are the service's, too (RFC 7686).
        check(run.curl(f"http://www.{service.address}/").stdout == plan.PAGE, "a name below it")
        # By the clients of SOCKS ports, too; and with a dot at the end, which Tor itself would take to an exit.
        for proxy in (("--socks5-hostname", f"{plan.GATEWAY}:9050"), ("-p", "-x", f"http://{plan.GATEWAY}:9190")):
            for name in (service.address, f"{service.address}."):
                done = run.curl(*proxy, f"http://{name}/", timeout=90)
                check(done.stdout == plan.PAGE, f"{proxy} {name}: {done.stderr or done.stdout}")
        wrong = ("a" if service.address[0] != "a" else "b") + service.address[1:]
        check(not _is_known(run, wrong), "an address with a wrong checksum got an answer")
    check(not _is_known(run, "www.onion"), "what is no onion address got an answer")
    # Well-formed, of no service.
    absent = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
    done = run.curl(f"http://{absent}/", timeout=60)
    check(done.returncode in (7, 28, 56), f"a service that is not there: {done.returncode} {done.stderr}")
    check(_is_known(run, absent), "a service that is down has no name any more")
