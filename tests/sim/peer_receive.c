/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference client's receiver: reassembly, window, delayed ACKs (RFC 9293 3.8.6, RFC 5681 4.2), SACK (RFC 2018). */
#include "peer.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The edge to tell now, in the wire's units. */
static uint16_t window(struct peer *p)
{
    uint8_t shift = (uint8_t)(p->snd_scaled ? p->s.wscale : 0);
    int64_t limit = (int64_t)65535 << shift;
    int64_t space = most(p->room - (p->rcv_nxt - p->read), 0);
    int64_t edge = p->rcv_nxt + least(space, limit);
    if (p->s.window != WINDOW_SHRINK) {
        /* Never left; and to the right only by something worth it (RFC 9293 3.8.6.2.2). */
        int64_t step = least(p->s.buffer / 2, p->s.link);
        if (edge < p->rcv_edge || (p->s.window == WINDOW_HONEST && edge - p->rcv_edge < step))
            edge = p->rcv_edge;
    }
    int64_t units = most(edge - p->rcv_nxt, 0) >> shift;
    units = least(units, 65535);
    if (p->s.window == WINDOW_SHRINK)
        p->rcv_edge = p->rcv_nxt + (units << shift);
    else
        p->rcv_edge = most(p->rcv_edge, p->rcv_nxt + (units << shift));
    return (uint16_t)units;
}

struct wire_header peer_header(struct peer *p, int64_t seq, uint8_t flags, uint64_t now)
{
    struct wire_header h = {
        .src_port = p->s.src_port,
        .dst_port = p->s.dst_port,
        .seq = p->s.iss + (uint32_t)seq,
        .ack = p->irs + (uint32_t)p->rcv_nxt,
        .flags = flags,
        .wscale = -1,
    };
    h.window = window(p);
    if (p->ts_on) {
        h.has_ts = true;
        h.tsval = p->s.ts_base + (uint32_t)(now / 1000);
        h.tsecr = p->ts_recent;
    }
    p->told = p->rcv_nxt;
    p->unacked = 0;
    p->delack_at = NEVER;
    return h;
}

static void add_block(const struct peer *p, struct wire_header *h, const struct range *r)
{
    uint32_t left = p->irs + (uint32_t)r->left;
    for (uint32_t k = 0; k < h->sack_count; k++)
        if (h->sack[k][0] == left)
            return;
    if (h->sack_count == WIRE_SACK_MAX - (p->ts_on ? 1u : 0u))
        return;
    h->sack[h->sack_count][0] = left;
    h->sack[h->sack_count++][1] = p->irs + (uint32_t)r->right;
}

/* Blocks near what is outstanding, anywhere, and round the number space: left of the latter stands after what is outstanding
 * and right before it, each by less than half the space, so that any two are in order. */
static void lie(struct peer *p, struct wire_header *h)
{
    struct random *r = &p->random;
    h->sack_count = (uint8_t)(1 + random_below(r, WIRE_SACK_MAX - (p->ts_on ? 1u : 0u)));
    for (uint32_t k = 0; k < h->sack_count; k++) {
        uint32_t left = h->ack + random_below(r, 60000) - 2000, right = left + random_below(r, 20000);
        switch (random_below(r, 4)) {
        case 0:
            left = (uint32_t)random_u64(r);
            right = (uint32_t)random_u64(r);
            break;
        case 1:
            left = h->ack + 0x60000000u + random_below(r, 0x10000000u);
            right = left + 0x40000000u + random_below(r, 0x30000000u);
            break;
        default:
            break;
        }
        h->sack[k][0] = left;
        h->sack[k][1] = right;
    }
}

void peer_send_ack(struct peer *p, uint64_t now)
{
    struct wire_header h = peer_header(p, p->max, WIRE_ACK, now);
    if (p->sack_on) {
        for (uint32_t k = 0; k < p->early.count; k++)
            if (p->early.at[k].left <= p->recent && p->recent < p->early.at[k].right)
                add_block(p, &h, &p->early.at[k]);
        for (uint32_t k = p->early.count; k-- > 0;)
            add_block(p, &h, &p->early.at[k]);
        if (p->s.lies && random_below(&p->random, 3) == 0)
            lie(p, &h);
    }
    p->send(p->ctx, p, &h, p->max, 0, 0);
}

static void owe(struct peer *p, uint32_t payload, uint64_t now)
{
    uint32_t full = p->s.mss != 0 ? p->s.mss : 536;
    p->unacked += payload + (p->ts_on ? 12 : 0) > full ? 2 : 1; /* several came as one */
    if (p->s.delayed_ack == 0 || p->unacked >= 2)
        p->delack_at = now;
    else if (p->delack_at == NEVER)
        p->delack_at = now + p->s.delayed_ack;
}

static void fin_in_order(struct peer *p)
{
    p->rcv_nxt = p->fin + 1;
    p->rcv_edge = most(p->rcv_edge, p->rcv_nxt);
    switch (p->state) {
    case PEER_ESTABLISHED:
        p->state = PEER_CLOSE_WAIT;
        break;
    case PEER_FIN_WAIT_1:
        p->state = PEER_CLOSING;
        break;
    case PEER_FIN_WAIT_2:
        p->state = PEER_TIME_WAIT;
        break;
    default:
        break;
    }
}

void peer_receive(struct peer *p, int64_t seq, uint32_t payload, bool fin, uint64_t now)
{
    int64_t end = least(seq + payload, p->rcv_edge);
    int64_t before = p->rcv_nxt;
    bool whole = end == seq + payload;

    if (fin && whole && p->fin < 0)
        p->fin = seq + payload;
    if (p->fin >= 0 && p->rcv_nxt > p->fin) {
        peer_send_ack(p, now); /* after the FIN there is nothing: a repetition */
        return;
    }
    if (p->s.reneges && p->early.count > 0 && random_below(&p->random, 16) == 0)
        p->early.count = 0;
    if (seq > p->rcv_nxt) {
        ranges_add(&p->early, seq, end);
        p->recent = seq;
        peer_send_ack(p, now);
        return;
    }
    bool gaps = p->early.count > 0;
    p->rcv_nxt = most(p->rcv_nxt, ranges_end(&p->early, end));
    ranges_trim(&p->early, p->rcv_nxt);
    if (p->s.read_every == 0)
        peer_read(p, now);
    else if (p->read_at == NEVER)
        p->read_at = now + p->s.read_every;
    if (p->fin >= 0 && p->rcv_nxt == p->fin) {
        fin_in_order(p);
        peer_send_ack(p, now);
    } else if (p->rcv_nxt == before || gaps) {
        peer_send_ack(p, now);
    } else {
        owe(p, payload, now);
    }
}

/* The application takes what there is, up to its read size; a window that was (nearly) shut is told to be open. */
void peer_read(struct peer *p, uint64_t now)
{
    const struct peer_script *s = &p->s;
    if (p->stall_until > now) {
        p->read_at = p->stall_until;
        return;
    }
    int64_t end = p->fin >= 0 && p->rcv_nxt > p->fin ? p->fin : p->rcv_nxt;
    int64_t to = s->read_every == 0 ? end : least(end, p->read + s->read_size);
    p->read_at = NEVER;
    if (!p->stalled && s->stall_for != 0 && to > s->stall_at) {
        p->stalled = true;
        p->stall_until = now + s->stall_for;
        p->read_at = p->stall_until;
        to = most(p->read, least(to, s->stall_at));
    }
    p->read = most(p->read, to);
    if (s->window == WINDOW_SHRINK && random_below(&p->random, 4) == 0)
        p->room = random_below(&p->random, 3) == 0 ? s->buffer : random_below(&p->random, s->buffer + 1);
    if (p->read_at == NEVER && (p->read < end || p->room < s->buffer))
        p->read_at = now + (s->read_every != 0 ? s->read_every : 50000);
    int64_t open = p->rcv_edge - p->rcv_nxt;
    int64_t could = p->room - (p->rcv_nxt - p->read);
    int64_t step = s->window == WINDOW_HONEST ? least(s->buffer / 2, s->link) : 1;
    if (p->fin < 0 && open < 2 * (int64_t)s->link && could - open >= most(step, 1))
        peer_send_ack(p, now);
}
