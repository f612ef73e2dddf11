# SPDX-License-Identifier: BSD-3-Clause
"""A flood from the workstation that never stops, while Cloister starts, is told to end, is killed process by process at
random moments, hangs, runs out of disk, and may not read its torrc. Nothing but Tor's own frames may cross the uplink,
not before, not in between, not after.

The workstation's cable is one that Cloister takes into its segment and gives back (workstation.attach), so that there
is a wire at all times; the host forwards and translates.

    $CLOISTER_ROUNDS: 10; $CLOISTER_SEED: which moments

The long form, about ten minutes each:

    sudo CLOISTER_ROUNDS=200 ctest --test-dir build/release -R 'attack.lifecycle' -V
"""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time

from ground import ATTACKER_MAC, PORT, Segment, check, hostile, judge, matrix, net, open_wire, plan, proc, scenario
from lab.gateway import Gateway

_RATE = 1000  # frames per second
WAYS = ("SIGTERM", "supervisor", "gateway", "tor", "keeper", "starting", "disk", "set-up", "torrc")
_HANGS_EVERY = 40  # rounds: it takes half a minute to tell a Tor that hangs from a busy one


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
    if way == "torrc":
        return _torrc_unreadable(gateway)
    gateway.start()
    if way == "set-up":
        time.sleep(chance.uniform(0, 0.2))
        gateway.process.terminate()
        status, taken = gateway.wait_end(10)
        # It may not have come to listen to signals, or have started already.
        check(status in (0, -15) and taken < 2.5, f"{way}: Cloister ended with {status} after {taken:.1f} s")
        gateway.stop()
        return way
    if way == "starting":
        time.sleep(chance.uniform(0, 1.5))
        victim = chance.choice(sorted(_roles(gateway).items()))
        proc.kill(victim[1])
        way = f"starting, {victim[0]}"
    else:
        gateway.wait_ready()
        time.sleep(chance.uniform(0, 0.5))
        if way == "SIGTERM":
            gateway.process.send_signal(signal.SIGHUP)
            check(gateway.log.wait("reload", 1, 5) and gateway.is_running(), "SIGHUP is not answered")
            gateway.process.terminate()
        elif way == "hangs":
            os.kill(_roles(gateway)["tor"], signal.SIGSTOP)
        else:
            proc.kill(_roles(gateway)[way])
    status, _ = gateway.wait_end(50 if way == "hangs" else 10)
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
    settings = {"workstation": run.settings["workstation"], "tor": {"data": f"{small}/data"}}
    gateway = Gateway(run.lab, run.binary, settings, name="disk")
    try:
        gateway.start()
        status, _ = gateway.wait_end(4)
        check(status == 1 and "No space left on device" in gateway.log.text, f"disk full: {status}")
    finally:
        gateway.stop()
        subprocess.run(["umount", "-l", small], check=True, timeout=10)
    return "disk full"


def _torrc_unreadable(gateway):
    """Root reads it at once, and Tor's user does not."""
    os.chmod(f"{gateway.home}/torrc", 0o600)
    try:
        gateway.start()
        status, _ = gateway.wait_end(5)
        check(status == 1 and "read tor.torrc" in gateway.log.text, f"an unreadable torrc: {status}")
    finally:
        gateway.stop()
        os.chmod(f"{gateway.home}/torrc", 0o644)
    return "torrc unreadable"


def _way(ways, done, chance):
    if done % _HANGS_EVERY == _HANGS_EVERY - 1:
        return "hangs"
    return ways[done % len(ways)] if done < 2 * len(ways) else chance.choice(ways)


def live(run, ways, uplink, flood, chance, done, rounds):
    """One life after the other, until there were enough or the cable is lost; how many there were."""
    while done < rounds:
        before = flood.sent
        said = end_it(run, _way(ways, done, chance), chance)
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


def live_through(run, link, ways, settings):
    """All of it, on this kind of link."""
    run.settings = settings
    rounds, seed = int(os.environ.get("CLOISTER_ROUNDS", 10)), int(os.environ.get("CLOISTER_SEED", 0))
    seed = seed or random.randrange(1, 1 << 32)
    print(f"CLOISTER_ROUNDS={rounds} CLOISTER_SEED={seed}")
    chance, done, sent = random.Random(seed), 0, 0
    with hostile.Host(run.lab, link.spared) as host, judge.Uplink(run.lab) as uplink:
        run.capture = uplink
        while done < rounds:
            with link.laid(), contextlib.ExitStack() as stack:
                if not link.provoked:
                    # On a bridge the host's own stack is there first: the wall against it comes with Cloister's first
                    # start, and stays.
                    end_it(run, "SIGTERM", chance)
                flood = stack.enter_context(Flood(run, link, link.others()))
                time.sleep(0.5)
                done = live(run, ways, uplink, flood, chance, done, rounds)
                sent += flood.sent
        check(sent > 100 * rounds, f"hardly a flood: {sent} frames")
        check(not host.counted()["forwarded"], "the host's kernel forwarded something")
        check(not host.heard, f"a service of the host was reached: {host.heard[:3]}")
        print(f"{done} lives, {sent} frames sent; on the uplink {uplink.relay_frames} of Tor's, {uplink.leak_count} others")


_SETTINGS = {"workstation": {"attach": PORT}}


@scenario(_SETTINGS, started=False)
def nothing_leaks_whatever_ends(run):
    live_through(run, Segment(run), WAYS, _SETTINGS)
