#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes captures of real traffic into inputs for fuzz_engine and fuzz_frame to begin with.

usage: capture_corpus.py DIRECTORY CAPTURE-OR-FOLDER ...

DIRECTORY/frame gets the frames of each capture, once as they are and once as the fuzzer's workstation would send them;
DIRECTORY/engine what the one who opened a connection sent, and how much it got, as operations. Captures that make no
sense are left out: many were made so that they do not.
"""
import ipaddress
import pathlib
import struct
import sys

import engine_corpus as ops

INPUT_MAX = 4000      # bytes of an input, below what the fuzzers are told (.ci/run)
FRAMES_MAX = 400      # looked at in each capture
FRAME_MAX = 1514
SHORT = 300           # frames up to here go in first: there may be many of them
ETHERNET, RAW, RAW_OLD, COOKED = 1, 101, 12, 113
OFFLOAD = bytes(12)   # no offload header has anything to say
ADDRESS, CHECKSUM, VOUCHED, FLUSH, TIME, CONNECT, READABLE = 1, 2, 4, 16, 32, 64, 128


def pcap_packets(data):
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}[data[:4]]
    kind = struct.unpack(order + "I", data[20:24])[0] & 0xffff
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, held = struct.unpack(order + "III", data[at:at + 12])
        if held > len(data) - at - 16:
            return
        yield kind, seconds + fraction / 1e6, data[at + 16:at + 16 + held]
        at += 16 + held


def pcapng_packets(data):
    order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    kinds, at = [], 0
    while at + 12 <= len(data):
        block, length = struct.unpack(order + "II", data[at:at + 8])
        if length < 12 or length > len(data) - at:
            return
        body = data[at + 8:at + length - 4]
        if block == 1 and len(body) >= 2:
            kinds.append(struct.unpack(order + "H", body[:2])[0])
        elif block == 6 and len(body) >= 20:
            interface, high, low, held = struct.unpack(order + "IIII", body[:16])
            if interface < len(kinds) and held <= len(body) - 20:
                yield kinds[interface], (high << 32 | low) / 1e6, body[20:20 + held]
        at += length


def frames(path):
    """(time, Ethernet frame) of what can be had as such."""
    data = path.read_bytes()
    packets = pcapng_packets(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap_packets(data)
    for _, (kind, when, packet) in zip(range(FRAMES_MAX), packets):
        if kind == COOKED:
            kind, packet = RAW, packet[16:]
        if kind in (RAW, RAW_OLD) and packet:
            packet = bytes(12) + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet
        elif kind != ETHERNET:
            continue
        if 14 < len(packet) <= FRAME_MAX:
            yield when, packet


def tcp_of(frame):
    """(source, destination, offset of the TCP header, end of the packet), or None."""
    if frame[12:14] == b"\x08\x00" and len(frame) >= 34 and frame[23] == 6:
        at, end = 14 + (frame[14] & 15) * 4, 14 + struct.unpack(">H", frame[16:18])[0]
        pair = frame[26:30], frame[30:34]
    elif frame[12:14] == b"\x86\xdd" and len(frame) >= 54 and frame[20] == 6:
        at, end = 54, 54 + struct.unpack(">H", frame[18:20])[0]
        pair = frame[22:38], frame[38:54]
    else:
        return None
    if at + 20 > len(frame) or not 20 <= (frame[at + 12] >> 4) * 4 <= min(end, len(frame)) - at:
        return None
    source, destination = (str(ipaddress.ip_address(address)) for address in pair)
    ports = struct.unpack(">HH", frame[at:at + 4])
    return (source, ports[0]), (destination, ports[1]), at, min(end, len(frame))


def record(flags, frame):
    frame = OFFLOAD + frame
    return struct.pack("<BH", flags, len(frame)) + frame


def helped(frame):
    """As record(), with the flags that get the frame in, and numbers that count from where the flow stands."""
    flags = ADDRESS | CHECKSUM | VOUCHED | FLUSH
    tcp = tcp_of(frame)
    if tcp is not None:
        at = tcp[2]
        if frame[at + 13] & 2:
            flags |= CONNECT
        else:
            frame = frame[:at + 4] + bytes(8) + frame[at + 12:]
            flags |= READABLE
    return record(flags, frame)


def fit(records):
    """The short ones first to go in, in the order they came."""
    chosen, left = set(), INPUT_MAX
    for limit in (SHORT, INPUT_MAX):
        for number, content in enumerate(records):
            if number not in chosen and len(content) <= min(limit, left):
                chosen.add(number)
                left -= len(content)
    return b"".join(records[number] for number in sorted(chosen))


def options_of(header):
    found, at = {}, 20
    while at + 1 < len(header) and header[at] != 0:
        if header[at] == 1:
            at += 1
            continue
        if header[at + 1] < 2:
            break
        found[header[at]] = header[at + 2:at + header[at + 1]]
        at += header[at + 1]
    return found


def wait(seconds):
    """Time that passes, about: at most what a flow may be idle."""
    steps = int(min(seconds, 100) * 1e6) // 64
    scale = 0
    while steps > 255:
        steps, scale = steps // 4, scale + 1
    return ops.time(steps, scale) if steps > 0 else b""


def operations(packets):
    """One connection from its SYN on: what its opener sends, and what it is sent as what the upstream has to say."""
    out, opener, expected, last = b"", None, 0, 0.0
    for when, frame in packets:
        tcp = tcp_of(frame)
        if tcp is None:
            continue
        source, destination, at, end = tcp
        header = frame[at:at + (frame[at + 12] >> 4) * 4]
        flags, size = header[13], end - at - len(header)
        seq = struct.unpack(">I", header[4:8])[0]
        window = struct.unpack(">H", header[14:16])[0]
        options = options_of(header)
        shape = ops.TS if len(options.get(8, b"")) == 8 else 0
        if opener is None:
            if flags & (ops.SYN | ops.ACK) != ops.SYN:
                continue
            opener, expected, last = (source, destination), seq + 1, when
            shape |= (ops.SACK if 4 in options else 0) | (ops.WSCALE if len(options.get(3, b"")) == 1 else 0) \
                | (ops.MSS if len(options.get(2, b"")) == 2 else 0)
            out += ops.syn(shape, isn=seq, window=window, scale=(options.get(3) or b"\0")[0] & 15,
                           mss=struct.unpack(">H", options[2])[0] if shape & ops.MSS else 0) + ops.TURN
            continue
        if (source, destination) == opener:
            out += wait(when - last)
            last = max(last, when)
            ahead = (seq - expected + 0x80000000) % 0x100000000 - 0x80000000
            where = {} if ahead == 0 else {"seq": ops.AT_ACK | 8, "tail": struct.pack(">h", ahead)} \
                if -0x8000 <= ahead < 0x8000 else {"seq": ops.AT_SENT}
            extra = struct.pack(">H", size) if size > 0 else b""
            out += ops.segment(flags, shape=shape | (ops.LARGE if size > 0 else 0), window=window, extra=extra, **where)
            if ahead == 0:
                expected = (expected + size + (flags & ops.FIN != 0)) % 0x100000000
        elif (destination, source) == opener:
            if flags & ops.SYN:
                out += ops.connected()
            elif size > 0:
                out += ops.readable(size)
            if flags & ops.FIN:
                out += ops.answers(ops.END) + ops.readable(0)
            if flags & ops.RST:
                out += ops.answers(ops.ERROR) + ops.readable(0)
        else:
            continue
        out += ops.TURN
        if len(out) > INPUT_MAX:
            break
    return out


def captures(places):
    for place in map(pathlib.Path, places):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and path.suffix in (".pcap", ".pcapng", ".cap"):
                yield path


def main():
    target = pathlib.Path(sys.argv[1])
    for kind in ("engine", "frame"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    made = 0
    for number, path in enumerate(captures(sys.argv[2:])):
        try:
            packets = list(frames(path))
        except (KeyError, struct.error):
            continue
        if not packets:
            continue
        name = f"{number}-{path.stem}"
        (target / "frame" / f"{name}-plain").write_bytes(fit([record(FLUSH, frame) for _, frame in packets]))
        (target / "frame" / f"{name}-helped").write_bytes(fit([helped(frame) for _, frame in packets]))
        made += 2
        flow = operations(packets)
        if flow:
            for optimistic in (0, 2):
                head = ops.config(flags=optimistic, gso=64)
                (target / "engine" / f"{name}-{optimistic}").write_bytes(head + flow)
                made += 1
    print(f"{made} inputs from captures")
    return 0 if made > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
