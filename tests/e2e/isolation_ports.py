# SPDX-License-Identifier: BSD-3-Clause
"""The SOCKS and HTTP tunnel ports on the gateway's address, over a real Tor: what must share a circuit does, and what
must not never does, whichever port, workstation, credentials and destination. Judged by Tor's STREAM and CIRC events."""

import os
import socket
import sys
from dataclasses import dataclass

from scenario import check, plan, scenario  # first: it makes `lab` known
from isolation_budget import OTHER, second_station
from isolation_policies import WWW, WWW4, _wait_conflux

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
import socks_client  # noqa: E402  pylint: disable=wrong-import-position

# What each port is kept apart by: destination, destination port.
FLAGS = {9050: (False, False), 9150: (False, False), 9100: (False, False), 9101: (True, True), 9160: (True, False),
         9170: (False, True), 9180: (True, True), 9190: (False, False), 9220: (True, True)}


@dataclass(frozen=True)
class Flow:
    port: int
    target: str = WWW
    to: int = plan.ECHO
    user: str = None
    source: str = plan.WORKSTATION

    def belongs_to(self):
        """Flows for which this is equal share a circuit; all others do not."""
        destination, port = FLAGS[self.port]
        return (self.source, self.port, self.user, self.target if destination else None, self.to if port else None)


FLOWS = [Flow(port, target, to) for port in FLAGS for target, to in ((WWW, plan.ECHO), (WWW, plan.ECHO))]
FLOWS += [Flow(port, target, to) for port in (9050, 9101, 9160, 9170, 9180, 9220)
          for target, to in ((WWW4, plan.ECHO), (WWW, plan.HTTP), (WWW4, plan.HTTP))]
FLOWS += [Flow(9150, user=user) for user in ("site-a", "site-b", "site-a")]
FLOWS += [Flow(9050, source=OTHER), Flow(9150, user="site-a", source=OTHER)]


def _open(run, flow):
    peer = run.socket()
    peer.bind((flow.source, 0))
    peer.connect((plan.GATEWAY, flow.port))
    with peer:
        if flow.port >= 9190:
            peer.sendall(f"CONNECT {flow.target}:{flow.to} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += socks_client.exactly(peer, 1)
            check(b" 200 " in head, f"{flow}: {head}")
            return
        socks_client.negotiate(peer, flow.user, "0" if flow.user else None)
        peer.sendall(socks_client.request5(flow.target, flow.to))
        answer = socks_client.reply5(peer)
        check(answer == (0, "0.0.0.0"), f"{flow}: SOCKS said {answer}")  # ten bytes, which torsocks counts on


def _newnym(run):
    """What Tor Browser's "new identity" says, a line after each answer."""
    with run.connect(plan.GATEWAY, 9051) as peer:
        for line in (b"AUTHENTICATE 00ff\r\n", b"SIGNAL NEWNYM\r\n"):
            peer.sendall(line)
            check(socks_client.exactly(peer, 8) == b"250 OK\r\n", f"{line} was not taken")


def _check_new_identities(run, watch, known):
    """A workstation that asks for new identities gets them, at every port; another keeps its own, and what is open stays."""
    asks = [Flow(9150, user="site-a"), Flow(9050), Flow(9150, user="site-a", source=OTHER)]

    def seen():
        found = []
        for flow in asks:
            _open(run, flow)
            known[0] += 1
            stream = watch.wait_flows(known[0])[known[0] - 1]
            found.append((stream.password, watch.circuit_of(stream).identity))
        return found

    before = seen()
    with run.connect(plan.GATEWAY, 9150) as peer:
        socks_client.negotiate(peer, None, None)
        peer.sendall(socks_client.request5(WWW, plan.ECHO))
        check(socks_client.reply5(peer)[0] == 0, "a flow before the new identity")
        known[0] += 1
        _newnym(run)
        after = seen()
        peer.sendall(b"still here")
        check(socks_client.exactly(peer, 10) == b"still here", "what is open should stay")
    for flow, old, new in zip(asks, before, after):
        other = flow.source == OTHER
        check((old[0] == new[0]) == other, f"{flow}: credentials {old[0]} and {new[0]} after a new identity")
        check(other or old[1] != new[1], f"{flow}: still on {old[1]} after a new identity")


@scenario({"ports": {"control": "yes"}, "isolation": {"lifetime": 0}})  # or identities become new ones meanwhile
def ports_and_workstations_never_share(run):
    second_station(run)
    with run.watch() as watch:
        _wait_conflux(watch)
        identities, passwords = [], []
        for flow in FLOWS:
            known = len(identities)
            _open(run, flow)
            streams = watch.wait_flows(known + 1)
            check(len(streams) == known + 1, f"{flow}: Tor carried {len(streams)} streams, not {known + 1}")
            identities.append(watch.circuit_of(streams[known]).identity)
            passwords.append(streams[known].password)
            check(streams[known].username == "<torS0X>0", f"{flow}: username {streams[known].username!r}")
            check("site" not in streams[known].password, f"{flow}: the client's own word reached Tor")
        _check_new_identities(run, watch, [len(identities)])
    may = do = 0
    for i, flow in enumerate(FLOWS):
        for k in range(i):
            together = flow.belongs_to() == FLOWS[k].belongs_to()
            check((passwords[i] == passwords[k]) == together, f"{flow} and {FLOWS[k]}: credentials are wrong")
            check(together or identities[i] != identities[k], f"{flow} and {FLOWS[k]} share {identities[i]}")
            may += together
            do += together and identities[i] == identities[k]
    # A stream that comes while Tor has no linked set of circuits at hand gets a plain one, and the next of its kind a set.
    check(do >= may * 2 / 3, f"of {may} pairs that may share a circuit only {do} do")
    # Tor's own words, where the stand-in of other tests only has some.
    for command, want in ((2, 7), (3, 7)):
        with run.connect(plan.GATEWAY, 9050) as peer:
            socks_client.negotiate(peer, None, None)
            peer.sendall(socks_client.request5(plan.WEB, 80, command))
            check(socks_client.reply5(peer)[0] == want, f"command {command} should be answered with {want}")
    with run.connect(plan.GATEWAY, 9050) as peer:
        socks_client.negotiate(peer, None, None)
        peer.sendall(socks_client.request5(WWW, 0, 0xF0))
        check(socks_client.reply5(peer) == (0, plan.WEB), "RESOLVE should find the web server")
    for command, target in ((0xF0, f"none.{plan.ZONE}"), (0xF0, f"private.{plan.ZONE}"), (0xF1, "192.0.2.77")):
        with run.connect(plan.GATEWAY, 9050) as peer:
            socks_client.negotiate(peer, None, None)
            peer.sendall(socks_client.request5(target, 0, command))
            check(socks_client.reply5(peer)[0] == 4, f"nothing should be told of {target}")
    with run.connect(plan.GATEWAY, 9050) as peer:
        socks_client.negotiate(peer, None, None)
        peer.sendall(socks_client.request5(f"none.{plan.ZONE}", 80))
        check(socks_client.reply5(peer)[0] == 4, "a name that does not exist should be unreachable")
