# SPDX-License-Identifier: BSD-3-Clause
"""Two network namespaces without a way out: a workstation, and a host with a gateway and all that is behind it."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

GATEWAY, WORKSTATION, PREFIX = "10.152.152.10", "10.152.152.11", 18
FAR, FAR_NETWORK = "198.51.100.1", "198.51.100.0/24"  # reserved for documentation (RFC 5737)
SOCKS_PORT = 1080


def run(*command, **options):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def pairs(line):
    """key=value key=value, as numbers."""
    return {key: float(value) for key, value in (word.split("=", 1) for word in line.split())}


def is_gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def tree(pid):
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*"):
            try:
                found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
            except FileNotFoundError:
                pass
    return found


class Lab:
    """The namespaces and the far end. To be used with `with`.

    bare: for a replay, which plays both ends itself. There is no far end, and the device that the workstation gets has
    no address there.
    """

    def __init__(self, programs, mtu=1500, congestion="cubic", bare=False):
        self.bare = bare
        self.device = None  # of the workstation
        self.programs = pathlib.Path(programs)
        self.mtu = mtu
        self.congestion = ["--congestion", congestion] if congestion else []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-bench-"))
        self.workstation = f"bench-{os.getpid()}-ws"
        self.host = f"bench-{os.getpid()}-host"
        self.stats = self.directory / "stats"
        self.socks_path = self.directory / "socks" / "socks"
        self.processes = []

    def __enter__(self):
        try:
            (self.directory / "socks").mkdir()
            for path in (self.directory, self.directory / "socks"):
                path.chmod(0o755)
            for name in (self.workstation, self.host):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
                self.sysctl(name, "net.ipv6.conf.all.disable_ipv6", 1)
            run("ip", "-n", self.host, "route", "add", "local", FAR_NETWORK, "dev", "lo")
            # Flows that come and go fast, and many that stay.
            self.sysctl(self.workstation, "net.ipv4.ip_local_port_range", "1024 65535")
            self.sysctl(self.workstation, "net.ipv4.tcp_tw_reuse", 1)
            self.sysctl(self.host, "net.ipv4.ip_local_port_range", "20000 65535")
            self.sysctl(self.host, "net.ipv4.tcp_tw_reuse", 1)
            self.sysctl(self.host, "net.core.somaxconn", 16384)
            self.sysctl(self.host, "net.ipv4.tcp_max_syn_backlog", 16384)
            if self.bare:
                return self
            self.far = self.start(self.host, [str(self.programs / "farend"), "--stats", str(self.stats), "--socks-unix",
                                              str(self.socks_path), "--socks-tcp", str(SOCKS_PORT), "--direct",
                                              *self.congestion],
                                  ready="ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        for name in (self.workstation, self.host):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def sysctl(self, namespace, key, value):
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", f"{key}={value}")

    def start(self, namespace, command, ready=None, **options):
        """A process in a namespace; with `ready`, once it has printed a line that begins with that."""
        log = open(self.directory / f"log-{len(self.processes)}", "w", encoding="utf-8")
        process = subprocess.Popen(["ip", "netns", "exec", namespace, *command], stdin=subprocess.DEVNULL, stderr=log,
                                   stdout=subprocess.PIPE if ready else log, text=True, **options)
        process.log = log.name
        self.processes.append(process)
        if ready and not process.stdout.readline().startswith(ready):
            raise RuntimeError(f"{command[0]} did not start: {self.log(process)}")
        return process

    @staticmethod
    def log(process):
        return pathlib.Path(process.log).read_text(encoding="utf-8", errors="replace").strip()

    def stop(self, process):
        """End a process and what it started."""
        pids = [] if process.poll() is not None else tree(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        for pid in pids:
            if not is_gone(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        process.wait(5)
        self.processes.remove(process)

    def wait_for_link(self, namespace, device, process, seconds=10):
        end = time.monotonic() + seconds
        while subprocess.run(["ip", "-n", namespace, "link", "show", device], check=False,
                             capture_output=True).returncode != 0:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no device {device}: {self.log(process)}")
            time.sleep(0.02)

    def give_to_workstation(self, device):
        """Move a device of the host to the workstation and make it its way to everywhere."""
        run("ip", "-n", self.host, "link", "set", device, "netns", self.workstation)
        self.configure_workstation(device)

    def configure_workstation(self, device):
        self.device = device
        if self.bare:
            run("ip", "-n", self.workstation, "link", "set", device, "mtu", str(self.mtu), "txqueuelen", "10000", "up")
            return
        for command in (f"addr add {WORKSTATION}/{PREFIX} dev {device}", f"link set {device} mtu {self.mtu} up",
                        f"route add default via {GATEWAY} dev {device}"):
            run("ip", "-n", self.workstation, *command.split())

    def client(self, *arguments, namespace=None):
        """Run the client in the workstation, or elsewhere; what it measured."""
        return pairs(run("ip", "netns", "exec", namespace or self.workstation, str(self.programs / "client"), *arguments,
                         *self.congestion))
