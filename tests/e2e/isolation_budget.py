# SPDX-License-Identifier: BSD-3-Clause
"""The circuit budget, with a real Tor: three hundred flows opened at once by one workstation get a circuit each, none is
merged, and another workstation's new flows go on meanwhile. How much longer they take is a figure and no check: all relays
of this network share a few cores with everything else. Without turns they would wait for the ten seconds that the three
hundred take."""

import asyncio
import socket
import statistics
import time

from scenario import check, plan, scenario  # first: it makes `lab` known
from lab import net
from lab.gateway import DEVICE

FLOWS = 300
LIMIT_S = 100
STATION, OTHER = "station0", "10.152.152.12"  # a second station: its own MAC address
PROBES = 9
PAUSE_S = 0.2
LATEST_S = 3.0


def second_station(run):
    ws = run.lab.ns("ws")
    net.ip("-n", ws, "link", "add", "link", DEVICE, "name", STATION, "type", "macvlan", "mode", "bridge")
    net.ip("-n", ws, "addr", "add", f"{OTHER}/32", "dev", STATION)
    net.ip("-n", ws, "link", "set", STATION, "up")
    net.ip("-n", ws, "route", "add", "default", "via", plan.GATEWAY, "dev", STATION, "onlink", "src", OTHER, "table", "7")
    net.ip("-n", ws, "rule", "add", "from", OTHER, "lookup", "7")


def _start(run):
    """Seconds that a new flow of the other station takes until its first byte has come back."""
    peer = run.socket()
    peer.bind((OTHER, 0))
    began = time.monotonic()
    peer.connect((plan.WEB, plan.ECHO))
    peer.sendall(b"x")
    check(peer.recv(1) == b"x", "no echo")
    taken = time.monotonic() - began
    peer.close()
    return taken


async def _connect_all(peers, opened):
    loop = asyncio.get_running_loop()

    async def one(peer):
        await loop.sock_connect(peer, (plan.WEB, plan.ECHO))
        opened.append(time.monotonic())

    await asyncio.gather(*(one(peer) for peer in peers))


async def _flood_and_probe(run, peers, opened, probes):
    flood = asyncio.create_task(_connect_all(peers, opened))
    await asyncio.sleep(0.05)  # they are all on their way
    loop = asyncio.get_running_loop()
    while not flood.done():
        probes.append((len(opened), await loop.run_in_executor(None, _start, run)))
        await asyncio.sleep(PAUSE_S)
    await flood


@scenario()
def three_hundred_flows_at_once_do_not_keep_another_station_waiting(run):
    second_station(run)
    _start(run)
    singles = [_start(run) for _ in range(PROBES)]
    peers = [run.socket(seconds=LIMIT_S) for _ in range(FLOWS)]
    for peer in peers:
        peer.setblocking(False)
    with run.watch() as watch:
        opened, probes = [], []
        began = time.monotonic()
        asyncio.run(asyncio.wait_for(_flood_and_probe(run, peers, opened, probes), LIMIT_S))
        taken = opened[-1] - began
        flows = watch.wait_flows(FLOWS + len(probes), plan.ECHO)
        check(len(flows) == FLOWS + len(probes), f"Tor carried {len(flows)} flows")
        check(not watch.shared(flows), f"flows shared circuits: {watch.shared(flows)}")
    during = [seconds for done, seconds in probes if done < FLOWS]
    check(len(during) >= PROBES, f"only {len(during)} flows of the other station began while the three hundred waited")
    for peer in peers:
        peer.close()
    singles += [_start(run) for _ in range(PROBES)]  # whatever else the machine does, it does to both
    alone, median = statistics.median(singles), statistics.median(during)
    print(f"{FLOWS} flows in {taken:.1f} s; another station's: {1000 * alone:.0f} ms alone, "
          f"{1000 * median:.0f} ms meanwhile (median of {len(during)}; first {1000 * during[0]:.0f}, "
          f"worst {1000 * max(during):.0f})")
    print(*(f"{done}:{1000 * s:.0f}" for done, s in probes))
    check(max(during) < LATEST_S, f"it took {max(during):.1f} s once")
    # What is beyond the burst keeps the pace: 10 a second, after three quarters of 256.
    check(taken >= (FLOWS - 192) / 10 * 0.9, f"they took {taken:.1f} s only: nothing metered them")
