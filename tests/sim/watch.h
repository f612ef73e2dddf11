/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be seen on the wire of one connection, and what of it is forbidden.
 *
 * Stands between the engine and the link: sees every segment that the engine is given, in the order in which it is
 * given, and every segment it sends. From that alone it judges: contents, acknowledgments, windows, sizes, timestamps,
 * and the pace of retransmission.
 */
#ifndef CLOISTER_TESTS_SIM_WATCH_H
#define CLOISTER_TESTS_SIM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ranges.h"
#include "wire.h"

/* What does not change while the simulation runs. */
struct watch_limits {
    uint32_t mtu;
    uint32_t gso_max;
    uint32_t down_phase;
    int64_t down_total; /* bytes; the FIN may stand only behind them, unless `cut_short` */
    bool cut_short;     /* the upstream may be let go of before it ended */
    uint64_t rto_bound; /* us, that the first timeout can take at most */
    bool v4;
};

struct watch {
    struct watch_limits limits, next; /* of this connection, and of the one whose SYN-ACK is to come */
    bool syn_acked;                   /* the rest holds */

    uint32_t iss, irs;     /* of the engine, of the peer */
    struct ranges arrived; /* offsets of the peer that the engine was given */
    int64_t top;           /* end of what the engine sent */
    int64_t fin;           /* offset of its FIN, or -1 */
    int64_t edge;          /* right edge the peer offered, as far as the engine knows */
    int64_t acked;         /* what the peer acknowledged, as far as the engine knows */
    int64_t acked_max;     /* highest acknowledgment the engine sent */
    int64_t offered;       /* right edge the engine offered */
    uint32_t mss;          /* that the peer announced */
    uint32_t tsval;        /* last sent by the engine */
    uint8_t peer_shift, engine_shift;
    bool ts, sack, peer_wscale;

    uint64_t sent_at;  /* us, when the engine last sent something that is to be acknowledged, or such an ACK came */
    uint32_t silences; /* timeouts in a row */
    bool ever_again;   /* something was sent twice */
    bool shut;         /* the peer's window is shut, as far as the engine knows */
    uint64_t retransmits;
    struct ranges again; /* what was sent again since anything was heard */
    uint64_t again_at;   /* us, when the last of it was */
};

/* The engine hears of something else that may have it send again: that segments are too big. */
void watch_heard(struct watch *w);

/* The engine is given a segment. */
void watch_in(struct watch *w, const struct wire_header *h, uint32_t payload, uint64_t now);

/* The engine sent a segment. NULL, or what is wrong with it. `data` are the pieces of the payload. */
struct iovec;
const char *watch_out(struct watch *w, const struct wire_header *h, const struct iovec *data, uint32_t pieces,
                      uint32_t payload, uint16_t gso, uint64_t now);

/* NULL, or that the engine is silent for longer than its timers allow though something is not acknowledged. */
const char *watch_silence(const struct watch *w, uint64_t now);

void watch_free(struct watch *w);

#endif
