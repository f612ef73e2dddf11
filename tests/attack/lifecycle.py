# SPDX-License-Identifier: BSD-3-Clause
"""A flood from the workstation that never stops, while Cloister starts, is told to end, is killed process by process at
random moments, and runs out of disk. Nothing but Tor's own frames may cross the uplink, not before, not in between, not
after.

The workstation's cable is one that Cloister takes into its segment and gives back (workstation.attach), so that there
is a wire at all times; the host forwards and translates.

    $CLOISTER_ROUNDS: 10; $CLOISTER_SEED: which moments
"""

import os
import random
import subprocess
import threading
import time

from ground import ATTACKER_MAC, PORT, Segment, check, hostile, judge, matrix, net, open_wire, plan, proc, scenario
from lab.gateway import Gateway

_RATE = 1000  # frames per second
_WAYS = ("SIGTERM", "supervisor", "gateway", "tor", "keeper", "starting", "disk")


class Flood:
    """Frames of the matrix, over and over, from a thread."""

    def __init__(self, run, link, others):
        # The gateway draws a MAC address at each start: this goes to everybody.
        ground = matrix.Ground(b"\xff" * 6, ATTACKER_MAC, others, (40000, plan.RELAYS[0].address, plan.OR_PORT))
        self._frames = [probe.frame for probe in matrix.Matrix(ground).probes]
        self._wire, self.sent, self._stopping = open_wire(run.lab, link.device), 0, False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._thread.join()
        self._wire.close()

    def _send(self):
        while not self._stopping:
            for frame in random.sample(self._frames, 20):
                try:
                    self.sent += self._wire.send(frame) > 0
                except OSError:
                    pass  # the cable is down while nobody has its other end up
            time.sleep(20 / _RATE)


def end_it(run, way, chance):
    """One life of Cloister, ended in this way; what it says of its end."""
    if way == "disk":
        return _out_of_disk(run)
    gateway = run.gateway
    gateway.start()
    if way == "starting":
        time.sleep(chance.uniform(0, 1.5))
        victim = chance.choice(sorted(_roles(gateway).items()))
        proc.kill(victim[1])
        way = f"starting, {victim[0]}"
    else:
        gateway.wait_ready()
        time.sleep(chance.uniform(0, 0.5))
        if way == "SIGTERM":
            gateway.process.terminate()
        else:
            proc.kill(_roles(gateway)[way])
    status, _ = gateway.wait_end(10)
    check(status is not None, f"{way}: Cloister still runs")
    check((status == 0) == (way == "SIGTERM"), f"{way}: Cloister ended with {status}")
    gateway.stop()
    return way


def _roles(gateway):
    """By what they were started as."""
    found = {"supervisor": gateway.process.pid}
    for pid in proc.children(gateway.process.pid):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        for word in words:
            if word.startswith("--role="):
                found[word[7:]] = pid
    return found


def _out_of_disk(run):
    """Tor's data on a file system with hardly any room."""
    small = f"{run.lab.state}/small"
    os.makedirs(small, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs", small], check=True, timeout=10)
    gateway = Gateway(run.lab, run.binary, {"workstation": {"attach": PORT}, "tor": {"data": f"{small}/data"}},
                      name="disk")
    try:
        gateway.start()
        gateway.wait_end(4)  # it may well go on: Tor holds in memory what it cannot write
    finally:
        gateway.stop()
        subprocess.run(["umount", "-l", small], check=True, timeout=10)
    return "disk full"


def live(run, uplink, flood, chance, done, rounds):
    """One life after the other, until there were enough or the cable is lost; how many there were."""
    while done < rounds:
        before = flood.sent
        said = end_it(run, _WAYS[done % len(_WAYS)] if done < 2 * len(_WAYS) else chance.choice(_WAYS), chance)
        time.sleep(0.3)
        print(f"{done:>4} {said:<24} {flood.sent - before:>6} frames sent, uplink: {uplink.relay_frames} of Tor's, "
              f"{uplink.leak_count} others, {sum(uplink.marked.values())} marked", flush=True)
        check(uplink.is_clean and not uplink.marked, f"{said}: {uplink.describe()}")
        done += 1
        if PORT not in net.devices(run.lab.ns("host")):
            # Without the keeper nobody gives it back, and the kernel does away with it.
            check("keeper" in said, f"{said}: {PORT} was not given back")
            break
    return done


@scenario({"workstation": {"attach": PORT}}, started=False)
def nothing_leaks_whatever_ends(run):
    rounds, seed = int(os.environ.get("CLOISTER_ROUNDS", 10)), int(os.environ.get("CLOISTER_SEED", 0))
    seed = seed or random.randrange(1, 1 << 32)
    print(f"CLOISTER_ROUNDS={rounds} CLOISTER_SEED={seed}")
    chance, link, done, sent = random.Random(seed), Segment(run), 0, 0
    with hostile.Host(run.lab) as host, judge.Uplink(run.lab) as uplink:
        run.capture = uplink
        while done < rounds:
            with link.laid(), Flood(run, link, link.others()) as flood:
                time.sleep(0.5)
                done = live(run, uplink, flood, chance, done, rounds)
                sent += flood.sent
        check(sent > 100 * rounds, f"hardly a flood: {sent} frames")
        check(not host.counted()["forwarded"], "the host's kernel forwarded something")
        check(not host.heard, f"a service of the host was reached: {host.heard[:3]}")
