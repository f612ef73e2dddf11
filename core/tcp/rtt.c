/* SPDX-License-Identifier: BSD-3-Clause */
/* Round-trip time and retransmission timeout (RFC 6298), in the scaled integers of Jacobson's paper. */
#include "tcp/internal.h"

/* The least of all, but one that was never reached again is forgotten bit by bit: within a few hundred round trips, for a
 * path that became longer (RFC 8985 6.1 wants a minimum of late). */
static void note_least(struct flow *f, uint32_t us)
{
    uint32_t units = u32_min(u32_max(us / 16, 1), FLOW_RTT_MIN_MAX);
    uint32_t least = f->rtt_min;
    least = least == 0 || units <= least ? units : least + (units - least) / 256;
    f->rtt_min = least & FLOW_RTT_MIN_MAX;
}

void rtt_sample(struct flow *f, uint32_t us)
{
    if (us == 0)
        us = 1;
    if (us > RTO_MAX * 1000u)
        us = RTO_MAX * 1000u;
    note_least(f, us);
    if (f->srtt == 0) {
        f->srtt = us * 8;
        f->rttvar = us * 2; /* R / 2, times 4 */
        return;
    }
    uint32_t srtt = f->srtt / 8;
    uint32_t error = us > srtt ? us - srtt : srtt - us;
    f->rttvar = f->rttvar - f->rttvar / 4 + error;
    f->srtt = f->srtt - f->srtt / 8 + us;
}

bool rtt_echo(const struct tcp_engine *e, struct flow *f, uint32_t tsecr)
{
    uint32_t ms = e->now_ms + f->ts_offset - tsecr;
    if (tsecr == 0 || ms > RTO_MAX)
        return false;
    rtt_sample(f, u32_max(ms, 1) * 1000);
    return true;
}

uint32_t rtt_rto(const struct flow *f)
{
    if (f->srtt == 0)
        return (f->flags & FLOW_SYN_AGAIN) ? RTO_AFTER_LOSS : RTO_INITIAL;
    /* SRTT + max(G, 4 * RTTVAR), with Linux's 200 ms where the RFC has the clock's granularity G, in place of a least
     * RTO of 1 s. */
    uint32_t ms = (f->srtt / 8 + u32_max(f->rttvar, RTO_SLACK * 1000u) + 999) / 1000;
    return u32_min(ms, RTO_MAX);
}
