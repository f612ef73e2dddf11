/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     FREE --start--> WAITING --answer--> (CONNECT: READING --message-->) done, FREE
 *       |               ^
 *       +--> QUEUED ----+     the listener's backlog is full, or it may not yet: tried again every few milliseconds, in
 *                             order
 *
 * Calls are few and short, so there is one list of them, oldest first: all have the same patience, so it is in the order
 * of deadlines, and a look through it finds those that are queued. The messages are small: what is sent fits the buffer of
 * a new socket. What is received gets memory when its length is known, and for no longer than it takes.
 */
#include "socks/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socks/isolation.h"

#define RETRY_AFTER 2000u  /* microseconds between two tries to connect */
#define EVENTS_AT_ONCE 32u /* events fetched by one epoll_wait() */
#define ANSWER_READ_MAX 272u
#define PREFIX_SIZE 2u

enum call_state {
    CALL_FREE,
    CALL_QUEUED,
    CALL_WAITING,
    CALL_READING,
};

struct call {
    enum call_state state;
    int fd; /* -1 while FREE, and while QUEUED without a socket */
    uint32_t tag;
    uint32_t hash; /* of the credential: which Tor is asked */
    uint32_t generation;
    uint32_t older, newer; /* neighbours in the list of calls; `newer` also chains the free ones */
    enum socks_command command;
    uint64_t deadline; /* microseconds */
    struct socks_reply reply;
    struct socks_bound bound;
    size_t request_len;
    size_t have; /* READING: bytes of prefix and message so far */
    uint8_t prefix[PREFIX_SIZE];
    uint8_t *message; /* READING: as long as the prefix says, once it is there */
    uint8_t request[SOCKS_REQUEST_MAX + PREFIX_SIZE + SOCKS_MESSAGE_MAX];
};

struct socks_resolver {
    struct socks_resolver_config config;
    struct socks_tors tors;
    struct call *calls; /* config.calls + 1; [0] is not used. Most are never touched, and cost nothing */
    uint32_t oldest, newest, free;
    uint32_t fresh;    /* numbers from here on were never used */
    uint32_t queued;   /* calls that are QUEUED */
    uint64_t retry_at; /* of meaning while there are any */
    int epoll;
};

/* --- making and unmaking --- */

int socks_resolver_new(struct socks_resolver **out, const struct socks_resolver_config *config)
{
    *out = NULL;
    if (config->calls == 0 || config->calls > 65535)
        return -EINVAL;
    struct socks_resolver *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    r->epoll = -1;
    int err = socks_tors_add(&r->tors, config->path);
    for (uint32_t i = 0; err == 0 && config->others != NULL && i < config->others->count; i++)
        err = socks_tors_add(&r->tors, config->others->address[i].sun_path);
    if (err != 0)
        goto fail;
    r->config.path = r->tors.address[0].sun_path;
    r->config.others = NULL;
    err = -ENOMEM;
    r->calls = calloc((size_t)config->calls + 1, sizeof(*r->calls));
    if (r->calls == NULL)
        goto fail;
    r->fresh = 1;
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll < 0) {
        err = -errno;
        goto fail;
    }
    *out = r;
    return 0;

fail:
    socks_resolver_free(r);
    return err;
}

static void call_end(struct socks_resolver *r, uint32_t i)
{
    struct call *c = &r->calls[i];
    /* syscalls gateway: close */
    if (c->fd >= 0)
        close(c->fd);
    free(c->message);
    if (c->state == CALL_QUEUED)
        r->queued--;
    if (c->older != 0)
        r->calls[c->older].newer = c->newer;
    else
        r->oldest = c->newer;
    if (c->newer != 0)
        r->calls[c->newer].older = c->older;
    else
        r->newest = c->older;
    c->state = CALL_FREE;
    c->fd = -1;
    c->message = NULL;
    c->generation++;
    c->newer = r->free;
    r->free = i;
}

void socks_resolver_free(struct socks_resolver *r)
{
    if (r == NULL)
        return;
    while (r->calls != NULL && r->oldest != 0)
        call_end(r, r->oldest);
    if (r->epoll >= 0)
        close(r->epoll);
    free(r->calls);
    free(r);
}

int socks_resolver_fd(const struct socks_resolver *r)
{
    return r->epoll;
}

/* --- beginning --- */

/* Connect and say everything. 0, -EAGAIN while the listener's backlog is full, -ENOBUFS, or another negative errno. */
static int call_connect(struct socks_resolver *r, uint32_t i)
{
    struct call *c = &r->calls[i];
    /* syscalls gateway: socket(AF_UNIX,SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,0) */
    /* syscalls gateway: connect sendto epoll_ctl */
    if (c->fd < 0)
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -ENOBUFS;
    const struct sockaddr_un *address = socks_tors_of(&r->tors, c->hash);
    if (connect(c->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return errno == EAGAIN ? -EAGAIN : -ECONNREFUSED;
    ssize_t n = send(c->fd, c->request, c->request_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 || (size_t)n != c->request_len)
        return -ECONNREFUSED;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = (uint64_t)c->generation << 32 | i};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return -ENOBUFS;
    c->state = CALL_WAITING;
    return 0;
}

static bool call_may(const struct socks_resolver *r, uint32_t i, uint64_t now)
{
    return r->config.may == NULL || r->config.may(r->config.ctx, r->calls[i].tag, now);
}

static void call_queue(struct socks_resolver *r, uint32_t i, uint64_t now)
{
    r->calls[i].state = CALL_QUEUED;
    if (r->queued++ == 0)
        r->retry_at = now + RETRY_AFTER;
}

int32_t socks_resolver_start(struct socks_resolver *r, uint32_t tag, const struct socks_request *request,
                             struct bytes message, uint64_t now)
{
    uint32_t i = r->free != 0 ? r->free : r->fresh;
    if (i > r->config.calls)
        return -EAGAIN;
    if (message.left > SOCKS_MESSAGE_MAX || (request->command == SOCKS_CONNECT) != (message.left > 0))
        return -EINVAL;
    struct call *c = &r->calls[i];
    ssize_t n = socks_request_write(request, c->request, SOCKS_REQUEST_MAX);
    if (n < 0)
        return (int32_t)n;
    c->request_len = (size_t)n;
    if (message.left > 0) {
        be16_store(c->request + c->request_len, (uint16_t)message.left);
        memcpy(c->request + c->request_len + PREFIX_SIZE, message.at, message.left);
        c->request_len += PREFIX_SIZE + message.left;
    }
    c->hash = request->password != NULL ? (uint32_t)(isolation_credential_key(request->password) >> 32) : 0;
    c->command = request->command;
    c->tag = tag;
    c->deadline = now + r->config.patience;
    c->reply = (struct socks_reply){0};
    c->bound = (struct socks_bound){0};
    c->have = 0;

    if (i == r->fresh) {
        r->fresh++;
        c->fd = -1;
    } else {
        r->free = c->newer;
    }
    c->older = r->newest;
    c->newer = 0;
    if (r->newest != 0)
        r->calls[r->newest].newer = i;
    else
        r->oldest = i;
    r->newest = i;

    /* Those who wait already come first. */
    int err = r->queued > 0 || !call_may(r, i, now) ? -EAGAIN : call_connect(r, i);
    if (err == -EAGAIN) {
        call_queue(r, i, now);
        err = 0;
    }
    if (err != 0) {
        call_end(r, i);
        return err;
    }
    return (int32_t)i;
}

void socks_resolver_cancel(struct socks_resolver *r, uint32_t call)
{
    if (r->calls[call].state != CALL_FREE)
        call_end(r, call);
}

/* --- answers --- */

static void call_done(struct socks_resolver *r, uint32_t i, struct socks_result *result, uint64_t now)
{
    struct call *c = &r->calls[i];
    uint32_t tag = c->tag;
    uint8_t *message = c->message;
    c->message = NULL; /* lives until it was told */
    result->bound = c->bound;
    result->code = c->reply.code;
    call_end(r, i);
    r->config.done(r->config.ctx, tag, result, now);
    free(message);
}

static void call_fail(struct socks_resolver *r, uint32_t i, int status, uint64_t now)
{
    struct socks_result result = {.status = status};
    call_done(r, i, &result, now);
}

/* recv() into `at`: the bytes, 0 if there are none now, negative errno at the end or on an error. */
static ssize_t call_receive(const struct call *c, uint8_t *at, size_t n)
{
    ssize_t got;
    /* syscalls gateway: recvfrom */
    do
        got = recv(c->fd, at, n, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -errno;
    return got == 0 ? -ECONNRESET : got;
}

/* The message that a server sends. True if the call is not over and there may be more to read at once. */
static bool call_read_message(struct socks_resolver *r, uint32_t i, uint64_t now)
{
    struct call *c = &r->calls[i];
    size_t want = PREFIX_SIZE;
    uint8_t *at = c->prefix + c->have;
    if (c->have >= PREFIX_SIZE) {
        want += be16_load(c->prefix);
        at = c->message + (c->have - PREFIX_SIZE);
    }
    ssize_t n = call_receive(c, at, want - c->have);
    if (n < 0)
        call_fail(r, i, (int)n, now);
    if (n <= 0)
        return false;
    c->have += (size_t)n;
    if (c->have == PREFIX_SIZE) {
        size_t len = be16_load(c->prefix);
        c->message = len > 0 ? malloc(len) : NULL;
        if (c->message == NULL) {
            call_fail(r, i, len > 0 ? -ENOMEM : -EPROTO, now);
            return false;
        }
    } else if (c->have == want) {
        struct socks_result result = {.message = bytes_of(c->message, want - PREFIX_SIZE)};
        call_done(r, i, &result, now);
        return false;
    }
    return true;
}

/* The answer of the SOCKS server. The same. */
static bool call_read_reply(struct socks_resolver *r, uint32_t i, uint64_t now)
{
    struct call *c = &r->calls[i];
    uint8_t data[ANSWER_READ_MAX];
    ssize_t n = call_receive(c, data, socks_reply_want(&c->reply));
    if (n < 0)
        call_fail(r, i, (int)n, now);
    if (n <= 0)
        return false;
    int done = socks_reply_feed(&c->reply, data, (size_t)n, &c->bound);
    if (done < 0) {
        call_fail(r, i, done, now);
        return false;
    }
    if (done == 0)
        return true;
    if (c->reply.code == SOCKS_SUCCEEDED && c->command == SOCKS_CONNECT) {
        c->state = CALL_READING;
        return true;
    }
    struct socks_result result = {.status = 0};
    call_done(r, i, &result, now);
    return false;
}

int socks_resolver_dispatch(struct socks_resolver *r, uint64_t now)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int n;
    /* syscalls gateway: epoll_wait */
    do
        n = epoll_wait(r->epoll, events, EVENTS_AT_ONCE, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (int k = 0; k < n; k++) {
        uint32_t i = (uint32_t)events[k].data.u64;
        const struct call *c = &r->calls[i];
        if (c->state == CALL_FREE || c->generation != events[k].data.u64 >> 32)
            continue;
        while (c->state == CALL_WAITING ? call_read_reply(r, i, now) : call_read_message(r, i, now))
            ;
    }
    return n;
}

void socks_resolver_poll(struct socks_resolver *r, uint64_t now)
{
    while (r->oldest != 0 && now >= r->calls[r->oldest].deadline)
        call_fail(r, r->oldest, -ETIMEDOUT, now);
    if (r->queued == 0 || now < r->retry_at)
        return;
    r->retry_at = now + RETRY_AFTER;
    uint32_t next, full = 0; /* a bit for each Tor that takes nobody now */
    for (uint32_t i = r->oldest; i != 0 && r->queued > 0; i = next) {
        next = r->calls[i].newer;
        const uint32_t bit = 1u << socks_tors_number(r->tors.count, r->calls[i].hash);
        if (r->calls[i].state != CALL_QUEUED || (full & bit) || !call_may(r, i, now))
            continue;
        int err = call_connect(r, i);
        if (err == -ENOBUFS)
            return; /* all who come after it wait too */
        if (err == -EAGAIN) {
            full |= bit; /* and here those who want the same one */
            continue;
        }
        r->queued--;
        if (err != 0) {
            r->calls[i].state = CALL_WAITING; /* not counted any more */
            call_fail(r, i, err, now);
            return; /* the list may be another now; the rest has its turn at the next try */
        }
    }
}

bool socks_resolver_next(const struct socks_resolver *r, uint64_t *at)
{
    if (r->oldest == 0)
        return false;
    *at = r->calls[r->oldest].deadline;
    if (r->queued > 0 && r->retry_at < *at)
        *at = r->retry_at;
    return true;
}
