#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every call of a start fails once: `cloister run` with an interface to keep (workstation.attach) and an external Tor,
so that supervisor, keeper and gateway all do what they do. Whichever call it is, the start ends with a reason and a
status that is not 0, or all is as it is without the fault; no process, no TAP and no descriptor is left, the interface is
back, and the TAP was never up with a gateway that is not locked in.

    start.py CLOISTER-FAULT [ROLE [KIND [N]]]     exit status 77: cannot run here (no root, no namespaces)
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
import smoke  # pylint: disable=wrong-import-position
import socks_server  # pylint: disable=wrong-import-position
from smoke import FAR, GATEWAY, run  # pylint: disable=wrong-import-position

KINDS = {"memory": 1, "hard": 2, "soft": 4}
ROLES = ("supervisor", "keeper", "gateway")
WAITING = ("epoll_wait", "mnl_socket_recvfrom", "mnl_socket_sendto", "poll", "readv", "recv", "recvmsg", "sendmsg", "writev")  # what a signal may interrupt
PATIENCE = 14  # seconds: a gateway that does not lock itself in is given ten


class Wrong(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Wrong(what)


def exists(interface):
    return interface in (name for _, name in socket.if_nameindex())


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "it did not come to that")
        time.sleep(0.01)


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return dict(line.split(":", 1) for line in text.splitlines())


class Ground:
    """A host, and a workstation on a cable."""

    def __init__(self, program):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-fault-"))
        self.program = self.directory / "cloister-fault"
        shutil.copy(program, self.program)
        (self.directory / "socks").mkdir()
        for path in (self.directory, self.directory / "socks"):
            path.chmod(0o755)
        self.server = socks_server.Server(str(self.directory / "socks" / "socks"))
        self.config = self.directory / "cloister.conf"
        self.config.write_text(f"[workstation]\naddress = {GATEWAY}/18\nattach = port0\n[tor]\nmode = external\n"
                               f"socks = unix:{self.directory}/socks/socks\n[limits]\nflows = 256\n")
        self.namespace = f"cloister-ft-{os.getpid()}"
        run("ip", "netns", "add", self.namespace)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.namespace], check=False)
        shutil.rmtree(self.directory)

    def lay_cable(self):
        if exists("port0"):
            return
        # Its other end may be on its way out still, with the segment that it was lost in.
        subprocess.run(["ip", "-n", self.namespace, "link", "del", "eth0"], check=False, capture_output=True)
        wait_until(lambda: subprocess.run(["ip", "link", "add", "port0", "type", "veth", "peer", "name", "eth0", "netns",
                                           self.namespace], check=False, capture_output=True).returncode == 0)
        for command in ("link set eth0 up", "addr add 10.152.152.11/18 dev eth0", f"route add default via {GATEWAY}"):
            run("ip", "-n", self.namespace, *command.split())

    def log(self):
        return (self.directory / "log").read_text(encoding="ascii", errors="replace")

    def processes(self):
        """All that run our program, by role."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") != str(self.program):
                    continue
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if "Z" in status_of(pid)["State"]:
                    continue
            except (OSError, KeyError):
                continue
            role = next((word[7:].decode() for word in words if word.startswith(b"--role=")), "supervisor")
            found[role] = int(pid)
        return found

    def life(self, role, kind, n):
        """One start, and its end. The call that failed, or None if there were not so many."""
        self.lay_cable()
        (self.directory / "plan").write_text(f"{role} {KINDS[kind]} {n}\n")
        with open(self.directory / "log", "w", encoding="ascii") as log:
            process = subprocess.Popen([self.program, "run", "--config", self.config], stderr=log,
                                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            self.watch(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        # Two, if a process was being made: the other has counted as far.
        found = re.findall(r"^fault: (\w+), ", self.log(), re.M)
        call = None if not found else "write" if "write" in found else found[0]
        self.judge(process.returncode, call, kind)
        return call

    def watch(self, process):
        """Until it has ended, or is ready; then use it, and end it."""
        end = time.monotonic() + PATIENCE
        while process.poll() is None and "event=ready" not in self.log():
            if "fault: write," in self.log() and time.monotonic() > end - PATIENCE + 2:
                break  # it may be that which was not written
            check(time.monotonic() < end, "neither ready nor at an end")
            time.sleep(0.005)
        if process.poll() is None:
            self.look_inside()
            self.use()
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Wrong("does not end") from error

    def look_inside(self):
        """What is up is locked in, whatever failed on the way."""
        for role, pid in self.processes().items():
            try:
                status = status_of(pid)
            except OSError:
                continue  # it is ending
            capabilities = {"supervisor": 1 << 5, "keeper": 1 << 12, "gateway": 0}[role]
            check(status["Seccomp"].strip() == "2", f"{role} without a filter")
            check(status["NoNewPrivs"].strip() == "1", f"{role} may gain privileges")
            check("0" not in status["Uid"].split(), f"{role} is root")
            check(int(status["CapBnd"], 16) == 0, f"{role} has a bounding set")
            for name in ("CapPrm", "CapEff"):
                check(int(status[name], 16) == capabilities, f"{role} has {name} {status[name].strip()}")

    def use(self):
        """A page comes, as long as nothing says that all has ended."""
        page = subprocess.run(["ip", "netns", "exec", self.namespace, "curl", "-sS", "-m", "8", f"http://{FAR}/100"],
                              check=False, capture_output=True).stdout
        time.sleep(0.05)
        check(page == socks_server.body(100) or "event=exit" in self.log() or "fault: write," in self.log(),
              f"ready, and no page: {page!r}")

    def judge(self, status, call, kind):
        log = self.log()
        if call is None:
            check(status == 0, f"no fault, and status {status}")
        elif status != 0 and call != "write":
            check(status == 1, f"status {status}")
            reasons = [line for line in log.splitlines() if "level=error" in line and "event=exit" in line]
            check(len(reasons) == 1 and "Success" not in reasons[0] and 'reason=""' not in reasons[0], "no reason")
        if kind == "soft" and call in WAITING:
            check(status == 0, f"an interrupted call, and status {status}")
        time.sleep(0.01)
        end = time.monotonic() + 2
        while self.processes() and time.monotonic() < end:
            time.sleep(0.02)
        check(not self.processes(), f"left over: {self.processes()}")
        check(not exists("cloister0"), "the TAP is left over")
        check(exists("port0") or log.count("fault: ") > 1 or "level=error role=keeper" in log,
              "the interface is gone, and nobody said so")


def go_through(ground, role, kind, only=None):
    n, calls, failures = only or 1, {}, 0
    while True:
        try:
            call = ground.life(role, kind, n)
        except Wrong as wrong:
            failures += 1
            print(f"{role} {kind} {n}: {wrong}\n{ground.log()}", flush=True)
            call = "?"
        if call is None or only is not None:
            break
        calls[call] = calls.get(call, 0) + 1
        n += 1
    print(f"{role}, {kind}: {sum(calls.values())} calls failed once: "
          f"{', '.join(f'{name} {count}' for name, count in sorted(calls.items()))}", flush=True)
    return failures


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(smoke.SKIPPED)
    # In a network namespace of its own, so that nothing of this host is touched and nothing can get out.
    if os.environ.get("CLOISTER_SMOKE") != "inside":
        os.environ["CLOISTER_SMOKE"] = "inside"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, "-B", *sys.argv])
    run("ip", "link", "set", "lo", "up")
    ground, failures = Ground(sys.argv[1]), 0
    try:
        for role in sys.argv[2:3] or ROLES:
            for kind in sys.argv[3:4] or KINDS:
                failures += go_through(ground, role, kind, int(sys.argv[4]) if len(sys.argv) > 4 else None)
    finally:
        ground.close()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
