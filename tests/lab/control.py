# SPDX-License-Identifier: BSD-3-Clause
"""Tor's control protocol, as much as tells which flow went over which relays.

Control connects to a `ControlPort unix:PATH`. Watch follows STREAM and CIRC events and keeps, for every
stream, its target, its SOCKS credentials and the circuit it was attached to.
"""

import os
import re
import socket
import threading
import time
from dataclasses import dataclass, field


class ControlError(Exception):
    pass


class Control:
    """One authenticated connection. Replies and events share it; a thread tells them apart."""

    def __init__(self, path, on_event=None, seconds=10):
        self._on_event, self._replies, self._lines = on_event, [], []
        self._condition, self._closed = threading.Condition(), False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(seconds)
        self._socket.connect(path)
        self._socket.settimeout(None)
        self._file = self._socket.makefile("r", encoding="latin-1", newline="\r\n")
        threading.Thread(target=self._read, daemon=True).start()
        self._authenticate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def command(self, line, seconds=10):
        """Sends one command; the lines of its reply without their codes. An error reply raises."""
        with self._condition:
            if self._closed:
                raise ControlError("Tor closed the control connection")
            self._socket.sendall(line.encode() + b"\r\n")
            if not self._condition.wait_for(lambda: self._replies or self._closed, seconds):
                raise ControlError(f"no reply to {line.split()[0]} within {seconds:g} s")
            if not self._replies:
                raise ControlError("Tor closed the control connection")
            code, lines = self._replies.pop(0)
        if code[0] != "2":
            raise ControlError(f"{line.split()[0]}: {code} {' '.join(lines)}")
        return lines

    def getinfo(self, key):
        """The value of one key, of several lines if it has them."""
        text = "\n".join(self.command(f"GETINFO {key}")[:-1])
        return text.split("=", 1)[1].lstrip("\n")

    def _authenticate(self):
        text = "\n".join(self.command("PROTOCOLINFO 1"))
        if re.search(r"METHODS=\S*NULL", text):
            self.command("AUTHENTICATE")
            return
        cookie = re.search(r'COOKIEFILE="([^"]+)"', text)
        if not cookie or not os.path.exists(cookie.group(1)):
            raise ControlError("Tor wants an authentication that is neither none nor a cookie")
        with open(cookie.group(1), "rb") as file:
            self.command(f"AUTHENTICATE {file.read().hex()}")

    def _read(self):
        try:
            while line := self._file.readline():
                self._take(line.rstrip("\r\n"))
        except (OSError, ValueError):
            pass
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _take(self, line):
        code, kind, text = line[:3], line[3:4], line[4:]
        self._lines.append(text)
        if kind == "+":  # a block of lines up to a lone dot
            while (more := self._file.readline().rstrip("\r\n")) != ".":
                self._lines.append(more[1:] if more.startswith("..") else more)
        if kind != " ":
            return
        lines, self._lines = self._lines, []
        if code[0] == "6":
            if self._on_event:
                self._on_event(lines)
            return
        with self._condition:
            self._replies.append((code, lines))
            self._condition.notify_all()


@dataclass
class Circuit:
    id: str
    status: str = ""
    path: tuple = ()  # fingerprints, guard first
    conflux_id: str = ""  # circuits of one set carry the same streams
    purpose: str = ""

    @property
    def identity(self):
        """Equal for circuits that may share a stream."""
        return f"conflux {self.conflux_id}" if self.conflux_id else f"circuit {self.id}"


@dataclass
class Stream:
    id: str
    target: str  # host:port as the client asked for it
    statuses: list = field(default_factory=list)
    times: list = field(default_factory=list)  # when each status came, time.monotonic()
    circuit: str = ""  # the one it was attached to last
    username: str = ""
    password: str = ""
    reason: str = ""
    remote_reason: str = ""

    @property
    def connected(self):
        return "SUCCEEDED" in self.statuses


def _parse(text):
    """(positional words, {KEY: value}) of an event; values may be quoted."""
    words, keys = [], {}
    for key, quoted, bare, word in re.findall(r'([A-Z_0-9]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))|(\S+)', text):
        if key:
            keys[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
        else:
            words.append(word)
    return words, keys


class Watch:
    """Follows streams and circuits of one Tor from the moment it is made."""

    def __init__(self, path):
        self.circuits, self.streams, self._lock = {}, {}, threading.Lock()
        self.control = Control(path, self._event)
        self.control.command("SETEVENTS STREAM CIRC")
        for line in self.control.getinfo("circuit-status").splitlines():
            with self._lock:
                self._circuit(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()

    def flows(self, port=None):
        """Streams that reached their far end, in the order in which they began."""
        with self._lock:
            return [s for s in self.streams.values()
                    if s.connected and (port is None or s.target.rsplit(":", 1)[1] == str(port))]

    def wait_flows(self, count, port=None, seconds=10):
        """Events trail the data: waits until `count` flows are known."""
        deadline = time.monotonic() + seconds
        while len(found := self.flows(port)) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def circuit_of(self, stream):
        with self._lock:
            return self.circuits[stream.circuit]

    def shared(self, streams):
        """[(identity, [streams])] of circuits that more than one of these streams used."""
        users = {}
        for stream in streams:
            users.setdefault(self.circuit_of(stream).identity, []).append(stream)
        return [(identity, those) for identity, those in users.items() if len(those) > 1]

    def _event(self, lines):
        kind, _, text = lines[0].partition(" ")
        with self._lock:
            if kind == "CIRC":
                self._circuit(text)
            elif kind == "STREAM":
                self._stream(text)

    def _circuit(self, text):
        words, keys = _parse(text)
        circuit = self.circuits.setdefault(words[0], Circuit(words[0]))
        circuit.status = words[1]
        if len(words) > 2:
            circuit.path = tuple(re.findall(r"\$([0-9A-F]{40})", words[2]))
        circuit.conflux_id = keys.get("CONFLUX_ID", circuit.conflux_id)
        circuit.purpose = keys.get("PURPOSE", circuit.purpose)

    def _stream(self, text):
        words, keys = _parse(text)
        stream = self.streams.setdefault(words[0], Stream(words[0], words[3]))
        stream.statuses.append(words[1])
        stream.times.append(time.monotonic())
        if words[2] != "0":
            stream.circuit = words[2]
        stream.username = keys.get("SOCKS_USERNAME", stream.username)
        stream.password = keys.get("SOCKS_PASSWORD", stream.password)
        stream.reason = keys.get("REASON", stream.reason)
        stream.remote_reason = keys.get("REMOTE_REASON", stream.remote_reason)
