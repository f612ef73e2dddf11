# SPDX-License-Identifier: BSD-3-Clause
"""While Tor bootstraps: a flow that is held comes through once it is up, one that is to be refused is refused at once, and
names fail until then. Clients of SOCKS ports wait or are refused in the same way."""

import contextlib
import os
import signal
import socket
import struct
import time

from scenario import check, plan, read_all, scenario
from lab.gateway import Gateway


# For the echo server by its address, without credentials.
SOCKS_REQUEST = b"\x05\x01\x00" b"\x05\x01\x00\x01" + socket.inet_aton(plan.WEB) + struct.pack("!H", plan.ECHO)


def _ask(run):
    """The answer's code for a name, or None."""
    question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
    question += b"".join(bytes([len(label)]) + label.encode() for label in f"www.{plan.ZONE}".split(".")) + b"\0\0\1\0\1"
    with run.socket(kind=socket.SOCK_DGRAM, seconds=3) as asker:
        asker.sendto(question, (plan.GATEWAY, 53))
        try:
            return asker.recv(512)[3] & 15
        except TimeoutError:
            return None


class Bootstrapping:
    """Cloister with its TAP in place and a Tor that is kept from going on until it may."""

    def __init__(self, run, settings):
        self.gateway = run.gateway = Gateway(run.lab, run.binary, settings)
        self._tor = None

    def __enter__(self):
        self.gateway.start()
        check(self.gateway.log.wait("bootstrap", 1, 20), "no bootstrap event")
        self._tor = self.gateway.roles()["tor"]
        os.kill(self._tor, signal.SIGSTOP)
        check(not self.gateway.log.events("ready"), "it was ready too soon for this test")
        self.gateway.attach()
        return self

    def go_on(self):
        os.kill(self._tor, signal.SIGCONT)
        self.gateway.wait_ready()

    def __exit__(self, *_):
        self.gateway.stop()


@scenario(started=False)
def before_tor_is_up_flows_wait_or_are_refused(run):
    with Bootstrapping(run, {"tcp": {"until_ready": "hold"}}) as gate:
        check(_ask(run) == 2, "a name is no SERVFAIL")
        with run.socket(seconds=0.5) as held, run.socket(seconds=30) as peer, run.connect(plan.GATEWAY, 9050) as client:
            client.sendall(SOCKS_REQUEST + b"held")
            check(client.recv(2) == b"\x05\x00", "no answer to a greeting")
            try:
                held.connect((plan.WEB, plan.ECHO))
                check(False, "connected without Tor")
            except TimeoutError:
                pass
            peer.setblocking(False)
            peer.connect_ex((plan.WEB, plan.ECHO))
            time.sleep(0.3)
            gate.go_on()
            began = time.monotonic()
            peer.settimeout(20)
            peer.sendall(b"held")  # once it is connected
            check(peer.recv(4) == b"held", "the held flow carried something else")
            check(client.recv(10)[:2] == b"\x05\x00", "the held client of a SOCKS port was refused")
            check(client.recv(4) == b"held", "it got something else")
            print(f"a held flow came through {time.monotonic() - began:.2f} s after Tor was up")
        check(_ask(run) == 0, "a name fails with Tor up")
    with Bootstrapping(run, {"tcp": {"until_ready": "refuse"}}) as gate:
        began = time.monotonic()
        try:
            run.connect(plan.WEB, plan.ECHO).close()
            check(False, "connected without Tor")
        except ConnectionRefusedError:
            taken = time.monotonic() - began
        check(taken < 0.5, f"refused after {taken:.1f} s")
        with run.connect(plan.GATEWAY, 9050) as client:
            client.sendall(SOCKS_REQUEST)
            said = read_all(client)
            check(said == b"\x05\x00" b"\x05\x01\x00\x01" + bytes(6), f"a client of a SOCKS port was told {said}")
        check(_ask(run) == 2, "a name is no SERVFAIL")
        gate.go_on()
        # The supervisor has told the gateway before it says so itself; the gateway may hear of it a moment later.
        for _ in range(20):
            with contextlib.suppress(ConnectionRefusedError):
                run.connect(plan.WEB, plan.ECHO).close()
                break
            time.sleep(0.05)
        else:
            check(False, "refused with Tor up")
