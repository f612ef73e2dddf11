/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading. A read that came back short has emptied the socket, so the next one is answered with -EAGAIN without
 * asking (`dry`), until an edge says that there is more. Once an event has said that the far end closed, no edge is
 * left to come, and every read asks.
 *
 * Endings. Where somebody can tell how Tor ended a stream (config.end_wait), the end of file is not believed at once: the
 * engine reads -EAGAIN until socks_upstream_judge() has said it, or the wait is over. See endings.h.
 *
 * Room: see room.h. When it comes back, the engine is told only if it was low. Most flows send little, so a socket gets
 * the buffer of config.send_buffer, and events for writing, only once a quarter of the system's default is in use: until
 * then every read of Tor's would wake us for nothing.
 */
#include "socks/upstream.h"

#include <string.h>
#include <sys/socket.h>

#include "base/iov.h"
#include "socks/upstream_stream.h"

/* --- writing --- */

void stream_resize(const struct socks_upstream *up, struct stream *s)
{
    s->wide = socks_room_resize(s->fd, up->config.send_buffer) == 0;
}

/* Before `n` bytes are written: is it now that the flow sends much? */
static bool stream_push(const struct socks_upstream *up, struct stream *s, size_t n)
{
    if (s->pushed || n + s->room.used <= up->narrow / 4)
        return false;
    socks_room_ask(&s->room, s->fd);
    if (n + s->room.used <= up->narrow / 4)
        return false;
    if (up->wide > up->narrow)
        stream_resize(up, s);
    return true;
}

static size_t iov_length(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

ssize_t socks_upstream_write(struct socks_upstream *up, struct tcp_flow_id id, const struct iovec *iov, int count,
                             size_t *room)
{
    *room = 0;
    struct stream *s = stream_find(up, id);
    if (s == NULL)
        return -EBADF;
    if (s->state == STREAM_QUEUED)
        return 0;

    size_t length = iov_length(iov, count);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    bool watch = stream_push(up, s, length);
    /* syscalls gateway: sendmsg */
    do
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && out_of_resources(errno))
        watch = true; /* the kernel had no memory, which may pass: no edge would tell of it, so ask for one */
    else if (n < 0 && errno != EAGAIN)
        return -errno;
    if (n < 0)
        n = 0;
    if ((size_t)n < length)
        socks_room_filled(&s->room, stream_capacity(up, s));
    else
        socks_room_wrote(&s->room, stream_capacity(up, s), s->fd, (size_t)n);
    if (watch || (s->room.low && !s->pushed)) {
        s->pushed = true;
        if (!stream_watch(up, s, id, EPOLL_CTL_MOD))
            return -ENOBUFS;
    }
    *room = stream_room(up, s);
    return n;
}

void stream_shut(const struct stream *s)
{
    /* syscalls gateway: shutdown(_,SHUT_WR) */
    (void)shutdown(s->fd, SHUT_WR);
}

void socks_upstream_closed(struct socks_upstream *up, struct tcp_flow_id id)
{
    struct stream *s = stream_find(up, id);
    if (s == NULL || s->closed)
        return;
    s->closed = true;
    if (s->state == STREAM_OPEN)
        stream_shut(s);
}

/* --- endings --- */

void stream_await_verdict(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint64_t now)
{
    if (up->endings == NULL || s->verdict != VERDICT_NONE)
        return;
    s->verdict = socks_endings_put(up->endings, id, stream_key(s), now) ? VERDICT_PENDING : VERDICT_CLEAN;
}

static void stream_judged(struct socks_upstream *up, struct tcp_flow_id id, enum verdict verdict, uint64_t now)
{
    struct stream *s = stream_find(up, id);
    if (s == NULL || s->verdict != VERDICT_PENDING)
        return;
    s->verdict = verdict & 7u;
    tcp_upstream_readable(up->engine, id, now); /* its read was told to wait */
}

bool socks_upstream_judge(struct socks_upstream *up, uint64_t key, bool clean, uint64_t now)
{
    struct socks_ending ending;
    if (up->endings == NULL || !socks_endings_take(up->endings, key, &ending))
        return false;
    up->counters.judged++;
    up->counters.judged_after += now > ending.since ? now - ending.since : 0;
    up->counters.judged_broken += !clean;
    stream_judged(up, ending.id, clean ? VERDICT_CLEAN : VERDICT_BROKEN, now);
    return true;
}

void upstream_end_waits(struct socks_upstream *up, uint64_t now)
{
    const struct socks_ending *first;
    while (up->endings != NULL && (first = socks_endings_first(up->endings)) != NULL &&
           now >= first->since + up->config.end_wait) {
        struct tcp_flow_id id = first->id;
        const struct stream *s = stream_find(up, id);
        up->counters.unjudged += s != NULL && s->verdict == VERDICT_PENDING;
        socks_endings_pop(up->endings);
        stream_judged(up, id, VERDICT_CLEAN, now);
    }
}

/* What to say to the engine instead of "the end", as long as it may be none. */
static ssize_t stream_end_of_file(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id)
{
    if (s->verdict == VERDICT_NONE) {
        s->ended = true; /* its event is under way */
        stream_await_verdict(up, s, id, up->now);
    }
    return s->verdict == VERDICT_BROKEN ? -ECONNRESET : s->verdict == VERDICT_PENDING ? -EAGAIN : 0;
}

/* --- reading --- */

/* What was read with the answer comes first. Returns how much of it there was room for. */
static size_t stream_give_ahead(struct stream *s, const struct iovec *iov, int count)
{
    size_t given = iov_scatter(iov, count, s->ahead, s->ahead_len);
    s->ahead_len = (s->ahead_len - given) & 7u;
    memmove(s->ahead, s->ahead + given, s->ahead_len);
    return given;
}

ssize_t socks_upstream_read(struct socks_upstream *up, struct tcp_flow_id id, const struct iovec *iov, int count)
{
    struct stream *s = stream_find(up, id);
    if (s == NULL)
        return -EBADF;
    if (s->state == STREAM_OPEN && s->ahead_len > 0)
        return (ssize_t)stream_give_ahead(s, iov, count);
    if (s->state != STREAM_OPEN || s->dry)
        return -EAGAIN;
    ssize_t n;
    /* syscalls gateway: readv */
    do
        n = readv(s->fd, iov, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0 && s->verdict != VERDICT_CLEAN && up->endings != NULL)
        return stream_end_of_file(up, s, id);
    s->dry = !s->ended && (size_t)n < iov_length(iov, count);
    return n;
}
