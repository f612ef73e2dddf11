# SPDX-License-Identifier: BSD-3-Clause
"""Frames as bytes, made with no help of any stack, so that every field can be wrong on purpose."""

import ipaddress
import struct

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SYN, RST, FIN, ACK = 0x02, 0x04, 0x01, 0x10


def packed(address):
    return address if isinstance(address, bytes) else ipaddress.ip_address(address).packed


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(data, at, pseudo=b""):
    """`data` with its checksum at offset `at` set."""
    data = data[:at] + b"\0\0" + data[at + 2:]
    return data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2:]


def pseudo_header(source, target, protocol, length):
    source, target = packed(source), packed(target)
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, length)
    return source + target + struct.pack("!IHBB", length, 0, 0, protocol)


def ethernet(target, source, kind, payload):
    return target + source + struct.pack("!H", kind) + payload


def ipv4(source, target, protocol, payload, *, number=0, ttl=64, flags=0, offset=0, options=b"", tos=0,
         version=4, words=None, total=None, wrong_checksum=False):
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4 if words is None else words
    total = 20 + len(options) + len(payload) if total is None else total
    header = struct.pack("!BBHHHBBH", version << 4 | words, tos, total, number, flags << 13 | offset, ttl, protocol,
                         0)
    header = with_checksum(header + packed(source) + packed(target) + options, 10)
    if wrong_checksum:
        header = header[:10] + bytes([header[10] ^ 0x55]) + header[11:]
    return header + payload


def ipv6(source, target, following, payload, *, hops=64, label=0, version=6, length=None):
    length = len(payload) if length is None else length
    return (struct.pack("!IHBB", version << 28 | label, length, following, hops) + packed(source) + packed(target)
            + payload)


def tcp(source, target, source_port, port, payload=b"", *, flags=SYN, sequence=0x10203040, ack=0, window=64240,
        options=b"\x02\x04\x05\xb4"):
    options += b"\x01" * (-len(options) % 4)
    segment = struct.pack("!HHIIBBHHH", source_port, port, sequence, ack, (20 + len(options)) // 4 << 4,
                          flags & 0xFF, window, 0, 0) + options + payload
    return with_checksum(segment, 16, pseudo_header(source, target, TCP, len(segment)))


def udp(source, target, source_port, port, payload):
    datagram = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    return with_checksum(datagram, 6, pseudo_header(source, target, UDP, len(datagram)))


def icmp(kind, code, rest, payload):
    """`rest` is the word behind the checksum."""
    return with_checksum(struct.pack("!BBHI", kind, code, 0, rest) + payload, 2)


def icmp6(source, target, kind, code, rest, payload):
    message = struct.pack("!BBHI", kind, code, 0, rest) + payload
    return with_checksum(message, 2, pseudo_header(source, target, ICMP6, len(message)))


def arp(operation, sender_mac, sender, target_mac, target, padding=b""):
    return (struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + sender_mac + packed(sender) + target_mac
            + packed(target) + padding)


def dns_query(name, kind, number, klass=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, klass)


def solicited_node(address):
    """Multicast address (IP, MAC) that neighbour solicitations for `address` go to (RFC 4291 2.7.1)."""
    low = packed(address)[-3:]
    return packed("ff02::1:ff00:0")[:13] + low, b"\x33\x33\xff" + low
