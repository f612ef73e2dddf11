# SPDX-License-Identifier: BSD-3-Clause
"""The process that holds a lab: builds it, keeps it, takes it down.

It is the parent of everything that runs in the lab, and its end is the lab's end. It ends when asked
(SIGTERM), when its owner ends, or when its time is up: a lab never outlives a test run that crashed.

    usage: keeper.py STATE-DIRECTORY OWNER-PID LIFETIME-SECONDS

Writes one line to stdout: "ready", or "failed: ..." and ends.
"""

import json
import os
import select
import signal
import sys
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab import client, net, plan, proc, tornet  # noqa: E402
from lab.lab import Lab  # noqa: E402

_BOOTSTRAP_LIMIT_S = 60
_STREAMS_IN_A_ROW = 12


class _Stop(Exception):
    pass


def _on_signal(number, _frame):
    # Once is enough: a second signal must not interrupt the taking down.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise _Stop(signal.Signals(number).name)


class Keeper:
    def __init__(self, state, owner, lifetime):
        self.state, self.owner, self.lifetime = state, owner, lifetime
        self.prefix = f"{net.PREFIX}{os.getpid()}"
        self.processes = {}

    def build(self):
        began = time.monotonic()
        names = net.build(self.prefix)
        self._start_server("dns", names["dns"], "lab.resolver", plan.DNS)
        self._start_server("web", names["web"], "lab.servers")
        resolv_conf = f"{self.state}/exits-resolv.conf"
        with open(resolv_conf, "w") as file:
            file.write(f"nameserver {plan.DNS}\n")

        tor = tornet.find_tor()
        network = tornet.Network(f"{self.state}/tornet", tor)
        network.configure(resolv_conf)
        with open(f"{self.state}/client.torrc", "w") as file:
            file.write(network.client_lines)
        self.processes |= network.start(names["tornet"])
        first = network.log(plan.RELAYS[0])
        proc.wait_for("the private Tor network's consensus", lambda: self._usable(network),
                      _BOOTSTRAP_LIMIT_S, 0.25, first)
        self._write("state.json", {
            "prefix": self.prefix,
            "namespaces": names,
            "keeper": os.getpid(),
            "keeper_started": proc.started_at(os.getpid()),
            "tor": tor,
            "fingerprints": network.fingerprints,
            "pids": {name: process.pid for name, process in self.processes.items()},
            "bootstrap_seconds": round(time.monotonic() - began, 1),
        })
        tries = self._wait_streams()
        if tries > _STREAMS_IN_A_ROW:
            print(f"{tries} streams until {_STREAMS_IN_A_ROW} in a row were carried", file=sys.stderr, flush=True)

    def _wait_streams(self):
        """Exits that everybody lists may still refuse a stream or two. A stock client must get a dozen through, by name
        and each on a circuit of its own, before the network counts as up."""
        began, good, tries = time.monotonic(), 0, 0
        with client.Client(Lab(self.state), "probe") as probe:
            while good < _STREAMS_IN_A_ROW:
                self._check()
                tries += 1
                try:
                    peer, reply = client.socks_connect(probe.socks, f"www.{plan.ZONE}", plan.ECHO, f"probe{tries}", 10)
                    peer.close()
                except OSError as error:
                    reply = error
                good = good + 1 if reply == 0 else 0
                if time.monotonic() - began > _BOOTSTRAP_LIMIT_S:
                    raise proc.ProcessError(f"the private Tor network refuses streams, the last with {reply}")
        return tries

    def _usable(self, network):
        self._check()
        return network.is_usable()

    def _start_server(self, name, namespace, module, *args):
        with open(f"{self.state}/{name}.log", "w") as log:
            process = proc.start(
                net.argv_in(namespace, [sys.executable, "-m", module, *args]),
                cwd=sys.path[0], env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdout=log, stderr=log)
        self.processes[name] = process
        proc.wait_for(f"the server {name}", lambda: self._check() or os.path.getsize(log.name), 10,
                      0.02, log.name)

    def _check(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = f"{self.state}/tornet/{name}/log"
                log = log if os.path.exists(log) else f"{self.state}/{name}.log"
                raise proc.ProcessError(f"{name} ended by itself ({process.returncode}); end of "
                                        f"{log}:\n{proc.tail(log)}")

    def _write(self, name, value):
        with open(f"{self.state}/{name}.part", "w") as file:
            json.dump(value, file, indent=2)
        os.rename(file.name, f"{self.state}/{name}")

    def hold(self):
        """Waits for a reason to end and returns it."""
        pidfd = proc.watch(self.owner) if self.owner else None
        if self.owner and pidfd is None:
            return "the owner had already ended"
        deadline = time.monotonic() + self.lifetime
        while time.monotonic() < deadline:
            self._check()
            if select.select([pidfd] if pidfd is not None else [], [], [], 1.0)[0]:
                return f"the owner ({self.owner}) ended"
        return f"its {self.lifetime:g} s are over"

    def take_down(self):
        """Ends what runs in the lab, whoever started it there, then the lab."""
        proc.stop(self.processes.values(), 2.0)
        for name in plan.NAMESPACES:
            for number in (signal.SIGTERM, signal.SIGKILL):
                pids = net.pids(f"{self.prefix}-{name}")
                for pid in pids:
                    proc.kill(pid, number)
                if not proc.wait_gone(pids, 2.0):
                    break
        proc.kill_all_below()
        net.remove(self.prefix)


def _main():
    state, owner, lifetime = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _on_signal)
    proc.become_subreaper()
    keeper = Keeper(state, owner, lifetime)
    status = 0
    try:
        for prefix in net.stale_prefixes():
            net.remove(prefix)
        keeper.build()
        print("ready", flush=True)
        reason = keeper.hold()
    except _Stop as stop:
        reason = str(stop)
    except Exception as error:  # said to whoever asked for the lab, and then everything is undone
        reason, status = f"{type(error).__name__}: {error}", 1
        try:
            print(f"failed: {reason}", flush=True)
        except BrokenPipeError:
            pass
    print(f"taking down: {reason}", file=sys.stderr, flush=True)
    keeper.take_down()
    return status


if __name__ == "__main__":
    sys.exit(_main())
