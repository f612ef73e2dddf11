#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes inputs for fuzz_engine to begin with: whole connections, as its operations.

usage: engine_corpus.py DIRECTORY
"""
import itertools
import pathlib
import struct
import sys

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
AT_ACK, AT_SENT, AT_EDGE, BEFORE = 0, 1, 2, 3          # sequence number: what the engine expects, ...
LATEST = 0                                             # acknowledgment: all that the engine sent
TS, SACK, WSCALE, MSS, SMALL, LARGE, GSO = 1, 2, 4, 8, 16, 32, 64
SECONDS = 7                                            # 64 us << 14, about one second


def config(flags=0, flows=3, chunks=20, gso=0, half_close=10):
    return bytes([flags, flows, chunks, gso, half_close])


def segment(flags, seq=AT_ACK, ack=LATEST, shape=0, window=65535, lane=0, tail=b"", extra=b""):
    """extra: what the shape asks for after the timestamp; tail: the offsets that seq and ack ask for."""
    ts = b"\1" if shape & TS else b""
    return bytes([lane << 4, flags, seq, ack, shape]) + struct.pack(">H", window) + tail + ts + extra


def syn(shape=0, lane=0, isn=0x1000, mss=1460, scale=7, window=65535):
    extra = b""
    if shape & WSCALE:
        extra += bytes([scale])
    if shape & MSS:
        extra += struct.pack(">H", mss)
    return segment(SYN, seq=12, shape=shape, lane=lane, window=window, tail=struct.pack(">I", isn), extra=extra)


def data(n, shape=0, **more):
    if n < 256:
        return segment(ACK | PSH, shape=shape | SMALL, extra=bytes([n]), **more)
    return segment(ACK, shape=shape | LARGE, extra=struct.pack(">H", n), **more)


def ack(shape=0, **more):
    return segment(ACK, shape=shape, **more)


def upstream(what, *args, lane=0):
    return bytes([8 | lane << 4, what]) + b"".join(struct.pack(">H", a) for a in args)


def connected(room=40000, lane=0):
    return upstream(0, room, lane=lane)


def readable(n, lane=0):
    return upstream(3, n, lane=lane)


def writable(n, lane=0):
    return upstream(5, n, lane=lane)


def answers(how, read=None, write=None):
    if read is None:
        return bytes([10, how])
    return bytes([10, how | 128]) + struct.pack(">HH", read, write)


def time(n, scale=SECONDS):
    return bytes([11 | scale << 4, n])


def sleep(n, scale):
    """The same, but what comes next comes before the timers."""
    return bytes([12 | scale << 4, n])


TURN = bytes([13])
END, ERROR, BROKEN, DENY, BUSY = 1, 2, 16, 8, 4


def opened(shape, lane=0, **more):
    return syn(shape, lane, **more) + TURN + connected(lane=lane) + TURN + ack(shape & TS, lane=lane) + TURN


def connections():
    every = SACK | TS | WSCALE | MSS
    for shape, optimistic, gso in itertools.product((0, every, SACK | MSS, TS), (0, 2), (0, 64)):
        t = shape & TS
        start = config(flags=optimistic, gso=gso) + opened(shape)
        name = f"{shape}-{optimistic}-{gso}"
        yield f"request-{name}", start + data(100, t) + TURN + readable(5000) + TURN + ack(t) + TURN + answers(END) \
            + readable(0) + TURN + ack(t) + segment(FIN | ACK, shape=t) + TURN + time(70)
        yield f"half-close-{name}", start + data(1000, t) + segment(FIN | ACK, shape=t) + TURN + readable(9000) \
            + TURN + time(1) + ack(t) + TURN + time(20) + ack(t) + TURN
        yield f"both-at-once-{name}", start + answers(END) + readable(0) + TURN \
            + segment(FIN | ACK, ack=1, shape=t) + TURN + ack(t) + TURN + time(100)
        yield f"timeouts-{name}", start + readable(30000) + TURN + b"".join(time(k) + TURN for k in (1, 2, 4, 8, 16)) \
            + ack(t) + TURN
        yield f"shut-window-{name}", start + readable(3000) + TURN + ack(t, window=0) + TURN + readable(900) + TURN \
            + time(3) + ack(t, ack=5, tail=b"\xff", window=0) + time(9) + ack(t, window=2000) + TURN + ack(t)
        yield f"gaps-{name}", start + data(500, t, seq=AT_ACK | 8, tail=struct.pack(">h", 1000)) \
            + data(500, t, seq=AT_ACK | 8, tail=struct.pack(">h", 3000)) + TURN + data(1000, t) + TURN \
            + data(2000, t) + TURN + data(2000, t, seq=AT_ACK | 8, tail=struct.pack(">h", -500)) + TURN
        yield f"slow-upstream-{name}", start + answers(0, 0, 700) + data(3000, t) + TURN + data(1000, t) + TURN \
            + writable(500) + TURN + segment(FIN | ACK, shape=t) + TURN + writable(9000) + TURN + time(200)
        yield f"resets-{name}", start + segment(RST, seq=AT_ACK | 4, tail=b"\x10", shape=t) + TURN \
            + segment(SYN, seq=AT_ACK | 4, tail=b"\x00", shape=t) + TURN + segment(RST, shape=t) + TURN
        yield f"broken-{name}", start + answers(BROKEN) + data(400, t) + TURN + answers(ERROR | BROKEN) + readable(0) \
            + TURN
    sacked = opened(every, window=8000) + readable(50000) + TURN + ack(TS) + TURN + ack(TS) + TURN
    block = struct.pack(">hHhH", 1448, 1448, 4344, 4344)
    yield "sack-recovery", config() + sacked + segment(ACK, ack=2, shape=TS | SACK | 4, extra=block, window=9000) * 4 \
        + TURN + time(3) + ack(TS) + TURN
    yield "refused", config() + syn() + TURN + bytes([8, 2, 0]) + TURN + syn() + TURN + bytes([8, 2, 1]) + TURN
    yield "denied", config() + answers(DENY) + syn() + TURN + answers(BUSY) + syn() + TURN
    yield "many", config(flows=3) + b"".join(opened(every, lane=k) + data(600, TS, lane=k) + TURN for k in range(4)) \
        + bytes([14, 2]) + TURN
    yield "never-answered", config(flags=2) + syn() + TURN + b"".join(time(k) for k in (1, 2, 4, 8, 16, 32, 64))
    yield "after-a-sleep", config() + sleep(200, 12) + opened(every) + sleep(200, 12) + data(100, TS) + TURN
    yield "raw", config() + bytes([7, 0, 20]) + bytes.fromhex("100000500000000000000000500400000000000000") + TURN
    yield "too-big", config() + opened(every) + readable(20000) + TURN + bytes([14, 0]) + struct.pack(">HH", 1000, 900) \
        + time(2) + TURN + ack(TS) + TURN
    answer = segment(SYN | ACK, seq=12, shape=every, tail=struct.pack(">I", 0x2000),
                     extra=bytes([7]) + struct.pack(">H", 1460))
    open_ours = config(gso=64) + answers(0, 0, 5000) + bytes([14, 7]) + TURN
    yield "active", open_ours + answer + TURN + readable(5000) + TURN + ack(TS) + TURN + data(300, TS) + TURN
    yield "active-refused", open_ours + segment(RST | ACK, seq=12, tail=bytes(4)) + TURN + bytes([14, 7 + 16]) + TURN
    yield "active-crossed", open_ours + syn(every, isn=0x2000) + TURN + answer + TURN + data(300, TS) + TURN
    yield "active-silence", open_ours + bytes([14, 15]) + b"".join(time(k) + TURN for k in (1, 2, 4, 8, 16, 32, 60, 60, 60))
    yield "active-unreachable", open_ours + bytes([14, 3 + 8 + 32]) + TURN
    yield "active-half-open", open_ours + ack(0, seq=12, tail=bytes(4), ack=3) + TURN + time(1) + TURN + answer + TURN
    yield "reuse", config() + opened(every) + answers(END) + readable(0) + TURN + ack(TS) \
        + segment(FIN | ACK, shape=TS) + TURN + syn(every, isn=0x90000000 - 0x10000000) + TURN + connected() + TURN


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in connections():
        (directory / name).write_bytes(content)


if __name__ == "__main__":
    main()
