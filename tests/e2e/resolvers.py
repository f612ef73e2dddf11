# SPDX-License-Identifier: BSD-3-Clause
"""What the scenarios about names share: the workstation's resolvers, and what they say. No scenario itself."""

import contextlib
import os
import sys

from scenario import plan

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))

import dns_wire as wire  # noqa: E402

# What people put into resolv.conf, for glibc.
OPTIONS = ("", "edns0", "single-request", "single-request-reopen", "use-vc", "trust-ad edns0", "rotate", "ndots:2")


@contextlib.contextmanager
def resolv_conf(run, text):
    """What `ip netns exec` shows as /etc/resolv.conf in the workstation meanwhile."""
    path = f"/etc/netns/{run.lab.ns('ws')}/resolv.conf"
    with open(path) as file:
        before = file.read()
    try:
        with open(path, "w") as file:
            file.write(text)
        yield
    finally:
        with open(path, "w") as file:
            file.write(before)


def getent(run, name, database="ahosts"):
    """Addresses by glibc, without repetition, in its order; with `hosts`, a name by its address."""
    done = run.lab.run("ws", ["getent", database, name])
    column = 1 if database == "hosts" else 0
    return list(dict.fromkeys(line.split()[column] for line in done.stdout.splitlines()))


def ask(run, name, kind, tcp=False, server=plan.GATEWAY, seconds=12):
    function = wire.ask_tcp if tcp else wire.ask_udp
    return run.lab.call("ws", function, server, wire.query(name, kind), seconds)


def dig(run, *argv):
    """What `dig +short` says, line by line; None if there is no dig here."""
    try:
        done = run.lab.run("ws", ["dig", f"@{plan.GATEWAY}", "+short", *argv], 40)
    except FileNotFoundError:
        return None
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else [done.stdout]
