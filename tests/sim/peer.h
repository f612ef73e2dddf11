/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reference: a TCP client as a workstation has one, active opener, sender and receiver, written from RFC 9293,
 * 6298, 5681, 2018 and 7323 for the simulator and sharing nothing with core/tcp.
 *
 * It counts in stream offsets of 64 bits, never in sequence numbers: the SYN is offset 0, the first byte of data 1, the
 * FIN stands behind the last. Sequence numbers exist only in headers. What it receives needs no storage, as the
 * content follows from the offset and was checked on its way (watch.c).
 */
#ifndef CLOISTER_TESTS_SIM_PEER_H
#define CLOISTER_TESTS_SIM_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "../unit/random.h"
#include "ranges.h"
#include "wire.h"

#define NEVER UINT64_MAX

enum peer_close {
    CLOSE_WHEN_SENT, /* half-close as soon as everything was written, and read on */
    CLOSE_LAST,      /* after the far end closed */
};

/* How the receiver treats its window. */
enum peer_window {
    WINDOW_HONEST,
    WINDOW_SILLY,  /* tells of every byte of room, as no receiver should */
    WINDOW_SHRINK, /* takes back what it offered, now and then (RFC 9293 3.8.6 discourages, SHLD-14) */
};

/* What one peer does in its life. Times in microseconds. */
struct peer_script {
    uint64_t start_at;
    int64_t up_total;    /* bytes it sends */
    uint32_t write_size; /* bytes the application writes at once */
    uint32_t write_every;
    uint32_t read_size;  /* bytes the application reads at once */
    uint32_t read_every; /* 0: it reads everything at once */
    int64_t stall_at;    /* it stops reading at this offset, once */
    uint32_t stall_for;
    enum peer_close close;
    uint64_t abort_at;  /* when it resets, NEVER: it does not */
    uint64_t vanish_at; /* when the workstation is switched off */

    uint32_t iss, ts_base;
    uint32_t buffer; /* receive buffer, bytes */
    enum peer_window window;
    uint32_t delayed_ack; /* 0: every segment is acknowledged at once */
    uint32_t gso;         /* largest super-segment, bytes; 0: none */
    uint32_t rto_min;
    uint16_t mss;  /* announced; 0: no option */
    uint16_t link; /* largest payload its link carries */
    int8_t wscale; /* -1: no option */
    bool ts, sack;
    bool lies;       /* reports by SACK what it has not, and what nobody sent */
    bool reneges;    /* forgets out-of-order data it reported by SACK */
    bool old_probes; /* probes a zero window with an old empty segment, as BSD and Linux do, not with a byte */
    uint16_t src_port, dst_port;
};

enum peer_state {
    PEER_IDLE,
    PEER_SYN_SENT,
    PEER_ESTABLISHED,
    PEER_FIN_WAIT_1,
    PEER_FIN_WAIT_2,
    PEER_CLOSE_WAIT,
    PEER_CLOSING,
    PEER_LAST_ACK,
    PEER_TIME_WAIT,
    PEER_CLOSED,
};

enum peer_end {
    END_NONE,
    END_CLEAN,   /* both FINs, both acknowledged */
    END_RESET,   /* by an RST of the far end */
    END_REFUSED, /* the same, or ICMP, in SYN-SENT */
    END_TIMEOUT, /* gave up retransmitting */
    END_ABORTED, /* its own RST */
    END_VANISHED,
};

struct peer {
    struct peer_script s;
    uint32_t number;
    struct random random;
    void (*send)(void *ctx, struct peer *p, const struct wire_header *h, int64_t offset, uint32_t payload,
                 uint16_t gso);
    void *ctx;

    enum peer_state state;
    enum peer_end end;

    /* Sending; offsets of the up stream. */
    int64_t una, nxt, max; /* oldest unacknowledged, next to send, end of what was ever sent */
    int64_t edge;          /* right edge of the far end's window */
    int64_t edge_max;      /* largest window it ever had, bytes */
    int64_t wl1, wl2;      /* segment of the last window update (RFC 9293 3.10.7.4) */
    int64_t written;       /* bytes the application wrote */
    int64_t hole;          /* next offset to send again in SACK recovery */
    int64_t recover;
    struct ranges sacked;
    uint32_t mss, cwnd, ssthresh;
    uint32_t dup_acks;
    bool recovery, closing, snd_scaled;
    uint8_t snd_shift;
    uint32_t srtt, rttvar, rto; /* us */
    uint32_t backoff;
    bool timed;
    int64_t timed_end;
    uint64_t timed_at;
    uint64_t rto_at;
    bool persist;

    /* Receiving; offsets of the down stream. */
    uint32_t irs;
    int64_t rcv_nxt, rcv_edge, read, fin; /* fin: -1 until it came */
    int64_t told;                         /* rcv_nxt of the last ACK */
    uint32_t room;                        /* buffer size now */
    struct ranges early;
    int64_t recent; /* the latest early segment */
    uint32_t ts_recent;
    bool ts_on, sack_on;
    bool stalled;         /* it has had its stall */
    uint64_t stall_until; /* the application does not read before */
    uint32_t unacked;     /* segments not acknowledged yet */
    uint64_t delack_at;

    uint64_t write_at, read_at, end_at;
    uint64_t timeouts; /* retransmissions by timeout; probes are none */
};

/* All zero but for `s`, `number`, `random`, `send`, `ctx`; then this. */
void peer_init(struct peer *p);

/* A segment arrived. Its payload was checked on the way. */
void peer_input(struct peer *p, const struct wire_header *h, uint32_t payload, uint64_t now);

/* ICMP: the SYN could not be delivered. */
void peer_unreachable(struct peer *p, uint64_t now);

/* Run what is due, and when that is next, or NEVER. */
void peer_wake(struct peer *p, uint64_t now);
uint64_t peer_next(const struct peer *p);

/* Bytes of data the application read or could read. */
int64_t peer_received(const struct peer *p);

void peer_free(struct peer *p);

/* Between the files of the peer. */

/* peer_send.c: send what may be sent, arm the timer. */
void peer_output(struct peer *p, uint64_t now);
void peer_send_timeout(struct peer *p, uint64_t now);
/* The acknowledgment of a segment. False if the segment is to be dropped. */
bool peer_acknowledged(struct peer *p, const struct wire_header *h, int64_t ack, int64_t seq, uint32_t payload,
                       uint64_t now);

/* peer_receive.c: payload, FIN, and ACKs for them. */
void peer_receive(struct peer *p, int64_t seq, uint32_t payload, bool fin, uint64_t now);
void peer_read(struct peer *p, uint64_t now);
/* What every segment carries; moves the window's edge. */
struct wire_header peer_header(struct peer *p, int64_t seq, uint8_t flags, uint64_t now);
void peer_send_ack(struct peer *p, uint64_t now);

/* peer.c */
void peer_over(struct peer *p, enum peer_end end);
/* The offset that a sequence number means, near offset `near` of the stream that began with `first`. */
int64_t peer_offset(int64_t near, uint32_t first, uint32_t seq);

#endif
