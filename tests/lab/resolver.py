# SPDX-License-Identifier: BSD-3-Clause
"""The DNS server the exits ask: UDP and TCP, the names of the plan, and nothing else.

It is slow, broken or absent where the plan says so, which is what it is for.
"""

import asyncio
import ipaddress
import struct
import sys

from lab import plan

_TYPES = {1: "A", 5: "CNAME", 12: "PTR", 16: "TXT", 28: "AAAA"}
_CODES = {name: code for code, name in _TYPES.items()}
_NOERROR, _SERVFAIL, _NXDOMAIN, _REFUSED = 0, 2, 3, 5
_UDP_LIMIT = 512


def _pack_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0"


def _parse_question(query):
    """(end of the question, its name as sent, its type)"""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return at + 5, ".".join(labels), struct.unpack_from("!H", query, at + 1)[0]


def _reverse_names():
    for label, entry in plan.NAMES.items():
        for address in entry.get("A", []) + entry.get("AAAA", []):
            yield ipaddress.ip_address(address).reverse_pointer, f"{label}.{plan.ZONE}"


_REVERSE = {}
for _pointer, _name in _reverse_names():
    _REVERSE.setdefault(_pointer, _name)


def _data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return _pack_name(value)


def _look_up(name, kind):
    """(rcode, [(owner, type, value)], delay in seconds)"""
    name = name.lower()
    if name in _REVERSE:
        return _NOERROR, [(name, "PTR", _REVERSE[name])] if kind == "PTR" else [], 0
    if name == plan.ZONE:
        return _NOERROR, [], 0
    if not name.endswith("." + plan.ZONE):
        return _REFUSED if not name.endswith(".arpa") else _NXDOMAIN, [], 0
    entry = plan.NAMES.get(name[:-len(plan.ZONE) - 1])
    if entry is None:
        return _NXDOMAIN, [], 0
    if "rcode" in entry:
        return entry["rcode"], [], 0
    delay = entry.get("delay", 0)
    if "CNAME" in entry:
        answers = [(name, "CNAME", entry["CNAME"])]
        if kind != "CNAME":
            answers += _look_up(entry["CNAME"], kind)[1]
        return _NOERROR, answers, delay
    return _NOERROR, [(name, kind, value) for value in entry.get(kind, [])], delay


async def _answer(query, limit):
    end, name, code = _parse_question(query)
    rcode, answers, delay = _look_up(name, _TYPES.get(code, ""))
    if delay:
        await asyncio.sleep(delay)
    body = b"".join(
        _pack_name(owner) + struct.pack("!HHIH", _CODES[kind], 1, 60, len(data)) + data
        for owner, kind, value in answers for data in [_data(kind, value)])
    flags = 0x8400 | (query[2] & 1) << 8 | rcode  # answer, authoritative, RD as asked
    count = len(answers)
    if limit and end + len(body) > limit:
        flags, count, body = flags | 0x0200, 0, b""
    # The question goes back byte for byte: exits mix upper and lower case and check it.
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + query[12:end] + body


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        asyncio.ensure_future(self._reply(data, peer))

    async def _reply(self, data, peer):
        try:
            self.transport.sendto(await _answer(data, _UDP_LIMIT), peer)
        except (IndexError, struct.error):
            pass  # not a query


async def _stream(reader, writer):
    try:
        while True:
            length, = struct.unpack("!H", await reader.readexactly(2))
            answer = await _answer(await reader.readexactly(length), 0)
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, IndexError, struct.error):
        pass
    writer.close()


async def _main(address):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_Datagrams, local_addr=(address, 53))
    server = await asyncio.start_server(_stream, address, 53)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
