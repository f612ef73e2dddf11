# SPDX-License-Identifier: BSD-3-Clause
"""Names answered with what an exit finds, and other types from a resolver through Tor."""

import time

from resolvers import OPTIONS, ask, dig, getent, resolv_conf, wire
from scenario import check, plan, scenario

WWW = f"www.{plan.ZONE}"


def _name(label):
    return f"{label}.{plan.ZONE}"


def _expect(run, label, kind, texts, rcode=wire.NOERROR):
    for tcp in (False, True):
        answer = ask(run, _name(label), kind, tcp)
        check(answer is not None, f"{label}: silence")
        check((answer.rcode, answer.texts) == (rcode, texts), f"{label} over {'TCP' if tcp else 'UDP'}: {answer}")


def _addresses(run):
    _expect(run, "www", wire.A, [plan.WEB])
    _expect(run, "www", wire.AAAA, [])  # an exit tells one address, IPv4 if there is one
    _expect(run, "www6", wire.AAAA, [plan.WEB6])
    _expect(run, "www6", wire.A, [])
    _expect(run, "alias", wire.A, [plan.WEB])
    _expect(run, "chain", wire.A, [plan.WEB])
    _expect(run, "slow", wire.A, [plan.WEB])
    _expect(run, "private", wire.A, [])
    _expect(run, "private", wire.AAAA, [])
    _expect(run, "none", wire.A, [], wire.NXDOMAIN)
    began = time.monotonic()
    answer = ask(run, _name("broken"), wire.A)
    check(answer is not None and answer.rcode in (wire.SERVFAIL, wire.NXDOMAIN), f"SERVFAIL at the exit: {answer}")
    check(time.monotonic() - began < 10, "a failure came late")


def _reverse(run):
    pointer = ".".join(reversed(plan.WEB.split("."))) + ".in-addr.arpa"
    answer = ask(run, pointer, wire.PTR)
    check(answer.rcode == wire.NOERROR and answer.texts[0].endswith(plan.ZONE), f"PTR: {answer}")


def _other_types(run):
    answer = ask(run, _name("text"), wire.TXT)
    check(answer.flags & wire.TC and not answer.records, f"TXT in a datagram should be cut: {answer}")
    answer = ask(run, _name("text"), wire.TXT, True)
    check(len(answer.records) == 10, f"TXT over TCP: {answer}")
    check(ask(run, _name("nothing"), wire.MX).rcode == wire.NXDOMAIN, "MX of a name that is not there")
    got = dig(run, _name("text"), "TXT")
    check(got is None or len(got) == 10, f"dig TXT: {got}")


def _programs(run):
    for options in OPTIONS:
        with resolv_conf(run, f"search {plan.ZONE}\nnameserver {plan.GATEWAY}\noptions {options}\n"):
            for name in ("www4", _name("www4")):
                check(getent(run, name) == [plan.WEB], f"getent {name} with options {options}")
    check(run.curl(f"http://{WWW}/").stdout == plan.PAGE, "a page by its name")
    check(run.curl(f"http://{_name('none')}/").returncode == 6, "curl should know that there is no such name")
    got = dig(run, WWW, "+tcp")
    check(got in (None, [plan.WEB]), f"dig: {got}")


def _isolation(run):
    """Each name on a circuit of its own; what was found is not asked for again."""
    labels = ("www", "www4", "alias", "slow")
    with run.watch() as watch:
        with resolv_conf(run, f"nameserver {plan.GATEWAY}\n"):
            for label in labels:
                getent(run, f"fresh-{label}.{plan.ZONE}")
                getent(run, f"fresh-{label}.{plan.ZONE}")
        time.sleep(0.5)
        lookups = {}
        for stream in watch.streams.values():
            lookups.setdefault(stream.target.rsplit(":", 1)[0], []).append(stream)
        for label in labels:
            check(len(lookups.get(f"fresh-{label}.{plan.ZONE}", ())) == 1, f"{label} was looked up more than once, or never")
        streams = [those[0] for name, those in lookups.items() if name.startswith("fresh-")]
        check(len({stream.password for stream in streams}) == len(labels), "names shared an identity")
        circuits = [watch.circuit_of(stream).identity for stream in streams if stream.circuit]
        check(len(circuits) == len(labels) == len(set(circuits)), f"names shared circuits: {circuits}")


@scenario({"dns": {"answers": "resolve", "upstream": plan.DNS}})
def names_have_the_addresses_that_exits_find(run):
    _addresses(run)
    _reverse(run)
    _other_types(run)
    _programs(run)
    _isolation(run)
