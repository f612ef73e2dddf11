/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Received payload that cannot go upstream yet: a list of chunks in order of sequence number, never overlapping.
 *
 * At its front may stand bytes that are in order and wait for room upstream (rcv_held of them); behind them, with
 * gaps between, what came out of order. Where segments overlap with different content, the bytes that came first
 * stay (RFC 9293 leaves it open; one rule, always the same, leaves no room for a middlebox to be fooled).
 *
 * The list is short: a flow holds no more chunks than its window needs, and pool and quota bound all flows together.
 */
#include "tcp/internal.h"

/* One flow may use so many chunks: its largest window, as a list walked per segment must stay short. */
#define FLOW_CHUNKS_MAX (RCV_WINDOW_MAX / CHUNK_SIZE)

static uint32_t chunk_end(const struct chunk *c)
{
    return c->seq + c->len;
}

/* Append to chunk `i` as much as it has room for. */
static uint32_t append(struct tcp_engine *e, uint32_t i, const uint8_t *data, uint32_t len)
{
    struct chunk *c = chunk_info(&e->chunks, i);
    uint32_t fill = u32_min(len, CHUNK_SIZE - c->off - c->len);
    memcpy(chunk_data(&e->chunks, i) + c->off + c->len, data, fill);
    c->stamp = e->arrivals;
    c->len = (uint16_t)(c->len + fill);
    return fill;
}

/* Fill the gap [seq, seq + len) behind chunk `*prev` (0: at the front); *prev moves on. Returns bytes kept. */
static uint32_t fill_gap(struct tcp_engine *e, struct flow *f, uint32_t *prev, uint32_t seq, const uint8_t *data,
                         uint32_t len, uint32_t *count)
{
    uint32_t kept = 0;
    if (*prev != 0 && chunk_end(chunk_info(&e->chunks, *prev)) == seq)
        kept = append(e, *prev, data, len);
    while (kept < len) {
        uint32_t i = *count < FLOW_CHUNKS_MAX ? memory_take(e, f) : 0;
        if (i == 0)
            return kept;
        (*count)++;
        struct chunk *c = chunk_info(&e->chunks, i);
        c->seq = seq + kept;
        uint32_t *link = *prev != 0 ? &chunk_info(&e->chunks, *prev)->next : &f->rcv_head;
        c->next = *link;
        *link = i;
        kept += append(e, i, data + kept, len - kept);
        *prev = i;
    }
    return kept;
}

uint32_t reassembly_insert(struct tcp_engine *e, struct flow *f, uint32_t seq, const uint8_t *data, uint32_t len)
{
    uint32_t prev = 0;
    uint32_t next = f->rcv_head;
    uint32_t count = 0;
    uint32_t at = seq;
    uint32_t end = seq + len;

    e->arrivals++;
    for (uint32_t i = f->rcv_head; i != 0; i = chunk_info(&e->chunks, i)->next)
        count++;
    while (at != end) {
        /* prev: the last chunk that starts at or before `at`; next: the one behind it. */
        while (next != 0 && seq_le(chunk_info(&e->chunks, next)->seq, at)) {
            prev = next;
            next = chunk_info(&e->chunks, next)->next;
        }
        if (prev != 0 && seq_gt(chunk_end(chunk_info(&e->chunks, prev)), at)) {
            at = seq_min(chunk_end(chunk_info(&e->chunks, prev)), end);
            chunk_info(&e->chunks, prev)->stamp = e->arrivals;
            continue;
        }
        uint32_t stop = next != 0 ? seq_min(chunk_info(&e->chunks, next)->seq, end) : end;
        uint32_t kept = fill_gap(e, f, &prev, at, data + (at - seq), stop - at, &count);
        at += kept;
        if (at != stop)
            break; /* no memory */
    }
    return reassembly_contiguous(e, f, seq);
}

uint32_t reassembly_contiguous(const struct tcp_engine *e, const struct flow *f, uint32_t seq)
{
    for (uint32_t i = f->rcv_head; i != 0; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        if (seq_gt(c->seq, seq))
            break;
        seq = seq_max(seq, chunk_end(c));
    }
    return seq;
}

struct sack_block reassembly_overlap(const struct tcp_engine *e, const struct flow *f, uint32_t seq, uint32_t end)
{
    struct sack_block run = {seq, seq};
    for (uint32_t i = f->rcv_head; i != 0; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        uint32_t left = seq_max(seq, c->seq);
        uint32_t right = seq_min(end, chunk_end(c));
        if (seq_ge(left, right))
            continue;
        if (run.left != run.right && left != run.right)
            break;
        run.left = run.left == run.right ? left : run.left;
        run.right = right;
    }
    return run;
}

uint32_t reassembly_end(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t i = f->rcv_head;
    while (chunk_info(&e->chunks, i)->next != 0)
        i = chunk_info(&e->chunks, i)->next;
    return chunk_end(chunk_info(&e->chunks, i));
}

int reassembly_peek(const struct tcp_engine *e, const struct flow *f, uint32_t bytes, struct iovec *iov, int max)
{
    int n = 0;
    for (uint32_t i = f->rcv_head; i != 0 && bytes > 0 && n < max; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        uint32_t len = u32_min(c->len, bytes);
        iov[n].iov_base = chunk_data(&e->chunks, i) + c->off;
        iov[n].iov_len = len;
        bytes -= len;
        n++;
    }
    return n;
}

void reassembly_consume(struct tcp_engine *e, struct flow *f, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t i = f->rcv_head;
        struct chunk *c = chunk_info(&e->chunks, i);
        if (bytes < c->len) {
            c->off = (uint16_t)(c->off + bytes);
            c->len = (uint16_t)(c->len - bytes);
            c->seq += bytes;
            return;
        }
        bytes -= c->len;
        f->rcv_head = c->next;
        memory_give(e, f, i);
    }
}

/* Put a run among the `max` newest, newest first. Returns how many there are now. */
static uint32_t keep_newest(struct sack_block *out, uint32_t *stamp, uint32_t count, uint32_t max,
                            struct sack_block run, uint32_t run_stamp)
{
    uint32_t k = count < max ? count : max - 1;
    if (count == max && seq_le(run_stamp, stamp[k]))
        return count;
    for (; k > 0 && seq_gt(run_stamp, stamp[k - 1]); k--) {
        out[k] = out[k - 1];
        stamp[k] = stamp[k - 1];
    }
    out[k] = run;
    stamp[k] = run_stamp;
    return count < max ? count + 1 : max;
}

uint32_t reassembly_blocks(const struct tcp_engine *e, const struct flow *f, uint32_t from, struct sack_block *out,
                           uint32_t max)
{
    uint32_t stamp[SEGMENT_SACK_MAX];
    uint32_t count = 0;
    uint32_t i = f->rcv_head;

    while (i != 0 && max > 0) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        i = c->next;
        if (seq_le(chunk_end(c), from))
            continue;
        struct sack_block run = {c->seq, chunk_end(c)};
        uint32_t newest = c->stamp;
        for (; i != 0 && chunk_info(&e->chunks, i)->seq == run.right; i = c->next) {
            c = chunk_info(&e->chunks, i);
            run.right = chunk_end(c);
            newest = seq_max(newest, c->stamp);
        }
        count = keep_newest(out, stamp, count, max, run, newest);
    }
    return count;
}
