# SPDX-License-Identifier: BSD-3-Clause
"""Each policy, and rules: flows that must share a circuit do, those that must not never do.

The flows of a policy come one after another, each from a source port of its own choice, so that Tor's streams are known
by their order. What Tor did with them is read from its STREAM and CIRC events.

Which of the circuits that an identity may have it gets is up to Tor. With Conflux that is the first that fits in an order
that means nothing, so that one which was built a moment ago may come before the one in use; and it is worse to Tor if it
took long to build. So where flows must be seen to share one, both are off. With them it is credentials that must be equal."""

import socket
import struct
import time
from dataclasses import dataclass

from scenario import check, plan, scenario  # first: it makes `lab` known
from lab import net
from lab.gateway import DEVICE, Gateway

OTHER = "10.152.152.12"  # a second workstation
WWW, WWW4 = f"www.{plan.ZONE}", f"www4.{plan.ZONE}"


PLAIN = "ConfluxEnabled 0\nLearnCircuitBuildTimeout 0\nCircuitBuildTimeout 60\n"  # of a torrc


@dataclass(frozen=True)
class Flow:
    source: str
    source_port: int
    to: str  # address, or name
    port: int


BASE = Flow(plan.WORKSTATION, 41001, plan.WEB, plan.ECHO)
AGAIN = BASE
SOURCE_PORT = Flow(plan.WORKSTATION, 41002, plan.WEB, plan.ECHO)
PORT = Flow(plan.WORKSTATION, 41001, plan.WEB, plan.HTTP)
NAME = Flow(plan.WORKSTATION, 41001, WWW, plan.ECHO)
NAME_PORT = Flow(plan.WORKSTATION, 41003, WWW, plan.HTTP)
OTHER_NAME = Flow(plan.WORKSTATION, 41001, WWW4, plan.ECHO)
STRANGER = Flow(OTHER, 41001, plan.WEB, plan.ECHO)
FLOWS = {"base": BASE, "again": AGAIN, "source port": SOURCE_PORT, "port": PORT, "name": NAME,
         "name and port": NAME_PORT, "other name": OTHER_NAME, "stranger": STRANGER}

# Of each: what belongs together. What is not named in a group is alone.
POLICIES = {
    ("source-port",): [{"base", "again", "port", "name", "other name"}, {"source port"}, {"name and port"}],
    ("workstation",): [{"base", "again", "source port", "port", "name", "name and port", "other name"}],
    ("source-address",): [{"base", "again", "source port", "port", "name", "name and port", "other name"}],
    ("destination",): [{"base", "again", "source port"}],
    ("destination-name",): [{"base", "again", "source port", "port"}, {"name", "name and port"}],
    ("destination-address",): [{"base", "again", "source port", "port"}, {"name", "name and port"}],
    ("destination-port",): [{"base", "again", "source port", "name", "other name"}, {"port", "name and port"}],
    ("source-port, destination-port",): [{"base", "again", "name", "other name"}],
    # With rules:
    ("source-port", f"port {plan.ECHO}: workstation"):
        [{"base", "again", "source port", "name", "other name"}],
    ("source-port", f"network {plan.WEB}: destination-port"): [{"base", "again", "source port"}, {"name", "other name"}],
    ("workstation", f"workstation {plan.WORKSTATION} port 80: destination"):
        [{"base", "again", "source port", "name", "other name"}],
}


def _open(run, flow, addresses):
    peer = run.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An RST at the end, so that the port is free at once.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.bind((flow.source, flow.source_port))
    peer.connect((addresses.get(flow.to, flow.to), flow.port))
    peer.close()


def _wait_conflux(watch, seconds=20):
    """Until Tor has a linked set: a stream that comes before gets a plain circuit, and the next one a set."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        legs = [c.conflux_id for c in list(watch.circuits.values()) if c.conflux_id and c.status == "BUILT"]
        if len(legs) >= 2 * len(set(legs)) > 0:
            time.sleep(0.5)  # that they are linked is no event of its own
            return
        time.sleep(0.05)
    check(False, f"Tor linked no circuits: {list(watch.circuits.values())}")


def _seen(run, watch):
    """Opens every flow; {label: (credential, identity of its circuit)}."""
    addresses, seen = {}, {}
    for name in (WWW, WWW4):
        addresses[name] = run.lab.call("ws", lambda n: socket.getaddrinfo(n, 1, socket.AF_INET)[0][4][0], name)
    for known, (label, flow) in enumerate(FLOWS.items()):
        _open(run, flow, addresses)
        streams = watch.wait_flows(known + 1)
        check(len(streams) == known + 1, f"{label}: Tor carried {len(streams)} streams, not {known + 1}")
        seen[label] = (streams[known].password, watch.circuit_of(streams[known]).identity)
    return seen


def _judge(policy, seen, groups, plain):
    groups = groups + [{label} for label in FLOWS if not any(label in group for group in groups)]
    for what in range(2):  # credentials, circuits
        for group in groups:
            own = {seen[label][what] for label in group}
            check(len(own) == 1 or (what == 1 and not plain),
                  f"{policy}: {sorted(group)} should share one: { {label: seen[label] for label in group} }")
            for label in set(FLOWS) - group:
                check(seen[label][what] not in own, f"{policy}: {label!r} shared {seen[label]} with {sorted(group)}")


def _hold(run, policy, groups, torrc):
    # Without a lifetime: an identity becomes a new one at any moment, once in ten minutes.
    settings = {"isolation": {"key": policy[0], "lifetime": 0} | ({"rule": policy[1]} if policy[1:] else {})}
    run.gateway.stop()
    run.gateway = Gateway(run.lab, run.binary, settings, torrc)
    with run.gateway:
        net.ip("-n", run.lab.ns("ws"), "addr", "add", f"{OTHER}/{plan.WORKSTATION_PREFIX}", "dev", DEVICE)
        with run.watch() as watch:
            if not torrc:
                _wait_conflux(watch)
            _judge(policy, _seen(run, watch), groups, torrc == PLAIN)
    print("held:", *policy)


@scenario(started=False)
def each_policy_joins_what_it_says_and_nothing_else(run):
    for policy, groups in POLICIES.items():
        _hold(run, policy, groups, PLAIN)
    for policy in (("source-port",), ("workstation",), ("destination",)):
        _hold(run, policy, POLICIES[policy], "")
