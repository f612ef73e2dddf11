#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab's handle: up, down, and what is inside. Also its command line.

    lab.py up   --state DIR [--owner PID]     builds a lab; it ends with PID, if one is given
    lab.py down --state DIR                   takes it down; nothing to do is no error
    lab.py exec --state DIR ws -- COMMAND...  runs a command in one of its namespaces
    lab.py info --state DIR                   addresses, ports, names
"""

import argparse
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab import net, plan, proc

SKIPPED = 77  # what CTest takes for "not run"


class LabError(Exception):
    pass


class Lab:
    """A running lab.

    Lab.up() builds one and Lab.attach() finds one that runs; as a context manager it is taken down at
    the end if it was built here.
    """

    def __init__(self, state):
        self.state, self._keeper = state, None  # the keeper, if it is our child
        with open(f"{state}/state.json") as file:
            self.facts = json.load(file)
        self.prefix = self.facts["prefix"]
        self.nicknames = self.facts["fingerprints"]  # relay fingerprint -> nickname
        self.tor = self.facts["tor"]
        self.client_torrc = f"{state}/client.torrc"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._keeper:
            down(self.state)
            self._keeper.wait()
            self._keeper.stdout.close()

    @classmethod
    def up(cls, state=None, owner=None, lifetime=3600):
        """Builds a lab below `state` (a new directory in /tmp by default). It ends at the latest with
        the process `owner` (this one by default; 0 for none) or after `lifetime` seconds."""
        temporary = state is None
        if temporary:
            state = tempfile.mkdtemp(prefix="cloister-lab-")
        else:
            down(state)
            _own_directory(state)
        os.chmod(state, 0o755)  # Tor and the gateway have users of their own
        log = open(f"{state}/keeper.log", "w")
        keeper = subprocess.Popen(
            [sys.executable, "-B", os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py"),
             state, str(os.getpid() if owner is None else owner), str(lifetime)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            start_new_session=True)  # a Ctrl-C reaches whoever asked; the keeper is told by it
        log.close()
        with open(f"{state}/keeper.pid", "w") as file:
            file.write(f"{keeper.pid} {proc.started_at(keeper.pid)}")
        try:
            said = keeper.stdout.readline().strip()
            if said != "ready":
                rest = "" if not said else keeper.stdout.read().rstrip()
                raise LabError(f"no lab: {said}\n{rest}" if said else
                               f"no lab; the keeper says:\n{proc.tail(log.name)}")
        except BaseException:
            keeper.terminate()
            keeper.wait(30)
            if temporary:
                shutil.rmtree(state, ignore_errors=True)
            raise
        lab = cls(state)
        lab._keeper = keeper
        return lab

    @classmethod
    def attach(cls, state):
        if not os.path.exists(f"{state}/state.json") or not _keeper_of(state):
            raise LabError(f"no lab runs at {state}: lab.py up --state {state}")
        return cls(state)

    def ns(self, short):
        """Full name of a namespace: host, ws, web, dns, tornet or inet."""
        return self.facts["namespaces"][short]

    def run(self, short, argv, timeout=60, **options):
        """Runs a command inside to its end; subprocess.CompletedProcess with text output."""
        options.setdefault("stdin", subprocess.DEVNULL) if "input" not in options else None
        options = {"capture_output": True, "text": True} | options
        return subprocess.run(net.argv_in(self.ns(short), argv), timeout=timeout, **options)

    def start(self, short, argv, **options):
        """Starts a command inside that dies with this process (main thread only); a Popen."""
        return proc.start(net.argv_in(self.ns(short), argv), **options)

    def call(self, short, function, *args):
        """Calls a function inside: sockets it makes belong there."""
        return net.call_in(self.ns(short), function, *args)

    def relay_names(self, path):
        """[(fingerprint, ...)] of a circuit as nicknames."""
        return [self.nicknames.get(fingerprint, fingerprint[:8]) for fingerprint in path]


def _own_directory(path):
    """Makes it, or takes it if it is ours and no link: /tmp is everybody's."""
    try:
        os.mkdir(path)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise LabError(f"{path} is there and not a directory of ours") from None
        if os.listdir(path):
            raise LabError(f"{path} is not empty and holds no lab") from None


def _keeper_of(state):
    """The pid of the keeper, if it is still that process."""
    try:
        with open(f"{state}/keeper.pid") as file:
            pid, started = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    return pid if proc.is_alive(pid, started) else None


def down(state, seconds=20):
    """Takes a lab down, whatever state it is in, and removes its directory."""
    pid = _keeper_of(state)
    if pid:
        proc.kill(pid, signal.SIGTERM)
        if proc.wait_gone([pid], seconds):
            for each in proc.descendants(pid) + [pid]:
                proc.kill(each)
            proc.wait_gone([pid], 2)
    proc.reap_one(pid)
    for prefix in net.stale_prefixes():
        net.remove(prefix)
    if os.path.exists(f"{state}/keeper.pid"):
        shutil.rmtree(state, ignore_errors=True)


def _info(lab):
    print(f"built in {lab.facts['bootstrap_seconds']} s, client lines in {lab.client_torrc}")
    for short in plan.NAMESPACES:
        print(f"  {lab.ns(short)}")
    for relay in plan.RELAYS:
        print(f"relay {relay.nickname} {relay.address}:{plan.OR_PORT}")
    print(f"host {plan.HOST}   web {plan.WEB} {plan.WEB6}   dns {plan.DNS}")
    print("names " + " ".join(f"{name}.{plan.ZONE}" for name in plan.NAMES))


def main():
    parser = argparse.ArgumentParser(prog="lab.py", description="A private Tor network with servers "
                                     "and a workstation, in network namespaces.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "exec", "info"):
        command = commands.add_parser(name)
        command.add_argument("--state", required=True, metavar="DIR")
        if name == "up":
            command.add_argument("--owner", default="0", metavar="PID",
                                 help="end with this process; `parent` is whoever started this one")
            command.add_argument("--lifetime", type=float, default=3600, metavar="SECONDS")
        if name == "exec":
            command.add_argument("namespace", choices=plan.NAMESPACES)
            command.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    arguments = parser.parse_args()
    state = os.path.abspath(arguments.state)
    if os.geteuid():
        print("lab: skipped, it needs root: it makes network namespaces")
        sys.exit(SKIPPED)
    try:
        if arguments.command == "up":
            owner = os.getppid() if arguments.owner == "parent" else int(arguments.owner)
            _info(Lab.up(state, owner, arguments.lifetime))
        elif arguments.command == "down":
            down(state)
        elif arguments.command == "info":
            _info(Lab.attach(state))
        else:
            argv = [word for word in arguments.argv if word != "--"] or ["sh"]
            argv = net.argv_in(Lab.attach(state).ns(arguments.namespace), argv)
            os.execvp(argv[0], argv)
    except (LabError, net.CommandError) as error:
        sys.exit(f"lab: {error}")


if __name__ == "__main__":
    main()
