/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flow: one TCP connection of a workstation and the upstream it is joined to.
 *
 * States, and what may be done in each. The workstation speaks first, but for what tcp_open() opens:
 *
 *     FREE ──tcp_open(): SYN──> SYN_SENT ──SYN-ACK──> ESTABLISHED (or, when two SYNs cross, SYN_RECEIVED)
 *
 *     FREE ──SYN──> CONNECTING ──upstream open──> SYN_RECEIVED ──ACK──> ESTABLISHED
 *                       │ refused: RST or ICMP,                           │        │
 *                       v slot free                       upstream ended: FIN    FIN of the workstation
 *                                                                         v        v
 *                                                              FIN_WAIT_1        CLOSE_WAIT ──upstream ended,
 *                                                        FIN  /     │ ACK of FIN       or half_close_timeout: FIN
 *                                                            v      v                        v
 *                                                      CLOSING   FIN_WAIT_2              LAST_ACK
 *                                                            \      │ FIN                    │ ACK of FIN
 *                                                             v     v                        v
 *                                                            TIME_WAIT ─125 s──> FREE <──────┘
 *
 *     state         upstream    from the workstation                to the workstation
 *     CONNECTING    opening     repeated SYN ignored                nothing
 *     SYN_SENT      open        SYN-ACK awaited                      SYN repeated
 *     SYN_RECEIVED  open (*)    SYN-ACK repeated, ACK awaited       SYN-ACK
 *     ESTABLISHED   open        data written upstream               data read from upstream
 *     CLOSE_WAIT    open        nothing more                        data read from upstream
 *     FIN_WAIT_1/2  ended       data written while it is taken      FIN repeated until acknowledged
 *     CLOSING       ended       nothing more                        FIN repeated
 *     LAST_ACK      released    nothing more                        FIN repeated
 *     TIME_WAIT     released    FIN acknowledged again              -
 *
 * (*) with accept = optimistic it is opened only when the handshake is complete.
 *
 * An RST that is exactly right, a reset upstream, a timeout or an eviction ends any of them at once.
 */
#ifndef CLOISTER_TCP_FLOW_H
#define CLOISTER_TCP_FLOW_H

#include <assert.h>
#include <stdint.h>

#include "base/wheel.h"
#include "tcp/engine.h"

enum flow_state {
    FLOW_FREE,
    FLOW_CONNECTING,
    FLOW_SYN_SENT,
    FLOW_SYN_RECEIVED,
    FLOW_ESTABLISHED,
    FLOW_CLOSE_WAIT,
    FLOW_FIN_WAIT_1,
    FLOW_FIN_WAIT_2,
    FLOW_CLOSING,
    FLOW_LAST_ACK,
    FLOW_TIME_WAIT,
};

/* What is independent of the state. */
enum flow_flag {
    FLOW_TS = 1 << 0,           /* timestamps agreed */
    FLOW_SACK = 1 << 1,         /* SACK agreed */
    FLOW_UP_HELD = 1 << 2,      /* open() succeeded and release() is owed */
    FLOW_UP_OPEN = 1 << 3,      /* the upstream is connected */
    FLOW_READABLE = 1 << 4,     /* read() may return something: not -EAGAIN since the last event */
    FLOW_UP_EOF = 1 << 5,       /* read() returned 0: a FIN follows the queue */
    FLOW_UP_DEAD = 1 << 6,      /* write() failed: what the workstation sends has nowhere to go */
    FLOW_LISTED = 1 << 7,       /* on the turn's list */
    FLOW_ACK_NOW = 1 << 8,      /* an ACK is owed at the end of the turn */
    FLOW_ACK_LATER = 1 << 9,    /* an ACK is owed at ack_at */
    FLOW_RTO_ARMED = 1 << 10,   /* rto_at holds (retransmission, persist or SYN-ACK) */
    FLOW_RTT_TIMED = 1 << 11,   /* rtt_seq, rtt_at hold */
    FLOW_FIN_SENT = 1 << 12,    /* snd_nxt counts a FIN */
    FLOW_RECOVERY = 1 << 13,    /* fast recovery until snd_una reaches recover (RFC 6675) */
    FLOW_LOSS = 1 << 14,        /* after a timeout, until snd_una reaches recover */
    FLOW_PERSIST = 1 << 15,     /* the timer runs for a zero window, not for loss */
    FLOW_PROBED = 1 << 16,      /* a tail loss probe was sent and nothing was heard since */
    FLOW_WAIT_ROOM = 1 << 17,   /* the last write was short: tcp_upstream_writable() will come */
    FLOW_UNREACHED = 1 << 18,   /* with FLOW_ACTIVE: ICMP said, not for good, that it cannot be reached */
    FLOW_TLP_ARMED = 1 << 19,   /* the timer that is armed is a probe timeout, not the RTO */
    FLOW_PENDING = 1 << 20,     /* counted as connecting, against the quotas */
    FLOW_RCV_FIN = 1 << 21,     /* rcv_fin holds: the workstation's FIN came ahead of data that is missing */
    FLOW_SYN_AGAIN = 1 << 22,   /* the SYN-ACK was sent more than once (RFC 6298 5.7) */
    FLOW_LIMITED = 1 << 23,     /* cwnd was used up, or nearly, since the last round trip sample */
    FLOW_WAS_LIMITED = 1 << 24, /* and between the two samples before */
    FLOW_REORDERED = 1 << 25,   /* segments were seen to overtake one another on the way */
    FLOW_REO_ARMED = 1 << 26,   /* the timer that is armed is one for reordering, not the RTO (RFC 8985 6.3) */
    FLOW_PROBE_AGAIN =
        1 << 27,             /* with FLOW_PROBED: the probe was a retransmission; recover is what it reached to */
    FLOW_UP_RESET = 1 << 28, /* read() said that the stream was reset: an RST follows the queue */
    FLOW_ACTIVE = 1 << 29,   /* we opened it, and opened() is owed */
    FLOW_STARVED = 1 << 30,  /* it waits for a chunk, in its workstation's list, with nothing in its queue */
};

#define FLOW_BOARD_MAX 0x7fffu    /* largest number of a board that fits */
#define FLOW_RTT_MIN_MAX 0x1ffffu /* 2 s */
#define FLOW_CHALLENGES 10u       /* challenge ACKs a flow may send at once; one more each 100 ms */

struct flow {
    /* Looked at for every segment. */
    struct tcp_tuple tuple;
    uint32_t hash_next;     /* next flow of the same bucket */
    uint32_t flags;         /* enum flow_flag */
    uint8_t state;          /* enum flow_state */
    uint8_t rcv_shift : 4;  /* scale of the windows we send */
    uint8_t snd_shift : 4;  /* scale of the windows we get */
    uint8_t backoff : 4;    /* how often the RTO was doubled; stays until there is a new sample (RFC 6298 5) */
    uint8_t retries : 4;    /* timeouts in a row without progress */
    uint8_t reo_steps : 4;  /* quarters of a round trip that reordering may take (RFC 8985 6.2 step 4); 0 as 1 */
    uint8_t reo_keep : 4;   /* recoveries for which they still hold */
    uint8_t dup_acks;       /* duplicate ACKs in a row */
    uint8_t gather : 7;     /* 1 + number of the gather slot that holds payload of this turn, or 0 */
    uint8_t karn : 1;       /* what was timed was sent again: only the echo of a timestamp tells the round trip */
    uint8_t challenges : 4; /* challenge ACKs it may still send now (RFC 5961 7) */
    uint8_t round : 4;      /* in which it sent payload last (struct uploads); 0: in none */
    uint8_t quick;          /* ACKs that still leave at once, at the beginning of a flow */
    uint16_t host;          /* workstation number */
    uint16_t rcv_mss;       /* largest segment seen, for the delayed ACK */
    uint16_t unpushed;      /* bytes sent since the last PSH */
    uint16_t snd_mss;       /* payload of a full segment, options with timestamps taken off */

    /* Receiving. */
    uint32_t rcv_nxt;      /* next byte expected */
    uint32_t rcv_edge;     /* right edge of the window last advertised; never moves left */
    uint32_t rcv_acked;    /* the last acknowledgment number sent */
    uint32_t rcv_room;     /* bytes the upstream could take when last asked */
    uint32_t rcv_room_max; /* the most it ever could: the size of its buffer, about */
    uint32_t rcv_head;     /* first chunk of the reassembly list, by sequence number */
    uint32_t rcv_held;     /* bytes at its front that are in order and acknowledged, waiting for room */
    uint32_t rcv_fin;      /* sequence number of the workstation's FIN */
    uint32_t ts_recent;    /* RFC 7323 TS.Recent */
    uint32_t ts_recent_at; /* ms when it was set */
    uint32_t ts_offset;    /* added to our clock, so that it tells nothing */

    /* Sending. */
    uint32_t snd_una;        /* oldest byte not acknowledged */
    uint32_t snd_nxt;        /* next byte never sent before */
    uint32_t snd_wnd;        /* window of the workstation, bytes */
    uint32_t snd_wl1;        /* sequence number of the segment it came in */
    uint32_t snd_wl2;        /* and its acknowledgment number */
    uint32_t snd_wnd_max;    /* largest it ever was */
    uint32_t snd_head;       /* first chunk of the send queue: byte snd_una is at its front */
    uint32_t snd_tail;       /* last chunk */
    uint32_t snd_cursor;     /* chunk that holds byte snd_nxt, or 0 if there is none yet */
    uint32_t snd_queued;     /* bytes in the queue, sent or not */
    uint32_t snd_cursor_seq; /* sequence number of the first byte in chunk snd_cursor */
    uint32_t rexmit_nxt;     /* next byte to send again, below lost_edge */
    uint32_t lost_edge;      /* bytes below it and not reported by SACK are lost */
    uint32_t recover;        /* snd_nxt when the loss was noticed */
    uint32_t board : 15;     /* what is known about losses and repairs, slot number, or 0 */
    uint32_t rtt_min : 17;   /* the shortest round trip of late, in 16 us; 0 = no sample (RFC 8985 6.1) */
    uint32_t cwnd;           /* bytes */
    uint32_t ssthresh;       /* bytes */
    uint32_t cubic_max;      /* W_max, bytes */
    uint32_t cubic_epoch;    /* ms when the epoch began, 0 = none */
    uint32_t cubic_k;        /* ms */
    uint32_t cubic_est;      /* W_est, bytes */
    uint32_t srtt;           /* us * 8, 0 = no sample */
    uint32_t rttvar;         /* us * 4 */
    uint32_t rtt_seq;        /* the segment being timed ends here */
    uint32_t rtt_at;         /* us, when it was sent */

    /* Timers, ms. */
    struct wheel_timer timer;
    uint32_t rto_at;
    uint32_t ack_at;
    uint32_t active_at; /* last segment or upstream byte */
    uint32_t created_at;

    uint32_t list_next;    /* next on the turn's list */
    uint32_t challenge_at; /* ms, when `challenges` was last filled up */

    uint64_t up_bytes;   /* payload taken upstream */
    uint64_t down_bytes; /* payload acknowledged by the workstation */
};

static_assert(sizeof(struct flow) <= 256, "a flow slot is at most four cache lines");

#endif
