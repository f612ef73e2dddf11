# SPDX-License-Identifier: BSD-3-Clause
"""What the scenarios share. One file is one scenario: a function that takes a Run and checks.
Importing this makes the package `lab` importable, so it comes first.

    usage of each: NAME.py --state LAB-STATE --binary CLOISTER [--external]

--external runs it over a stock Tor client: what fails then has nothing to do with the embedded one.

A Run has the lab, Cloister ready in `host` with its TAP in `ws`, and a capture of the uplink that
began before Cloister did. Whatever a scenario is about, the capture must be clean in the end.
Exit status: 0 held, 1 did not, 77 not run (not root), or not all of it.
"""

import argparse
import contextlib
import os
import socket
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import capture, client, control, net, plan, proc  # noqa: E402
from lab.gateway import Gateway  # noqa: E402
from lab.lab import SKIPPED, Lab, LabError  # noqa: E402

__all__ = ["Failure", "Run", "check", "plan", "read_all", "scenario"]


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


class Run:
    def __init__(self, lab, binary, settings=None, torrc="", external=None):
        self.lab, self.binary, self.external = lab, binary, external
        if external:
            tor = {"mode": "external", "socks": f"unix:{external.socks}"}
            settings = (settings or {}) | {"tor": tor}
        self.gateway = Gateway(lab, binary, settings, torrc)
        self.capture = capture.Capture(lab)
        self.left_out = []

    def leave_out(self, what):
        """Say that a part was not run. What was run must hold all the same."""
        print(f"left out: {what}")
        self.left_out.append(what)

    def watch(self, path=None):
        """STREAM and CIRC events of the Tor in use, or of the one whose control socket is given."""
        return control.Watch(path or (self.external or self.gateway).control)

    def curl(self, *argv, timeout=60, **options):
        return self.lab.run("ws", ["curl", "-sS", "-m", timeout, *argv], timeout + 5, **options)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0, seconds=30):
        """A socket of the workstation."""
        made = self.lab.call("ws", socket.socket, family, kind, protocol)
        made.settimeout(seconds)
        return made

    def connect(self, address, port, seconds=30):
        made = self.socket(seconds=seconds)
        try:
            made.connect((address, port))
        except BaseException:
            made.close()
            raise
        return made

    def check_uplink(self):
        time.sleep(0.3)  # what is under way should still be seen
        check(self.capture.is_clean, f"the uplink should carry nothing but Tor: "
                                     f"{self.capture.describe()}")

    def check_nothing_is_left(self, roles):
        """After Cloister's end: no process of it, no TAP, neither here nor there."""
        left = proc.wait_gone(roles.values(), 2)
        check(not left, f"still running: {[r for r, pid in roles.items() if pid in left]}")
        for short in ("host", "ws"):
            devices = net.devices(self.lab.ns(short))
            check("cloister0" not in devices, f"the TAP outlived Cloister in {short}")
        check(not self.host_pids(), "a process is left in the host's namespace")

    def host_pids(self):
        """What runs in `host` but for a stock client of ours."""
        ours = {self.external.process.pid} if self.external else set()
        return set(net.pids(self.lab.ns("host"))) - ours


def read_all(peer):
    data = bytearray()
    while chunk := peer.recv(1 << 16):
        data += chunk
    return bytes(data)


def _clean(lab):
    """A scenario that was killed (a time limit) may have left Cloister behind."""
    for short in ("host", "ws"):
        left = net.pids(lab.ns(short))
        for pid in left:
            proc.kill(pid)
        proc.wait_gone(left, 2)
    net.resolv_conf_remove(lab.ns("ws"))


def scenario(settings=None, torrc="", started=True):
    """Decorates the function that is the scenario and runs it. Unless `started`, it starts Cloister
    itself, or does not."""

    def decorate(body):
        if body.__module__ != "__main__":
            return body
        if os.geteuid():
            print("skipped: needs root for network namespaces")
            sys.exit(SKIPPED)
        parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
        parser.add_argument("--state", required=True)
        parser.add_argument("--binary", required=True)
        parser.add_argument("--external", action="store_true")
        arguments = parser.parse_args()
        sys.exit(_perform(body, arguments, settings, torrc, started))

    return decorate


def _perform(body, arguments, settings, torrc, started):
    run = None
    try:
        lab = Lab.attach(arguments.state)
        _clean(lab)
        external = client.Client(lab, "external") if arguments.external else None
        run = Run(lab, arguments.binary, settings, torrc, external)
        with contextlib.ExitStack() as stack:
            if external:
                stack.enter_context(external)
            stack.enter_context(run.capture)
            if started:
                stack.enter_context(run.gateway)
            else:
                stack.callback(run.gateway.stop)
            body(run)
            run.check_uplink()
        print(f"held: {body.__name__.replace('_', ' ')}{', but for what was left out' if run.left_out else ''}")
        return SKIPPED if run.left_out else 0
    except (Failure, LabError, net.CommandError, proc.ProcessError, control.ControlError) as error:
        print(f"did not hold: {body.__name__.replace('_', ' ')}\n{error}")
    except Exception:
        print(f"did not hold: {body.__name__.replace('_', ' ')}")
        traceback.print_exc(file=sys.stdout)
    if run and run.gateway.log:
        print(f"end of Cloister's log:\n{proc.tail(run.gateway.log.path, 40)}")
    return 1
