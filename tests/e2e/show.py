# SPDX-License-Identifier: BSD-3-Clause
"""What the host is shown of flows, their circuits and relays is what Tor itself says."""

import fcntl
import ipaddress
import os
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import time

from scenario import check, plan, scenario  # first: it makes `lab` known

from lab import schema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))
import socks_client  # noqa: E402  pylint: disable=wrong-import-position

CONTROL = "/tmp/cloister-e2e-show/control"
LOOKS = 20
# In which country each relay is; of one nobody knows.
COUNTRIES = dict(zip((relay.nickname for relay in plan.RELAYS), ("de", "nl", "se", "is", "ch")))


def list_of_countries():
    """A file for Tor's GeoIPFile, which lasts as long as this process: FIRST,LAST,COUNTRY."""
    made = tempfile.NamedTemporaryFile("w", prefix="cloister-geoip-")
    for relay in plan.RELAYS:
        if relay.nickname in COUNTRIES:
            number = int(ipaddress.ip_address(relay.address))
            made.write(f"{number},{number},{COUNTRIES[relay.nickname].upper()}\n")
    made.flush()
    os.chmod(made.name, 0o644)  # Tor has a user of its own
    return made


GEOIP = list_of_countries()


def ask(run, *words):
    done = run.lab.run("host", [run.binary, *words, "--control", CONTROL], 30)
    check(done.returncode == 0, f"{words}: {done.stderr}")
    return done.stdout


def view(run, what):
    return schema.check_lines(ask(run, "show", what, "--json"))


def country_of(run, relay):
    name, = run.lab.relay_names([relay["fingerprint"]])
    return COUNTRIES.get(name)


def flow_of(run, peer):
    """What is shown of the flow of this socket."""
    port = peer.getsockname()[1]
    found, = [flow for flow in view(run, "flows") if flow["port"] == port]
    return found


def check_port(run):
    """A flow by a SOCKS port is shown with where its client asked to go, once he has."""
    with run.connect(plan.GATEWAY, 9150) as peer:
        flow = flow_of(run, peer)
        shown = flow["destination"], flow["gateway_port"], flow["way"]
        check(shown == (f"{plan.GATEWAY}:9150", 9150, "port"), f"{flow}")
        socks_client.negotiate(peer, None, None)
        peer.sendall(socks_client.request5(f"www4.{plan.ZONE}", plan.ECHO))
        check(socks_client.reply5(peer)[0] == 0, "the echo server by the SOCKS port")
        flow = flow_of(run, peer)
        shown = flow["destination"], flow["gateway_port"], flow["way"]
        check(shown == (f"www4.{plan.ZONE}:{plan.ECHO}", 9150, "tor"), f"{flow}")
        check(flow["circuit"] and flow["tor"] is None, f"{flow}")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def start_watch(run, lines, columns, term="xterm"):
    """`watch` in a terminal: the process, and both ends of the latter."""
    leader, follower = os.openpty()
    resize(follower, lines, columns)
    process = run.lab.start("host", [run.binary, "watch", "--control", CONTROL], stdin=follower, stdout=follower,
                            stderr=follower, env=os.environ | {"TERM": term})
    return process, leader, follower


def resize(terminal, lines, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def read_until(leader, pattern, seconds=5):
    """What the terminal is told until that is there."""
    deadline, text = time.monotonic() + seconds, ""
    while not re.search(pattern, text) and time.monotonic() < deadline:
        if select.select([leader], [], [], 0.1)[0]:
            text += os.read(leader, 65536).decode("ascii")
    check(re.search(pattern, text), f"no {pattern!r} in {text!r}")
    return text


def screen_of(text):
    """The lines of the last screen in it."""
    return re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", text.split("\x1b[H")[-1]).replace("\r", "").split("\n")


def watch_behaves(run):
    """`watch` takes the size that the terminal has, and gives it back as it was."""
    process, leader, follower = start_watch(run, 30, 130)
    try:
        before = termios.tcgetattr(follower)
        wide = screen_of(read_until(leader, r"(?s)(ESTABLISHED.*?\n.*?){4}"))
        check(max(map(len, wide)) <= 130 and len(wide) <= 30, f"{wide}")
        resize(follower, 17, 40)
        process.send_signal(signal.SIGWINCH)
        narrow = screen_of(read_until(leader, rf"(?s)DOWN     DESTINATION.*?({plan.WEB}:{plan.ECHO}.*?){{4}}"))
        check(max(map(len, narrow)) == 40 and len(narrow) <= 17, f"{narrow}")
        check(any(f"{plan.WEB}:{plan.ECHO}" in line for line in narrow), f"{narrow}")
        print("\n".join(narrow))
        os.write(leader, b"xyz")  # no keys of ours
        process.send_signal(signal.SIGINT)
        read_until(leader, r"\x1b\[\?25h\x1b\[\?1049l$")
        check(process.wait(5) == 0, f"status {process.returncode}")
        after = termios.tcgetattr(follower)
        check(after == before or after[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON,
              "the terminal does not echo")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
        os.close(follower)
    process, leader, follower = start_watch(run, 30, 130, "dumb")
    text = read_until(leader, r"(?s)(ESTABLISHED.*?\n.*?){4}")
    check("\x1b" not in text and process.wait(5) == 0, f"a terminal that is dumb was told {text!r}")
    os.close(leader)
    os.close(follower)


def watch_moves(run):
    """What `watch` says of a workstation that downloads, from the second look on."""
    process, leader, follower = start_watch(run, 40, 130)
    os.close(follower)
    peer = run.connect(plan.WEB, plan.CHARGEN)
    deadline, text = time.monotonic() + 6, ""
    try:
        while time.monotonic() < deadline and not re.search(r"[1-9][0-9.]* MB/s", text):
            if select.select([peer, leader], [], [], 1)[0] == [leader]:
                text += os.read(leader, 65536).decode("ascii")
            else:
                peer.recv(1 << 20)
    finally:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        process.kill()
        process.wait()
        os.close(leader)
    check(re.search(r"[1-9][0-9.]* MB/s", text), f"no throughput is shown:\n{text}")
    print("\n".join(screen_of(text)))


@scenario(settings={"log": {"level": "info", "identities": "yes"}, "process": {"control": CONTROL}},
          torrc=f"GeoIPFile {GEOIP.name}\n")
def the_views_say_what_tor_says(run):
    with run.watch() as watch:
        peers = [run.connect(plan.WEB, plan.ECHO) for _ in range(4)]
        for n, peer in enumerate(peers):
            peer.sendall(b"x" * 1000 * (n + 1))
            got = 0
            while got < 1000 * (n + 1):
                got += len(peer.recv(1 << 16))
        streams = {s.password[:8]: s for s in watch.wait_flows(4, plan.ECHO)}
        check(len(streams) == 4, f"Tor carried {len(streams)} flows")

        # Events trail the data.
        for _ in range(LOOKS):
            flows = [f for f in view(run, "flows") if f["destination"] == f"{plan.WEB}:{plan.ECHO}"]
            if all(flow["circuit"] for flow in flows):
                break
            time.sleep(0.1)
        check(len(flows) == 4, f"{len(flows)} flows are shown")
        ports = {peer.getsockname()[1]: 1000 * (n + 1) for n, peer in enumerate(peers)}
        for flow in flows:
            stream = streams[flow["identity"]]
            circuit = watch.circuit_of(stream)
            check(str(flow["circuit"]) == stream.circuit, f"circuit {flow['circuit']}, Tor says {stream.circuit}")
            check(tuple(relay["fingerprint"] for relay in flow["path"]) == circuit.path,
                  f"{flow['path']}, Tor says {circuit.path}")
            check([relay["nickname"] for relay in flow["path"]] == run.lab.relay_names(circuit.path), "nicknames")
            check(flow["workstation"] == plan.WORKSTATION and flow["state"] == "ESTABLISHED", f"{flow}")
            check(flow["up"] == flow["down"] == ports[flow["port"]], f"{flow['port']} carried {flow['up']} bytes")
        check(len({flow["circuit"] for flow in flows}) == 4, "two flows are shown on one circuit")

        shown = {str(c["id"]): c for c in view(run, "circuits")}
        # Both looks: the one at the flows was the first, and waited for what Tor had to say.
        relays = [relay for line in [*shown.values(), *flows] for relay in line["path"]]
        for relay in relays:
            check(relay["country"] == country_of(run, relay), f"{relay}")
        check(len({relay["country"] for relay in relays}) > 2, f"countries of {relays}")
        told = {line.split()[0] for line in watch.control.getinfo("circuit-status").splitlines()}
        check(set(shown) == told, f"circuits {sorted(shown)}, Tor says {sorted(told)}")
        for flow in flows:
            check(shown[str(flow["circuit"])]["identity"] == flow["identity"], "a circuit's identity")

    status, = view(run, "status")
    tor = status["tor"]
    check((tor["mode"], tor["bootstrap"], tor["guard_reachable"]) == ("embedded", 100, True), f"{tor}")
    station, = [w for w in view(run, "workstations") if plan.WORKSTATION in w["addresses"]]
    check(station["up"] >= 10000 and station["down"] >= 10000, f"{station}")
    text = ask(run, "metrics")
    check("\ncloister_tor_bootstrap_percent 100\n" in text, text)
    text = ask(run, "show", "circuits")
    for relay in relays:
        name, country = relay["nickname"] or relay["fingerprint"][:8], country_of(run, relay)
        shape = rf" {name}\({country}\)( >|$)" if country else rf" {name}( >|$)"
        check(re.search(shape, text, re.M), f"{name} is not shown right:\n{text}")
    for words in (("show",), ("show", "flows"), ("show", "circuits"), ("watch",)):
        print(f"# cloister {' '.join(words)}\n{ask(run, *words)}")
    check_port(run)
    watch_behaves(run)
    watch_moves(run)
    for peer in peers:  # a close would leave it waiting for what the server still has to say
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    time.sleep(0.5)
    left = [f for f in view(run, "flows") if f["way"] == "tor"]
    check(not left, f"flows are left: {left}")
    check("guard reachable" in ask(run, "show"), "no guard")
