# SPDX-License-Identifier: BSD-3-Clause
"""New identities, by `cloister newnym` and by age, with a real Tor and under a policy that joins all of a workstation: what
was opened before and what is opened after never share a circuit, and nobody else's identity changes. What must be one
identity is told by the credential that Tor got, what must not share by its circuits."""

import time

from scenario import check, plan, scenario  # first: it makes `lab` known
from isolation_budget import OTHER, second_station
from lab.gateway import Gateway

CONTROL = "/tmp/cloister-e2e-newnym/control"
LIFETIME_S = 4
ROUNDS = 12


class Flows:
    """Flows one after another, and what Tor made of each."""

    def __init__(self, run, watch):
        self.run, self.watch, self.count = run, watch, 0

    def open(self, source=plan.WORKSTATION):
        with self.run.socket() as peer:
            peer.bind((source, 0))
            peer.connect((plan.WEB, plan.ECHO))
            peer.sendall(b"x")
            check(peer.recv(1) == b"x", "no echo")
        self.count += 1
        streams = self.watch.wait_flows(self.count, plan.ECHO)
        check(len(streams) == self.count, f"Tor carried {len(streams)} streams, not {self.count}")
        return streams[-1]

    def check_apart(self, groups):
        """No circuit carried streams of two groups, each of which was one identity."""
        for number, group in enumerate(groups):
            check(len({stream.password for stream in group}) == 1, f"group {number} was not one identity")
        passwords = [group[0].password for group in groups]
        check(len(set(passwords)) == len(groups), f"identities came again: {passwords}")
        users = {}
        for number, group in enumerate(groups):
            for stream in group:
                users.setdefault(self.watch.circuit_of(stream).identity, set()).add(number)
        shared = {identity: those for identity, those in users.items() if len(those) > 1}
        check(not shared, f"circuits were shared: {shared}")


def newnym(run, *words):
    return run.lab.run("host", [run.binary, "newnym", *words, "--control", CONTROL], 30).returncode


def by_command(run):
    with run.watch() as watch:
        flows = Flows(run, watch)
        first, other = [flows.open(), flows.open()], [flows.open(OTHER)]
        check(newnym(run, plan.WORKSTATION) == 0, "newnym of one workstation")
        second = [flows.open(), flows.open()]
        other.append(flows.open(OTHER))
        check(newnym(run) == 0, "newnym of all")
        third, other_third = [flows.open(), flows.open()], [flows.open(OTHER), flows.open(OTHER)]
        check(newnym(run, "10.152.152.99") != 0, "a workstation that is not there got a new identity")
        check(newnym(run, "nonsense") != 0, "nonsense was taken for a workstation")
        third.append(flows.open())
        flows.check_apart([first, second, third, other, other_third])


def by_age(run):
    with run.watch() as watch:
        flows, opened = Flows(run, watch), []
        for _ in range(ROUNDS):
            opened.append((time.monotonic(), flows.open()))
            time.sleep(1)
        groups = {}
        for at, stream in opened:
            groups.setdefault(stream.password, []).append((at, stream))
        check(len(groups) >= ROUNDS // LIFETIME_S, f"{len(groups)} identities in {ROUNDS} s")
        for group in groups.values():
            check(group[-1][0] - group[0][0] < LIFETIME_S + 1, "an identity outlived its lifetime")
        flows.check_apart([[stream for _, stream in group] for group in groups.values()])


@scenario(started=False)
def what_is_opened_before_and_after_a_new_identity_shares_nothing(run):
    process = {"control": CONTROL}
    for lifetime, part in ((0, by_command), (LIFETIME_S, by_age)):
        settings = {"isolation": {"key": "workstation", "lifetime": lifetime}, "process": process}
        run.gateway = Gateway(run.lab, run.binary, settings, name=f"newnym{lifetime}")
        with run.gateway:
            second_station(run)
            part(run)
        print("held:", part.__name__.replace("_", " "))
