# SPDX-License-Identifier: BSD-3-Clause
"""The host at its worst: it forwards, translates, believes every source, and has its doors open. All of it on
purpose, so that what keeps a workstation in cannot be the host's good configuration.

Two witnesses stand in its way that need no luck to see something: the kernel counts every packet that it forwards,
and the listeners on its addresses take down whatever reaches them.
"""

import contextlib
import json
import os
import re
import selectors
import socket
import subprocess
import threading

from lab import net, plan

from matrix import HOST_PORT

UPLINK_MTU = 1387  # nobody has that by accident
UPLINK6 = "2001:db8:1::2"
_ROUTER6 = "2001:db8:1::1"
BRIDGE = "br-attacked"  # from port to port in it (br_netfilter) is no way out
NAME = "attacked-host-7f3a"  # the host's name, as Cloister's supervisor sees it

_SETTINGS = {
    "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/icmp_echo_ignore_broadcasts": "0",
} | {f"ipv4/conf/{device}/{name}": value for device in ("all", "default", plan.UPLINK) for name, value in (
    ("rp_filter", "0"), ("accept_local", "1"), ("route_localnet", "1"), ("accept_source_route", "1"),
    ("accept_redirects", "1"), ("send_redirects", "1"), ("proxy_arp", "1"), ("forwarding", "1"))}

_RULES = f"""
table inet attack {{
    counter forwarded {{ }}
    counter entered {{ }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
        oifname != "{BRIDGE}" counter name forwarded
    }}
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname != {{ "lo", "{plan.UPLINK}" }} counter name entered
    }}
    chain postrouting {{ type nat hook postrouting priority 100; oifname "{plan.UPLINK}" masquerade; }}
}}
"""

# The host's network is a public one: a stream may ask for it, and an exit, as everybody, may connect there from outside.
# What that sends over the uplink is none of the gateway's doing, and only in the way here.
_EXIT_RULES = f"""
table inet attack {{
    chain output {{
        type filter hook output priority 0; policy accept;
        ip daddr {plan.LINKS[0].router} ct state new reject with icmp type host-unreachable
    }}
}}
"""


def settings(names):
    """Reads {path below /proc/sys/net: value} where it is called."""
    found = {}
    for name in names:
        try:
            with open(f"/proc/sys/net/{name}") as file:
                found[name] = file.read().strip()
        except OSError:
            pass
    return found


def apply(values):
    for name, value in values.items():
        with contextlib.suppress(OSError), open(f"/proc/sys/net/{name}", "w") as file:
            file.write(value)


class Host:
    """The lab's `host` from the start of a `with` block to its end; afterwards it is as it was."""

    def __init__(self, lab, spared=()):
        """`spared`: settings (their last part) that stay as they are, since Cloister refuses to start with them."""
        self.lab, self.heard = lab, []  # what reached a listener
        self._settings = {name: value for name, value in _SETTINGS.items() if name.rsplit("/", 1)[1] not in spared}
        self._namespace, self._router = lab.ns("host"), lab.ns("inet")
        self._stack, self._selector, self._stopping = contextlib.ExitStack(), selectors.DefaultSelector(), False

    def __enter__(self):
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _set_up(self):
        before = net.call_in(self._namespace, settings, self._settings)
        self._stack.callback(net.call_in, self._namespace, apply, before)
        self.provoke()
        for namespace, device, address, peer in ((self._namespace, plan.UPLINK, UPLINK6, _ROUTER6),
                                                 (self._router, "host", _ROUTER6, UPLINK6)):
            net.ip("-n", namespace, "link", "set", device, "mtu", UPLINK_MTU)
            self._stack.callback(net.ip, "-n", namespace, "link", "set", device, "mtu", 1500)
            net.ip("-n", namespace, "addr", "add", f"{address}/64", "dev", device, "nodad")
            self._stack.callback(net.ip, "-n", namespace, "addr", "del", f"{address}/64", "dev", device)
        # Known to each other, so that neighbour discovery on the uplink is none of theirs.
        for namespace, device, peer, other, there in (
                (self._namespace, plan.UPLINK, _ROUTER6, self._router, "host"),
                (self._router, "host", UPLINK6, self._namespace, plan.UPLINK)):
            net.ip("-n", namespace, "neigh", "replace", peer, "dev", device, "nud", "permanent", "lladdr",
                   net.link_address(other, there))
        net.ip("-n", self._namespace, "-6", "route", "replace", "default", "via", _ROUTER6)
        for short, rules in (("host", _RULES), ("tornet", _EXIT_RULES)):
            self._nft("-f", "-", short=short, input=rules)
            self._stack.callback(self._nft, "delete", "table", "inet", "attack", short=short)
        self._listen()

    def provoke(self):
        """Sets all of it (again): an administrator may, at any time, turn forwarding on."""
        net.call_in(self._namespace, apply, self._settings)

    def _nft(self, *arguments, short="host", **options):
        done = subprocess.run(net.argv_in(self.lab.ns(short), ["nft", *arguments]), capture_output=True, text=True,
                              timeout=20, **options)
        if done.returncode:
            raise net.CommandError(f"nft {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def counted(self):
        """{"forwarded": packets, "entered": packets} so far."""
        text = self._nft("-j", "list", "counters", "table", "inet", "attack")
        return {each["counter"]["name"]: each["counter"]["packets"] for each in json.loads(text)["nftables"]
                if "counter" in each}

    def _listen(self):
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                self._selector.register(net.call_in(self._namespace, _listener, family, kind, address),
                                        selectors.EVENT_READ)
        thread = threading.Thread(target=self._hear, daemon=True)
        thread.start()
        self._stack.callback(self._stop_hearing, thread)

    def _hear(self):
        while not self._stopping:
            for key, _ in self._selector.select(0.1):
                with contextlib.suppress(OSError):
                    if key.fileobj.type == socket.SOCK_STREAM:
                        connection, peer = key.fileobj.accept()
                        connection.close()
                        self.heard.append(f"a connection from {peer[0]}")
                    else:
                        data, peer = key.fileobj.recvfrom(2048)
                        self.heard.append(f"{len(data)} bytes from {peer[0]}")

    def _stop_hearing(self, thread):
        self._stopping = True
        thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def tor_connection(self):
        """(local port, relay, its port) of a connection that Tor keeps."""
        return net.call_in(self._namespace, _relay_connections)[0]

    def tor_connections(self):
        return set(net.call_in(self._namespace, _relay_connections))

    def secrets(self):
        """{what: bytes} that nobody in the workstation may read."""
        found = {"host name": NAME.encode()}
        here = ("-n", self._namespace, "-o")
        for device in net.devices(self._namespace):
            if device not in ("lo", "cloister0"):
                found |= _forms_of_mac(f"MAC of {device}", net.ip(*here, "link", "show", "dev", device))
        for what, text in (("address of the uplink", net.ip(*here, "addr", "show", "dev", plan.UPLINK)),
                           ("address of this machine", net.ip("-o", "addr", "show", "scope", "global"))):
            for address in re.findall(r"inet6? ([0-9a-f.:]+)", text):
                found |= _forms_of_address(what, address)
        for relay in plan.RELAYS:
            found |= _forms_of_address(f"address of {relay.nickname}", relay.address)
            found |= _forms_of_address(f"address of {relay.nickname}", relay.address6)
            found[f"nickname {relay.nickname}"] = relay.nickname.encode()
        for fingerprint, nickname in self.lab.nicknames.items():
            found[f"fingerprint of {nickname}"] = bytes.fromhex(fingerprint)
            found[f"fingerprint of {nickname}, text"] = fingerprint.encode()
        return found


def _forms_of_mac(what, link):
    found = {}
    for text in re.findall(r"link/ether ([0-9a-f:]{17})", link):
        found |= {what: bytes.fromhex(text.replace(":", "")), f"{what}, text": text.encode()}
    return found


def _forms_of_address(what, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {f"{what} {address}": socket.inet_pton(family, address), f"{what} {address}, text": address.encode()}


def _listener(family, kind, address):
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    made.bind((address, HOST_PORT))
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    made.setblocking(False)
    return made


def _relay_connections():
    ends = {(relay.address, port) for relay in plan.RELAYS for port in (plan.OR_PORT, plan.DIR_PORT)}
    found = []
    with open("/proc/thread-self/net/tcp") as file:
        for line in list(file)[1:]:
            _, local, remote, state = line.split()[:4]
            address, port = remote.split(":")
            peer = (socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16))
            if state == "01" and peer in ends and peer[1] == plan.OR_PORT:
                found.append((int(local.split(":")[1], 16), *peer))
    return sorted(found)


def disguised(lab, binary):
    """A program that is `binary` on a host with the name NAME."""
    path = f"{lab.state}/disguised-{os.path.basename(binary)}"
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\nexec unshare --uts sh -c 'hostname {NAME} && exec \"$@\"' sh {binary} \"$@\"\n")
    os.chmod(path, 0o755)
    return path
