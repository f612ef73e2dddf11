#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The demo: what Cloister does for a workstation, shown on a private Tor network.

    usage: demo.py --binary build/release/cloister [--external]

Every line is measured as it is printed. Exit status 0 only if all of them held. Everything is taken
down in the end, also on Ctrl-C.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import sys
import threading
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab import capture, client, control, gateway, net, plan, proc, servers  # noqa: E402
from lab.lab import Lab, LabError  # noqa: E402

NAME = f"www.{plan.ZONE}"
BAR = 32


class Screen:
    """One line at a time: a live one while something goes on, then its result."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self._lock = threading.Lock()

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.live else text

    def title(self, text):
        print(f"\n{self.paint('1', text)}")

    def progress(self, text):
        """Replaces the live line; only where there is a terminal to draw on."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            with self._lock:
                print(f"\r\033[K{text[:width]}", end="", flush=True)

    def line(self, text):
        with self._lock:
            print(("\r\033[K" if self.live else "") + text, flush=True)

    def result(self, held, what, detail):
        mark = self.paint("32", "  ok  ") if held else self.paint("31;1", "FAILED")
        self.line(f"  {mark} {what:<34} {detail}")


@contextlib.contextmanager
def ticking(screen, text):
    """A live line with the seconds that go by."""
    over, began = threading.Event(), time.monotonic()

    def tick():
        while not over.wait(0.2):
            screen.progress(f"  {'|/-' [int(time.monotonic() * 5) % 3]} {text} "
                            f"{time.monotonic() - began:.0f} s")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Demo:
    def __init__(self, lab, screen, binary, external):
        self.lab, self.screen = lab, screen
        settings = {"tor": {"mode": "external", "socks": f"unix:{external.socks}"}} if external else {}
        self.gateway = gateway.Gateway(lab, binary, settings, on_event=self._event)
        self.control = external.control if external else self.gateway.control
        self.capture = capture.Capture(lab)
        self.results = []

    def _event(self, pairs):
        if pairs["event"] == "bootstrap" and pairs.get("progress", "").isdigit():
            share = int(pairs["progress"])
            filled = BAR * share // 100
            self.screen.progress(f"  [{'#' * filled}{'.' * (BAR - filled)}] {share:3d} %  "
                                 f"{pairs.get('summary') or pairs.get('tag', '')}")

    def show(self, what, measure):
        """Runs one measurement; (held, detail) or an exception is its result."""
        self.screen.progress(f"    ...  {what}")
        try:
            held, detail = measure()
        except (OSError, net.CommandError, proc.ProcessError, control.ControlError, ValueError,
                KeyError) as error:
            held, detail = False, f"{type(error).__name__}: {error}".splitlines()[0]
        self.results.append((held, what, detail))
        self.screen.result(held, what, detail)

    def start(self):
        began = time.monotonic()
        self.gateway.start()
        self.gateway.wait_ready()
        self.gateway.attach()
        seen = len(self.gateway.log.events("bootstrap"))
        self.screen.line(f"  [{'#' * BAR}] 100 %  ready after {time.monotonic() - began:.1f} s"
                         + (f", {seen} bootstrap events" if seen else ""))

    def _socket(self, kind=socket.SOCK_STREAM):
        made = self.lab.call("ws", socket.socket, socket.AF_INET, kind)
        made.settimeout(30)
        return made

    def _connect(self, port):
        peer = self._socket()
        peer.connect((plan.WEB, port))
        return peer

    def _curl(self, path, **options):
        return self.lab.run("ws", ["curl", "-sS", "-m", "90", f"http://{NAME}{path}"], 95, **options)

    def page(self):
        done = self._curl("/")
        seen = self._curl("/whoami").stdout.strip()
        exits = {relay.address: relay.nickname for relay in plan.RELAYS if relay.exit}
        return (done.stdout == plan.PAGE and seen in exits,
                f"http://{NAME}/, {len(done.stdout)} bytes; the server sees {exits.get(seen, seen)}"
                if not done.returncode else done.stderr.strip())

    def download(self):
        began = time.monotonic()
        body = self._curl("/50m", text=False).stdout
        taken = time.monotonic() - began
        digest = hashlib.sha256(body).hexdigest()
        return (digest == servers.body_sha256(servers.FIFTY_MB),
                f"SHA-256 {digest[:12]}..., {taken:.1f} s, {len(body) * 8 / taken / 1e6:.0f} Mbit/s")

    def circuits(self):
        with control.Watch(self.control) as watch:
            peers = [self._connect(plan.ECHO) for _ in range(2)]
            for peer in peers:
                peer.sendall(b"x")
                peer.recv(1)
            flows = watch.wait_flows(2, plan.ECHO)
            # Two circuits may well lead over the same relays, there are but six: the number tells.
            paths = [f"{flow.circuit}: {' > '.join(self.lab.relay_names(watch.circuit_of(flow).path))}"
                     for flow in flows]
            for peer in peers:
                peer.close()
            return len(flows) == 2 and not watch.shared(flows), "  |  ".join(paths)

    def closed_port(self):
        began = time.monotonic()
        try:
            self._connect(plan.CLOSED).close()
        except ConnectionRefusedError:
            return True, f"refused after {(time.monotonic() - began) * 1e3:.0f} ms"
        return False, "it looks open"

    def datagram(self):
        def arrived():
            return int(self.lab.run("web", ["curl", "-sS", "http://127.0.0.1/datagrams"]).stdout)

        seen, before = arrived(), self.gateway.counters()
        peer = self._socket(socket.SOCK_DGRAM)
        peer.sendto(b"out of here", (plan.WEB, plan.UDP_COUNTER))
        peer.close()
        time.sleep(0.5)
        after, lost = self.gateway.counters(), arrived() == seen
        counted = after.get("drop_udp", 0) - before.get("drop_udp", 0)
        return lost and counted == 1, f"{counted} counted as dropped, {arrived() - seen} arrived"

    def half_close(self):
        peer = self._connect(plan.SLOW)
        peer.sendall(b"a request, and that was all\n")
        peer.shutdown(socket.SHUT_WR)
        began, got = time.monotonic(), 0
        while data := peer.recv(1 << 16):
            got += len(data)
        wanted = plan.SLOW_PARTS * plan.SLOW_PART_BYTES
        return got == wanted, f"{got} of {wanted} bytes, over {time.monotonic() - began:.1f} s"

    def uplink(self):
        time.sleep(0.3)
        seen = self.capture
        relays = ", ".join(sorted(seen.relays))
        detail = f"{seen.relay_frames} frames to relays ({relays}), to anything else: {seen.leak_count}"
        if not seen.is_clean:
            detail += f" {seen.leaks[:1]}, missed: {seen.missed}"
        return seen.is_clean and seen.relay_frames > 0, detail

    def end(self):
        status, taken = self.gateway.terminate()
        gone = gateway.DEVICE not in net.devices(self.lab.ns("ws"))
        return status == 0 and taken < 2 and gone, (
            f"after {taken * 1e3:.0f} ms with status {status}; the TAP is {'gone' if gone else 'there'}")

    def perform(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.capture)
            stack.callback(self.gateway.stop)
            self.screen.title("cloister run: its Tor starts")
            self.start()
            self.screen.title("What the workstation gets")
            self.show("A page by name", self.page)
            self.show("50 MB", self.download)
            self.show("Two flows, two circuits", self.circuits)
            self.show("A closed port", self.closed_port)
            self.show("A UDP datagram", self.datagram)
            self.show("A half-closed request", self.half_close)
            self.show("On the uplink", self.uplink)
            self.show("SIGTERM ends it", self.end)


def _summary(screen, results, seconds):
    screen.title("Summary")
    wide = max(len(what) for _, what, _ in results)
    rule = "  " + "-" * (wide + 12)
    print(rule)
    for held, what, _ in results:
        print(f"  {what:<{wide}}    {'held' if held else screen.paint('31;1', 'FAILED')}")
    print(rule)
    failed = sum(not held for held, _, _ in results)
    print(f"  {len(results) - failed} of {len(results)} held, in {seconds:.0f} s")
    return failed


def _interrupt(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--external", action="store_true", help="over a stock Tor client")
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("demo: needs root for network namespaces")
    if not os.access(arguments.binary, os.X_OK):
        sys.exit(f"demo: no binary at {arguments.binary}: ./run build")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    screen, began = Screen(), time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            screen.title("A private Tor network, a web server, a DNS server and a workstation,\n"
                         "each in a network namespace of its own, none with a way out")
            with ticking(screen, "the relays agree on a consensus"):
                lab = stack.enter_context(Lab.up())
            exits = [relay.nickname for relay in plan.RELAYS if relay.exit]
            screen.line(f"  {len(plan.RELAYS)} relays, exits {', '.join(exits)}, "
                        f"after {lab.facts['bootstrap_seconds']:.0f} s")
            external = stack.enter_context(client.Client(lab)) if arguments.external else None
            demo = Demo(lab, screen, arguments.binary, external)
            demo.perform()
        sys.exit(1 if _summary(screen, demo.results, time.monotonic() - began) else 0)
    except KeyboardInterrupt:
        screen.line("interrupted; everything is taken down")
        sys.exit(130)
    except (LabError, net.CommandError, proc.ProcessError) as error:
        screen.line(f"demo: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
