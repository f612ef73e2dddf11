# SPDX-License-Identifier: BSD-3-Clause
"""A stock Tor client in `host`: for `mode = external`, and to compare with."""

import os
import re
import shutil
import socket
import struct
import subprocess

from lab import net, proc

SOCKS_PORT = 9050


class Client:
    """Starts it and waits until it has bootstrapped. SOCKS listens on `socks` and on 127.0.0.1 in
    `host`, control on `control`."""

    def __init__(self, lab, name="client", torrc=""):
        self.lab, self.home = lab, f"{lab.state}/{name}"
        # The SOCKS socket has a directory of its own: what else is in it the gateway process could reach.
        self.socks, self.control, self.log = (f"{self.home}/{n}" for n in ("socks.d/socks", "control", "log"))
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(f"{self.home}/data", mode=0o700)
        os.mkdir(f"{self.home}/socks.d")
        for path in (self.home, f"{self.home}/socks.d"):
            os.chmod(path, 0o755)
        with open(lab.client_torrc) as file:
            lines = file.read()
        with open(f"{self.home}/torrc", "w") as file:
            file.write(lines + "\n".join([
                f"DataDirectory {self.home}/data",
                f"Log notice file {self.log}", "SafeLogging 0",
                f"SocksPort 127.0.0.1:{SOCKS_PORT}",
                # World-writable: whoever the gateway runs as must be able to connect.
                f"SocksPort unix:{self.socks} WorldWritable",
                f"ControlPort unix:{self.control} WorldWritable", "CookieAuthentication 0",
                torrc, ""]))
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, seconds=30):
        self.process = proc.start(
            net.argv_in(self.lab.ns("host"), [self.lab.tor, "-f", f"{self.home}/torrc",
                                              "--defaults-torrc", "/dev/null"]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        proc.wait_for("the stock client's bootstrap", self._is_up, seconds, 0.05, self.log)
        return self

    def stop(self):
        if self.process:
            proc.stop([self.process])

    def _is_up(self):
        if self.process.poll() is not None:
            raise proc.ProcessError(f"the stock client ended; end of its log:\n{proc.tail(self.log)}")
        try:
            with open(self.log) as file:
                return re.search(r"Bootstrapped 100%", file.read())
        except OSError:
            return False


def socks_connect(path, host, port, user, seconds=30):
    """A SOCKS5 connection over a pathname socket; (socket, reply code)."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(seconds)
    peer.connect(path)
    # Step by step: Tor forgets to answer the greeting if the next message has come with it.
    peer.sendall(b"\5\1\2")
    assert peer.recv(2) == b"\5\2"
    peer.sendall(b"\1" + bytes([len(user)]) + user.encode() + b"\1x")
    assert peer.recv(2) == b"\1\0"
    name = host.encode()
    peer.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack("!H", port))
    head = peer.recv(4, socket.MSG_WAITALL)
    peer.recv({1: 6, 4: 18}[head[3]], socket.MSG_WAITALL)
    return peer, head[1]
