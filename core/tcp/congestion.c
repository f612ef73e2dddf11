/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CUBIC (RFC 9438) in integers: windows in bytes, times in milliseconds.
 *
 * W_cubic(t) = C * (t - K)^3 + W_max with C = 0.4 segments/s^3. In bytes and ms, C is mss * 0.4 / 10^9 =
 * mss / 2.5 * 10^-9.
 */
#include "tcp/internal.h"

#define CUBIC_PER_SEGMENT 2500000000 /* ms^3 per segment: 1 / C */
#define CUBIC_SPAN 60000             /* ms; the curve is cut off there, far from where it matters */
#define CWND_MAX (8u << 20)

static uint32_t beta(uint32_t bytes)
{
    return (uint32_t)((uint64_t)bytes * 7 / 10);
}

void congestion_init(struct flow *f)
{
    uint32_t mss = f->snd_mss;
    /* RFC 6928 2: min(10 * MSS, max(2 * MSS, 14600)); one segment if the SYN-ACK was sent more than twice. Linux has ten
     * whatever their size; up to an MSS of 1460 that is the same. Of jumbo frames ten would be 90 to 650 KB at once, more
     * than the queue of a link takes from one of many flows, and two of them are 18 to 130 KB already. */
    f->cwnd = f->backoff > 1 ? mss : u32_min(10 * mss, u32_max(2 * mss, 14600));
    f->ssthresh = UINT32_MAX;
    f->cubic_max = 0;
    f->cubic_epoch = 0;
}

static uint32_t cube_root(uint64_t v)
{
    uint64_t lo = 0;
    uint64_t hi = 1u << 21;
    while (lo < hi) {
        uint64_t mid = (lo + hi + 1) / 2;
        if (mid * mid * mid <= v)
            lo = mid;
        else
            hi = mid - 1;
    }
    return (uint32_t)lo;
}

static void begin_epoch(const struct tcp_engine *e, struct flow *f)
{
    f->cubic_epoch = e->now_ms != 0 ? e->now_ms : 1;
    f->cubic_est = f->cwnd;
    if (f->cubic_max > f->cwnd) {
        f->cubic_k = cube_root((uint64_t)(f->cubic_max - f->cwnd) * CUBIC_PER_SEGMENT / f->snd_mss);
    } else {
        f->cubic_k = 0;
        f->cubic_max = f->cwnd;
    }
}

/* Where the curve will be one round trip from now. */
static uint32_t cubic_target(const struct tcp_engine *e, const struct flow *f)
{
    int64_t t = (int64_t)(e->now_ms - f->cubic_epoch) + f->srtt / 8000 - f->cubic_k;
    if (t > CUBIC_SPAN)
        t = CUBIC_SPAN;
    if (t < -CUBIC_SPAN)
        t = -CUBIC_SPAN;
    int64_t w = (int64_t)f->cubic_max + t * t * t / CUBIC_PER_SEGMENT * f->snd_mss +
                t * t * t % CUBIC_PER_SEGMENT * f->snd_mss / CUBIC_PER_SEGMENT;
    int64_t low = f->cwnd;
    int64_t high = (int64_t)f->cwnd * 3 / 2; /* RFC 9438 4.2 */
    return (uint32_t)(w < low ? low : w > high ? high : w);
}

void congestion_acked(const struct tcp_engine *e, struct flow *f, uint32_t bytes, bool limited)
{
    if (!limited || f->cwnd >= CWND_MAX)
        return;
    if (f->cwnd < f->ssthresh) {
        /* By bytes, not by ACKs: one ACK may stand for a whole super-segment (RFC 3465, RFC 9438 4.10). */
        f->cwnd = u32_min(f->cwnd + bytes, u32_max(f->ssthresh, f->cwnd));
        return;
    }
    if (f->cubic_epoch == 0)
        begin_epoch(e, f);
    uint32_t target = cubic_target(e, f);
    uint32_t grow = (uint32_t)((uint64_t)(target - f->cwnd) * bytes / f->cwnd);
    /* Reno-friendly region (4.3): alpha = 3 * (1 - beta) / (1 + beta) = 0.53 segments a round trip. */
    f->cubic_est += (uint32_t)((uint64_t)f->snd_mss * bytes * 53 / 100 / f->cwnd) + 1;
    f->cwnd += grow;
    if (f->cwnd < f->cubic_est)
        f->cwnd = f->cubic_est;
}

static void reduce(struct flow *f, uint32_t flight)
{
    /* A window that was used is what the path held, however much of it the last ACK took off (4.6, RFC 7661). */
    bool whole = (f->flags & (FLOW_LIMITED | FLOW_WAS_LIMITED)) != 0;
    uint32_t used = whole ? f->cwnd : u32_min(f->cwnd, flight);
    /* Fast convergence (4.7): give room when the last maximum was not reached again. */
    f->cubic_max = f->cwnd < f->cubic_max ? (uint32_t)((uint64_t)f->cwnd * 17 / 20) : f->cwnd;
    f->ssthresh = u32_max(beta(used), 2u * f->snd_mss);
    f->cubic_epoch = 0;
}

void congestion_loss(struct flow *f, uint32_t flight)
{
    reduce(f, flight);
    f->cwnd = f->ssthresh;
}

void congestion_timeout(struct flow *f, uint32_t flight)
{
    /* ssthresh falls once for a series of timeouts, not with each (RFC 5681 3.1), nor again for what recovery knew of. */
    if (f->retries == 0 && !(f->flags & FLOW_RECOVERY))
        reduce(f, flight);
    f->cwnd = f->snd_mss;
}

/* The longer nothing was sent, the less is known about the path: half the window for each RTO, down to the initial one;
 * the threshold keeps what was found out (RFC 5681 4.1 in the gentler form of RFC 2861, which is Linux's). */
void congestion_idle(struct flow *f, uint32_t rtos)
{
    uint32_t mss = f->snd_mss;
    uint32_t least = u32_min(f->cwnd, u32_min(10 * mss, u32_max(2 * mss, 14600)));
    if (f->ssthresh != UINT32_MAX)
        f->ssthresh = u32_max(f->ssthresh, f->cwnd - f->cwnd / 4);
    f->cwnd = u32_max(least, rtos < 32 ? f->cwnd >> rtos : 0);
    f->cubic_epoch = 0;
}
