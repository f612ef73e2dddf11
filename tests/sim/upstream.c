/* SPDX-License-Identifier: BSD-3-Clause */
#include "upstream.h"

#include <errno.h>

#include "content.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void upstream_init(struct upstream *u, uint64_t now)
{
    u->opened_at = now;
    u->drain_at = UINT64_MAX;
    u->burst_at = UINT64_MAX;
}

static bool at_end(const struct upstream *u)
{
    if (u->given < u->s.down_total || u->s.eof == EOF_NEVER)
        return false;
    return u->s.eof == EOF_WHEN_SENT || u->taken >= u->s.up_total;
}

bool upstream_readable(const struct upstream *u)
{
    return u->open && !u->released && (u->given < u->ready || at_end(u));
}

static bool broken(const struct upstream *u, int64_t offset)
{
    return (u->s.broken_at >= 0 && offset >= u->s.broken_at) || (u->s.broken_after_eof && u->eof_read) ||
           u->reset_told;
}

/* What a write could take now. As with a socket, what is promised may be less. */
static size_t room_left(const struct upstream *u)
{
    return (size_t)((u->s.capacity - u->used) / 2);
}

static void drain_later(struct upstream *u, uint64_t now)
{
    if (u->used > 0 && u->drain_at == UINT64_MAX)
        u->drain_at = sooner(UINT64_MAX, now + u->s.drain_every);
}

ssize_t upstream_write(struct upstream *u, const struct iovec *iov, int count, size_t *room, uint64_t now)
{
    int64_t offered = 0;
    *room = 0;
    if (u->released || u->failed || (!u->open && !u->optimistic)) {
        u->wrong = "wrote to an upstream that is not open";
        return -EBADF;
    }
    if (broken(u, u->taken))
        return -EPIPE;
    for (int k = 0; k < count; k++)
        offered += (int64_t)iov[k].iov_len;
    if (offered == 0)
        u->wrong = "wrote nothing";
    int64_t take = least(offered, u->s.capacity - u->used);
    if (u->s.short_writes && take > 0 && random_below(&u->random, 4) == 0)
        take = random_below(&u->random, (uint32_t)take);
    int64_t left = take;
    for (int k = 0; k < count && left > 0; k++) {
        int64_t n = least(left, (int64_t)iov[k].iov_len);
        if (!content_matches(iov[k].iov_base, u->s.up_phase, u->taken, (size_t)n))
            u->wrong = "wrote bytes that the workstation did not send there";
        u->taken += n;
        left -= n;
    }
    if (u->taken > u->s.up_total)
        u->wrong = "wrote more than the workstation sent";
    u->used += take;
    if (u->s.drain_every == 0 && u->s.stall_for == 0 && u->open)
        u->used = 0;
    u->told_low = take < offered || u->used > u->s.capacity / 4;
    drain_later(u, now);
    if (u->told_low && u->drain_at == UINT64_MAX)
        u->drain_at = now + 1;
    *room = room_left(u);
    return take;
}

ssize_t upstream_read(struct upstream *u, const struct iovec *iov, int count)
{
    int64_t n = 0;
    if (!u->open || u->released)
        u->wrong = "read from an upstream that is not open";
    if (u->eof_read)
        u->wrong = "read again after the end of the stream";
    if (u->reset_told)
        return -ECONNRESET;
    if (u->s.starves && random_below(&u->random, 8) == 0)
        return -ENOMEM; /* no edge is due: the engine comes back */
    for (int k = 0; k < count; k++) {
        int64_t piece = least((int64_t)iov[k].iov_len, u->ready - u->given);
        if (iov[k].iov_len == 0)
            u->wrong = "read into no space";
        content_fill(iov[k].iov_base, u->s.down_phase, u->given, (size_t)piece);
        u->given += piece;
        n += piece;
    }
    if (n > 0)
        return n;
    if (at_end(u)) {
        u->eof_read = true;
        return 0;
    }
    u->dry = true;
    return -EAGAIN;
}

void upstream_release(struct upstream *u, enum tcp_release how)
{
    if (u->released)
        u->wrong = "released an upstream twice";
    if (u->failed)
        u->wrong = "released an upstream that had failed";
    u->released = true;
    u->how = how;
}

static void connect_now(struct upstream *u, struct tcp_engine *e, uint64_t now)
{
    if (u->s.outcome == OUTCOME_FAIL) {
        u->failed = true;
        tcp_upstream_failed(e, u->id, u->s.refusal, now);
        return;
    }
    u->open = true;
    u->burst_at = now;
    drain_later(u, now);
    tcp_upstream_connected(e, u->id, room_left(u), now);
}

static void drain(struct upstream *u, struct tcp_engine *e, uint64_t now)
{
    const struct upstream_script *s = &u->s;
    if (now < u->drain_at)
        return;
    u->drain_at = UINT64_MAX;
    if (now < u->stall_until) {
        u->drain_at = u->stall_until;
        return;
    }
    if (!u->stalled && s->stall_for != 0 && u->taken >= s->stall_at) {
        u->stalled = true;
        u->stall_until = now + s->stall_for;
        u->drain_at = u->stall_until;
        return;
    }
    u->used -= s->drain_every == 0 ? u->used : least(u->used, s->drain);
    drain_later(u, now);
    if (u->told_low && u->used <= s->capacity / 4) {
        u->told_low = false;
        tcp_upstream_writable(e, u->id, room_left(u), now);
    }
}

static void produce(struct upstream *u, struct tcp_engine *e, uint64_t now)
{
    const struct upstream_script *s = &u->s;
    if (now >= u->burst_at) {
        u->ready += least(s->burst, s->down_total - u->ready);
        u->burst_at = u->ready < s->down_total ? now + s->burst_every : UINT64_MAX;
    }
    if (u->dry && upstream_readable(u)) {
        u->dry = false;
        tcp_upstream_readable(e, u->id, now);
    }
}

void upstream_wake(struct upstream *u, struct tcp_engine *e, uint64_t now)
{
    if (u->released || u->failed)
        return;
    if (!u->open) {
        if (u->s.outcome != OUTCOME_IGNORE && now >= u->opened_at + u->s.connect_after)
            connect_now(u, e, now);
        return;
    }
    if (u->s.reset_after != UINT64_MAX && now >= u->opened_at + u->s.reset_after && !u->reset_told) {
        u->reset_told = true;
        tcp_upstream_reset(e, u->id, now);
        return;
    }
    drain(u, e, now);
    if (!u->released)
        produce(u, e, now);
}

uint64_t upstream_next(const struct upstream *u)
{
    if (u->released || u->failed)
        return UINT64_MAX;
    if (!u->open)
        return u->s.outcome == OUTCOME_IGNORE ? UINT64_MAX : u->opened_at + u->s.connect_after;
    uint64_t next = sooner(u->drain_at, u->burst_at);
    if (u->s.reset_after != UINT64_MAX && !u->reset_told)
        next = sooner(next, u->opened_at + u->s.reset_after);
    if (u->dry && upstream_readable(u))
        next = 0; /* an edge is due */
    return next;
}
