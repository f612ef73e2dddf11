#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Test: the same capture in every format that replay reads plays the same, and what it cannot play it says so.

    formats.py PROGRAM CAPTURE
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

ETHERNET, RAW, NULL, SLL, SLL2, LOOP, IPV6, PRISM = 1, 101, 0, 113, 276, 108, 229, 119


def read(path):
    """(frame, bytes on the wire) of a capture with Ethernet."""
    data = path.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1" and struct.unpack_from("<I", data, 20)[0] == ETHERNET
    at, frames = 24, []
    while at < len(data):
        captured, wire = struct.unpack_from("<II", data, at + 8)
        frames.append((data[at + 16:at + 16 + captured], wire))
        at += 16 + captured
    return frames


def pcap(frames, link=ETHERNET, order=">"):
    return struct.pack(order + "IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link) + b"".join(
        struct.pack(order + "IIII", 1, 0, len(frame), wire) + frame for frame, wire in frames)


def pcapng(frames, link=ETHERNET):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    return (block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)) +
            block(1, struct.pack("<HHI", link, 0, 0)) +
            b"".join(block(6, struct.pack("<IIIII", 0, 0, 0, len(frame), wire) + frame) for frame, wire in frames))


def relink(frames, header, skip=14):
    """Another header in place of Ethernet's."""
    return [(header(frame) + frame[skip:], wire - skip + len(header(frame))) for frame, wire in frames]


def tagged(frames, *tags):
    return relink(frames, lambda frame: frame[:12] + b"".join(tags) + frame[12:14])


def as_ipv6(frames):
    """IPv4 packets as IPv6's, with a header of destination options."""
    def header(frame):
        ip = frame[14:]
        length = struct.unpack_from("!H", ip, 2)[0] - 20 + 8
        address = bytes.fromhex("20010db8") + bytes(8)
        return (struct.pack("!IHBB", 6 << 28, length, 60, 64) + address + ip[12:16] + address + ip[16:20] +
                bytes([6, 0, 1, 4, 0, 0, 0, 0]))

    return relink([(frame, wire) for frame, wire in frames if frame[12:14] == b"\x08\x00"], header, 34)


def same(frames):
    """What must play as the capture itself does."""
    yield "big-endian", pcap(frames)
    yield "little-endian", pcap(frames, order="<")
    yield "pcapng", pcapng(frames)
    yield "a VLAN tag", pcap(tagged(frames, b"\x81\x00\x00\x05"))
    yield "two VLAN tags", pcap(tagged(frames, b"\x88\xa8\x00\x05", b"\x81\x00\x00\x07"))
    yield "PPPoE", pcap(relink(frames, lambda frame: frame[:12] + b"\x88\x64\x11\x00\x00\x01\x00\x00\x00\x21"))
    yield "cooked", pcap(relink(frames, lambda frame: bytes(14) + frame[12:14]), SLL)
    yield "cooked, version 2", pcap(relink(frames, lambda frame: frame[12:14] + bytes(18)), SLL2)
    yield "raw IP", pcap(relink(frames, lambda frame: b""), RAW)
    yield "raw IP in pcapng", pcapng(relink(frames, lambda frame: b""), RAW)
    yield "loopback", pcap(relink(frames, lambda frame: b"\2\0\0\0"), NULL)
    yield "OpenBSD's loopback", pcap(relink(frames, lambda frame: b"\0\0\0\2"), LOOP)
    yield "IPv6", pcap(as_ipv6(frames), IPV6)
    yield "padded frames", pcap([(frame + bytes(46), wire + 46) for frame, wire in frames])


def clear_errors(frames):
    """(what, file, word in the message)"""
    syn = next(i for i, (frame, _) in enumerate(frames) if frame[47] & 0x12 == 2)
    yield "nothing", b"", "truncated"
    yield "no capture", b"this is text, and no capture of anything at all", "format"
    yield "no frame", pcap([]), "none of its 0 frames"
    yield "unknown link", pcap(frames, PRISM), "link"
    yield "no SYN", pcap([(frame, wire) for frame, wire in frames if not frame[47] & 2]), "began before"
    yield "only one direction", pcap([(frame, wire) for frame, wire in frames if frame[26:30] == frames[syn][0][26:30]]), \
        "answered"


def playable(frames):
    """(what, file): not the same, but played to the end."""
    yield "each twice", pcap([frame for frame in frames for _ in (0, 1)])
    yield "headers only", pcap([(frame[:66], wire) for frame, wire in frames])
    for share in (2, 3, 7):
        yield f"without every {share}th frame", pcap([frame for i, frame in enumerate(frames) if i < 20 or i % share])
    swapped = list(frames)
    for i in range(30, len(swapped) - 2, 5):
        swapped[i], swapped[i + 2] = swapped[i + 2], swapped[i]
    yield "out of order", pcap(swapped)
    data = pcap(frames)
    yield "broken off", data[:len(data) * 2 // 3]
    yield "headers cut off", pcap([(frame[:min(len(frame), 40 + i % 40)], wire) if i > 20 else (frame, wire)
                                   for i, (frame, wire) in enumerate(frames)])


def main():
    program, capture = sys.argv[1], pathlib.Path(sys.argv[2])
    frames = [(frame, wire) for frame, wire in read(capture) if frame[12:14] == b"\x08\x00"]
    failed = 0

    def run(data):
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            file.write(data)
            file.flush()
            done = subprocess.run([program, file.name, "--copies", "2"], check=False, capture_output=True, text=True,
                                  timeout=60)
            return done.returncode, done.stdout, done.stderr

    def judge(what, held, detail):
        nonlocal failed
        failed += not held
        print(f"{'ok' if held else 'FAILED'}: {what}: {detail.strip()}")

    def digest(said):
        return said.split("digest=")[-1].strip()

    expected = digest(subprocess.run([program, str(capture), "--copies", "2"], check=True, capture_output=True,
                                     text=True, timeout=60).stdout)
    for what, data in same(frames):
        status, said, error = run(data)
        judge(what, status == 0 and digest(said) == expected, error or digest(said))
    for what, data in playable(frames):
        status, said, error = run(data)
        judge(what, status == 0 and "digest=" in said, error or digest(said))
    for what, data, word in clear_errors(frames):
        status, said, error = run(data)
        judge(what, status == 1 and word in error and error.count("\n") == 1, error)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
