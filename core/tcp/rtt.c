/* SPDX-License-Identifier: BSD-3-Clause */
/* Round-trip time and retransmission timeout (RFC 6298), in the scaled integers of Jacobson's paper. */
#include "tcp/internal.h"

void rtt_sample(struct flow *f, uint32_t us)
{
    if (us == 0)
        us = 1;
    if (us > RTO_MAX * 1000u)
        us = RTO_MAX * 1000u;
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

uint32_t rtt_rto(const struct flow *f)
{
    if (f->srtt == 0)
        return RTO_INITIAL;
    /* 4 * RTTVAR, at least a clock tick of 1 ms. */
    uint32_t ms = (f->srtt / 8 + u32_max(f->rttvar, 1000) + 999) / 1000;
    return u32_min(u32_max(ms, RTO_MIN), RTO_MAX);
}
