/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: what a flow in trouble remembers, taken from a pool for as long as it is. Here, its SACK blocks (RFC 2018,
 * RFC 6675): a handful of disjoint ranges beyond snd_una. A flow that finds the pool empty falls back to counting
 * duplicate ACKs, as one without SACK does.
 */
#include "tcp/internal.h"

struct board *board_of(const struct tcp_engine *e, const struct flow *f)
{
    return f->board != 0 ? pool_at(&e->boards, f->board) : NULL;
}

struct board *board_take(struct tcp_engine *e, struct flow *f)
{
    if (f->board == 0) {
        f->board = pool_take(&e->boards) & FLOW_BOARD_MAX;
        if (f->board != 0)
            memset(pool_at(&e->boards, f->board), 0, sizeof(struct board));
    }
    return board_of(e, f);
}

void board_drop(struct tcp_engine *e, struct flow *f)
{
    if (f->board != 0)
        pool_give(&e->boards, f->board);
    f->board = 0;
}

void board_clear(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_of(e, f);
    if (b != NULL)
        b->count = 0;
}

static void remove_at(struct board *b, uint32_t k)
{
    for (b->count--; k < b->count; k++)
        b->block[k] = b->block[k + 1];
}

/* Merge [left, right) in. True if it covers anything new. */
static bool merge(struct board *b, uint32_t left, uint32_t right)
{
    uint32_t k = 0;
    while (k < b->count && seq_lt(b->block[k].right, left))
        k++;
    if (k < b->count && seq_le(b->block[k].left, left) && seq_ge(b->block[k].right, right))
        return false;
    /* Swallow all it touches. */
    while (k < b->count && seq_le(b->block[k].left, right)) {
        left = seq_min(left, b->block[k].left);
        right = seq_max(right, b->block[k].right);
        remove_at(b, k);
    }
    if (b->count == BOARD_BLOCKS) {
        /* Full: forgetting the highest only costs a retransmission that was not needed. */
        if (k == BOARD_BLOCKS)
            return false;
        b->count--;
    }
    for (uint32_t m = b->count; m > k; m--)
        b->block[m] = b->block[m - 1];
    b->block[k] = (struct sack_block){left, right};
    b->count++;
    return true;
}

bool board_note(struct tcp_engine *e, struct flow *f, const struct segment *s)
{
    bool news = false;
    for (uint32_t k = 0; k < s->sack_count; k++) {
        uint32_t left = s->sack[k].left;
        uint32_t right = s->sack[k].right;
        /* D-SACK (RFC 2883) lies below the ACK; what was never sent is a lie. As distances from snd_una: edges that are each
         * in order beside the next one can still go round the number space. */
        uint32_t from = left - f->snd_una;
        uint32_t to = right - f->snd_una;
        if (from >= to || to > f->snd_nxt - f->snd_una || seq_le(left, s->ack))
            continue;
        struct board *b = board_take(e, f);
        if (b == NULL)
            return true; /* not kept, but counted as a duplicate ACK */
        news |= merge(b, left, right);
    }
    return news;
}

void board_prune(struct tcp_engine *e, struct flow *f)
{
    struct board *b = board_of(e, f);
    if (b == NULL)
        return;
    while (b->count > 0 && seq_le(b->block[0].right, f->snd_una))
        remove_at(b, 0);
    if (b->count > 0 && seq_lt(b->block[0].left, f->snd_una))
        b->block[0].left = f->snd_una;
    if (b->count == 0 && !(f->flags & (FLOW_RECOVERY | FLOW_LOSS | FLOW_PROBED)))
        board_drop(e, f);
}

uint32_t board_sacked(const struct tcp_engine *e, const struct flow *f, uint32_t from, uint32_t to)
{
    const struct board *b = board_of(e, f);
    uint32_t sum = 0;
    for (uint32_t k = 0; b != NULL && k < b->count; k++) {
        uint32_t left = seq_max(from, b->block[k].left);
        uint32_t right = seq_min(to, b->block[k].right);
        if (seq_lt(left, right))
            sum += right - left;
    }
    return sum;
}

uint32_t board_hole(const struct tcp_engine *e, const struct flow *f, uint32_t *from, uint32_t to)
{
    const struct board *b = board_of(e, f);
    for (uint32_t k = 0; b != NULL && k < b->count && seq_lt(*from, to); k++) {
        if (seq_ge(*from, b->block[k].right))
            continue;
        if (seq_lt(*from, b->block[k].left))
            return seq_min(to, b->block[k].left);
        *from = b->block[k].right;
    }
    if (seq_gt(*from, to))
        *from = to;
    return to;
}

uint32_t board_sacked_end(const struct tcp_engine *e, const struct flow *f, uint32_t from, uint32_t to)
{
    const struct board *b = board_of(e, f);
    for (uint32_t k = b != NULL ? b->count : 0; k-- > 0;) {
        if (seq_lt(b->block[k].left, to))
            return seq_max(from, seq_min(to, b->block[k].right));
    }
    return from;
}

uint32_t board_top(const struct tcp_engine *e, const struct flow *f)
{
    const struct board *b = board_of(e, f);
    return b != NULL && b->count > 0 ? b->block[b->count - 1].right : f->snd_una;
}

uint32_t board_segments(const struct tcp_engine *e, const struct flow *f)
{
    const struct board *b = board_of(e, f);
    uint32_t sum = 0;
    for (uint32_t k = 0; b != NULL && k < b->count; k++)
        sum += (b->block[k].right - b->block[k].left + f->snd_mss - 1) / f->snd_mss;
    return sum;
}
