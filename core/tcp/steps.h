/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of a segment that the short way (fast.c) and the long way (input.c, ack.c, receive.c) have in common. Each
 * stands here once, so that there is one TCP and not two.
 */
#ifndef CLOISTER_TCP_STEPS_H
#define CLOISTER_TCP_STEPS_H

#include "tcp/internal.h"

/* RFC 7323 4.3. The segment was found good: or anybody could set it. */
static inline void step_timestamp(const struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t tsval)
{
    if (seq_le(seq, f->rcv_acked) && seq_ge(tsval, f->ts_recent)) {
        f->ts_recent = tsval;
        f->ts_recent_at = e->now_ms;
    }
}

/* An acknowledgment that advances always brings the newest window: with an older sequence number than the last update
 * it comes when segments were reordered, and the window it was counted from has moved on (beyond RFC 9293 3.10.7.4). */
static inline void step_window(struct flow *f, uint32_t seq, uint32_t ack, uint16_t window)
{
    if (seq_le(ack, f->snd_una) && !seq_lt(f->snd_wl1, seq) && !(f->snd_wl1 == seq && seq_le(f->snd_wl2, ack)))
        return;
    f->snd_wnd = (uint32_t)window << f->snd_shift;
    f->snd_wnd_max = u32_max(f->snd_wnd_max, f->snd_wnd);
    f->snd_wl1 = seq;
    f->snd_wl2 = ack;
}

/* The largest segment that the workstation sent. */
static inline void step_segment_size(const struct tcp_engine *e, struct flow *f, uint32_t full)
{
    if (full > f->rcv_mss)
        f->rcv_mss = (uint16_t)u32_min(full, e->cfg.mtu);
}

static inline void step_sample(const struct tcp_engine *e, struct flow *f, uint32_t ack, uint32_t tsecr)
{
    if (f->flags & FLOW_RTT_TIMED) {
        if (seq_lt(ack, f->rtt_seq))
            return;
        rtt_sample(f, (uint32_t)e->now - f->rtt_at);
        f->backoff = 0;
        f->karn = 0;
        /* A round trip is over. */
        bool limited = (f->flags & FLOW_LIMITED) != 0;
        f->flags &= ~(uint32_t)(FLOW_RTT_TIMED | FLOW_LIMITED | FLOW_WAS_LIMITED);
        f->flags |= limited ? FLOW_WAS_LIMITED : 0;
    } else if (f->karn != 0 && (f->flags & FLOW_TS) && rtt_echo(e, f, tsecr)) {
        /* After a retransmission only the echoed timestamp tells which copy was answered (RFC 7323 4.1). In peace one
         * sample a round trip is enough (RFC 6298 3), and our own clock is finer. */
        f->backoff = 0;
    }
}

/* snd_una moves on to `ack`, which lies beyond it. Returns the bytes of payload that leave the queue. */
static inline uint32_t step_advance(struct tcp_engine *e, struct flow *f, uint32_t ack, uint32_t tsecr)
{
    uint32_t data = u32_min(ack - f->snd_una, f->snd_queued);

    step_sample(e, f, ack, tsecr);
    queue_drop_part(e, f, data);
    f->snd_una = ack;
    f->down_bytes += data;
    e->counters.down_bytes += data;
    engine_host(e, f->host)->down_bytes += data;
    f->rexmit_nxt = seq_max(f->rexmit_nxt, ack);
    f->lost_edge = seq_max(f->lost_edge, ack);
    f->retries = 0;
    f->flags &= ~(uint32_t)(FLOW_RTO_ARMED | FLOW_PERSIST | FLOW_TLP_ARMED | FLOW_REO_ARMED);
    return data;
}

#endif
