# SPDX-License-Identifier: BSD-3-Clause
"""Two embedded Tors: identities are spread over them, each always to the same one, and when one dies all end."""

import os
import re
import select
import signal
import threading
import time

from scenario import check, plan, proc, scenario
from lab import schema
from lab.gateway import Gateway

FLOWS = 24
CONTROL = "/tmp/cloister-e2e-instances/control"
PARALLEL, SIZE = 4, 20_000_000


def tor_pids(run):
    """The Tor processes: children in the host's network namespace."""
    here = os.readlink(f"/proc/{run.gateway.process.pid}/ns/net")
    return [pid for pid in proc.children(run.gateway.process.pid) if os.readlink(f"/proc/{pid}/ns/net") == here]


def established(pid):
    """Connections of a Tor on its SOCKS socket, by what it has open."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return count


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def throughput(run, pids):
    """Mbit/s of a few downloads at once, and the seconds each Tor worked for them."""
    before = [cpu_seconds([pid]) for pid in pids]
    got = []
    threads = [threading.Thread(target=lambda: got.append(
        len(run.curl(f"http://{plan.WEB}/bytes/{SIZE}", timeout=120, text=False).stdout))) for _ in range(PARALLEL)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    check(got == [SIZE] * PARALLEL, f"bytes of the downloads: {got}")
    worked = ", ".join(f"{cpu_seconds([pid]) - b:.2f}" for pid, b in zip(pids, before))
    print(f"instances = {len(pids)}: {PARALLEL} x 20 MB at {PARALLEL * SIZE * 8 / seconds / 1e6:.0f} Mbit/s, "
          f"processor seconds of each Tor: {worked}", flush=True)


def check_shown(run):
    """Every flow is shown with the Tor that has it, by whose own word it is on a circuit of its."""
    def view(what):
        done = run.lab.run("host", [run.binary, "show", what, "--json", "--control", CONTROL], 30)
        return schema.check_lines(done.stdout)

    for _ in range(20):  # events trail the data
        flows = view("flows")
        if all(flow["circuit"] for flow in flows):
            break
        time.sleep(0.1)
    count = [sum(flow["tor"] == tor for flow in flows) for tor in (1, 2)]
    check(sum(count) == FLOWS and min(count) >= 2, f"flows of each Tor: {count}")
    circuits = {(c["tor"], c["id"]): c["identity"] for c in view("circuits")}
    for flow in flows:
        check(circuits.get((flow["tor"], flow["circuit"])) == flow["identity"], f"{flow}")
        check(flow["destination"] is None and flow["gateway_port"] is None, f"without log.identities: {flow}")
    text = run.lab.run("host", [run.binary, "show", "flows", "--control", CONTROL], 30).stdout
    check(" IDENTITY TOR CIRCUIT " in text and len(text.splitlines()) == FLOWS + 1, text)
    print("\n".join(text.splitlines()[:6]))
    status = view("status")[0]
    check(status["tor"]["instances"] == 2, f"{status}")
    text = run.lab.run("host", [run.binary, "show", "--control", CONTROL], 30).stdout
    check(re.search(r"(?m)^Tor +embedded, 2 of them, 100 %", text), text)


def with_tors(run, count, torrc=""):
    settings = {"tor": {"instances": count}, "isolation": {"rate": "none"}, "process": {"control": CONTROL}}
    run.gateway = Gateway(run.lab, run.binary, settings, torrc, name=f"tors{count}")
    return run.gateway


def check_own_service(run, directory):
    """The torrc's onion service is the first Tor's, whose own sandbox would have ended it."""
    check(os.path.exists(f"{directory}/hostname"), "the torrc's onion service has no name")
    notes = [event["note"] for event in run.gateway.log.events("sandbox")]
    check(len(notes) == 1 and "onion services" in notes[0], f"of the sandbox: {notes}")


def check_stalled(run, pid):
    """One that hangs, which is seen after half a minute, keeps the other's identities from nothing."""
    os.kill(pid, signal.SIGSTOP)
    peers = [run.socket() for _ in range(FLOWS)]
    for peer in peers:
        peer.setblocking(False)
        peer.connect_ex((plan.WEB, plan.ECHO))
    end = time.monotonic() + 8
    while time.monotonic() < end:
        _, opened, _ = select.select([], peers, [], 0)
        if len(opened) >= 2:
            break
        time.sleep(0.1)
    time.sleep(1)
    _, opened, _ = select.select([], peers, [], 0)
    check(2 <= len(opened) <= FLOWS - 2, f"with one Tor stopped, {len(opened)} of {FLOWS} flows opened")
    for peer in peers:
        peer.close()


@scenario(started=False)
def identities_are_spread_over_two_tors(run):
    with with_tors(run, 1):
        pids = tor_pids(run)
        check(len(pids) == 1, f"Tor processes: {pids}")
        throughput(run, pids)
    own = f"{run.lab.state}/tors2/data/tor/own"
    with with_tors(run, 2, f"HiddenServiceDir {own}\nHiddenServicePort 80 127.0.0.1:8080\n"):
        check_own_service(run, own)
        pids = tor_pids(run)
        check(len(pids) == 2, f"Tor processes: {pids}")
        idle = [established(pid) for pid in pids]
        held = [run.connect(plan.WEB, plan.ECHO) for _ in range(FLOWS)]
        for sock in held:
            sock.sendall(b"x")
            check(sock.recv(1) == b"x", "an echo")
        streams = [established(pid) - before for pid, before in zip(pids, idle)]
        # Each flow is an identity of its own, and one side is a coin for it: fewer than two is one in 300,000.
        check(min(streams) >= 2, f"streams of each: {streams}")
        check_shown(run)
        for sock in held:
            sock.close()
        throughput(run, pids)
        with run.watch():  # the torrc's control socket is the first one's, and not taken away by the second
            pass
        check_stalled(run, pids[1])
        os.kill(pids[1], signal.SIGKILL)
        status, seconds = run.gateway.wait_end(5)
        check(status == 1 and seconds < 3, f"after the death of one: {status} after {seconds:.1f} s")
