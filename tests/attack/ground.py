# SPDX-License-Identifier: BSD-3-Clause
"""What every attack has in common: a host at its worst, a link between workstation and gateway, the matrix sent over
it, and the verdict.

This stands on the end-to-end scenarios' Run, so a file here is run as one there:

    usage of each: NAME.py --state LAB-STATE --binary CLOISTER [OPTION...]
"""

import collections
import contextlib
import os
import re
import socket
import subprocess
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(_HERE), os.path.join(os.path.dirname(_HERE), "e2e")]

import hostile  # noqa: E402
import judge  # noqa: E402
import matrix  # noqa: E402
import mutants  # noqa: E402
from lab import net, plan, proc  # noqa: E402
from lab.gateway import DEVICE  # noqa: E402
from scenario import check, scenario  # noqa: E402

__all__ = ["BRIDGE", "Bridge", "PORT", "Segment", "Tap", "asked_by", "attack", "check", "check_matrix", "hostile",
           "judge", "matrix", "net", "open_wire", "plan", "print_table", "proc", "scenario", "send_paced",
           "verdicts", "wire"]

ATTACKER_MAC = bytes.fromhex("02a77ac4e201")
BRIDGE, PORT = hostile.BRIDGE, "port0"
FRAMES_PER_S, MUTANTS_PER_S = 4000, 8000


class Tap:
    """The TAP moved into the workstation: nothing lies between it and the gateway."""

    device = DEVICE
    provoked = True  # the host's settings may be set again while it runs
    spared = ()  # there is no setting that it asks for

    def __init__(self, run):
        self.run = run

    @contextlib.contextmanager
    def laid(self):
        yield self

    def attach(self):
        self.run.gateway.attach()

    def others(self):
        return {"the NIC itself": _mac_in(self.run.lab, "ws", self.device),
                "the uplink": _mac_in(self.run.lab, "host", plan.UPLINK)}


class Segment:
    """The workstation's cable given to Cloister by workstation.attach: in a namespace with a bridge and the TAP."""

    device = "eth0"
    provoked, spared = True, ()

    def __init__(self, run):
        self.run = run

    @contextlib.contextmanager
    def laid(self):
        host, ws = self.run.lab.ns("host"), self.run.lab.ns("ws")
        net.ip("-n", host, "link", "add", PORT, "type", "veth", "peer", "name", self.device, "netns", ws)
        try:
            net.ip("-n", ws, "addr", "add", f"{plan.WORKSTATION}/{plan.WORKSTATION_PREFIX}", "dev", self.device)
            net.ip("-n", ws, "link", "set", self.device, "up")
            net.ip("-n", ws, "route", "add", "default", "via", plan.GATEWAY)
            self.port_mac = _mac_in(self.run.lab, "host", PORT)
            yield self
        finally:
            with contextlib.suppress(net.CommandError):
                net.ip("-n", ws, "link", "del", self.device)

    def attach(self):
        net.resolv_conf_set(self.run.lab.ns("ws"), plan.GATEWAY)

    def others(self):
        return {"the attached interface": self.port_mac, "the NIC itself": _mac_in(self.run.lab, "ws", self.device),
                "the uplink": _mac_in(self.run.lab, "host", plan.UPLINK)}


class Bridge:
    """The TAP in a bridge of the host's namespace, the workstation on a port of it: where the host's own stack listens
    to the same wire."""

    device = "eth0"
    provoked = False  # Cloister ends then
    spared = ("accept_local", "route_localnet")  # of "all", which would override those of the bridge

    def __init__(self, run):
        self.run = run

    @contextlib.contextmanager
    def laid(self):
        """The bridge and the cable to the workstation, before Cloister starts, down again afterwards."""
        host, ws = self.run.lab.ns("host"), self.run.lab.ns("ws")
        net.ip("-n", host, "link", "add", BRIDGE, "type", "bridge")
        try:
            net.ip("-n", host, "link", "set", BRIDGE, "addrgenmode", "none")
            net.ip("-n", host, "link", "add", PORT, "type", "veth", "peer", "name", self.device, "netns", ws)
            net.ip("-n", host, "link", "set", PORT, "addrgenmode", "none")
            net.ip("-n", host, "link", "set", PORT, "master", BRIDGE)
            net.ip("-n", ws, "addr", "add", f"{plan.WORKSTATION}/{plan.WORKSTATION_PREFIX}", "dev", self.device)
            for namespace, device in ((ws, self.device), (host, PORT), (host, BRIDGE)):
                net.ip("-n", namespace, "link", "set", device, "up")
            net.ip("-n", ws, "route", "add", "default", "via", plan.GATEWAY)
            yield self
        finally:
            for device in (PORT, BRIDGE):
                with contextlib.suppress(net.CommandError):
                    net.ip("-n", host, "link", "del", device)
            # The wall stands on after Cloister, and would keep the next one from being missed.
            subprocess.run(net.argv_in(host, ["nft", "delete", "table", "netdev", f"cloister_{BRIDGE}"]),
                           capture_output=True, check=False, timeout=20)

    def attach(self):
        net.resolv_conf_set(self.run.lab.ns("ws"), plan.GATEWAY)

    def others(self):
        lab = self.run.lab
        found = {"the bridge": _mac_in(lab, "host", BRIDGE), "the bridge's port": _mac_in(lab, "host", PORT),
                 "the NIC itself": _mac_in(lab, "ws", self.device), "the uplink": _mac_in(lab, "host", plan.UPLINK)}
        if DEVICE in net.devices(lab.ns("host")):  # while Cloister runs
            found["the TAP"] = _mac_in(lab, "host", DEVICE)
        return found


def _mac_in(lab, short, device):
    return bytes.fromhex(net.link_address(lab.ns(short), device).replace(":", ""))


def gateway_mac(run):
    """As the workstation learns it."""
    with run.socket(kind=socket.SOCK_DGRAM) as asker:
        asker.sendto(b"?", (plan.GATEWAY, 9))

    def learnt():
        neighbours = net.ip("-n", run.lab.ns("ws"), "neigh", "show", plan.GATEWAY)
        return re.search(r"lladdr ([0-9a-f:]{17})", neighbours)

    found = proc.wait_for("the gateway's MAC address in the workstation's table", learnt, 3)
    return bytes.fromhex(found.group(1).replace(":", ""))


def open_wire(lab, device):
    """A socket on the workstation's end of the link, for whole frames."""

    def make():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        packet.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        packet.bind((device, 0))
        return packet

    return net.call_in(lab.ns("ws"), make)


def send_paced(packet, frames, rate=FRAMES_PER_S, before=None):
    """Sends frames no faster than the link takes them; the number that the kernel took."""
    taken, began = 0, time.monotonic()
    for count, frame in enumerate(frames):
        ahead = count / rate - (time.monotonic() - began)
        if ahead > 0.002:
            time.sleep(ahead)
        if before:
            before(count)
        try:
            taken += packet.send(frame) > 0
        except OSError:  # ENOBUFS: the queue is full
            time.sleep(0.01)
    return taken


@contextlib.contextmanager
def wire(run, link):
    """Cloister, or whatever `run.gateway` is, ready on a hostile host and on the link: yields (host, uplink)."""
    with hostile.Host(run.lab, link.spared) as host, link.laid(), judge.Uplink(run.lab) as uplink:
        run.capture = uplink  # for the scenario's own last look
        run.gateway.start()
        try:
            run.gateway.wait_ready()
            link.attach()
            if link.provoked:
                host.provoke()
            yield host, uplink
        finally:
            run.gateway.stop()


def attack(run, link, host):
    """Sends the matrix; (probes, answers)."""
    tor = host.tor_connection()
    ground = matrix.Ground(gateway_mac(run), ATTACKER_MAC, link.others(), tor)
    for who, address in ({"the gateway": ground.gateway} | ground.others).items():
        print(f"{address.hex(':')} is {who}")
    probes = matrix.Matrix(ground).probes
    packet = open_wire(run.lab, link.device)
    # An answer to ARP bears no number: those are sent one by one.
    with judge.Answers(run.lab, link.device) as answers:
        def announce(count):
            if probes[count].group == "ARP":
                time.sleep(0.02)
                answers.latest_asker = count
        taken = send_paced(packet, (probe.frame for probe in probes), before=announce)
        time.sleep(1)
    packet.close()
    check(taken == len(probes), f"of {len(probes)} probes the kernel took {taken}")
    check(tor in host.tor_connections(), "Tor lost its connection to a forged packet or error")
    return probes, answers


def verdicts(probes, answers, uplink):
    """[(probe, seen in the workstation, frames on the uplink, held)]"""
    found = []
    for probe in probes:
        words = answers.words.get(probe.number, {})
        seen = ", ".join(sorted(words)) or matrix.SILENCE
        marked = uplink.marked[probe.number]
        held = not marked and (probe.expected == matrix.ANY or seen == probe.expected)
        found.append((probe, seen, marked, held))
    return found


def print_table(rows):
    print(f"{'probe':<72} {'expected':<10} {'seen':<14} uplink")
    for probe, seen, marked, held in rows:
        print(f"{probe.group + ': ' + probe.name:<72.72} {probe.expected:<10} {seen:<14} {marked}"
              f"{'' if held else '   <-- did not hold'}")
    groups = collections.Counter(probe.group for probe, *_ in rows)
    failed = collections.Counter(probe.group for probe, _, _, held in rows if not held)
    print(f"\n{'group':<20} probes  did not hold")
    for group, count in groups.items():
        print(f"{group:<20} {count:>6}  {failed[group]}")
    print(f"{'all':<20} {len(rows):>6}  {sum(failed.values())}")


def flood_with_mutants(run, link, uplink, probes):
    """Sends them; the frames that came back and all that was sent, as one."""
    count, seed = mutants.count_from_environment()
    print(f"{count} mutated frames of seed {seed}: CLOISTER_MUTANTS={count} CLOISTER_SEED={seed} for the same")
    sent = []

    def frames():
        for frame in mutants.mutants(probes, count, seed):
            sent.append(frame)
            yield frame

    packet = open_wire(run.lab, link.device)
    with judge.Answers(run.lab, link.device) as answers:
        taken = send_paced(packet, frames(), MUTANTS_PER_S)
        time.sleep(1)
    packet.close()
    check(taken >= 0.99 * count, f"of {count} frames the kernel took {taken}")
    for frame in uplink.kept:
        for cause in [mutant for mutant in sent if frame[-16:] in mutant][:3]:
            print(f"on the uplink: {frame.hex()}\n    may come of: {cause.hex()}")
    return answers.frames, b"\0".join(sent)


def asked_by(probes, answers):
    by_number = {probe.number: probe.frame for probe in probes}
    return lambda frame: by_number.get(answers.attribute(frame)[0])


def check_matrix(run, link):
    """All of it, and what must be so afterwards."""
    with wire(run, link) as (host, uplink):
        check(run.curl(f"http://{plan.WEB}/").stdout == plan.PAGE, "no page before")
        before, secrets = host.counted(), host.secrets()
        probes, answers = attack(run, link, host)
        time.sleep(1)
        rows = verdicts(probes, answers, uplink)
        print_table(rows)
        counted = {name: count - before[name] for name, count in host.counted().items()}
        print(f"the host's kernel: {counted}; its listeners heard {len(host.heard)}; uplink: {uplink.describe()}")
        told = judge.disclosures(answers.frames, secrets, hostile.UPLINK_MTU, asked_by(probes, answers))
        print(f"{len(answers.frames)} frames came back; of the host they told: {dict(told) or 'nothing'}")

        back, said = flood_with_mutants(run, link, uplink, probes)
        # An answer to a mutant cannot be told from one to another: what the workstation never said is looked for.
        unsaid = {what: secret for what, secret in secrets.items() if secret not in said}
        told_mutants = judge.disclosures(back, unsaid, hostile.UPLINK_MTU, lambda frame: None)
        counted = {name: count - before[name] for name, count in host.counted().items()}
        print(f"{len(back)} frames came back; of the host they told: {dict(told_mutants) or 'nothing'}; the host's "
              f"kernel: {counted}; uplink: {uplink.describe()}")

        check(len(probes) >= 300, "hardly a matrix")
        check(len(judge.clocks(answers.frames)) >= 8, "no flow had timestamps: nothing to compare")
        bad = [row for row in rows if not row[3]]
        check(not sum(uplink.marked.values()), "a marked frame was on the uplink")
        check(not bad, f"{len(bad)} of {len(rows)} probes did not end as they should, above")
        check(uplink.is_clean, f"on the uplink: {uplink.describe()}")
        check(not counted["forwarded"], f"the host's kernel forwarded {counted['forwarded']} packets")
        check(not host.heard, f"a service of the host was reached: {host.heard[:5]}")
        check(not told and not told_mutants, f"the workstation learnt of the host: {dict(told | told_mutants)}")
        check(run.gateway.is_running(), "Cloister did not survive it")
        check(run.curl(f"http://{plan.WEB}/").stdout == plan.PAGE, "no page afterwards")
