/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send queue: bytes read from upstream and not yet acknowledged by the workstation, in a list of chunks. Byte
 * snd_una stands at the front. Nothing is read before it may be sent, so a flow whose window is shut, or that is
 * idle, holds (next to) nothing here, and the upstream feels the pressure.
 */
#include <errno.h>

#include "tcp/internal.h"

#define SENDERS_FORGET 100u /* ms in which a quarter of those that sent are forgotten */
#define FILL_CHUNKS 17      /* 64 KiB and what is left of the last chunk */

/* Take the chunks that were filled with `bytes`, and link them. */
static void link_chunks(struct tcp_engine *e, struct flow *f, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t i = memory_take(e, f), len = u32_min(bytes, CHUNK_SIZE);
        chunk_info(&e->chunks, i)->len = (uint16_t)len;
        if (f->snd_tail != 0)
            chunk_info(&e->chunks, f->snd_tail)->next = i;
        else
            f->snd_head = i;
        f->snd_tail = i;
        bytes -= len;
    }
}

/* Three quarters of the memory in equal parts for those that send now, or did a moment ago: between an ACK and the next
 * read a queue is empty. */
uint32_t queue_max(struct tcp_engine *e, const struct flow *f)
{
    struct host_use *host = engine_host(e, f->host);
    if (e->now_ms - host->senders_at >= SENDERS_FORGET) {
        host->senders_most = u32_max(host->senders, host->senders_most - host->senders_most / 4);
        host->senders_at = e->now_ms;
    }
    uint64_t shared = (uint64_t)u32_min(e->cfg.host_chunks, e->cfg.max_chunks) * CHUNK_SIZE / 4 * 3;
    uint64_t share = shared / (host->senders_most + 1);
    return share < SND_QUEUE_MAX ? u32_max((uint32_t)share, SND_QUEUE_MIN) : SND_QUEUE_MAX;
}

int32_t queue_fill(struct tcp_engine *e, struct flow *f, uint32_t want)
{
    struct iovec iov[FILL_CHUNKS + 1];
    int pieces = 0;
    uint32_t asked = 0;
    uint32_t tail_room = 0;

    if (f->snd_tail != 0) {
        struct chunk *tail = chunk_info(&e->chunks, f->snd_tail);
        tail_room = u32_min(want, CHUNK_SIZE - tail->off - tail->len);
        if (tail_room > 0) {
            iov[pieces].iov_base = chunk_data(&e->chunks, f->snd_tail) + tail->off + tail->len;
            iov[pieces++].iov_len = tail_room;
            asked = tail_room;
        }
    }
    /* Into the chunks that will be taken, as many as turn out to be needed: often it is one of all these. */
    uint32_t ahead = u32_min(memory_left(e, f), FILL_CHUNKS);
    for (uint32_t i = 0, run = 0; asked < want && ahead > 0; ahead -= run, i += run - 1) {
        i = pool_look_ahead(&e->chunks.pool, i, &run);
        run = u32_min(run, ahead);
        uint32_t len = u32_min(want - asked, run * CHUNK_SIZE);
        iov[pieces].iov_base = chunk_data(&e->chunks, i);
        iov[pieces++].iov_len = len;
        asked += len;
    }
    if (asked == 0)
        return -ENOMEM;

    ssize_t n = e->ops.read(e->ctx, flow_id(e, f), iov, pieces);
    uint32_t bytes = n > 0 ? (uint32_t)n : 0;
    uint32_t into_tail = u32_min(bytes, tail_room);
    if (into_tail > 0) {
        struct chunk *tail = chunk_info(&e->chunks, f->snd_tail);
        tail->len = (uint16_t)(tail->len + into_tail);
    }
    link_chunks(e, f, bytes - into_tail);
    if (f->snd_queued == 0 && bytes > 0) {
        struct host_use *host = engine_host(e, f->host);
        host->senders++;
        host->senders_most = u32_max(host->senders_most, host->senders);
    }
    f->snd_queued += bytes;
    /* There was no more: here a write of the far end has ended, as far as anybody can tell. */
    if (bytes < asked && f->snd_tail != 0) {
        struct chunk *tail = chunk_info(&e->chunks, f->snd_tail);
        chunk_push(tail, (uint32_t)tail->off + tail->len);
    }
    if (n < 0)
        return (int32_t)n;
    if (n == 0)
        return -EPIPE;
    f->active_at = e->now_ms;
    return (int32_t)bytes;
}

void queue_drop(struct tcp_engine *e, struct flow *f, uint32_t bytes)
{
    f->snd_queued -= bytes;
    if (f->snd_queued == 0 && bytes > 0)
        engine_host(e, f->host)->senders--;
    while (bytes > 0) {
        uint32_t i = f->snd_head;
        struct chunk *c = chunk_info(&e->chunks, i);
        uint32_t len = u32_min(bytes, c->len);
        c->off = (uint16_t)(c->off + len);
        c->len = (uint16_t)(c->len - len);
        bytes -= len;
        if (c->len > 0)
            return;
        f->snd_head = c->next;
        if (f->snd_head == 0)
            f->snd_tail = 0;
        if (f->snd_cursor == i)
            f->snd_cursor = 0;
        memory_give(e, f, i);
    }
}

int queue_look(const struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len, struct iovec *iov, int max,
               uint32_t *got, bool *push)
{
    /* The cursor spares the walk over what is in flight when new data is sent. Its chunk's first byte may have been
     * acknowledged since: but then the chunk is the first. */
    uint32_t i = f->snd_head;
    uint32_t at = f->snd_una;
    if (f->snd_cursor != 0 && i != f->snd_cursor && seq_ge(seq, f->snd_cursor_seq)) {
        i = f->snd_cursor;
        at = f->snd_cursor_seq;
    }
    int n = 0;
    *got = 0;
    while (i != 0 && n < max && *got < len) {
        struct chunk *c = chunk_info(&e->chunks, i);
        if (seq_ge(seq, at + c->len)) {
            at += c->len;
            i = c->next;
            continue;
        }
        uint32_t skip = seq - at;
        uint32_t piece = u32_min(c->len - skip, len - *got);
        iov[n].iov_base = chunk_data(&e->chunks, i) + c->off + skip;
        iov[n++].iov_len = piece;
        *got += piece;
        *push |= chunk_pushes(c, c->off + skip, c->off + skip + piece);
        seq += piece;
        if (seq_gt(seq, f->snd_nxt)) {
            c->stamp = (uint32_t)e->now;
            if (c->off == 0 && skip == 0)
                c->seq = c->stamp;
        }
        f->snd_cursor = i;
        f->snd_cursor_seq = at;
    }
    return n;
}

void queue_push(struct tcp_engine *e, const struct flow *f, uint32_t end)
{
    struct chunk *c = chunk_info(&e->chunks, f->snd_cursor);
    chunk_push(c, c->off + (end - f->snd_cursor_seq));
}

uint32_t queue_sent_at(const struct tcp_engine *e, const struct flow *f, uint32_t seq)
{
    uint32_t at = f->snd_una;
    uint32_t sent = (uint32_t)e->now;
    for (uint32_t i = f->snd_head; i != 0; i = chunk_info(&e->chunks, i)->next) {
        const struct chunk *c = chunk_info(&e->chunks, i);
        sent = c->seq;
        at += c->len;
        if (seq_lt(seq, at))
            break;
    }
    return sent; /* the FIN: as the last byte */
}
