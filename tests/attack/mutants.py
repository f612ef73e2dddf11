# SPDX-License-Identifier: BSD-3-Clause
"""Frames that nobody thought of: those of the matrix, damaged by a seeded generator. Half of them get right checksums
again, or hardly any would come far. Whatever happens to a frame, its mark stays."""

import os
import random
import struct

import matrix
from frames import ICMP, ICMP6, IPV4, IPV6, TCP, UDP, packed, pseudo_header, with_checksum
from lab import plan

_BYTES = (0, 1, 4, 5, 6, 17, 58, 64, 127, 128, 254, 255)
_ADDRESSES = [packed(address) for address in (
    plan.HOST, plan.GATEWAY, plan.WEB, plan.RELAYS[0].address, matrix.ROUTER, matrix.ME, "127.0.0.1", "255.255.255.255",
    "0.0.0.0", "224.0.0.1")]
_TYPES = (IPV4, IPV6, 0x0806, 0x8100, 0x88A8, 0x8864, 0x8847)
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}


def count_from_environment():
    """How many, and of which seed."""
    return int(os.environ.get("CLOISTER_MUTANTS", 10000)), int(os.environ.get("CLOISTER_SEED", random.randrange(1 << 32)))


def mutants(probes, count, seed):
    """Yields frames."""
    chance = random.Random(seed)
    for _ in range(count):
        probe = chance.choice(probes)
        frame = bytearray(probe.frame)
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            chance.choice(_WAYS)(chance, frame, probes)
        if chance.random() < 0.5:
            frame = bytearray(_repaired(bytes(frame)))
        yield _marked(bytes(frame), probe)


def _at(chance, frame, width):
    """Most of what matters is in front."""
    end = max(1, len(frame) - width + 1)
    return chance.randrange(min(end, chance.choice((14, 34, 54, 1514))))


def _flip(chance, frame, _):
    frame[_at(chance, frame, 1)] ^= 1 << chance.randrange(8)


def _set(chance, frame, _):
    frame[_at(chance, frame, 1)] = chance.choice(_BYTES)


def _noise(chance, frame, _):
    at = _at(chance, frame, 4)
    frame[at:at + 4] = chance.randbytes(4)


def _address(chance, frame, _):
    at = chance.choice((26, 30, 28, 38, 42, _at(chance, frame, 4)))
    if at + 4 <= len(frame):
        frame[at:at + 4] = chance.choice(_ADDRESSES)


def _type(chance, frame, _):
    frame[12:14] = struct.pack("!H", chance.choice(_TYPES))


def _cut(chance, frame, _):
    del frame[max(14, _at(chance, frame, 1)):]


def _grow(chance, frame, _):
    frame += chance.randbytes(chance.randrange(1, 64))


def _repeat(chance, frame, _):
    at, n = _at(chance, frame, 8), chance.choice((4, 8, 20))
    frame[at:at] = frame[at:at + n]


def _splice(chance, frame, probes):
    """The head of one, the tail of another."""
    other = chance.choice(probes).frame
    at = chance.choice((14, 34, 54, _at(chance, frame, 1)))
    frame[at:] = other[at:]


_WAYS = (_flip, _flip, _set, _set, _noise, _address, _type, _cut, _grow, _repeat, _splice)


def _repaired(frame):
    """With the checksums that its headers as they are ask for."""
    if len(frame) < 34:
        return frame
    head, packet = frame[:14], frame[14:]
    if frame[12:14] == b"\x08\0" and packet[0] >> 4 == 4:
        words, protocol = packet[0] & 15, packet[9]
        header, payload = packet[:words * 4], packet[words * 4:]
        if words < 5 or len(header) < words * 4:
            return frame
        total = struct.unpack_from("!H", header, 2)[0]
        return head + with_checksum(header, 10) + _with_right_sum(payload, max(0, total - len(header)), protocol,
                                                                  header[12:16], header[16:20])
    if frame[12:14] == b"\x86\xdd" and len(packet) >= 40:
        length, following = struct.unpack_from("!HB", packet, 4)
        return head + packet[:40] + _with_right_sum(packet[40:], length, following, packet[8:24], packet[24:40])
    return frame


def _with_right_sum(payload, length, protocol, source, target):
    at = _CHECKSUM_AT.get(protocol)
    body, rest = payload[:length], payload[length:]
    if at is None or len(body) < at + 2:
        return payload
    pseudo = b"" if protocol == ICMP else pseudo_header(source, target, protocol, len(body))
    return with_checksum(body, at, pseudo) + rest


def _marked(frame, probe):
    mark = matrix.mark(probe.number)
    if mark in frame:
        return frame[:1514]
    return frame[:1514 - len(mark)] + mark
