# SPDX-License-Identifier: BSD-3-Clause
"""What a stranger can see of a TCP from outside, one function for each thing the RFCs ask for. Each has a connection, or
some, of its own, and takes a few seconds; they run at the same time."""

import random
import statistics
import time

from prober_wire import (ACK, CWR, ECE, FIN, PSH, RST, SACK_OK, SPACE, SYN, URG, Flow, frames, option_mss, option_sack,
                         option_scale, option_ts)

ECHO, SINK, CLOSED, UNREACHABLE, ENDS, SOURCE, STALLED, ABORTS = 7, 9, 81, 113, 1001, 2001, 2000, 2003
CHECKS = {}


def check(function):
    CHECKS[function.__name__] = function
    return function


def full(wire):
    return 1440 if wire.six else 1460


def is_rst(segment):
    return segment.has(RST)


def is_challenge(flow, reach=1):
    answer = flow.get(1)
    assert answer is not None and answer.flags == ACK, f"not a challenge ACK: {answer}"
    assert answer.rel_ack == reach, answer
    return answer


def quiet(flow, seconds=0.5):
    answer = flow.get(seconds)
    assert answer is None, f"answered: {answer}"


def alive(flow, at=1, back=1):
    """Bytes still go round."""
    flow.send(ACK | PSH, at, back, b"alive")
    got = flow.get(1, lambda s: s.payload == b"alive")
    assert got is not None, "the connection is gone"
    flow.send(ACK, at + 5, got.rel + 5)


# Handshake

@check
def syn_ack_offers_what_was_offered(wire):
    answer = Flow(wire, ECHO).syn(option_mss(1460) + option_scale(7) + SACK_OK + option_ts(77))
    assert answer.mss == full(wire) and answer.options[3][0] <= 14 and 4 in answer.options, answer
    assert answer.ts[1] == 77 and answer.sound and answer.urgent == 0, answer


@check
def syn_ack_offers_nothing_else(wire):
    answer = Flow(wire, ECHO).syn(b"")
    assert set(answer.order) <= {2, 0, 1}, answer


@check
def syn_ack_is_repeated_with_backoff(wire):
    flow = Flow(wire, ECHO)
    first = flow.syn()
    second, third = flow.get(2), flow.get(3)
    assert second.seq == third.seq == first.seq and second.flags == SYN | ACK
    assert 0.8 < second.at - first.at < 1.5 and third.at - second.at > 1.6


@check
def syn_again_gets_the_same_answer(wire):
    flow = Flow(wire, ECHO)
    first = flow.syn()
    flow.raw(SYN, seq=flow.isn, options=option_mss(1460))
    again = flow.get(0.5)
    assert again.seq == first.seq and again.flags == SYN | ACK


@check
def bad_ack_in_syn_received_is_reset(wire):
    for wrong in (-1000, 0, 2, 100000):
        flow = Flow(wire, ECHO)
        flow.syn()
        flow.send(ACK, 1, wrong)
        answer = flow.get(1)
        assert answer.flags == RST and answer.rel == wrong % SPACE, answer


@check
def rst_in_syn_received_ends_it(wire):
    flow = Flow(wire, ECHO)
    flow.syn()
    flow.send(RST, 1)
    quiet(flow, 1.5)


@check
def data_and_fin_on_a_syn_do_not_confuse(wire):
    flow = Flow(wire, ECHO)
    flow.syn(payload=b"early")
    start = (flow.syn_ack.ack - flow.isn) % SPACE
    assert start in (1, 6)
    flow.send(ACK | PSH, start, 1, b"early"[start - 1:] + b"late")
    assert flow.get(2, lambda s: s.payload).payload == b"earlylate"


@check
def odd_options_are_survived(wire):
    for options in (b"\x03\x01\x07\x01", b"\x02\x00", b"\x02\x04\x05", b"\xfe\x08\0\0\0\0\0\0", b"\0\x02\x04\x05\xb4",
                    b"\x02\x03\x05\x01", b"\x01" * 40, b"\x08\x0a" + bytes(3), b"\x13\x12" + bytes(16)):
        flow = Flow(wire, ECHO)
        flow.syn(options)
        flow.send(ACK, 1)
        alive(flow)


@check
def mss_is_obeyed(wire):
    for mss, most in ((536, 536), (100, 100), (1, 64), (0, full(wire)), (65535, full(wire)),
                      (None, 1220 if wire.six else 536)):
        flow = Flow(wire, SOURCE).open(mss=mss)
        sizes = [len(s.payload) for s in flow.all(0.3)]
        assert sizes and max(sizes) <= most, (mss, max(sizes, default=0))


@check
def timestamps_come_off_the_segment(wire):
    flow = Flow(wire, SOURCE).open(ts=True)
    assert max(len(s.payload) for s in flow.all(0.3)) == full(wire) - 12


@check
def scale_past_14_counts_as_14(wire):
    flow = Flow(wire, SOURCE).open(scale=15, window=1)
    assert sum(len(s.payload) for s in flow.all(0.2)) > 5000


@check
def window_of_a_syn_is_not_scaled(wire):
    flow = Flow(wire, SOURCE)
    flow.raw(SYN, seq=flow.isn, options=option_mss(1460) + option_scale(14), window=1000)
    flow.far_isn = flow.get(1).seq
    flow.send(ACK, 1, 1, window=0)
    assert all(len(s.payload) <= 1 for s in flow.all(0.5))


@check
def isn_is_not_to_be_guessed(wire):
    numbers = [Flow(wire, ECHO).syn().seq for _ in range(40)]
    steps = [(b - a) % SPACE for a, b in zip(numbers, numbers[1:])]
    assert len(set(numbers)) == 40 and statistics.pstdev(steps) > SPACE / 16, steps
    assert len({step >> 16 for step in steps}) > 35


@check
def isn_of_one_pair_of_ports_grows(wire):
    flow = Flow(wire, ECHO)
    first = flow.syn().seq
    flow.send(RST, 1)
    time.sleep(0.2)
    flow.isn = (flow.isn + 100000) % SPACE
    second = flow.syn().seq
    assert 0 < (second - first) % SPACE < 1 << 28


@check
def clocks_of_two_connections_differ(wire):
    one, two = (Flow(wire, ECHO).open(ts=True) for _ in range(2))
    assert abs(one.syn_ack.ts[0] - two.syn_ack.ts[0]) > 10000


@check
def clock_runs_at_1_ms_to_1_s(wire):
    flow = Flow(wire, ECHO).open(ts=True)
    alive(flow)
    before, start = flow.echo, time.monotonic()
    time.sleep(1)
    flow.clock += 1000
    alive(flow, 6, 6)
    ticks = (flow.echo - before) % SPACE
    assert 1 <= ticks / (time.monotonic() - start) <= 1100, ticks


@check
def ecn_is_not_agreed_to(wire):
    flow = Flow(wire, ECHO)
    flow.raw(SYN | ECE | CWR, seq=flow.isn, options=option_mss(1460))
    assert flow.get(2).flags == SYN | ACK


# Closed ports (RFC 9293 3.10.7.1)

@check
def closed_port_is_reset(wire):
    flow = Flow(wire, CLOSED)
    flow.raw(SYN, seq=flow.isn, options=option_mss(1460))
    answer = flow.get(2)
    assert answer.flags == RST | ACK and answer.seq == 0 and answer.ack == (flow.isn + 1) % SPACE, answer


@check
def strays_are_reset(wire):
    for flags, size in ((ACK, 0), (ACK | PSH, 5), (SYN | ACK, 0), (FIN | ACK, 0)):
        flow = Flow(wire, CLOSED)
        flow.raw(flags, b"x" * size, seq=5000, ack=777777)
        answer = flow.get(1)
        assert answer.flags == RST and answer.seq == 777777, answer
    for flags, size, space in ((0, 0, 0), (FIN, 0, 1), (FIN | PSH | URG, 3, 4), (PSH, 10, 10), (SYN | FIN, 0, 2)):
        flow = Flow(wire, CLOSED)
        flow.raw(flags, b"x" * size, seq=5000)
        answer = flow.get(1)
        assert answer.flags == RST | ACK and answer.seq == 0 and answer.ack == 5000 + space, answer


@check
def rst_is_never_answered(wire):
    for flags in (RST, RST | ACK, RST | SYN, RST | FIN | ACK):
        flow = Flow(wire, CLOSED)
        flow.raw(flags, seq=5000, ack=777777)
        quiet(flow, 0.3)


# What is not TCP, or not whole

@check
def many_are_not_spoken_to(wire):
    for group in ("ff02::1", "ff0e::5") if wire.six else ("224.0.0.1", "239.1.2.3", "255.255.255.255", "10.152.191.255"):
        flow = Flow(wire, ECHO)
        segment = frames.tcp(wire.here, group, flow.port, ECHO, flags=SYN)
        wire.send_ip((frames.ipv6 if wire.six else frames.ipv4)(wire.here, group, frames.TCP, segment))
        quiet(flow, 0.3)


@check
def spoilt_segments_are_dropped(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(ACK | PSH, 1, 1, b"wrong", spoil=lambda s: s[:16] + bytes([s[16] ^ 1]) + s[17:])
    pseudo = frames.pseudo_header(wire.here, wire.there, frames.TCP, 25)
    for offset in (0, 4, 15):
        flow.send(ACK | PSH, 1, 1, b"wrong", spoil=lambda s, o=offset: frames.with_checksum(
            s[:12] + bytes([o << 4]) + s[13:], 16, pseudo))
    flow.send(PSH, 1, 1, b"no ack")
    quiet(flow, 0.5)
    alive(flow)


@check
def ip_header_is_checked(wire):
    if wire.six:
        return
    flow = Flow(wire, ECHO).open()
    flow.send(ACK | PSH, 1, 1, b"wrong", header={"wrong_checksum": True})
    flow.send(ACK | PSH, 1, 1, b"wrong", header={"flags": 1})
    flow.send(ACK | PSH, 1, 1, b"wrong", header={"offset": 8})
    quiet(flow, 0.5)
    flow.send(ACK | PSH, 1, 1, b"right", header={"options": b"\x94\x04\0\0\x07\x07\x04" + bytes(4)})
    assert flow.get(1, lambda s: s.payload) is not None


@check
def extension_headers_are_walked(wire):
    if not wire.six:
        return
    for following, header in ((60, b"\6\0\1\4\0\0\0\0"), (0, b"\6\0\1\4\0\0\0\0"), (44, b"\6\0\0\0\0\0\0\1")):
        flow = Flow(wire, ECHO).open()
        segment = frames.tcp(wire.here, wire.there, flow.port, ECHO, b"behind", flags=ACK | PSH,
                             sequence=(flow.isn + 1) % SPACE, ack=(flow.far_isn + 1) % SPACE, options=b"")
        wire.send(following, header + segment)
        assert flow.get(1, lambda s: s.payload == b"behind") is not None, following


@check
def headers_tell_nothing(wire):
    flow = Flow(wire, SOURCE).open()
    found = [s for s in flow.all(0.3) if s.payload]
    if wire.six:
        assert {s.ip[7] for s in found} == {64}
    else:
        assert all(s.ip[6] & 0x40 for s in found), "without DF"
        numbers = [s.ip[4] << 8 | s.ip[5] for s in found]
        assert len(set((b - a) & 0xffff for a, b in zip(numbers, numbers[1:]))) != 1 or set(numbers) == {0}
        assert {s.ip[8] for s in found} == {64} and {s.ip[0] for s in found} == {0x45}
    assert all(s.sound for s in found)


# Receiver

@check
def reserved_bits_do_not_matter(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(ACK | PSH, 1, 1, b"bits", spoil=lambda s: frames.with_checksum(
        s[:12] + bytes([s[12] | 0x0e]) + s[13:], 16, frames.pseudo_header(wire.here, wire.there, frames.TCP, len(s))))
    assert flow.get(1, lambda s: s.payload) is not None


@check
def delayed_ack_is_in_time_and_for_every_second(wire):
    flow = Flow(wire, SINK).open()
    size, at = full(wire), 1
    for _ in range(20):
        flow.send(ACK, at, 1, bytes(size))
        at += size
    flow.all(0.2)
    flow.send(ACK, at, 1, bytes(size))
    start = time.monotonic()
    assert flow.get(0.5).at - start < 0.5
    at += size
    for _ in range(10):
        flow.send(ACK, at, 1, bytes(size))
        at += size
    assert len(flow.all(0.3)) >= 1


@check
def gap_is_told_at_once_and_so_is_its_end(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(ACK, 101, 1, bytes(100))
    first = flow.get(0.2)
    assert first.rel_ack == 1 and [((a - flow.isn) % SPACE, (b - flow.isn) % SPACE) for a, b in first.sack] == [(101, 201)]
    flow.send(ACK, 301, 1, bytes(100))
    second = flow.get(0.2)
    assert [(a - flow.isn) % SPACE for a, _ in second.sack] == [301, 101]
    flow.send(ACK, 1, 1, bytes(100))
    assert flow.get(0.2).rel_ack == 201


@check
def duplicates_are_reported(wire):
    flow = Flow(wire, SINK).open()
    flow.send(ACK, 1, 1, bytes(100))
    flow.get(0.2)
    flow.send(ACK, 1, 1, bytes(100))
    assert [(a - flow.isn) % SPACE for a, _ in flow.get(0.2).sack] == [1]
    flow.send(ACK, 201, 1, bytes(100))
    flow.get(0.2)
    flow.send(ACK, 251, 1, bytes(100))
    told = [((a - flow.isn) % SPACE, (b - flow.isn) % SPACE) for a, b in flow.get(0.2).sack]
    assert told == [(251, 301), (201, 351)], told


@check
def overlaps_give_the_right_bytes(wire):
    data = random.randbytes(3000)
    flow = Flow(wire, ECHO).open()
    pieces = [(a, min(a + random.randrange(100, 400), 3000)) for a in range(0, 3000, 100)]
    random.shuffle(pieces)
    for a, b in pieces:
        flow.send(ACK, 1 + a, 1, data[a:b])
    got = bytearray(len(data))
    for segment in flow.all(0.5):
        got[segment.rel - 1:segment.rel - 1 + len(segment.payload)] = segment.payload
    assert got == data


@check
def right_of_the_window_is_not_taken(wire):
    flow = Flow(wire, STALLED).open()
    window = flow.syn_ack.window
    flow.send(ACK, 1 + window + 100000000, 1, b"far")
    answer = flow.get(0.5)
    assert answer.rel_ack == 1 and not answer.sack


@check
def window_never_shrinks_and_shuts(wire):
    flow = Flow(wire, STALLED).open()
    shift, at, edge = flow.syn_ack.options[3][0], 1, 1 + flow.syn_ack.window
    for _ in range(2000):
        size = min(full(wire), edge - at)
        if size <= 0:
            break
        flow.send(ACK, at, 1, bytes(size))
        at += size
        while (answer := flow.get(0.1 if edge - at <= 0 else 0.002)) is not None:
            new = answer.rel_ack + (answer.window << shift)
            assert new + (1 << shift) > edge, (new, edge)
            edge = max(edge, new)
    assert edge - at <= 0, "the window never shut"
    flow.send(ACK, at, 1, b"p")
    answer = flow.get(0.5)
    assert answer.rel_ack <= at + 1, "a probe must be answered"
    reopened = flow.get(8, lambda s: s.window > 0)
    assert reopened is not None, "and reopens by itself"


@check
def keepalives_are_answered(wire):
    flow = Flow(wire, ECHO).open()
    for payload in (b"", b"\0"):
        flow.send(ACK, 0, 1, payload)
        answer = flow.get(0.5)
        assert answer.flags == ACK and answer.rel_ack == 1
    alive(flow)


@check
def urgent_comes_in_band(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(ACK | URG | PSH, 1, 1, b"urgent", spoil=lambda s: frames.with_checksum(
        s[:18] + b"\xff\xff" + s[20:], 16, frames.pseudo_header(wire.here, wire.there, frames.TCP, len(s))))
    assert flow.get(1, lambda s: s.payload).payload == b"urgent"


# Sender

@check
def first_flight_is_ten_segments(wire):
    flow = Flow(wire, SOURCE).open(window=60000)
    sent = sum(len(s.payload) for s in flow.all(0.15) if s.rel < 20000)
    assert sent in (10 * full(wire), 10 * full(wire) + full(wire)), sent


@check
def rto_doubles(wire):
    flow = Flow(wire, SOURCE).open(sack=False)
    times = [s.at for s in flow.all(4) if s.rel == 1]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) >= 3 and gaps[0] >= 0.19 and all(b > 1.7 * a for a, b in zip(gaps[:3], gaps[1:3])), gaps


@check
def two_duplicates_do_not(wire):
    flow = Flow(wire, SOURCE).open(sack=False, window=60000)
    flow.all(0.05)
    for _ in range(2):
        flow.send(ACK, 1, window=60000)
    assert flow.get(0.1, lambda s: s.rel == 1) is None


@check
def shrunk_window_is_no_trap(wire):
    flow = Flow(wire, SOURCE).open(window=100)
    flow.all(0.05)
    flow.send(ACK, 1, window=0)
    flow.all(0.3)
    flow.send(ACK, 1)
    assert flow.get(1, lambda s: s.rel == 1) is not None


@check
def three_duplicates_bring_the_missing(wire):
    for sack in (False, True):
        flow = Flow(wire, SOURCE).open(sack=sack, window=60000)
        size = full(wire)
        flight = [s for s in flow.all(0.1) if s.payload]
        assert len(flight) >= 4
        for k in range(2, 5):
            flow.send(ACK, 1, 1, options=option_sack((flow.far_isn + 1 + size, flow.far_isn + 1 + k * size)) if sack
                      else b"", window=60000)
        again = flow.get(0.19, lambda s: s.rel == 1)
        assert again is not None and len(again.payload) == size


@check
def zero_window_is_probed(wire):
    flow = Flow(wire, SOURCE).open(window=0)
    probes = [s for s in flow.all(3.5) if s.rel <= 1]
    assert len(probes) >= 3 and all(len(s.payload) <= 1 for s in probes)
    gaps = [b.at - a.at for a, b in zip(probes, probes[1:])]
    assert gaps[-1] > 1.5 * gaps[0], gaps
    flow.send(ACK, 1, 1 + max(s.rel - 1 + len(s.payload) for s in probes), window=512)
    assert flow.get(1, lambda s: len(s.payload) > 1) is not None


@check
def small_window_gets_no_silly_segments(wire):
    flow = Flow(wire, SOURCE).open(scale=None, window=3000)
    first = flow.all(0.1)
    top = max(s.rel + len(s.payload) for s in first)
    flow.send(ACK, 1, top, window=10)
    assert all(len(s.payload) <= 1 or s.rel < top for s in flow.all(0.15))


@check
def window_is_obeyed(wire):
    flow = Flow(wire, SOURCE).open(scale=None, window=5000)
    assert max(s.rel + len(s.payload) for s in flow.all(0.5)) <= 5001


@check
def packet_too_big_is_followed(wire):
    flow = Flow(wire, SOURCE).open()
    flow.all(0.05)
    wire.too_big(1280, flow.port, SOURCE, flow.far_isn + 1)
    limit = 1280 - (60 if wire.six else 40)
    again = flow.get(5, lambda s: s.rel == 1 and len(s.payload) <= limit)
    assert again is not None


@check
def packet_too_big_from_a_stranger_is_not(wire):
    flow = Flow(wire, SOURCE).open()
    flow.all(0.05)
    wire.too_big(1280, flow.port, SOURCE, flow.far_isn - 100000)
    limit = 1280 - (60 if wire.six else 40)
    assert all(len(s.payload) > limit for s in flow.all(1.5) if s.rel == 1)


@check
def push_is_on_the_last(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(ACK | PSH, 1, 1, b"push")
    assert flow.get(1, lambda s: s.payload).has(PSH)


# Blind attacks (RFC 5961)

@check
def only_the_right_rst_ends_it(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(RST, 100)
    is_challenge(flow)
    flow.send(RST, 0x40000000)
    quiet(flow, 0.3)
    alive(flow)
    flow.all(0.1)
    flow.send(RST, 6)
    flow.send(ACK | PSH, 6, 6, b"gone")
    assert is_rst(flow.get(1))


@check
def syn_in_a_connection_is_challenged(wire):
    flow = Flow(wire, ECHO).open()
    for seq in (0, 1, 100, 0x40000000):
        flow.send(SYN, seq)
        is_challenge(flow)
    flow.send(SYN | ACK, 1)
    is_challenge(flow)
    alive(flow)


@check
def acks_outside_are_challenged(wire):
    flow = Flow(wire, ECHO).open()
    for ack in (100000, 1 - 0x30000000):
        flow.send(ACK | PSH, 1, ack, b"blind")
        is_challenge(flow)
    alive(flow)


@check
def challenges_are_limited(wire):
    flow = Flow(wire, ECHO).open()
    for _ in range(200):
        flow.send(SYN, 50)
    assert 1 <= len(flow.all(0.5)) <= 40
    alive(flow)


@check
def half_open_connection_recovers(wire):
    flow = Flow(wire, ECHO).open()
    flow.isn += 12345678
    flow.raw(SYN, seq=flow.isn, options=option_mss(1460))
    answer = flow.get(1)
    assert answer.flags == ACK
    flow.raw(RST, seq=answer.ack)
    time.sleep(0.05)
    flow.syn()
    flow.send(ACK, 1)
    alive(flow)


# Timestamps (RFC 7323)

@check
def old_timestamps_are_refused(wire):
    flow = Flow(wire, ECHO).open(ts=True)
    alive(flow)
    flow.all(0.1)
    flow.send(ACK | PSH, 6, 6, b"old", ts=-1000)
    answer = flow.get(0.5)
    assert answer.flags == ACK and answer.rel_ack == 6
    flow.send(RST, 6, ts=-1000)
    flow.ts = False
    flow.send(ACK | PSH, 6, 6, b"gone")
    assert is_rst(flow.get(1))


@check
def missing_timestamps_are_dropped(wire):
    flow = Flow(wire, ECHO).open(ts=True)
    flow.send(ACK | PSH, 1, 1, b"none", ts=None)
    quiet(flow, 0.3)
    alive(flow)


# Closing

@check
def workstation_closes_first(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(FIN | ACK, 1)
    assert flow.get(0.5).rel_ack == 2
    fin = flow.get(3, lambda s: s.has(FIN))
    assert fin is not None and fin.rel == 1, "an echo ends when it is told the end"
    flow.send(ACK, 2, 2)
    flow.send(ACK, 2, 2)
    assert is_rst(flow.get(1)), "nothing is left"


@check
def far_end_closes_first(wire):
    flow = Flow(wire, ENDS).open()
    fin = flow.get(2, lambda s: s.has(FIN))
    end = fin.rel + len(fin.payload) + 1
    flow.send(ACK, 1, end)
    flow.send(FIN | ACK, 1, end)
    assert flow.get(1, lambda s: s.rel_ack == 2).flags == ACK
    flow.send(FIN | ACK, 1, end)
    assert flow.get(1).flags == ACK, "TIME-WAIT acknowledges a FIN again"
    flow.send(SYN, 1000, options=option_mss(1460))
    again = flow.get(2, lambda s: s.has(SYN))
    assert again is not None, "a later SYN reuses it"


@check
def both_close_at_once(wire):
    flow = Flow(wire, ENDS).open()
    fin = flow.get(2, lambda s: s.has(FIN))
    end = fin.rel + len(fin.payload) + 1
    flow.send(FIN | ACK, 1, end - 1)
    assert flow.get(1).rel_ack == 2
    flow.send(ACK, 2, end)
    quiet(flow, 1)


@check
def fin_is_repeated(wire):
    flow = Flow(wire, ENDS).open()
    assert len([s for s in flow.all(2) if s.has(FIN)]) >= 2


@check
def fin_out_of_order_waits(wire):
    flow = Flow(wire, ECHO).open()
    flow.send(FIN | ACK, 4, 1)
    assert flow.get(0.5).rel_ack == 1
    flow.send(ACK, 1, 1, b"abc")
    assert flow.get(1, lambda s: s.rel_ack == 5) is not None


@check
def unread_data_at_the_close_is_a_reset(wire):
    flow = Flow(wire, ABORTS).open()
    flow.send(ACK | PSH, 1, 1, bytes(1000))
    assert flow.get(2, is_rst) is not None


@check
def data_after_the_close_is_a_reset(wire):
    flow = Flow(wire, 2002).open()
    fin = flow.get(2, lambda s: s.has(FIN))
    flow.send(ACK | PSH, 1, fin.rel + 1, b"too late")
    assert flow.get(1, is_rst) is not None


@check
def flood_of_syns_harms_nobody(wire):
    for _ in range(600):
        Flow(wire, 2004).raw(SYN, seq=random.randrange(SPACE), options=option_mss(1460))
    alive(Flow(wire, ECHO).open())
