/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening. socket(), connect(), one send() with all that the handshake says, one epoll_ctl(). connect() on a
 * pathname socket either succeeds at once or says EAGAIN because the listener's backlog is full; then the request
 * waits (backlog.h) and is tried again every few milliseconds. So does one whose identity is new to Tor, until the
 * budget (budget.h) allows it. When there is no room to wait either, the flow is refused with -EAGAIN, and the
 * workstation's repeated SYN is the next try.
 *
 * While the upstream is held nothing is connected, and every request waits.
 */
#include "socks/upstream.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socks/upstream_stream.h"

#define RETRY_AFTER 2000u   /* microseconds between two tries to connect */
#define NO_EPOCH UINT64_MAX /* none is that late */

/* What open() returns for an errno of socket() and connect(): EACCES would say that policy refused. */
static int open_error(int err)
{
    return out_of_resources(err) ? -ENOBUFS : err == EACCES ? -ECONNREFUSED : -err;
}

int stream_socket(void)
{
    /* syscalls gateway: socket(AF_UNIX,SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,0) */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? open_error(errno) : fd;
}

bool stream_watch(const struct socks_upstream *up, const struct stream *s, struct tcp_flow_id id, int op)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (s->pushed ? EPOLLOUT : 0),
        .data.u64 = (uint64_t)id.generation << 32 | id.index,
    };
    /* syscalls gateway: epoll_ctl */
    return epoll_ctl(up->epoll, op, s->fd, &event) == 0;
}

/* Connect and say everything. 0, -EAGAIN while the backlog is full, -ENOBUFS without resources, another negative
 * errno for good. On an error the stream keeps what it has; stream_end() is for the caller. */
static int stream_connect(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id,
                          const uint8_t *request, size_t len)
{
    if (s->fd < 0) {
        int fd = stream_socket();
        if (fd < 0)
            return fd;
        s->fd = fd;
        if (up->wide < up->narrow)
            stream_resize(up, s);
    }
    /* syscalls gateway: connect sendto */
    const struct sockaddr_un *address = socks_tors_of(&up->tors, s->key);
    if (connect(s->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return open_error(errno);

    ssize_t n = send(s->fd, request, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EPIPE ? -ECONNREFUSED : out_of_resources(errno) ? -ENOBUFS : -ECONNABORTED;
    if ((size_t)n != len)
        return -ECONNABORTED; /* cannot be: the buffer of a new socket takes several requests */

    socks_room_wrote(&s->room, stream_capacity(up, s), s->fd, len);
    s->pushed = s->room.low;
    if (!stream_watch(up, s, id, EPOLL_CTL_ADD))
        return -ENOBUFS;
    s->state = STREAM_WAITING;
    up->counters.opened++;
    return 0;
}

/* Let the request wait. 0 or -EAGAIN. */
static int stream_wait(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint32_t station,
                       bool fresh, const uint8_t *request, size_t len, uint64_t now)
{
    const struct socks_waiting w = {
        .id = id, .identity = s->key, .station = station, .len = (uint16_t)len, .fresh = fresh};
    uint64_t at = now + RETRY_AFTER;
    s->state = STREAM_QUEUED;
    int number = socks_backlog_put(up->backlog, &w, request);
    if (number < 0)
        return number;
    s->waiting = (uint16_t)number;
    if (up->backlog->count == 1) {
        if (up->full == 0)
            socks_budget_next(up->budget, now, &at);
        up->retry_at = at;
    }
    return 0;
}

/* The bit in up->full of the Tor that an identity asks. */
static uint8_t tor_bit(const struct socks_upstream *up, uint32_t identity)
{
    return (uint8_t)(1u << socks_tors_number(up->tors.count, identity));
}

/* Ask for the circuit of a new identity, or use the one there is. */
static int stream_go(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint32_t station,
                     bool fresh, const uint8_t *request, size_t len, uint64_t now)
{
    int err = stream_connect(up, s, id, request, len);
    const uint8_t bit = tor_bit(up, s->key);
    up->full = (uint8_t)(err == -EAGAIN ? up->full | bit : up->full & ~bit);
    if (err == 0 && fresh) {
        socks_budget_grant(up->budget, station, s->key, now);
        s->fresh = true;
    }
    return err;
}

/* Ask where the flow goes. 0 or the target's refusal: -EACCES if it was counted here. */
static int choose_target(struct socks_upstream *up, struct tcp_flow_id id, const struct tcp_tuple *tuple,
                         uint32_t host, struct socks_target *target)
{
    target->name[0] = '\0';
    target->addr = tuple->dst;
    target->port = tuple->dst_port;
    target->isolation = up->config.isolation;
    target->workstation = host;
    target->station = host;
    target->nym = 0;
    target->tag = 0;
    target->why = DROP_TCP_REFUSED;
    target->command = SOCKS_CONNECT;
    target->gate = 0;
    target->lasts = false;
    target->auth_len = 0;
    target->auth = NULL;
    if (up->config.target == NULL)
        return 0;
    int err = up->config.target(up->config.ctx, id, tuple, host, target);
    if (err == 0 || err == -EAGAIN || err == -ENOBUFS || up->config.drops == NULL)
        return err;
    drop_count(up->config.drops, target->why);
    return -EACCES;
}

/* Write the request for `target`, with the flow's credential. Returns its length or negative errno. */
static ssize_t build_request(struct socks_upstream *up, const struct tcp_tuple *tuple,
                             const struct socks_target *target, uint64_t now,
                             struct isolation_credential *credential, uint8_t *out, size_t size)
{
    const char *name = target->name[0] != '\0' ? target->name : NULL;
    struct isolation_flow flow = {
        .workstation = target->workstation,
        .src = tuple->src,
        .dst = target->addr,
        .name = name,
        .src_port = tuple->src_port,
        .dst_port = target->port,
        .nym = target->nym,
        .port = target->gate,
        .auth_len = target->auth_len,
        .auth = target->auth,
    };
    const uint32_t lifetime = up->config.isolation_lifetime;
    uint64_t epoch = isolation_epoch(&up->secret, target->isolation, &flow, now / MICROSECONDS, lifetime);
    struct socks_lasting_identity *place = NULL;
    if (target->lasts) {
        isolation_credential(&up->secret, target->isolation, &flow, NO_EPOCH, credential);
        place = socks_lasting_use(up->lasting, isolation_credential_key(credential->password), target->station,
                                  epoch, now / MICROSECONDS, lifetime);
        epoch = place->epoch;
    }
    isolation_credential(&up->secret, target->isolation, &flow, epoch, credential);
    if (place != NULL)
        place->key = isolation_credential_key(credential->password);

    struct socks_request request = {
        .command = target->command,
        .username = ISOLATION_USERNAME,
        .password = credential->password,
        .name = name,
        .addr = target->addr,
        .port = target->port,
    };
    return socks_request_write(&request, out, size);
}

/* Those who wait already come first: all of them while nobody gets through to this Tor, and a workstation's own if it is the
 * budget that they wait for. */
static bool must_wait(struct socks_upstream *up, uint32_t identity, uint32_t station, bool fresh, uint64_t now)
{
    if (up->held || ((up->full & tor_bit(up, identity)) && up->backlog->count > 0))
        return true;
    return fresh && (socks_backlog_has(up->backlog, station) || !socks_budget_allows(up->budget, station, now));
}

/* The stream of a target. As socks_upstream_open(). */
static int stream_begin(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id,
                        const struct tcp_tuple *tuple, const struct socks_target *target, uint64_t now)
{
    struct isolation_credential credential;
    uint8_t request[SOCKS_REQUEST_MAX];
    ssize_t len = build_request(up, tuple, target, now, &credential, request, sizeof(request));
    if (len < 0)
        return (int)len;
    uint64_t key = isolation_credential_key(credential.password);
    s->key = (uint32_t)(key >> 32);
    s->key_low = (uint32_t)key;
    s->lasts = target->lasts;
    bool fresh = !socks_budget_is_off(up->budget) && !socks_budget_knows(up->budget, s->key, now);
    int err = must_wait(up, s->key, target->station, fresh, now)
                  ? -EAGAIN
                  : stream_go(up, s, id, target->station, fresh, request, (size_t)len, now);
    if (err == -EAGAIN)
        err = stream_wait(up, s, id, target->station, fresh, request, (size_t)len, now);
    return err;
}

int socks_upstream_open(struct socks_upstream *up, struct tcp_flow_id id, const struct tcp_tuple *tuple,
                        uint32_t host, uint64_t now)
{
    if (id.index == 0 || id.index > up->config.max_flows)
        return -EINVAL;
    struct stream *s = &up->streams[id.index];
    assert(s->state == STREAM_FREE);

    struct socks_target target;
    int err = choose_target(up, id, tuple, host, &target);
    if (err != 0)
        return err;
    *s = (struct stream){.fd = -1, .generation = id.generation, .tag = target.tag};
    err = stream_begin(up, s, id, tuple, &target, now);
    if (err != 0) {
        up->counters.local++;
        stream_end(up, s);
    }
    return err;
}

int socks_upstream_ask(struct socks_upstream *up, struct tcp_flow_id id, const struct tcp_tuple *tuple,
                       const struct socks_target *target, uint64_t now)
{
    if (id.index == 0 || id.index > up->config.max_flows)
        return -EINVAL;
    struct stream *s = &up->streams[id.index];
    assert(s->state == STREAM_FREE);
    *s = (struct stream){.fd = -1, .generation = id.generation, .tag = target->tag, .asked = true};
    int err = stream_begin(up, s, id, tuple, target, now);
    if (err != 0) {
        up->counters.local++;
        stream_drop(up, s);
    }
    return err;
}

/* --- streams that came from Tor --- */

int socks_upstream_adopt(struct socks_upstream *up, struct tcp_flow_id id, int fd, uint32_t tag)
{
    if (id.index == 0 || id.index > up->config.max_flows)
        return -EINVAL;
    struct stream *s = &up->streams[id.index];
    assert(s->state == STREAM_FREE);
    /* Nobody tells how such a stream ended: an end of file is one. */
    *s = (struct stream){
        .fd = fd, .generation = id.generation, .tag = tag, .state = STREAM_OPEN, .verdict = VERDICT_CLEAN};
    if (stream_watch(up, s, id, EPOLL_CTL_ADD))
        return 0;
    *s = (struct stream){.fd = -1};
    return -ENOBUFS;
}

size_t socks_upstream_room(const struct socks_upstream *up)
{
    const struct socks_room fresh = {0};
    return socks_room_left(&fresh, up->narrow);
}

/* --- those that wait --- */

/* The oldest of the workstation whose turn it is that a Tor may take, as far as is known; or NULL. */
static const struct socks_waiting *first_to_try(const struct socks_upstream *up)
{
    const struct socks_waiting *w = socks_backlog_first(up->backlog);
    while (w != NULL && (up->full & tor_bit(up, w->identity)))
        w = socks_backlog_after(up->backlog, w);
    return w;
}

/* Let it go on. 0; -EAGAIN if its Tor takes nobody now; -ENOBUFS if none does; -EBUSY if the budget does not allow it. */
static int poll_one(struct socks_upstream *up, const struct socks_waiting *w, uint64_t now)
{
    const struct tcp_flow_id id = w->id;
    const uint16_t number = up->streams[id.index].waiting;
    struct stream *s = &up->streams[id.index];
    /* Meanwhile another flow may have made it known. */
    bool fresh = w->fresh && !socks_budget_knows(up->budget, w->identity, now);
    if (fresh && !socks_budget_allows(up->budget, w->station, now))
        return -EBUSY;
    s->reply = (struct socks_reply){0};
    int err = stream_go(up, s, id, w->station, fresh, w->request, w->len, now);
    if (err == -EAGAIN || (err == -ENOBUFS && s->fd < 0)) {
        s->waiting = number;
        return err;
    }
    socks_backlog_take(up->backlog, number);
    if (err == 0) {
        up->counters.queued++;
        if (up->config.optimistic || s->asked)
            tcp_upstream_writable(up->engine, id, stream_room(up, s), now);
    } else {
        up->counters.broken++;
        stream_fail(up, s, id, TCP_REFUSAL_NET, now);
    }
    return 0;
}

void upstream_retry_waiting(struct socks_upstream *up, uint64_t now)
{
    struct socks_backlog *backlog = up->backlog;
    if (up->held || backlog->count == 0 || now < up->retry_at)
        return;
    /* Until everybody has had a turn that he could not use. A Tor that takes nobody is asked once, and keeps those who want
     * another one waiting no longer. */
    const uint8_t all = (uint8_t)((1u << up->tors.count) - 1);
    up->full = 0;
    for (uint32_t idle = 0; backlog->count > 0 && idle < backlog->queues && up->full != all;) {
        const struct socks_waiting *w = first_to_try(up);
        int err = w != NULL ? poll_one(up, w, now) : -EBUSY;
        if (err == -ENOBUFS)
            break;
        if (err == -EBUSY)
            socks_backlog_skip(backlog);
        if (err != -EAGAIN)
            idle = err == -EBUSY ? idle + 1 : 0;
    }
    up->retry_at = now + RETRY_AFTER;
    if (up->full == 0)
        socks_budget_next(up->budget, now, &up->retry_at);
}
