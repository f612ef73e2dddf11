# SPDX-License-Identifier: BSD-3-Clause
"""Lookups of a workstation that a rule names are kept apart as the rule says, and others as before: one workstation's share
an identity, whatever is asked and however, another's have one for each name."""

import socket
import time

from resolvers import wire
from scenario import check, plan, scenario
from lab import net
from lab.gateway import DEVICE

ONE, OTHER = plan.WORKSTATION, "10.152.152.12"
QUESTIONS = (("www", wire.A), ("www4", wire.A), ("text", wire.TXT))


def _look(run, source, label, kind, tcp):
    question = wire.query(f"{label}.{plan.ZONE}", kind)
    with run.socket(kind=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asker:
        asker.bind((source, 0))
        asker.connect((plan.GATEWAY, 53))
        asker.sendall((len(question).to_bytes(2, "big") if tcp else b"") + question)
        check(len(asker.recv(512)) > 2 * tcp, f"{label} for {source}: no answer")


def _identities(run, watch, source):
    """{question: the stream of its lookup}, over UDP and TCP in turn."""
    found, known = {}, set(watch.streams)
    for number, (label, kind) in enumerate(QUESTIONS):
        _look(run, source, label, kind, tcp=number % 2 == 1)
        deadline = time.monotonic() + 5
        while not (new := set(watch.streams) - known) and time.monotonic() < deadline:
            time.sleep(0.05)
        check(len(new) == 1, f"{label} for {source}: {len(new)} streams")
        known |= new
        found[label] = watch.streams[new.pop()]
    return found


@scenario({"dns": {"answers": "resolve", "upstream": plan.DNS},
           # Without a lifetime: an identity becomes a new one at any moment, once in ten minutes.
           "isolation": {"rule": f"workstation {OTHER}: workstation", "lifetime": 0}})
def a_rule_for_a_workstation_is_one_for_its_lookups(run):
    net.ip("-n", run.lab.ns("ws"), "addr", "add", f"{OTHER}/{plan.WORKSTATION_PREFIX}", "dev", DEVICE)
    with run.watch() as watch:
        apart, as_one = (_identities(run, watch, source) for source in (ONE, OTHER))
        check(len({stream.password for stream in apart.values()}) == len(QUESTIONS), f"by name: {apart}")
        check(len({stream.password for stream in as_one.values()}) == 1, f"by workstation: {as_one}")
        passwords = {stream.password for stream in (*apart.values(), *as_one.values())}
        check(len(passwords) == len(QUESTIONS) + 1, "two workstations shared an identity")
        circuits = {watch.circuit_of(stream).identity for stream in as_one.values() if stream.circuit}
        check(not circuits & {watch.circuit_of(stream).identity for stream in apart.values() if stream.circuit},
              "two workstations shared a circuit")
