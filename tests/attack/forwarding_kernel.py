# SPDX-License-Identifier: BSD-3-Clause
"""Whether these tests can see anything at all: a kernel that forwards and translates, in place of Cloister. The
same matrix, the same judges; now there must be leaks, and told secrets.
"""

import contextlib
import time

from ground import (PORT, Segment, asked_by, attack, check, hostile, judge, net, plan, print_table, scenario,
                    verdicts)
from lab import client


class Router(Segment):
    """The host itself at the gateway's address."""

    @contextlib.contextmanager
    def laid(self):
        host = self.run.lab.ns("host")
        with super().laid():
            net.ip("-n", host, "addr", "add", f"{plan.GATEWAY}/{plan.WORKSTATION_PREFIX}", "dev", PORT)
            net.ip("-n", host, "addr", "add", "fd19:c33d:88bc::10/64", "dev", PORT, "nodad")
            net.ip("-n", host, "link", "set", PORT, "up")
            yield self


@contextlib.contextmanager
def forgetful(lab):
    """Servers do not go on for a minute to answer those who never will: the next capture would see it. And their
    timestamps are the plain clock."""
    for retries, timestamps in ((0, 2), (5, 1)):
        for short in ("host", "web", "dns", "tornet"):
            net.sysctl_in(lab.ns(short), ipv4__tcp_synack_retries=retries, ipv4__tcp_timestamps=timestamps)
        if not retries:
            try:
                yield
            finally:
                time.sleep(2)


@scenario(started=False)
def a_forwarding_kernel_is_seen_to_leak(run):
    link = Router(run)
    with (forgetful(run.lab), hostile.Host(run.lab) as host, link.laid(), client.Client(run.lab, "beside"),
          judge.Uplink(run.lab) as uplink):
        # What the scenario checks in the end is that nothing leaked; here that would be a failure.
        run.check_uplink = lambda: None
        link.attach()
        host.provoke()
        before, secrets = host.counted(), host.secrets()
        probes, answers = attack(run, link, host)
        time.sleep(1)
        rows = verdicts(probes, answers, uplink)
        print_table(rows)
        counted = {name: count - before[name] for name, count in host.counted().items()}
        told = judge.disclosures(answers.frames, secrets, hostile.UPLINK_MTU, asked_by(probes, answers))
        print(f"the host's kernel: {counted}; its listeners heard {len(host.heard)}; uplink: {uplink.describe()}")
        print(f"{len(answers.frames)} frames came back; of the host they told: {dict(told)}")

        leaked = [probe for probe, _, marked, _ in rows if marked]
        groups = {probe.group for probe in leaked}
        check(len(leaked) >= 300, f"only {len(leaked)} of {len(rows)} probes were seen on the uplink")
        for group in ("TCP", "UDP", "IP protocols", "ICMP", "IPv6", "ICMPv6", "Spoofed", "Fragments", "Names"):
            check(group in groups, f"no probe of \"{group}\" was seen on the uplink, by a kernel that forwards them")
        check(not uplink.is_clean, "the frames were not taken for foreign")
        check(counted["forwarded"] >= len(leaked), "the kernel did not count what it forwarded")
        check(host.heard, "no listener was reached")
        for secret in ("MAC of", "address of the uplink", "MTU", "a clock"):
            check(any(what.startswith(secret) for what in told), f"nothing was told that begins with \"{secret}\"")
        relayed = [probe for probe in leaked if "relay" in probe.name and f":{plan.OR_PORT}" in probe.name]
        check(relayed, "what was forwarded to a relay's own port was taken for Tor's")
