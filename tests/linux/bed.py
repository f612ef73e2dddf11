# SPDX-License-Identifier: BSD-3-Clause
"""Two ends and a bad link between them, in network namespaces of this program's own without a route out.

    CloisterBed    the kernel of a workstation | impair | `cloister run` with an external SOCKS5 server of the tests
    LinuxBed       the kernel of a workstation | impair | the kernel of a server
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import peer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "net"))
import socks_server  # noqa: E402 # pylint: disable=wrong-import-position

PEER = [sys.executable, "-B", str(HERE / "peer.py")]
SKIPPED = 77


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def can_run():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        return False
    name = f"clx{os.getpid()}-probe"
    return all(subprocess.run(["ip", "netns", verb, name], capture_output=True, check=False).returncode == 0
               for verb in ("add", "del"))


class Namespace:
    def __init__(self, name):
        self.name = f"clx{os.getpid()}-{name}"
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def wrap(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command):
        return run(*self.wrap(command))

    def start(self, *command, **options):
        return subprocess.Popen(self.wrap(command), text=True, **options)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def end(process, seconds=5):
    if process is None:
        return
    if process.stdin:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Bed:
    """`self.address` is where the workstation finds the services of peer.py."""

    def __init__(self, impair, tag):
        self.impair_path = impair
        self.tag = tag
        self.parts = []  # to be closed, last first
        self.workstation = self.space("ws")
        self.middle = self.space("mid")
        self.link = None

    def space(self, name):
        space = Namespace(self.tag + name)
        self.parts.append(space.close)
        return space

    def keep(self, process):
        self.parts.append(lambda: end(process))
        return process

    def join(self, seed, *ports):
        """The middlebox; the TAP `ws` goes to the workstation."""
        self.link = self.keep(self.middle.start(self.impair_path, str(seed), *ports, stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE))
        self.answer()
        self.give("ws", self.workstation, "10.152.152.11/18")

    def give(self, device, space, address):
        self.middle.run("ip", "link", "set", device, "netns", space.name)
        space.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
        space.run("ip", "addr", "add", address, "dev", device)
        space.run("ip", "link", "set", device, "up")

    def answer(self):
        if self.link.stdout.readline() != "ok\n":
            raise RuntimeError("the middlebox does not answer")

    def set_link(self, **properties):
        self.link.stdin.write(" ".join(f"{key}={value}" for key, value in properties.items()) + "\n")
        self.link.stdin.flush()
        self.answer()

    def start_peer(self, mode, *numbers):
        return self.workstation.start(*PEER, mode, self.address, *map(str, numbers), stdout=subprocess.PIPE)

    @staticmethod
    def report(process, seconds):
        output, _ = process.communicate(timeout=seconds)
        return json.loads(output)

    def close(self):
        while self.parts:
            self.parts.pop()()


class CloisterBed(Bed):
    address = "198.51.100.7"

    def __init__(self, impair, binary, directory, seed):
        super().__init__(impair, "c-")
        (directory / "socks").mkdir()
        for path in (directory, directory / "socks"):
            path.chmod(0o755)
        path = directory / "socks" / "socks"
        socks_server.SERVICES.update(peer.SERVICES)
        self.server = socks_server.Server(str(path))
        config = directory / "cloister.conf"
        # No offload, and below no merging by the kernel: every segment is a frame of its own, to be lost alone.
        config.write_text(f"[workstation]\ndevice = clx\noffload = no\n[tor]\nmode = external\nsocks = unix:{path}\n",
                          encoding="ascii")
        self.log = directory / "log"
        with open(self.log, "w", encoding="ascii") as log:
            self.keep(self.middle.start(str(binary), "run", "--config", str(config), stderr=log))
        limit = time.monotonic() + 10
        while "event=ready" not in self.log.read_text(encoding="ascii"):
            if time.monotonic() > limit:
                raise RuntimeError(f"the gateway is not ready:\n{self.log.read_text(encoding='ascii')}")
            time.sleep(0.02)
        # Its name in the middle's namespace is its own; the middle's kernel has no say there.
        self.middle.run("sysctl", "-qw", "net.ipv6.conf.clx.disable_ipv6=1")
        self.middle.run("ethtool", "-K", "clx", "gro", "off")
        self.middle.run("ip", "link", "set", "clx", "up")
        self.join(seed, "tap:ws", "packet:clx")
        self.workstation.run("ip", "route", "add", "default", "via", "10.152.152.10")


class LinuxBed(Bed):
    address = "10.152.152.12"

    def __init__(self, impair, seed):
        super().__init__(impair, "l-")
        server = self.space("srv")
        self.join(seed, "tap:ws", "tap:srv")
        self.give("srv", server, f"{self.address}/18")
        self.keep(server.start(*PEER, "serve", self.address, stdin=subprocess.PIPE))
        limit = time.monotonic() + 10
        while f":{peer.STREAM}" not in server.run("ss", "-Hltn"):
            if time.monotonic() > limit:
                raise RuntimeError("the server does not listen")
            time.sleep(0.02)
