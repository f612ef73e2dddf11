/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Payload on its way upstream.
 *
 * In-order payload is not copied: until the end of the turn it is a list of pointers into the caller's buffers (a
 * "gather"), then one write takes all of it. rcv_nxt moves on at once, so that the next segment of the batch is in
 * order too, but no ACK leaves before the write was made. What the write did not take, and what comes out of order,
 * is copied to the reassembly list; if there is no memory for it, rcv_nxt moves back and the workstation sends again.
 *
 * The advertised window follows the upstream's room, as it was told by the last write: its right edge is the first
 * byte not yet written plus that room, and never moves left (RFC 9293 3.8.6). The edge is counted in whole units of
 * the window scale from rcv_nxt on; rounding up may promise up to seven bytes too many, which the reassembly list
 * takes.
 */
#include <errno.h>

#include "tcp/internal.h"
#include "tcp/steps.h"

#define DELIVER_IOV 16
#define UPLOADS_ROUND 100u    /* ms */
#define UPLOADS_SILENCE 2000u /* ms without payload of any flow */

/* The largest window: less if many flows send, for what all of them may send at once stands in the queue of the link, and
 * what does not fit there is lost. One that has sent nothing yet may be one of as many as there are flows: its first
 * window is for a flight, and grows when it sends. */
static uint32_t window_max(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t limit = f->rcv_shift != 0 ? RCV_WINDOW_MAX : 65535;
    uint32_t sharers = f->round != 0 ? e->uploads.most : e->counters.flows;
    uint32_t less = e->cfg.gso_max == 0 ? RCV_SINGLE_SHARE : 1;
    return u32_min(limit, u32_max(RCV_WINDOWS_ALL / u32_max(sharers, 1), RCV_WINDOW_MIN) / less);
}

/* The flow sent payload. */
static void note_upload(struct tcp_engine *e, struct flow *f)
{
    struct uploads *u = &e->uploads;
    if (u->round == 0 || e->now_ms - u->since >= UPLOADS_ROUND) {
        /* What was is forgotten by quarters, or at once after a silence. */
        uint32_t kept = e->now_ms - u->since < UPLOADS_SILENCE ? u->most - u->most / 4 : 0;
        *u = (struct uploads){.most = kept, .since = e->now_ms, .round = u->round % 15 + 1};
    }
    if (f->round == u->round)
        return;
    f->round = u->round & 15u;
    u->count++;
    u->most = u32_max(u->most, u->count);
}

uint32_t receive_edge(const struct tcp_engine *e, const struct flow *f)
{
    uint32_t limit = window_max(e, f);
    uint32_t first_unwritten = f->rcv_nxt - f->rcv_held;
    uint32_t edge = first_unwritten + u32_min(f->rcv_room, limit);
    return seq_max(edge, f->rcv_edge);
}

void receive_room(struct flow *f, size_t room)
{
    f->rcv_room = (uint32_t)(room < RCV_WINDOW_MAX ? room : RCV_WINDOW_MAX);
    f->rcv_room_max = u32_max(f->rcv_room_max, f->rcv_room);
}

/* An opening smaller than this is not worth telling: a segment, or half of a small buffer (RFC 9293 3.8.6.2.2). */
static uint32_t worth_telling(const struct flow *f)
{
    return u32_max(1, u32_min(f->rcv_mss, f->rcv_room_max / 2));
}

uint32_t receive_window(struct tcp_engine *e, struct flow *f)
{
    uint32_t limit = f->rcv_shift != 0 ? RCV_WINDOW_MAX : 65535;
    uint32_t edge = receive_edge(e, f);
    if (edge - f->rcv_edge < worth_telling(f))
        edge = f->rcv_edge;
    uint32_t window = seq_gt(edge, f->rcv_nxt) ? edge - f->rcv_nxt : 0;
    uint32_t unit = (1u << f->rcv_shift) - 1;
    window = u32_min((window + unit) & ~unit, limit);
    f->rcv_edge = seq_max(f->rcv_edge, f->rcv_nxt + window);
    return window;
}

void receive_reopen(struct tcp_engine *e, struct flow *f)
{
    uint32_t now_open = seq_gt(f->rcv_edge, f->rcv_nxt) ? f->rcv_edge - f->rcv_nxt : 0;
    uint32_t opening = receive_edge(e, f) - f->rcv_edge;
    /* Told at once when the workstation may be waiting for it; else the next ACK says it. */
    if ((f->flags & FLOW_UP_DEAD) || opening < worth_telling(f) || now_open >= 2u * f->rcv_mss + 65535u / 4)
        return;
    f->flags |= FLOW_ACK_NOW;
    flow_list(e, f);
}

static bool can_write(const struct flow *f)
{
    return (f->flags & FLOW_UP_HELD) && !(f->flags & (FLOW_UP_DEAD | FLOW_WAIT_ROOM));
}

/* Write; returns bytes taken or negative errno, and keeps books. */
static ssize_t write_upstream(struct tcp_engine *e, struct flow *f, const struct iovec *iov, int count,
                              uint32_t bytes)
{
    size_t room = 0;
    ssize_t taken = e->ops.write(e->ctx, flow_id(e, f), iov, count, &room);
    if (taken < 0)
        return taken;
    receive_room(f, room);
    f->up_bytes += (uint64_t)taken;
    e->counters.up_bytes += (uint64_t)taken;
    engine_host(e, f->host)->up_bytes += (uint64_t)taken;
    if (taken > 0)
        f->active_at = e->now_ms;
    if ((uint64_t)taken < bytes)
        f->flags |= FLOW_WAIT_ROOM;
    return taken;
}

void receive_discard(struct tcp_engine *e, struct flow *f)
{
    while (f->rcv_head != 0) {
        uint32_t i = f->rcv_head;
        f->rcv_head = chunk_info(&e->chunks, i)->next;
        memory_give(e, f, i);
    }
    f->rcv_held = 0;
}

/* The upstream takes no more, ever. What it still has to say is read on: whether that ends in an end of file or in a
 * reset is decided by the read. What the workstation sends from now on has nowhere to go and is not acknowledged. */
static void upstream_write_failed(struct tcp_engine *e, struct flow *f)
{
    f->flags |= FLOW_UP_DEAD;
    if ((f->flags & FLOW_UP_OPEN) && !(f->flags & (FLOW_UP_EOF | FLOW_UP_RESET)))
        f->flags |= FLOW_READABLE;
    receive_discard(e, f);
    flow_list(e, f);
}

void receive_deliver(struct tcp_engine *e, struct flow *f)
{
    while (f->rcv_held > 0 && can_write(f)) {
        struct iovec iov[DELIVER_IOV];
        int count = reassembly_peek(e, f, f->rcv_held, iov, DELIVER_IOV);
        uint32_t bytes = 0;
        for (int k = 0; k < count; k++)
            bytes += (uint32_t)iov[k].iov_len;
        ssize_t taken = write_upstream(e, f, iov, count, bytes);
        if (taken < 0) {
            upstream_write_failed(e, f);
            return;
        }
        reassembly_consume(e, f, (uint32_t)taken);
        f->rcv_held -= (uint32_t)taken;
    }
}

static void owe_ack(struct tcp_engine *e, struct flow *f)
{
    /* For more than a full segment at once, else within 40 ms (RFC 9293 3.8.6.3, RFC 5681 4.2). The first ones of a
     * workstation that begins to send leave at once, as Linux's do: its window is small and grows with each. */
    if (f->quick > 0) {
        f->quick--;
        f->flags |= FLOW_ACK_NOW;
    } else if (f->rcv_nxt - f->rcv_acked > f->rcv_mss)
        f->flags |= FLOW_ACK_NOW;
    else if (!(f->flags & (FLOW_ACK_LATER | FLOW_ACK_NOW))) {
        f->flags |= FLOW_ACK_LATER;
        f->ack_at = e->now_ms + DELAYED_ACK;
        timer_arm_by(e, f, f->ack_at);
    }
}

/* Copy what could not be written, from byte `skip` of the gather on. */
static void keep_rest(struct tcp_engine *e, struct flow *f, const struct gather *g, uint32_t skip)
{
    uint32_t start = f->rcv_nxt - g->bytes;
    uint32_t at = start;
    uint32_t good = start + skip;
    for (int k = 0; k < g->count; k++) {
        uint32_t len = (uint32_t)g->iov[k].iov_len;
        uint32_t from = skip > at - start ? skip - (at - start) : 0;
        if (from < len && good == at + from)
            good = reassembly_insert(e, f, at + from, (const uint8_t *)g->iov[k].iov_base + from, len - from);
        at += len;
    }
    /* Memory ran out: the rest was never received. */
    if (seq_lt(good, f->rcv_nxt)) {
        drop_count(&e->drops, DROP_TCP_MEMORY);
        f->rcv_nxt = good;
    }
    f->rcv_held = f->rcv_nxt - (start + skip);
}

void receive_flush(struct tcp_engine *e, struct flow *f)
{
    if (f->gather == 0)
        return;
    struct gather *g = &e->gather[f->gather - 1];
    f->gather = 0;
    g->flow = 0;
    e->gathers--;
    note_upload(e, f);
    ssize_t taken = 0;
    if (can_write(f)) {
        taken = write_upstream(e, f, g->iov, g->count, g->bytes);
        if (taken < 0)
            upstream_write_failed(e, f);
    }
    if (f->flags & FLOW_UP_DEAD) {
        f->rcv_nxt -= g->bytes; /* nobody has it, so it is not acknowledged */
        return;
    }
    if ((uint32_t)taken < g->bytes)
        keep_rest(e, f, g, (uint32_t)taken);
    owe_ack(e, f);
}

/* Remember payload until the end of the turn. False if it does not fit: the caller flushes and tries again. */
static bool gather_add(struct tcp_engine *e, struct flow *f, const uint8_t *payload, uint32_t len)
{
    struct gather *g = NULL;
    if (f->gather != 0) {
        g = &e->gather[f->gather - 1];
        if (g->count == (int)GATHER_IOV)
            return false;
    } else {
        uint32_t k = 0;
        while (k < GATHER_SLOTS && e->gather[k].flow != 0)
            k++;
        if (k == GATHER_SLOTS)
            return false;
        g = &e->gather[k];
        g->flow = flow_index(e, f);
        e->gathers++;
        g->count = 0;
        g->bytes = 0;
        f->gather = (k + 1) & 127u;
    }
    g->iov[g->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)payload, .iov_len = len};
    g->bytes += len;
    return true;
}

static void gather_flush_all(struct tcp_engine *e)
{
    for (uint32_t k = 0; k < GATHER_SLOTS; k++)
        if (e->gather[k].flow != 0)
            receive_flush(e, flow_at(e, e->gather[k].flow));
}

/* Write what fills the gap before the list without storing it first: it needs no memory, which what lies behind the
 * gap may have used up. Returns the bytes taken, or negative errno. */
static ssize_t write_through(struct tcp_engine *e, struct flow *f, const uint8_t *payload, uint32_t len)
{
    if (f->rcv_head == 0 || f->rcv_held > 0 || !can_write(f))
        return 0;
    uint32_t gap = u32_min(len, chunk_info(&e->chunks, f->rcv_head)->seq - f->rcv_nxt);
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)payload, .iov_len = gap};
    return write_upstream(e, f, &iov, 1, gap);
}

static void store(struct tcp_engine *e, struct flow *f, uint32_t seq, const uint8_t *payload, uint32_t len)
{
    bool in_order = seq == f->rcv_nxt;
    ssize_t taken = in_order ? write_through(e, f, payload, len) : 0;
    if (taken < 0) {
        upstream_write_failed(e, f);
        return;
    }
    uint32_t skip = (uint32_t)taken;
    uint32_t end = reassembly_insert(e, f, seq + skip, payload + skip, len - skip);
    if (seq_lt(end, seq + len))
        drop_count(&e->drops, DROP_TCP_MEMORY);
    if (!in_order) {
        e->counters.out_of_order++;
        return;
    }
    if (seq_gt(end, seq + len) || (f->rcv_head != 0 && f->rcv_held == 0))
        f->flags |= FLOW_ACK_NOW; /* a gap is filled, or others remain (RFC 5681 4.2) */
    f->rcv_nxt += skip;
    f->rcv_held += end - f->rcv_nxt;
    f->rcv_nxt = end;
    receive_deliver(e, f);
    if (!(f->flags & FLOW_UP_DEAD))
        owe_ack(e, f);
}

void receive_in_order(struct tcp_engine *e, struct flow *f, const uint8_t *payload, uint32_t len)
{
    uint32_t seq = f->rcv_nxt;
    flow_list(e, f);
    if (f->rcv_head == 0) {
        bool added = gather_add(e, f, payload, len);
        if (!added) {
            gather_flush_all(e);
            /* That may have moved rcv_nxt back, stored something, or found the upstream dead. */
            added = f->rcv_head == 0 && seq == f->rcv_nxt && !(f->flags & FLOW_UP_DEAD) &&
                    gather_add(e, f, payload, len);
        }
        if (added) {
            f->rcv_nxt += len;
            return;
        }
    }
    if (f->flags & FLOW_UP_DEAD)
        return;
    store(e, f, seq, payload, len);
}

void receive_data(struct tcp_engine *e, struct flow *f, const struct segment *seg, uint16_t gso_size)
{
    struct segment s = *seg;
    struct sack_block dup = {s.seq, s.seq};
    step_segment_size(e, f, gso_size != 0 ? gso_size : s.len);

    if (f->flags & FLOW_UP_DEAD) {
        /* Our FIN was acknowledged and still data comes: a closed socket answers with RST (RFC 9293 3.10.4). Before
         * that, saying nothing lets the workstation read what is on its way to it. */
        if (f->state == FLOW_FIN_WAIT_2)
            close_reset(e, f);
        else if (f->state != FLOW_FREE)
            emit_challenge(e, f);
        return;
    }
    if (seq_lt(s.seq, f->rcv_nxt)) {
        uint32_t old = f->rcv_nxt - s.seq;
        dup.right += u32_min(old, s.len);
        if (old >= s.len) {
            receive_flush(e, f);
            emit_ack_dsack(e, f, dup);
            return;
        }
        s.seq += old;
        s.payload += old;
        s.len -= old;
    }
    uint32_t room = seq_gt(f->rcv_edge, s.seq) ? f->rcv_edge - s.seq : 0;
    if (s.len > room) {
        s.len = room;
        f->flags |= FLOW_ACK_NOW;
        flow_list(e, f);
        drop_count(&e->drops, DROP_TCP_WINDOW);
        if (s.len == 0)
            return;
    }
    bool in_order = s.seq == f->rcv_nxt;
    if (!in_order)
        receive_flush(e, f);
    if (f->flags & FLOW_UP_DEAD)
        return; /* as was found just now */
    if (dup.left == dup.right && f->rcv_head != 0)
        dup = reassembly_overlap(e, f, s.seq, s.seq + s.len);
    if (in_order)
        receive_in_order(e, f, s.payload, s.len);
    else
        store(e, f, s.seq, s.payload, s.len);
    if (dup.left != dup.right) {
        receive_flush(e, f);
        emit_ack_dsack(e, f, dup); /* the part that was there already, or the first of them (RFC 2883 4.2) */
    } else if (!in_order) {
        emit_ack(e, f);
    }
}
