# SPDX-License-Identifier: BSD-3-Clause
"""Names as programs look them up, answered with virtual addresses: resolvers of all kinds, search domains, reverse
lookups; and programs that use them."""

import ipaddress
import shutil
import tempfile

from resolvers import OPTIONS, ask, dig, getent, resolv_conf, wire
from scenario import check, plan, scenario

VIRTUAL = ipaddress.ip_network("10.192.0.0/10")
WWW = f"www.{plan.ZONE}"


def _is_virtual(addresses):
    return len(addresses) == 1 and ipaddress.ip_address(addresses[0]) in VIRTUAL


def _glibc(run):
    for options in OPTIONS:
        with resolv_conf(run, f"nameserver {plan.GATEWAY}\noptions {options}\n"):
            got = getent(run, WWW)
            check(_is_virtual(got), f"getent with options {options}: {got}")
    with resolv_conf(run, f"search {plan.ZONE} corp.example\nnameserver 192.0.2.1\nnameserver {plan.GATEWAY}\n"):
        for name in ("www", WWW, f"{WWW}."):  # 192.0.2.1 is answered like any other address
            check(_is_virtual(getent(run, name)), f"{name} with search domains")
            check(run.curl(f"http://{name}/").stdout == plan.PAGE, f"a page of {name} with search domains")
    address, = getent(run, WWW)
    check(getent(run, address, "hosts") == [WWW], "the address should lead back to its name")
    check(getent(run, "localhost")[-1] in ("127.0.0.1", "::1"), "localhost")


def _others(run):
    done = run.lab.run("ws", ["python3", "-c", f"import socket; print(socket.getaddrinfo({WWW!r}, 80)[0][4][0])"])
    check(_is_virtual([done.stdout.strip()]), f"Python: {done.stdout} {done.stderr}")
    # Go's resolver: both families at once from two sockets, EDNS of 1232, and TCP if it is told to.
    for tcp in (False, True):
        answers = [ask(run, WWW, kind, tcp) for kind in (wire.A, wire.AAAA, wire.HTTPS)]
        check(all(answer is not None and answer.rcode == wire.NOERROR for answer in answers), f"TCP {tcp}: {answers}")
        check(len(answers[0].records) == 1 and not answers[1].records and not answers[2].records, str(answers))
    for argv in ((), ("+tcp",), ("+dnssec",), ("+bufsize=4096",), ("+nocookie",), ("+noedns",), ("+ignore", "+vc")):
        got = dig(run, WWW, *argv)
        check(got is None or _is_virtual(got), f"dig {argv}: {got}")
    got = dig(run, "-x", getent(run, WWW)[0])
    check(got in (None, [f"{WWW}."]), f"dig -x: {got}")


def _programs(run):
    done = run.curl(f"http://{WWW}/")
    check(done.stdout == plan.PAGE, f"curl: {done.stderr}")
    for argv, connected in (
            (["git", "ls-remote", f"http://{WWW}/repository.git"], ("not found", "not valid")),
            (["ssh", "-p", str(plan.CLOSED), "-o", "BatchMode=yes", WWW], ("refused", "reset")),
            (["wget", "-qO-", f"http://{WWW}/"], (plan.PAGE[:15],))):
        if shutil.which(argv[0]) is None:
            continue
        done = run.lab.run("ws", argv, 60)
        check(any(word in done.stdout + done.stderr for word in connected), f"{argv[0]}: {done.stdout}{done.stderr}")
    if shutil.which("apt-get"):
        with tempfile.TemporaryDirectory() as home:
            with open(f"{home}/sources.list", "w") as file:
                file.write(f"deb [trusted=yes] http://{WWW}/ none main\n")
            done = run.lab.run("ws", ["apt-get", "update", "-o", f"Dir::Etc::SourceList={home}/sources.list",
                                      "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State={home}",
                                      "-o", f"Dir::Cache={home}", "-o", "APT::Sandbox::User=root",
                                      "-o", "Acquire::Retries=0"], 60)
            check("404" in done.stdout + done.stderr, f"apt: {done.stdout}{done.stderr}")


@scenario()
def names_work_in_programs_of_all_kinds(run):
    _glibc(run)
    _others(run)
    _programs(run)
    # A name that Tor finds nothing for is known not to be there, once a flow has tried.
    none = f"none.{plan.ZONE}"
    run.curl(f"http://{none}/")
    check(ask(run, none, wire.A).rcode == wire.NXDOMAIN, "a name that is not there was not remembered as such")
    check(getent(run, none) == [], "nor by getent")
    check(ask(run, f"text.{plan.ZONE}", wire.TXT).rcode == wire.NOTIMP, "TXT without a resolver")
