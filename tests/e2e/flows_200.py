# SPDX-License-Identifier: BSD-3-Clause
"""200 flows at once, all open together, each on a circuit of its own."""

import asyncio
import time

from scenario import check, plan, scenario

FLOWS = 200
LIMIT_S = 120


async def _converse(peers):
    loop = asyncio.get_running_loop()

    async def connect(peer):
        await loop.sock_connect(peer, (plan.WEB, plan.ECHO))

    async def talk(number, peer):
        sent = f"flow {number} ".encode() * 100
        await loop.sock_sendall(peer, sent)
        got = b""
        while len(got) < len(sent):
            chunk = await loop.sock_recv(peer, 1 << 16)
            if not chunk:
                break
            got += chunk
        check(got == sent, f"flow {number} got {got[:30]!r}...")

    await asyncio.gather(*(connect(peer) for peer in peers))
    await asyncio.gather(*(talk(number, peer) for number, peer in enumerate(peers)))


@scenario()
def two_hundred_flows_live_at_once_on_circuits_of_their_own(run):
    peers = [run.socket() for _ in range(FLOWS)]
    for peer in peers:
        peer.setblocking(False)
    with run.watch() as watch:
        began = time.monotonic()
        asyncio.run(asyncio.wait_for(_converse(peers), LIMIT_S))
        taken = time.monotonic() - began
        check(run.gateway.counters()["active"] >= FLOWS, "they were not all open at once")
        flows = watch.wait_flows(FLOWS, plan.ECHO)
        check(len(flows) == FLOWS, f"Tor carried {len(flows)} flows")
        check(not watch.shared(flows), f"flows shared circuits: {watch.shared(flows)}")
    for peer in peers:
        peer.close()
    print(f"{FLOWS} flows in {taken:.1f} s")
