# SPDX-License-Identifier: BSD-3-Clause
"""Taken over: the gateway process does what a stranger in it would do, one attempt for each start of it. Every attempt
has to fail: by the system call filter, which kills; and most of them without it as well.

    usage: taken_over.py --state LAB-STATE --binary CLOISTER-TAKEN-OVER

$CLOISTER_LACKING is the program that hides system calls of the kernel from another; without it only the first half.
"""

import os
import socket

from ground import check, net, plan, proc, scenario
from lab.gateway import DEVICE, Gateway

_MAGIC = b"cloister, you are mine: "


def attempt(run, number, binary, socks, settings):
    """(name, what came of it, whether it failed, whether it has to without a filter), or None if there is no such."""
    tor = {"mode": "external", "socks": f"unix:{socks}"}
    gateway = Gateway(run.lab, binary, {"tor": tor} | settings, name="taken")
    try:
        proc.wait_for("the end of the last TAP", lambda: DEVICE not in net.devices(run.lab.ns("ws")), 1, 0.01)
    except proc.ProcessError:  # one of the attempts is to have it outlive its process
        net.ip("-n", run.lab.ns("ws"), "link", "del", DEVICE)
    with gateway:
        wire = net.call_in(run.lab.ns("ws"), _open)
        wire.send(b"\xff" * 6 + b"\x02\0\0\0\0\x07" + b"\x88\xb5" + _MAGIC + bytes([number]))
        wire.close()
        proc.wait_for("a word on the attempt", lambda: gateway.log.events("attempted") or gateway.log.events("no-more")
                      or gateway.log.events("exit"), 10, 0.01, gateway.log.path)
        names = gateway.log.events("attempt")
        if not names:
            return None
        said, ended = gateway.log.events("attempted"), gateway.log.events("exit")
        if said:
            return names[0]["name"], said[0]["error"], said[0]["failed"] == "yes", said[0]["deep"] == "yes"
        reason = ended[0]["reason"]
        return names[0]["name"], reason, "killed by signal 31" in reason or "malformed message" in reason, True


def _open():
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packet.bind((DEVICE, 0))
    return packet


def _all(run, binary, socks, settings):
    found = []
    while (one := attempt(run, len(found), binary, socks, settings)) is not None:
        found.append(one)
    return found


@scenario(started=False)
def a_gateway_that_was_taken_over_can_do_nothing(run):
    directory = f"{run.lab.state}/taken.d"
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)
    socks = f"{directory}/socks"
    if os.path.exists(socks):
        os.unlink(socks)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socks)
    os.chmod(socks, 0o777)
    listener.listen(8)

    filtered = _all(run, run.binary, socks, {})
    bare = {}
    if lacking := os.environ.get("CLOISTER_LACKING"):
        path = f"{directory}/bare"
        with open(path, "w") as file:
            file.write(f'#!/bin/sh\nexec {lacking} seccomp {run.binary} "$@"\n')
        os.chmod(path, 0o755)
        bare = {name: rest for name, *rest in _all(run, path, socks, {"process": {"hardening": "best-effort"}})}
        check(len(bare) == len(filtered), f"{len(bare)} attempts without a filter, {len(filtered)} with it")
    listener.close()

    print(f"{'attempt':<44} {'with the filter':<34} without it")
    bad = []
    for name, what, failed, _ in filtered:
        said, failed_bare, deep = bare.get(name, ("-", True, False))
        what = "killed" if "killed by signal 31" in what else what
        said = said if failed_bare else f"succeeds{' <--' if deep else ''}"
        if not failed or (deep and not failed_bare):
            bad.append(name)
        print(f"{name:<44} {what if failed else 'SUCCEEDS <--':<34} {said}")
    check(len(filtered) > 60, "hardly any attempt was made")
    check(not bad, f"could be done: {', '.join(bad)}")
