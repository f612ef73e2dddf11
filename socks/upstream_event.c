/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events. Each socket is put into one inner epoll, edge-triggered, for reading, and touched with epoll_ctl() once more
 * only if ever much is written to it: then also for writing, for good. An event carries index and generation of its flow: one that was fetched before its flow ended
 * is recognised and dropped. The same epoll watches the few other descriptors that the packet's way needs, so that
 * one epoll_wait() tells all there is to do.
 *
 * Answers are read a few bytes further than they must reach, so that one read takes all of the usual ones and comes
 * back short, which says that nothing follows. What it took of the stream behind the answer is kept in the stream
 * (`ahead`) and given to the engine first. An edge is consumed only by a read that came back short, and at the end of
 * the answer the engine is told to try a read, because what came with the answer makes no edge of its own.
 */
#include "socks/upstream.h"

#include <string.h>
#include <sys/socket.h>

#include "socks/upstream_stream.h"

#define ANSWER_READ_MAX 272u /* bytes; more than socks_reply_want() ever says, and AHEAD_MAX */

/* The answer is complete; `n` bytes were read behind it. */
static void stream_answered(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id,
                            const uint8_t *behind, size_t n, uint64_t now)
{
    uint8_t code = s->reply.code;
    up->counters.by_code[socks_code_index(code)]++;
    stream_settle(up, s, code == SOCKS_SUCCEEDED);
    if (up->config.answered != NULL)
        up->config.answered(up->config.ctx, s->tag, code);
    if (code != SOCKS_SUCCEEDED) {
        up->counters.refused++;
        if (s->asked)
            stream_tell(up, s, id, code, now);
        else
            stream_fail(up, s, id, socks_code_refusal(code), now);
        return;
    }
    up->counters.connected++;
    s->state = STREAM_OPEN;
    if (s->closed)
        stream_shut(s);
    assert(n <= AHEAD_MAX);
    memcpy(s->ahead, behind, n);
    s->ahead_len = n & 7u;
    if (s->asked) {
        stream_tell(up, s, id, code, now);
        return;
    }
    tcp_upstream_connected(up->engine, id, stream_room(up, s), now);
    if (n > 0 || !s->dry)
        tcp_upstream_readable(up->engine, id, now);
}

/* Read as much of the answer as there is. */
static void stream_read_answer(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint64_t now)
{
    struct socks_bound *bound =
        s->asked && up->config.bound != NULL ? up->config.bound(up->config.ctx, s->tag) : NULL;
    for (;;) {
        uint8_t data[ANSWER_READ_MAX];
        size_t size = socks_reply_want(&s->reply) + AHEAD_MAX;
        /* syscalls gateway: recvfrom */
        ssize_t n = recv(s->fd, data, size, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        const uint8_t *at = data;
        size_t left = n > 0 ? (size_t)n : 0;
        s->dry = !s->ended && left < size;
        int done = n > 0 ? socks_reply_take(&s->reply, &at, &left, bound) : -ECONNRESET;
        if (done > 0) {
            stream_answered(up, s, id, at, left, now);
            return;
        }
        if (done < 0) {
            up->counters.broken++;
            stream_fail(up, s, id, done == -EACCES ? TCP_REFUSAL_PROHIBITED : TCP_REFUSAL_NET, now);
            return;
        }
        if (s->dry)
            return;
    }
}

static void stream_event(struct socks_upstream *up, struct tcp_flow_id id, uint32_t events, uint64_t now)
{
    const uint32_t input = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    const uint32_t end = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    struct stream *s = stream_find(up, id);
    if (s == NULL)
        return;
    if (events & input) {
        s->dry = false;
        s->ended = s->ended || (events & end) != 0;
        if (s->state == STREAM_WAITING)
            stream_read_answer(up, s, id, now);
        else
            tcp_upstream_readable(up->engine, id, now);
        s = stream_find(up, id);
        if (s != NULL && s->ended && s->state == STREAM_OPEN)
            stream_await_verdict(up, s, id, now);
    }
    if (s != NULL && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) &&
        socks_room_drained(&s->room, stream_capacity(up, s)))
        tcp_upstream_writable(up->engine, id, stream_room(up, s), now);
}

int socks_upstream_watch(struct socks_upstream *up, int fd, unsigned bit)
{
    /* No flow has index 0, so the bit can stand where a flow's generation does. */
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)bit << 32};
    return epoll_ctl(up->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Fetch events into up->events. 0 or negative errno. */
static int fetch(struct socks_upstream *up, unsigned most, int timeout)
{
    /* syscalls gateway: epoll_wait */
    int n = epoll_wait(up->epoll, up->events, (int)most, timeout);
    up->fetched = n > 0 ? (unsigned)n : 0;
    for (int i = 0; i < n; i++)
        if ((uint32_t)up->events[i].data.u64 == 0)
            up->watched |= (unsigned)(up->events[i].data.u64 >> 32);
    return n < 0 && errno != EINTR ? -errno : 0;
}

int socks_upstream_wait(struct socks_upstream *up, int timeout, unsigned *watched)
{
    int err = 0;
    if (up->fetched == 0)
        err = fetch(up, EVENTS_AT_ONCE, timeout);
    *watched = up->watched;
    up->watched = 0;
    return err;
}

int socks_upstream_dispatch(struct socks_upstream *up, unsigned max_events, uint64_t now)
{
    unsigned total = 0;
    up->now = now;
    do {
        unsigned most = max_events - total < EVENTS_AT_ONCE ? max_events - total : EVENTS_AT_ONCE;
        if (up->fetched == 0) {
            int err = fetch(up, most, 0);
            if (err < 0)
                return err;
        }
        unsigned n = up->fetched;
        up->fetched = 0;
        for (unsigned i = 0; i < n; i++) {
            struct tcp_flow_id id = {(uint32_t)up->events[i].data.u64, (uint32_t)(up->events[i].data.u64 >> 32)};
            stream_event(up, id, up->events[i].events, now);
        }
        total += n;
        if (n < most)
            break;
    } while (total < max_events);
    return (int)total;
}
