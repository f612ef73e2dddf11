/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference client's life: RFC 9293's states as an active opener walks them. */
#include "peer.h"

#include <string.h>

#define SYN_RETRIES 6u
#define TIME_WAIT 60000000u /* us */

int64_t peer_offset(int64_t near, uint32_t first, uint32_t seq)
{
    return near + (int32_t)(seq - (first + (uint32_t)near));
}

void peer_init(struct peer *p)
{
    const struct peer_script *s = &p->s;
    p->fin = -1;
    p->edge = 1;
    p->room = s->buffer;
    p->rto = 1000000;
    p->rcv_edge = 0;
    p->delack_at = p->rto_at = p->end_at = p->write_at = p->read_at = NEVER;
    p->state = PEER_IDLE;
}

void peer_over(struct peer *p, enum peer_end end)
{
    if (p->end == END_NONE)
        p->end = end;
    p->state = PEER_CLOSED;
    p->delack_at = p->rto_at = p->end_at = p->write_at = p->read_at = NEVER;
}

static void send_syn(struct peer *p, uint64_t now)
{
    const struct peer_script *s = &p->s;
    struct wire_header h = {
        .src_port = s->src_port,
        .dst_port = s->dst_port,
        .seq = s->iss,
        .flags = WIRE_SYN,
        .window = (uint16_t)(s->buffer < 65535 ? s->buffer : 65535),
        .mss = s->mss,
        .wscale = s->wscale,
        .has_ts = s->ts,
        .sack_permitted = s->sack,
        .tsval = s->ts_base + (uint32_t)(now / 1000),
    };
    p->send(p->ctx, p, &h, 0, 0, 0);
}

static void open_connection(struct peer *p, uint64_t now)
{
    p->state = PEER_SYN_SENT;
    p->una = 0;
    p->nxt = p->max = 1;
    p->timed = true;
    p->timed_at = now;
    p->rto_at = now + p->rto;
    send_syn(p, now);
}

static void send_reset_for(struct peer *p, const struct wire_header *in, uint32_t payload)
{
    struct wire_header h = {.src_port = p->s.src_port, .dst_port = p->s.dst_port, .flags = WIRE_RST, .wscale = -1};
    if (in->flags & WIRE_ACK) {
        h.seq = in->ack;
    } else {
        h.flags |= WIRE_ACK;
        h.ack = in->seq + payload + ((in->flags & WIRE_SYN) != 0) + ((in->flags & WIRE_FIN) != 0);
    }
    p->send(p->ctx, p, &h, 0, 0, 0);
}

static void established(struct peer *p, const struct wire_header *h, uint64_t now)
{
    const struct peer_script *s = &p->s;
    p->irs = h->seq;
    p->rcv_nxt = p->read = p->told = 1;
    p->rcv_edge = 1 + (s->buffer < 65535 ? s->buffer : 65535);
    p->ts_on = s->ts && h->has_ts;
    p->sack_on = s->sack && h->sack_permitted;
    p->snd_scaled = s->wscale >= 0 && h->wscale >= 0;
    p->snd_shift = (uint8_t)(p->snd_scaled ? h->wscale : 0);
    if (p->ts_on)
        p->ts_recent = h->tsval;
    p->mss = h->mss != 0 ? h->mss : 536;
    if (p->mss > s->link)
        p->mss = s->link;
    if (p->ts_on)
        p->mss = p->mss > 12 ? p->mss - 12 : 1;
    p->una = p->nxt = 1;
    p->edge = 1 + h->window;
    p->edge_max = h->window;
    p->wl1 = 0;
    p->wl2 = 1;
    if (p->backoff == 0 && p->timed) {
        p->srtt = (uint32_t)(now - p->timed_at);
        p->rttvar = p->srtt / 2;
        p->rto = p->srtt + 4 * p->rttvar;
        if (p->rto < s->rto_min)
            p->rto = s->rto_min;
    }
    p->timed = false;
    p->backoff = 0;
    p->cwnd = 10 * p->mss;
    p->ssthresh = 1u << 30;
    p->rto_at = NEVER;
    p->state = PEER_ESTABLISHED;
    p->write_at = now;
    peer_wake(p, now);
    if (p->told == 1 && p->nxt == 1) /* nothing was sent that carries the ACK */
        peer_send_ack(p, now);
}

static void syn_sent_input(struct peer *p, const struct wire_header *h, uint64_t now)
{
    bool good_ack = (h->flags & WIRE_ACK) && h->ack == p->s.iss + 1;
    if ((h->flags & WIRE_ACK) && !good_ack) {
        if (!(h->flags & WIRE_RST))
            send_reset_for(p, h, 0);
        return;
    }
    if (h->flags & WIRE_RST) {
        if (good_ack)
            peer_over(p, END_REFUSED);
        return;
    }
    if ((h->flags & WIRE_SYN) && good_ack)
        established(p, h, now);
}

static bool acceptable(const struct peer *p, int64_t seq, int64_t space)
{
    int64_t window = p->rcv_edge - p->rcv_nxt;
    if (window < 0)
        window = 0;
    if (space == 0)
        return window == 0 ? seq == p->rcv_nxt : seq >= p->rcv_nxt && seq < p->rcv_nxt + window;
    if (window == 0)
        return false;
    return seq < p->rcv_nxt + window && seq + space > p->rcv_nxt;
}

/* RFC 9293 3.10.7.4 in its order. */
static void synchronised_input(struct peer *p, const struct wire_header *h, uint32_t payload, uint64_t now)
{
    int64_t seq = peer_offset(p->rcv_nxt, p->irs, h->seq);
    int64_t ack = peer_offset(p->una, p->s.iss, h->ack);
    bool fin = (h->flags & WIRE_FIN) != 0;
    int64_t space = payload + fin + ((h->flags & WIRE_SYN) != 0);

    if (p->ts_on && h->has_ts && !(h->flags & WIRE_RST)) {
        if ((int32_t)(h->tsval - p->ts_recent) < 0) {
            peer_send_ack(p, now);
            return;
        }
        if (seq <= p->told)
            p->ts_recent = h->tsval;
    }
    if (!acceptable(p, seq, space)) {
        /* RFC 9293: with the window shut, ACKs and RSTs are still looked at (MUST-66 for the window's sake). */
        bool shut = p->rcv_edge <= p->rcv_nxt && seq == p->rcv_nxt;
        if (h->flags & WIRE_RST)
            return;
        if (shut && (h->flags & WIRE_ACK))
            peer_acknowledged(p, h, ack, seq, payload, now);
        if (p->state != PEER_CLOSED && p->state != PEER_TIME_WAIT)
            peer_output(p, now);
        if (p->state != PEER_CLOSED)
            peer_send_ack(p, now);
        return;
    }
    if (h->flags & WIRE_RST) {
        if (seq == p->rcv_nxt)
            peer_over(p, END_RESET);
        else
            peer_send_ack(p, now);
        return;
    }
    if (h->flags & WIRE_SYN) {
        peer_send_ack(p, now);
        return;
    }
    if (!(h->flags & WIRE_ACK) || !peer_acknowledged(p, h, ack, seq, payload, now))
        return;
    if (p->state == PEER_CLOSED || p->state == PEER_TIME_WAIT)
        return;
    if (payload > 0 || fin)
        peer_receive(p, seq, payload, fin, now);
    if (p->state != PEER_CLOSED && p->state != PEER_TIME_WAIT)
        peer_wake(p, now);
}

void peer_input(struct peer *p, const struct wire_header *h, uint32_t payload, uint64_t now)
{
    switch (p->state) {
    case PEER_IDLE:
        break;
    case PEER_SYN_SENT:
        syn_sent_input(p, h, now);
        break;
    case PEER_CLOSED:
        if (p->end != END_VANISHED && !(h->flags & WIRE_RST))
            send_reset_for(p, h, payload);
        break;
    case PEER_TIME_WAIT:
        if (h->flags & WIRE_RST)
            break; /* RFC 1337 */
        if (payload > 0 || (h->flags & (WIRE_FIN | WIRE_SYN))) {
            p->end_at = now + TIME_WAIT;
            peer_send_ack(p, now);
        }
        break;
    default:
        synchronised_input(p, h, payload, now);
        break;
    }
    if (p->state == PEER_TIME_WAIT && p->end_at == NEVER) {
        p->end = END_CLEAN;
        p->delack_at = p->rto_at = p->write_at = p->read_at = NEVER;
        p->end_at = now + TIME_WAIT;
    }
}

void peer_unreachable(struct peer *p, uint64_t now)
{
    (void)now;
    if (p->state == PEER_SYN_SENT)
        peer_over(p, END_REFUSED);
}

static void application_writes(struct peer *p, uint64_t now)
{
    const struct peer_script *s = &p->s;
    while (p->write_at <= now) {
        int64_t left = s->up_total - p->written;
        p->written += left < s->write_size ? left : s->write_size;
        p->write_at = p->written == s->up_total ? NEVER : p->write_at + s->write_every;
    }
    if (p->written == s->up_total && (s->close == CLOSE_WHEN_SENT || (p->fin >= 0 && p->rcv_nxt > p->fin)))
        p->closing = true;
}

static void abort_connection(struct peer *p, uint64_t now)
{
    if (p->state >= PEER_ESTABLISHED && p->state < PEER_TIME_WAIT) {
        struct wire_header h = peer_header(p, p->max, WIRE_RST | WIRE_ACK, now);
        p->send(p->ctx, p, &h, p->max, 0, 0);
    }
    peer_over(p, END_ABORTED);
}

void peer_wake(struct peer *p, uint64_t now)
{
    if (p->state == PEER_CLOSED)
        return;
    if (now >= p->s.vanish_at) {
        peer_over(p, END_VANISHED);
        return;
    }
    if (now >= p->s.abort_at) {
        abort_connection(p, now);
        return;
    }
    switch (p->state) {
    case PEER_IDLE:
        if (now >= p->s.start_at)
            open_connection(p, now);
        return;
    case PEER_SYN_SENT:
        if (now < p->rto_at)
            return;
        if (p->backoff == SYN_RETRIES) {
            peer_over(p, END_TIMEOUT);
            return;
        }
        p->backoff++;
        p->rto_at = now + ((uint64_t)p->rto << p->backoff);
        send_syn(p, now);
        return;
    case PEER_TIME_WAIT:
        if (now >= p->end_at)
            peer_over(p, END_CLEAN);
        return;
    default:
        break;
    }
    application_writes(p, now);
    if (now >= p->read_at)
        peer_read(p, now);
    if (now >= p->rto_at)
        peer_send_timeout(p, now);
    if (p->state == PEER_CLOSED)
        return;
    peer_output(p, now);
    if (now >= p->delack_at)
        peer_send_ack(p, now);
}

uint64_t peer_next(const struct peer *p)
{
    if (p->state == PEER_CLOSED)
        return NEVER;
    uint64_t next = p->state == PEER_IDLE ? p->s.start_at : p->rto_at;
    const uint64_t others[] = {p->s.abort_at, p->s.vanish_at, p->delack_at, p->write_at, p->read_at, p->end_at};
    for (unsigned k = 0; k < sizeof(others) / sizeof(others[0]); k++)
        if (others[k] < next)
            next = others[k];
    return next;
}

int64_t peer_received(const struct peer *p)
{
    int64_t end = p->fin >= 0 && p->rcv_nxt > p->fin ? p->fin : p->rcv_nxt;
    return end > 0 ? end - 1 : 0;
}

void peer_free(struct peer *p)
{
    ranges_clear(&p->sacked);
    ranges_clear(&p->early);
}
