/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reference client's sender: slow start and NewReno (RFC 5681, 6582), with SACK a retransmission of the reported
 * holes, RTO (RFC 6298), persist timer (RFC 9293 3.8.6.1). Plain rather than fast.
 */
#include "peer.h"

#define RETRIES 15u
#define RTO_MAX 60000000u /* us */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The end of what the application gave us. */
static int64_t data_end(const struct peer *p)
{
    return 1 + p->written;
}

static uint64_t timeout(const struct peer *p)
{
    uint64_t rto = (uint64_t)p->rto << (p->backoff < 10 ? p->backoff : 10);
    return rto < RTO_MAX ? rto : RTO_MAX;
}

/* Send [seq, seq + len), and the FIN if it is due there. Returns the end of it. */
static int64_t transmit(struct peer *p, int64_t seq, int64_t len, uint64_t now)
{
    bool fin = p->closing && seq + len == data_end(p);
    struct wire_header h = peer_header(p, seq, (uint8_t)(WIRE_ACK | (fin ? WIRE_FIN : 0)), now);
    if (seq + len == data_end(p))
        h.flags |= WIRE_PSH;
    uint32_t room = p->mss;
    int64_t end = seq + len + fin;
    if (p->timed && seq < p->timed_end && end > p->una && seq < p->max)
        p->timed = false; /* Karn */
    p->send(p->ctx, p, &h, seq - 1, (uint32_t)len, (uint16_t)(len > room ? room : 0));
    if (fin && p->state == PEER_ESTABLISHED)
        p->state = PEER_FIN_WAIT_1;
    else if (fin && p->state == PEER_CLOSE_WAIT)
        p->state = PEER_LAST_ACK;
    if (end > p->max) {
        if (!p->timed && seq == p->max) {
            p->timed = true;
            p->timed_end = end;
            p->timed_at = now;
        }
        p->max = end;
    }
    return end;
}

/* What may be sent at p->nxt: its length, or -1 for nothing at all. */
static int64_t sendable(struct peer *p)
{
    int64_t until = ranges_end(&p->sacked, p->nxt);
    if (until > p->nxt)
        p->nxt = until;
    int64_t data = data_end(p) - p->nxt;
    if (data < 0)
        return -1; /* the FIN was sent */
    int64_t flight = p->nxt - p->una - ranges_sum(&p->sacked, p->una, p->nxt);
    int64_t burst = p->s.gso > 2 * p->mss ? p->s.gso - p->s.gso % p->mss : p->mss;
    int64_t len = least(data, burst);
    len = least(len, p->edge - p->nxt);
    len = least(len, most((int64_t)p->cwnd - flight, flight == 0 ? p->mss : 0));
    if (p->nxt < p->max)
        len = least(len, ranges_next(&p->sacked, p->nxt) - p->nxt);
    if (len > p->mss)
        len -= len % p->mss;
    if (data == 0)
        return p->closing && p->edge >= p->nxt ? 0 : -1;
    if (len <= 0)
        return -1;
    /* RFC 9293 3.8.6.2.1 */
    if (len < p->mss && len < data && len < p->edge_max / 2 && p->nxt >= p->max)
        return -1;
    return len;
}

void peer_output(struct peer *p, uint64_t now)
{
    if (p->state < PEER_ESTABLISHED || p->state > PEER_LAST_ACK)
        return;
    for (int64_t len = sendable(p); len >= 0; len = sendable(p)) {
        int64_t end = transmit(p, p->nxt, len, now);
        if (end == p->nxt)
            break;
        p->nxt = end;
    }
    bool waiting = p->nxt <= data_end(p) && (data_end(p) > p->nxt || p->closing);
    if (p->una == p->max && !waiting) {
        p->rto_at = NEVER;
    } else if (p->rto_at == NEVER) {
        p->persist = p->una == p->max;
        p->rto_at = now + timeout(p);
    }
}

static void probe(struct peer *p, uint64_t now)
{
    if (p->s.old_probes) {
        struct wire_header h = peer_header(p, p->una - 1, WIRE_ACK, now);
        p->send(p->ctx, p, &h, p->una - 1, 0, 0);
        return;
    }
    bool data = p->una < data_end(p);
    p->timed = false;
    if (data || p->closing)
        transmit(p, p->una, data ? 1 : 0, now);
    p->timed = false;
}

void peer_send_timeout(struct peer *p, uint64_t now)
{
    p->rto_at = NEVER;
    if (p->backoff < 100)
        p->backoff++;
    if (p->edge <= p->una) {
        probe(p, now); /* for as long as it takes (RFC 9293 3.8.6.1, MUST-37) */
        return;
    }
    if (p->persist) {
        p->persist = false;
        int64_t len = least(least(data_end(p) - p->nxt, p->mss), p->edge - p->nxt);
        if (len > 0)
            p->nxt = transmit(p, p->nxt, len, now);
        return;
    }
    if (p->backoff > RETRIES) {
        peer_over(p, END_TIMEOUT);
        return;
    }
    p->timeouts++;
    p->ssthresh = (uint32_t)most((p->max - p->una) / 2, 2 * (int64_t)p->mss);
    p->cwnd = p->mss;
    p->nxt = p->una;
    p->sacked.count = 0; /* RFC 2018 8 */
    p->recovery = false;
    p->recover = p->max;
    p->dup_acks = 0;
    p->timed = false;
}

static void sample(struct peer *p, uint32_t rtt)
{
    if (p->srtt == 0) {
        p->srtt = rtt;
        p->rttvar = rtt / 2;
    } else {
        uint32_t error = rtt > p->srtt ? rtt - p->srtt : p->srtt - rtt;
        p->rttvar = (3 * p->rttvar + error) / 4;
        p->srtt = (7 * p->srtt + rtt) / 8;
    }
    p->rto = p->srtt + (4 * p->rttvar > 1000 ? 4 * p->rttvar : 1000);
    if (p->rto < p->s.rto_min)
        p->rto = p->s.rto_min;
}

static void new_ack(struct peer *p, int64_t ack, uint64_t now)
{
    int64_t acked = ack - p->una;
    if (p->timed && ack >= p->timed_end) {
        p->timed = false;
        sample(p, (uint32_t)(now - p->timed_at));
    }
    p->una = ack;
    p->nxt = most(p->nxt, ack);
    p->hole = most(p->hole, ack);
    ranges_trim(&p->sacked, ack);
    p->backoff = 0;
    p->persist = false;
    p->rto_at = NEVER;
    p->dup_acks = 0;
    if (p->recovery && ack >= p->recover) {
        p->recovery = false;
        p->cwnd = p->ssthresh;
    } else if (p->recovery) {
        /* A partial ACK: the next hole begins here. */
        int64_t len = least(least(data_end(p) - ack, p->mss), p->edge - ack);
        if (len > 0 && ack >= p->hole)
            p->hole = transmit(p, ack, len, now);
    } else if (p->cwnd < p->ssthresh) {
        p->cwnd += (uint32_t)least(acked, 2 * (int64_t)p->mss);
    } else {
        p->cwnd += (uint32_t)most((int64_t)p->mss * p->mss / p->cwnd, 1);
    }
    if (p->cwnd > 4u << 20)
        p->cwnd = 4u << 20;
    bool fin_acked = p->closing && ack == data_end(p) + 1;
    if (!fin_acked)
        return;
    if (p->state == PEER_FIN_WAIT_1)
        p->state = PEER_FIN_WAIT_2;
    else if (p->state == PEER_CLOSING)
        p->state = PEER_TIME_WAIT;
    else if (p->state == PEER_LAST_ACK)
        peer_over(p, END_CLEAN);
}

static void duplicate(struct peer *p, uint64_t now)
{
    p->dup_acks++;
    if (!p->recovery && p->dup_acks == 3 && p->una >= p->recover) {
        p->recovery = true;
        p->recover = p->max;
        p->ssthresh = (uint32_t)most((p->max - p->una) / 2, 2 * (int64_t)p->mss);
        p->cwnd = p->ssthresh;
        p->hole = p->una;
    } else if (p->recovery) {
        p->cwnd += p->sack_on ? 0 : p->mss;
    }
    if (!p->recovery || (!p->sack_on && p->dup_acks != 3))
        return;
    /* Each ACK that comes in sends one hole. */
    p->hole = ranges_end(&p->sacked, p->hole);
    int64_t top = p->sacked.count > 0 ? p->sacked.at[p->sacked.count - 1].left : p->una + p->mss;
    int64_t len = least(least(data_end(p) - p->hole, p->mss), p->edge - p->hole);
    len = least(len, ranges_next(&p->sacked, p->hole) - p->hole);
    if (p->hole < top && len > 0)
        p->hole = transmit(p, p->hole, len, now);
    else if (p->hole < top && p->closing && p->hole == data_end(p))
        p->hole = transmit(p, p->hole, 0, now);
}

bool peer_acknowledged(struct peer *p, const struct wire_header *h, int64_t ack, int64_t seq, uint32_t payload,
                       uint64_t now)
{
    if (ack > p->max) {
        peer_send_ack(p, now);
        return false;
    }
    if (ack < p->una)
        return true;
    int64_t edge = ack + ((int64_t)h->window << p->snd_shift);
    bool same = edge == p->edge;
    if (p->wl1 < seq || (p->wl1 == seq && p->wl2 <= ack)) {
        bool opens = p->edge <= p->una && edge > ack;
        p->edge = edge;
        p->edge_max = most(p->edge_max, edge - ack);
        p->wl1 = seq;
        p->wl2 = ack;
        if (opens) {
            p->nxt = ack;
            p->rto_at = NEVER;
            p->backoff = 0;
        }
    }
    for (uint32_t k = 0; p->sack_on && k < h->sack_count; k++) {
        int64_t left = peer_offset(p->una, p->s.iss, h->sack[k][0]);
        int64_t right = peer_offset(p->una, p->s.iss, h->sack[k][1]);
        if (left > ack && left < right && right <= p->max)
            ranges_add(&p->sacked, left, right);
    }
    if (ack > p->una)
        new_ack(p, ack, now);
    else if (p->max > p->una && payload == 0 && !(h->flags & WIRE_FIN) && same)
        duplicate(p, now);
    return p->state != PEER_CLOSED;
}
