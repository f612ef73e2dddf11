# SPDX-License-Identifier: BSD-3-Clause
"""Onion services of a workstation, on the private Tor network, visited by another Tor's client."""

import base64
import hashlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

from scenario import check, plan, proc, scenario
from lab import schema
from lab.client import SOCKS_PORT, Client

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))
from onion_servers import CLOSED, DIGEST, PEER, read_exactly  # noqa: E402

SERVERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net", "onion_servers.py")
MINUTE_AND_A_HALF = 90


def key_pair():
    """An x25519 key pair, each half in base32."""
    def half(*options):
        done = subprocess.run(["openssl", "pkey", "-outform", "DER", *options], input=made.stdout, check=True,
                              capture_output=True)
        return base64.b32encode(done.stdout[-32:]).decode().rstrip("=")

    made = subprocess.run(["openssl", "genpkey", "-algorithm", "x25519"], check=True, capture_output=True)
    return half(), half("-pubout")


PRIVATE, PUBLIC = key_pair()

CONTROL = "/tmp/cloister-e2e-onion/control"

SETTINGS = {
    "process": {"control": CONTROL},
    'onion "open"': {"port": f"80, workstation = {plan.WORKSTATION}:{DIGEST}\n"
                             f"port = 83, workstation = {plan.WORKSTATION}:{CLOSED}"},
    'onion "told"': {"source": "circuit", "port": f"82, workstation = {plan.WORKSTATION}:{PEER}"},
    'onion "shut"': {"client": f"alice: {PUBLIC}", "port": f"82, workstation = {plan.WORKSTATION}:{PEER}"},
}


def connect(run, name, port, user="visitor", seconds=60):
    """A stream to the service by SOCKS. None if Tor says no."""
    sock = run.lab.call("host", socket.socket, socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    try:
        sock.connect(("127.0.0.1", SOCKS_PORT))
        sock.sendall(b"\5\1\2")
        read_exactly(sock, 2)
        sock.sendall(b"\1" + bytes([len(user)]) + user.encode() + b"\1x")
        read_exactly(sock, 2)
        sock.sendall(b"\5\1\0\3" + bytes([len(name)]) + name.encode() + struct.pack("!H", port))
        if read_exactly(sock, 10)[1] == 0:
            return sock
    except (OSError, EOFError):
        pass
    sock.close()
    return None


def wait_connected(run, name, port, user="visitor"):
    """Its descriptor may be under way yet."""
    end = time.monotonic() + MINUTE_AND_A_HALF
    while time.monotonic() < end:
        sock = connect(run, name, port, user)
        if sock:
            return sock
        time.sleep(1)
    check(False, f"the service on port {port} was not reached in {MINUTE_AND_A_HALF} s")
    return None


def read_all(sock):
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def exchange(sock, size):
    """So many bytes both ways, and the seconds it took."""
    data = random.Random(size).randbytes(size)
    began = time.monotonic()
    sender = threading.Thread(target=sock.sendall, args=(struct.pack("!Q", size) + data,))
    sender.start()
    digest, back = read_exactly(sock, 32), read_exactly(sock, size)
    sender.join()
    check(digest == hashlib.sha256(data).digest(), "what the service got is not what was sent")
    check(hashlib.sha256(back).digest() == hashlib.sha256(data[::-1]).digest(), "what came back is not what was sent")
    return time.monotonic() - began


def addresses(run):
    end = time.monotonic() + 20
    while len(run.gateway.log.events("onion")) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    found = {event["name"]: event["address"] for event in run.gateway.log.events("onion")}
    check(set(found) == {"open", "told", "shut"}, f"names in the log: {found}")
    for name, address in found.items():
        with open(f"{run.gateway.home}/data/tor/onion/{name}/hostname") as file:
            check(file.read().strip() == address, f"the name of {name}")
    return found


def check_shown(run):
    def show(*words):
        return run.lab.run("host", [run.binary, "show", "flows", *words, "--control", CONTROL], 30).stdout

    visitors = [flow for flow in schema.check_lines(show("--json")) if flow["way"] == "onion"]
    check([(v["onion"], v["workstation"], v["port"], v["destination"]) for v in visitors] ==
          [("open", plan.WORKSTATION, DIGEST, None)], f"{visitors}")
    check("visitor of onion service open\n" in show(), show())


def check_open(run, name):
    with wait_connected(run, name, 80) as sock:
        check_shown(run)
        seconds = exchange(sock, 20_000_000)
        check(sock.recv(1) == b"", "the end of the stream")
        print(f"20 MB there and back in {seconds:.1f} s")
    before, began = run.gateway.counters().get("drop_onion_refused", 0), time.monotonic()
    with wait_connected(run, name, 83) as sock:
        check(read_all(sock) == b"", "a service that is down said something")
    check(time.monotonic() - began < 10, "a refusal took long")
    check(run.gateway.counters()["drop_onion_refused"] > before, "the refusal was not counted")


def check_told(run, name):
    seen = {}
    for user in ("one", "two", "one"):
        with wait_connected(run, name, 82, user) as sock:
            peer = read_all(sock).decode().split()[0].removeprefix("::ffff:")
        check(peer.startswith("10."), f"a visitor's address: {peer}")
        seen.setdefault(user, set()).add(peer)
    check(not seen["one"] & seen["two"], f"two circuits with one address: {seen}")


def check_shut(run, name):
    with Client(run.lab, "authorised", f"ClientOnionAuthDir {run.lab.state}/authorised.d"):
        with wait_connected(run, name, 82) as sock:
            check(read_all(sock).split()[0].decode().removeprefix("::ffff:") == plan.GATEWAY, "who the visitor is")


def write_credential(run, name):
    directory = f"{run.lab.state}/authorised.d"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with open(f"{directory}/shut.auth_private", "w") as file:
        file.write(f"{name.removesuffix('.onion')}:descriptor:x25519:{PRIVATE}\n")


@scenario(SETTINGS)
def onion_services_of_a_workstation(run):
    servers = run.lab.start("ws", [sys.executable, "-B", SERVERS], stdout=subprocess.PIPE)
    servers.stdout.readline()
    try:
        names = addresses(run)
        with Client(run.lab, "visitor"):
            check_open(run, names["open"])
            check_told(run, names["told"])
            # The open ones are reached: so would this one be by whoever has a key.
            check(connect(run, names["shut"], 82) is None, "a visitor without a key came in")
        write_credential(run, names["shut"])
        check_shut(run, names["shut"])
    finally:
        servers.stdout.close()
        proc.stop([servers])
