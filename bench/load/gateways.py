# SPDX-License-Identifier: BSD-3-Clause
"""How each gateway is started between a workstation and the far end.

A gateway is a class with start() and stop(), and pids() of what is charged to it. Programs that are not named here are
described by a small file (see Described).
"""

import configparser
import os
import pathlib
import re
import resource
import shutil
import subprocess
import time

import testbed


class Gateway:
    """A process of the host that holds the workstation's device."""

    name = None

    def __init__(self, lab):
        self.lab = lab
        self.process = None

    def pids(self):
        """Of the processes that do the work."""
        return [pid for pid in testbed.tree(self.process.pid) if pid != self.process.pid] or [self.process.pid]

    def worker(self):
        """The process that parses packets."""
        return self.pids()[0]

    def stop(self):
        if self.process is not None:
            self.lab.stop(self.process)
            self.process = None


class Cloister(Gateway):
    """Ours, with an external SOCKS server."""

    name = "cloister"
    extra = ""

    def __init__(self, lab, binary, extra="", name=None):
        super().__init__(lab)
        self.binary, self.extra, self.name = binary, extra, name or self.name

    def limits(self):
        """That let one workstation hold 50,000 flows, if the descriptors that are allowed here suffice. What is above its
        quota is room for the flow that takes the place of one in TIME_WAIT."""
        flows = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 400)
        return (f"[limits]\nflows = {flows}\nworkstation_flows = {flows - 1000}\nconnecting = 4096\n"
                f"workstation_connecting = 4096\n")

    def prepare(self):
        """How the process is started, as subprocess.Popen takes it."""
        return {}

    def start(self):
        config = self.lab.directory / f"{self.name}.conf"
        config.write_text(f"[workstation]\naddress = {testbed.GATEWAY}/{testbed.PREFIX}\nmtu = {self.lab.mtu}\n{self.extra}"
                          f"[tor]\nmode = external\nsocks = unix:{self.lab.socks_path}\n{self.limits()}"
                          # The echo server is not told of a close before this is over.
                          f"[tcp]\nhalf_close_timeout = 2\n", encoding="ascii")
        self.process = self.lab.start(self.lab.host, [self.binary, "run", "--config", str(config)], **self.prepare())
        end = time.monotonic() + 10
        while "event=ready" not in self.lab.log(self.process):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name}: {self.lab.log(self.process)}")
            time.sleep(0.02)
        self.lab.give_to_workstation("cloister0")

    def pids(self):
        return testbed.tree(self.process.pid)

    def worker(self):
        """It is in a network namespace of its own."""
        host = os.stat(f"/proc/{self.process.pid}/ns/net").st_ino
        return next(pid for pid in self.pids() if os.stat(f"/proc/{pid}/ns/net").st_ino != host)


class Copier(Gateway):
    """No gateway at all: frames copied between the workstation's TAP and one of the host's kernel."""

    def __init__(self, lab, tso):
        super().__init__(lab)
        self.tso, self.name = tso, "copier-tso" if tso else "copier"

    def start(self):
        self.process = self.lab.start(self.lab.host, [str(self.lab.programs / "copier"),
                                                      *(["--tso"] if self.tso else []), "near0", "far0"], ready="ready")
        testbed.run("ip", "-n", self.lab.host, "addr", "add", f"{testbed.GATEWAY}/{testbed.PREFIX}", "dev", "far0")
        testbed.run("ip", "-n", self.lab.host, "link", "set", "far0", "mtu", str(self.lab.mtu), "up")
        self.lab.give_to_workstation("near0")


class Described(Gateway):
    """Any program that holds a TUN or TAP device and speaks to a SOCKS server on TCP, told by a file:

        [gateway]
        name     = word
        command  = /path/to/program --config {config}
        device   = tun0
        template = FILE          ; optional: its configuration, beside this file

    In the command and the template, {config} {device} {mtu} {socks_host} {socks_port} {socks_path} stand for what their
    names say.
    """

    def __init__(self, lab, path):
        super().__init__(lab)
        file = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
        with open(path, encoding="utf-8") as stream:
            file.read_file(stream)
        self.name = file["gateway"]["name"]
        self.command = file["gateway"]["command"]
        self.device = file["gateway"]["device"]
        template = file["gateway"].get("template")
        self.text = (pathlib.Path(path).parent / template).read_text(encoding="utf-8") if template else ""

    def start(self):
        config = self.lab.directory / f"{self.name}.conf"
        words = {"config": str(config), "device": self.device, "mtu": str(self.lab.mtu), "socks_host": "127.0.0.1",
                 "socks_port": str(testbed.SOCKS_PORT), "socks_path": str(self.lab.socks_path)}
        fill = lambda text: re.sub(r"\{([a-z_]+)\}", lambda m: words.get(m[1], m[0]), text)
        config.write_text(fill(self.text), encoding="utf-8")
        self.process = self.lab.start(self.lab.host, fill(self.command).split())
        self.lab.wait_for_link(self.lab.host, self.device, self.process)
        time.sleep(0.2)
        self.lab.give_to_workstation(self.device)


class Slirp4netns(Gateway):
    """slirp4netns, which opens plain sockets of the host."""

    name = "slirp4netns"
    program = "slirp4netns"

    def start(self):
        self.process = self.lab.start(self.lab.host, [
            self.program, "--netns-type=path", f"--mtu={self.lab.mtu}", "--cidr=10.152.128.0/18", "--disable-dns",
            f"/run/netns/{self.lab.workstation}", "tap0"])
        self.lab.wait_for_link(self.lab.workstation, "tap0", self.process)
        # It takes for itself the second address of the network.
        testbed.run("ip", "-n", self.lab.workstation, "addr", "add", "10.152.128.100/18", "dev", "tap0")
        testbed.run("ip", "-n", self.lab.workstation, "link", "set", "tap0", "mtu", str(self.lab.mtu), "up")
        testbed.run("ip", "-n", self.lab.workstation, "route", "add", "default", "via", "10.152.128.2", "dev", "tap0")


class Pasta(Gateway):
    """passt's pasta, which opens plain sockets of the host, too."""

    name = "pasta"
    program = "pasta"

    def start(self):
        # It is told the host's way out by the routing table: a link to a neighbour that is not there.
        for command in ("link add out0 type veth peer name out1", "addr add 192.0.2.1/24 dev out0",
                        "link set out1 up", "link set out0 up", "route add default via 192.0.2.2 dev out0"):
            testbed.run("ip", "-n", self.lab.host, *command.split())
        self.process = self.lab.start(self.lab.host, [
            self.program, "--foreground", "--config-net", "--ipv4-only", "-m", str(self.lab.mtu), "-a",
            testbed.WORKSTATION, "-n", str(testbed.PREFIX), "-g", testbed.GATEWAY, "-t", "none", "-u", "none", "-T",
            "none", "-U", "none", "-I", "pasta0", "--netns", f"/run/netns/{self.lab.workstation}", "--runas", "0"])
        self.lab.wait_for_link(self.lab.workstation, "pasta0", self.process)
        time.sleep(0.5)

    def stop(self):
        super().stop()
        subprocess.run(["ip", "-n", self.lab.host, "link", "del", "out0"], check=False, capture_output=True)


class Redsocks(Gateway):
    """redsocks behind an nftables redirect of the host: the kernel's TCP, on both sides."""

    name = "redsocks"
    program = "redsocks"

    def start(self):
        config = self.lab.directory / "redsocks.conf"
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        config.write_text(f"base {{ log_debug = off; log_info = off; log = stderr; daemon = off; redirector = iptables; "
                          f"rlimit_nofile = {limit}; }}\n"
                          f"redsocks {{ local_ip = 0.0.0.0; local_port = 12345; ip = 127.0.0.1; port = {testbed.SOCKS_PORT};"
                          f" type = socks5; listenq = 1024; }}\n", encoding="ascii")
        for command in ("link add red0 type veth peer name near0", f"addr add {testbed.GATEWAY}/{testbed.PREFIX} dev red0",
                        f"link set red0 mtu {self.lab.mtu} up"):
            testbed.run("ip", "-n", self.lab.host, *command.split())
        testbed.run("ip", "netns", "exec", self.lab.host, "nft",
                 "table ip red { chain in { type nat hook prerouting priority dstnat; "
                 "iifname red0 meta l4proto tcp redirect to :12345; }; }")
        self.process = self.lab.start(self.lab.host, [self.program, "-c", str(config)])
        time.sleep(0.3)
        self.lab.give_to_workstation("near0")

    def stop(self):
        super().stop()
        subprocess.run(["ip", "-n", self.lab.host, "link", "del", "red0"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "exec", self.lab.host, "nft", "delete table ip red"], check=False,
                       capture_output=True)


def debian(lab, unpacked):
    """Those of Debian's that are installed, or unpacked in a directory."""
    found = []
    for kind in (Slirp4netns, Pasta, Redsocks):
        path = shutil.which(kind.program, path=f"{unpacked}/usr/sbin:{os.environ.get('PATH', '')}:/usr/sbin")
        if path:
            gateway = kind(lab)
            gateway.program = path
            found.append(gateway)
    return found
