# SPDX-License-Identifier: BSD-3-Clause
"""`cloister run` in `host`, its TAP in `ws`.

What this relies on of the program's output, all of it on stderr, key=value, one event a line:

    event=bootstrap progress=NN tag=... summary="..."       while Tor starts
    event=ready                                             the gateway is up and Tor can carry flows
    event=counters flows=N active=N up_bytes=N down_bytes=N drops=N drop_REASON=N...
    event=exit reason="..."                                 the last word, if it can still say one
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import time

from lab import net, plan, proc

DEVICE = "cloister0"
READY_LIMIT_S = 60

_PAIR = re.compile(r'([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_line(line):
    """The key=value pairs of a log line."""
    return {key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            for key, value in _PAIR.findall(line)}


class Log:
    """Follows a process's stderr: every line with the time it came, to a file as well."""

    def __init__(self, stream, path, on_event=None):
        self.path, self.lines, self._condition = path, [], threading.Condition()
        self._on_event, self.ended = on_event, False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        with open(self.path, "w") as file, stream:
            for line in stream:
                file.write(line)
                file.flush()
                pairs = parse_line(line)
                if self._on_event and "event" in pairs:
                    self._on_event(pairs)
                with self._condition:
                    self.lines.append((time.monotonic(), line.rstrip("\n"), pairs))
                    self._condition.notify_all()
        with self._condition:
            self.ended = True
            self._condition.notify_all()

    def events(self, name):
        with self._condition:
            return [pairs for _, _, pairs in self.lines if pairs.get("event") == name]

    def wait(self, name, count, seconds):
        """Whether `count` events of a name are there in time; stops waiting when the log ends."""
        with self._condition:
            self._condition.wait_for(
                lambda: self.ended or sum(p.get("event") == name for _, _, p in self.lines) >= count,
                seconds)
        return len(self.events(name)) >= count

    def wait_end(self, seconds):
        with self._condition:
            self._condition.wait_for(lambda: self.ended, seconds)

    @property
    def text(self):
        with self._condition:
            return "\n".join(line for _, line, _ in self.lines)


class Gateway:
    """One run of Cloister. As a context manager it is started, made ready, and stopped.

    settings: {section: {key: value}} over what a run in this lab needs; torrc: further lines for Tor.
    """

    def __init__(self, lab, binary, settings=None, torrc="", name="gateway", on_event=None):
        self.lab, self.binary, self._on_event = lab, os.path.abspath(binary), on_event
        self.home = f"{lab.state}/{name}"
        self.config, self.control = f"{self.home}/cloister.conf", f"{self.home}/control.d/control"
        self.process = self.log = None
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home, mode=0o755)
        # Tor runs as a user this side does not know; the control port is for our eyes.
        os.mkdir(f"{self.home}/control.d")
        os.chmod(f"{self.home}/control.d", 0o777)
        with open(lab.client_torrc) as file:
            lines = file.read()
        with open(f"{self.home}/torrc", "w") as file:
            file.write(f"{lines}ControlPort unix:{self.control} WorldWritable\n"
                       f"CookieAuthentication 0\nSafeLogging 0\n{torrc}\n")
        self.write_config(settings or {})

    def write_config(self, settings):
        sections = {
            "workstation": {"device": DEVICE, "address": f"{plan.GATEWAY}/{plan.WORKSTATION_PREFIX}"},
            "tor": {"mode": "embedded", "data": f"{self.home}/data", "torrc": f"{self.home}/torrc"},
            "log": {"level": "info"},
            "process": {"control": "none"},  # the usual one is for a gateway that somebody uses
        }
        if settings.get("tor", {}).get("mode") == "external":
            sections["tor"] = {}
        for section, keys in settings.items():
            sections.setdefault(section, {}).update(keys)
        with open(self.config, "w") as file:
            for section, keys in sections.items():
                file.write(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n")

    def __enter__(self):
        try:
            self.start()
            self.wait_ready()
            self.attach()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.process = self.lab.start(
            "host", [self.binary, "run", "--config", self.config],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = Log(self.process.stderr, f"{self.home}/log", self._on_event)

    def wait_ready(self, seconds=READY_LIMIT_S):
        if not self.log.wait("ready", 1, seconds):
            status = self.wait_end(1)[0]
            what = f"ended with {status}" if status is not None else f"not within {seconds} s"
            raise proc.ProcessError(f"cloister is not ready: {what}; end of its log:\n"
                                    f"{proc.tail(self.log.path)}")

    def attach(self):
        """Moves the TAP into the workstation and gives it what a user would configure there."""
        ws = self.lab.ns("ws")
        net.ip("-n", self.lab.ns("host"), "link", "set", DEVICE, "netns", ws)
        net.ip("-n", ws, "addr", "add", f"{plan.WORKSTATION}/{plan.WORKSTATION_PREFIX}", "dev", DEVICE)
        net.ip("-n", ws, "link", "set", DEVICE, "up")
        net.ip("-n", ws, "route", "add", "default", "via", plan.GATEWAY)
        net.resolv_conf_set(ws, plan.GATEWAY)

    def is_running(self):
        return self.process.poll() is None

    def roles(self):
        """{"supervisor": pid, "tor": pid, "gateway": pid}, told apart by where they live: of the
        supervisor's children, Tor is in the host's network namespace and the gateway is not."""
        here = os.readlink(f"/proc/{self.process.pid}/ns/net")
        found = {"supervisor": self.process.pid}
        for pid in proc.children(self.process.pid):
            try:
                found["tor" if os.readlink(f"/proc/{pid}/ns/net") == here else "gateway"] = pid
            except OSError:
                pass  # just ended
        return found

    def counters(self, seconds=5):
        """Asks for the counters; numbers by name."""
        before = len(self.log.events("counters"))
        self.process.send_signal(signal.SIGUSR1)
        if not self.log.wait("counters", before + 1, seconds):
            raise proc.ProcessError("no counters line after SIGUSR1")
        return counters_of(self.log.events("counters")[before])

    def wait_end(self, seconds):
        """(exit status, seconds it took), or (None, ...) if it still runs."""
        began = time.monotonic()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        taken = time.monotonic() - began
        if status is not None:
            self.log.wait_end(2)
        return status, taken

    def terminate(self, seconds=10):
        """SIGTERM; as wait_end()."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end(seconds)

    def stop(self):
        """Ends it in any case, with all its processes."""
        net.resolv_conf_remove(self.lab.ns("ws"))
        if self.process is None:
            return
        below = proc.descendants(self.process.pid)
        if self.process.poll() is None and self.terminate(5)[0] is None:
            self.process.kill()
            self.process.wait()
        for pid in proc.wait_gone(below, 1):
            proc.kill(pid)


def counters_of(pairs):
    return {key: int(value) for key, value in pairs.items() if re.fullmatch(r"-?\d+", value)}
