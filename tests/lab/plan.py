# SPDX-License-Identifier: BSD-3-Clause
"""Who has which address, port and name in the lab. Nothing here does anything."""

from dataclasses import dataclass

NAMESPACES = ("inet", "tornet", "web", "dns", "host", "ws")


@dataclass(frozen=True)
class Link:
    """One namespace's link to the router in `inet`."""

    namespace: str
    device: str  # its name there; the router's end carries the namespace's name
    router: str  # addresses with prefix length
    addresses: tuple
    router6: str = ""
    addresses6: tuple = ()


@dataclass(frozen=True)
class Relay:
    nickname: str
    address: str
    address6: str
    authority: bool

    @property
    def exit(self):
        return not self.authority


OR_PORT = 9001
DIR_PORT = 9030  # authorities only

RELAYS = tuple(
    Relay(f"auth{n}", f"198.18.17.{n}", f"2001:db8:16::17:{n}", True) for n in (1, 2, 3)
) + tuple(Relay(f"exit{n}", f"198.18.18.{n}", f"2001:db8:16::18:{n}", False) for n in (1, 2, 3))

UPLINK = "up0"
HOST = "198.18.1.2"
DNS = "198.18.53.53"
WEB = "198.18.80.80"
WEB6 = "2001:db8:80::80"
WEB_UNUSED = "198.18.80.99"  # on web's link, but nobody there: the router says unreachable
BLACKHOLE = "198.18.99.99"  # the router swallows it: a connection attempt runs into its timeout

LINKS = (
    Link("host", UPLINK, "198.18.1.1/24", (f"{HOST}/24",)),
    Link("dns", "eth0", "198.18.53.1/24", (f"{DNS}/24",)),
    Link("web", "eth0", "198.18.80.1/24", (f"{WEB}/24",), "2001:db8:80::1/64", (f"{WEB6}/64",)),
    Link(
        "tornet",
        "eth0",
        "198.18.16.1/20",
        tuple(f"{r.address}/20" for r in RELAYS),
        "2001:db8:16::1/64",
        tuple(f"{r.address6}/64" for r in RELAYS),
    ),
)

# Ports in `web`, over IPv4 and IPv6.
HTTP = 80
ECHO = 7
DISCARD = 9
CHARGEN = 19
SLOW = 5000  # reads a request line or up to EOF, then 5 x 1000 bytes, 200 ms apart, then closes
FIRST_CLOSER = 5001  # sends, shuts down its sending side, then counts what the client still sends
RESETTER = 5002  # accepts, sends a little, then RST
UDP_COUNTER = 5003  # UDP: counts datagrams; HTTP /datagrams tells how many
# Nothing listens. Exits say MISC and not CONNECTREFUSED, because by the time they learn of it they look
# at a stale errno (Tor 0.4.9: connection_handle_write() asks SO_ERROR, connection_edge_end_errno() then
# looks at errno). So a client tries two more exits, and SOCKS says "general failure" (1).
CLOSED = 81

SLOW_PARTS, SLOW_PART_BYTES, SLOW_PAUSE_S = 5, 1000, 0.2
PAGE = "<!doctype html>\n<title>lab</title>\n<p>A page at the far end of the private Tor network.\n"

# Names in the resolver.
ZONE = "lab.test"
NAMES = {
    "www": {"A": [WEB], "AAAA": [WEB6]},
    "www4": {"A": [WEB]},
    "www6": {"AAAA": [WEB6]},
    "alias": {"CNAME": f"www.{ZONE}"},
    "chain": {"CNAME": f"alias.{ZONE}"},
    "slow": {"A": [WEB], "delay": 1.5},
    "broken": {"rcode": 2},  # SERVFAIL; Tor gives up after two minutes
    "private": {"A": ["10.0.0.1"], "AAAA": ["fd00::1"]},
    "unused": {"A": [WEB_UNUSED]},
    "blackhole": {"A": [BLACKHOLE]},
    "text": {"TXT": ["x" * 200] * 10},  # too long for a datagram: truncated, whole over TCP
}

# The workstation, with Whonix's numbers.
GATEWAY = "10.152.152.10"
WORKSTATION = "10.152.152.11"
WORKSTATION_PREFIX = 18
