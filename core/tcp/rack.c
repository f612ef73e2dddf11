/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loss by time: RACK (RFC 8985). What was sent a round trip and a bit before something that has arrived meanwhile is
 * lost; that holds for retransmissions too, so one that is lost is sent again without a timeout.
 *
 * There is no record per segment. New data is sent in the order of its numbers, so two times per chunk of the send queue
 * (of its first byte, for what it proves; of the last, for how long it may be missed) are enough to find lost_edge: what
 * stands below it and was not reported is lost. Retransmissions are few and remembered one by one on the board, oldest first,
 * in a ring that joins neighbours; one that finds no place there is only found lost by the timeout.
 *
 * The "bit" is nothing while nothing speaks for reordering and three segments, or a recovery, speak for loss (as Linux
 * has it, which keeps RFC 6675's quickness); else quarters of the shortest round trip, more of them when D-SACK says that we
 * were too quick.
 */
#include "tcp/internal.h"

#define REO_STEPS_MAX 7u
#define REO_KEEP 15u     /* recoveries; the RFC has 16 */
#define REO_TIMER_MIN 2u /* ms more, as Linux has it, for the ACK that is nearly here */

static bool after(uint32_t at, uint32_t end, uint32_t other_at, uint32_t other_end)
{
    return at != other_at ? seq_gt(at, other_at) : seq_gt(end, other_end);
}

/* RFC 8985 6.2 step 4, microseconds. */
static uint32_t reordering_window(const struct tcp_engine *e, const struct flow *f)
{
    bool certain = (f->flags & (FLOW_RECOVERY | FLOW_LOSS)) || f->dup_acks >= 3 || board_segments(e, f) >= 3;
    if (certain && !(f->flags & FLOW_REORDERED))
        return 0;
    return u32_min(f->rtt_min * 4 * u32_max(f->reo_steps, 1), f->srtt / 8);
}

/* Something sent at `at` that ends before `end` has arrived. */
static void arrived(const struct tcp_engine *e, struct board *b, uint32_t at, uint32_t end)
{
    if (b->rack_rtt != 0 && !after(at, end, b->rack_at, b->rack_end))
        return;
    b->rack_at = at;
    b->rack_end = end;
    b->rack_rtt = u32_max((uint32_t)e->now - at, 1);
}

static void forget(struct board *b, uint32_t k)
{
    for (b->resent_count--; k < b->resent_count; k++)
        b->resent[k] = b->resent[k + 1];
}

/* The first byte of a retransmission that has not arrived, or its end. */
static uint32_t first_missing(const struct tcp_engine *e, const struct flow *f, const struct resent *r)
{
    uint32_t at = seq_max(r->left, f->snd_una);
    board_hole(e, f, &at, r->right);
    return at;
}

void rack_resent(struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len)
{
    struct board *b = board_of(e, f);
    uint32_t now = (uint32_t)e->now;
    if (b == NULL)
        return;
    /* An earlier copy of it does not count any more. Only those that were given up are sent again, front to back, from the
     * first byte on that is missing: what stood before it may have arrived. */
    for (uint32_t k = 0; k < b->resent_count; k++) {
        struct resent *r = &b->resent[k];
        uint32_t left = r->lost ? first_missing(e, f, r) : r->left;
        if (!r->lost || seq_lt(left, seq) || seq_ge(left, seq + len))
            continue;
        r->left = seq_min(seq + len, r->right);
        if (r->left == r->right)
            forget(b, k--);
    }
    if (b->resent_count > 0) {
        struct resent *last = &b->resent[b->resent_count - 1];
        if (last->right == seq && last->at == now && !last->lost) {
            last->right = seq + len;
            return;
        }
    }
    if (b->resent_count == BOARD_RESENT) {
        /* Join the oldest two, or do without the oldest. */
        struct resent *r = b->resent;
        if (!r[0].lost && !r[1].lost && seq_le(r[0].right, r[1].left))
            r[1].left = r[0].left;
        forget(b, 0);
    }
    b->resent[b->resent_count++] = (struct resent){.left = seq, .right = seq + len, .at = now};
}

bool rack_lost_again(const struct tcp_engine *e, const struct flow *f, uint32_t *left, uint32_t *right)
{
    const struct board *b = board_of(e, f);
    for (uint32_t k = 0; b != NULL && k < b->resent_count; k++) {
        const struct resent *r = &b->resent[k];
        uint32_t start = seq_max(r->left, f->snd_una);
        if (!r->lost || seq_ge(start, r->right))
            continue;
        uint32_t end = board_hole(e, f, &start, r->right);
        if (start == end)
            continue;
        *left = start;
        *right = end;
        return true;
    }
    return false;
}

uint32_t rack_lost_bytes(const struct tcp_engine *e, const struct flow *f)
{
    const struct board *b = board_of(e, f);
    uint32_t sum = 0;
    for (uint32_t k = 0; b != NULL && k < b->resent_count; k++) {
        const struct resent *r = &b->resent[k];
        uint32_t left = seq_max(r->left, f->snd_una);
        if (r->lost && seq_lt(left, r->right))
            sum += r->right - left - board_sacked(e, f, left, r->right);
    }
    return sum;
}

/* What has arrived of the retransmissions. An answer that came too soon was for the first copy. */
static void look_at_resent(const struct tcp_engine *e, const struct flow *f, struct board *b)
{
    for (uint32_t k = 0; k < b->resent_count; k++) {
        struct resent *r = &b->resent[k];
        uint32_t end = board_sacked_end(e, f, r->left, r->right);
        end = seq_max(end, seq_min(f->snd_una, r->right));
        if (seq_gt(end, r->left) && !r->lost && (uint32_t)e->now - r->at >= f->srtt / 16)
            arrived(e, b, r->at, end);
        r->left = seq_max(r->left, f->snd_una);
        if (seq_ge(r->left, r->right) || board_sacked(e, f, r->left, r->right) == r->right - r->left)
            forget(b, k--);
    }
}

void rack_news(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_of(e, f);
    if (b == NULL)
        return;
    /* The newest of what was sent but once. */
    if (b->count > 0) {
        uint32_t top = b->block[b->count - 1].right;
        if (seq_gt(top, f->rexmit_nxt) && (b->rack_rtt == 0 || seq_gt(top, b->rack_top)) &&
            !rack_is_resent(b, top)) {
            b->rack_top = top;
            b->rack_top_at = queue_sent_at(e, f, top - 1);
            arrived(e, b, b->rack_top_at, top);
        }
    }
    look_at_resent(e, f, b);
}

bool rack_is_resent(const struct board *b, uint32_t right)
{
    for (uint32_t k = 0; k < b->resent_count; k++)
        if (seq_lt(b->resent[k].left, right) && seq_ge(b->resent[k].right, right))
            return true;
    return false;
}

/* Move lost_edge up. Returns microseconds until more may be lost, or 0. */
static uint32_t find_edge(struct tcp_engine *e, struct flow *f, const struct board *b, uint32_t reach)
{
    uint32_t wait = 0;
    uint32_t at = f->snd_una;
    uint32_t top = b->count > 0 ? b->block[b->count - 1].left : at;
    /* All of it was sent before what stands above, even if more of its chunk was sent since. */
    uint32_t latest = b->count > 0 && b->rack_top == b->block[b->count - 1].right ? b->rack_top_at : b->rack_at;
    for (uint32_t i = f->snd_head; i != 0 && seq_lt(at, top);) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        uint32_t end = seq_min(at + c->len, top);
        uint32_t from = seq_max(at, f->lost_edge);
        if (seq_gt(end, f->lost_edge) && board_sacked(e, f, from, end) < end - from) {
            int32_t left = (int32_t)(seq_min(c->stamp, latest) + reach - (uint32_t)e->now);
            if (left > 0)
                wait = u32_max(wait, (uint32_t)left);
            else
                f->lost_edge = end;
        }
        at += c->len;
        i = c->next;
    }
    return wait;
}

bool rack_detect(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_of(e, f);
    if (b == NULL || b->rack_rtt == 0)
        return false;
    uint32_t reach = b->rack_rtt + reordering_window(e, f);
    uint32_t edge = f->lost_edge;
    uint32_t wait = find_edge(e, f, b, reach);
    bool lost = f->lost_edge != edge;
    for (uint32_t k = 0; k < b->resent_count; k++) {
        struct resent *r = &b->resent[k];
        if (r->lost || !after(b->rack_at, b->rack_end, r->at, r->right))
            continue;
        int32_t left = (int32_t)(r->at + reach - (uint32_t)e->now);
        if (left > 0)
            wait = u32_max(wait, (uint32_t)left);
        else
            lost = r->lost = true;
    }
    if (wait > 0 && f->snd_wnd > 0) {
        uint32_t at = e->now_ms + (wait + 999) / 1000 + REO_TIMER_MIN;
        /* After a silence of minutes the times mean little: no later than the timeout. */
        if (seq_lt(at, f->flags & FLOW_RTO_ARMED ? f->rto_at : e->now_ms + rtt_rto(f))) {
            f->flags &= ~(uint32_t)(FLOW_TLP_ARMED | FLOW_PERSIST);
            f->flags |= FLOW_RTO_ARMED | FLOW_REO_ARMED;
            f->rto_at = at;
            timer_arm(e, f);
        }
    }
    return lost;
}

void rack_dsack(struct flow *f)
{
    f->reo_steps = (uint8_t)(u32_min(u32_max(f->reo_steps, 1) + 1, REO_STEPS_MAX) & 15u);
    f->reo_keep = REO_KEEP;
}

void rack_recovery_begins(struct flow *f)
{
    if (f->reo_keep > 0 && --f->reo_keep == 0)
        f->reo_steps = 0;
}
