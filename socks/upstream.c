/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SOCKS stream for each flow: how it is done with few system calls.
 *
 * Opening. socket(), connect(), one send() with all that the handshake says, one epoll_ctl(). connect() on a
 * pathname socket either succeeds at once or says EAGAIN because the listener's backlog is full; then the request
 * waits (backlog.h) and is tried again every few milliseconds. So does one whose identity is new to Tor, until the
 * budget (budget.h) allows it. When there is no room to wait either, the flow is refused with -EAGAIN, and the
 * workstation's repeated SYN is the next try.
 *
 *     FREE --open--> WAITING --answer--> OPEN --release--> FREE
 *       |             ^   |                                 ^
 *       +--> QUEUED --+   +----refused, broken, released----+
 *              +----------refused, released-----------------+
 *
 * While the upstream is held nothing is connected, and every request waits.
 *
 * Events. Each socket is put into one inner epoll, edge-triggered, for reading and writing, and never touched with
 * epoll_ctl() again. An event carries index and generation of its flow: one that was fetched before its flow ended
 * is recognised and dropped. The same epoll watches the few other descriptors that the packet's way needs, so that
 * one epoll_wait() tells all there is to do.
 *
 * Answers are read a few bytes further than they must reach, so that one read takes all of the usual ones and comes
 * back short, which says that nothing follows. What it took of the stream behind the answer is kept in the stream
 * (`ahead`) and given to the engine first. An edge is consumed only by a read that came back short, and at the end of
 * the answer the engine is told to try a read, because what came with the answer makes no edge of its own.
 *
 * Reading. A read that came back short has emptied the socket, so the next one is answered with -EAGAIN without
 * asking (`dry`), until an edge says that there is more. Once an event has said that the far end closed, no edge is
 * left to come, and every read asks.
 *
 * Endings. Where somebody can tell how Tor ended a stream (config.end_wait), the end of file is not believed at once: the
 * engine reads -EAGAIN until socks_upstream_judge() has said it, or the wait is over. See endings.h.
 *
 * Streams that Tor opened, for visitors of onion services (onion.h), begin OPEN, and are like the others from then on.
 *
 * Room: see room.h. When it comes back, the engine is told only if it was low. Most flows send little, so a socket gets
 * the buffer of config.send_buffer only once a quarter of the system's default could be in use.
 */
#include "socks/upstream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/iov.h"
#include "socks/backlog.h"
#include "socks/budget.h"
#include "socks/endings.h"
#include "socks/room.h"

#define RETRY_AFTER 2000u    /* microseconds between two tries to connect */
#define EVENTS_AT_ONCE 64u   /* events fetched by one epoll_wait() */
#define ANSWER_READ_MAX 272u /* bytes; more than socks_reply_want() ever says, and AHEAD_MAX */
#define AHEAD_MAX 6u         /* bytes; with the 9 of the shortest answer, one more than the usual ones have */
#define MICROSECONDS 1000000u

enum stream_state {
    STREAM_FREE,
    STREAM_QUEUED,  /* not connected: the listener's backlog is full */
    STREAM_WAITING, /* request sent, answer not complete */
    STREAM_OPEN,
};

/* How a stream ended. */
enum verdict {
    VERDICT_NONE,    /* it has not, or nobody can tell: an end of file is one */
    VERDICT_PENDING, /* it has; it is in up->endings */
    VERDICT_CLEAN,
    VERDICT_BROKEN,
};

struct stream {
    int fd; /* -1 while FREE, and while QUEUED without a socket */
    uint32_t generation;
    uint32_t tag; /* of the target, for done() */
    uint32_t
        key; /* the first digits of the credential, as a number: the upper half of isolation_credential_key() */
    uint32_t key_low;
    struct socks_room room;
    union {
        struct socks_reply reply; /* while WAITING */
        uint16_t waiting;         /* while QUEUED: its number in the backlog */
        uint8_t ahead[AHEAD_MAX]; /* while OPEN: what was read with the answer, and belongs to the engine */
    };
    uint8_t ahead_len : 3; /* bytes of `ahead` */
    bool ended : 1;        /* an event said that the far end closed */
    bool dry : 1;          /* the last read emptied the socket, and no event came since */
    bool fresh : 1;        /* its answer is the first one of its identity */
    bool asked : 1;        /* by socks_upstream_ask() */
    bool closed : 1;       /* nothing more is written: half of it is shut, or will be when it is open */
    bool wide : 1;         /* the socket has the buffer of config.send_buffer */
    uint8_t state : 4;     /* enum stream_state */
    uint8_t verdict : 3;   /* enum verdict */
};
static_assert(sizeof(struct stream) <= 36, "a stream costs an idle flow at most 36 bytes");
static_assert(AHEAD_MAX < 1 << 3, "ahead_len counts them");

struct socks_upstream {
    struct socks_upstream_config config;
    struct isolation_secret secret;
    struct socks_tors tors;
    struct tcp_engine *engine;
    struct stream *streams; /* config.max_flows + 1; [0] is not used */
    struct socks_backlog *backlog;
    struct socks_budget *budget;
    struct socks_endings *endings; /* NULL without config.end_wait */
    uint64_t retry_at;             /* microseconds; of meaning while somebody waits */
    uint64_t now;                  /* microseconds, as dispatch() was last told */
    uint32_t narrow, wide; /* SO_SNDBUF as the kernel keeps it, bytes: of a new socket, and once it is set */
    int epoll;
    bool held;        /* nothing is connected for now */
    bool full;        /* the listener's backlog was full at the last try */
    unsigned fetched; /* events[] holds so many that are not dispatched yet */
    unsigned watched; /* bits of socks_upstream_watch() that were found readable and not reported yet */
    struct epoll_event events[EVENTS_AT_ONCE];
    struct socks_counters counters;
};

/* The stream of a flow that lives, or NULL. */
static struct stream *stream_find(const struct socks_upstream *up, struct tcp_flow_id id)
{
    if (id.index == 0 || id.index > up->config.max_flows)
        return NULL;
    struct stream *s = &up->streams[id.index];
    return s->state != STREAM_FREE && s->generation == id.generation ? s : NULL;
}

/* The budget hears of the first answer of an identity, and whoever waits for it may go on. */
static void stream_settle(struct socks_upstream *up, struct stream *s, bool good)
{
    if (!s->fresh)
        return;
    s->fresh = false;
    socks_budget_answered(up->budget, s->key, good);
    up->retry_at = up->full ? up->retry_at : 0;
}

/* Let go of a stream in any state. */
static void stream_drop(struct socks_upstream *up, struct stream *s)
{
    if (s->state == STREAM_QUEUED && s->waiting != 0)
        socks_backlog_remove(up->backlog, s->waiting);
    stream_settle(up, s, false);
    /* syscalls gateway: close */
    if (s->fd >= 0)
        close(s->fd);
    memset(s, 0, sizeof(*s));
    s->fd = -1;
}

/* The same, and tell the owner of the target. */
static void stream_end(struct socks_upstream *up, struct stream *s)
{
    uint32_t tag = s->tag;
    stream_drop(up, s);
    if (up->config.done != NULL)
        up->config.done(up->config.ctx, tag);
}

static uint32_t stream_capacity(const struct socks_upstream *up, const struct stream *s)
{
    return s->wide ? up->wide : up->narrow;
}

static size_t stream_room(const struct socks_upstream *up, const struct stream *s)
{
    return socks_room_left(&s->room, stream_capacity(up, s));
}

static void stream_resize(const struct socks_upstream *up, struct stream *s)
{
    s->wide = socks_room_resize(s->fd, up->config.send_buffer) == 0;
}

/* Before `n` bytes are written: those of a flow that sends much may be more. */
static void stream_widen(const struct socks_upstream *up, struct stream *s, size_t n)
{
    if (!s->wide && n + s->room.used > up->narrow / 4 && up->wide > up->narrow)
        stream_resize(up, s);
}

/* A client of ours gets his answer. */
static void stream_tell(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint8_t code,
                        uint64_t now)
{
    if (!up->config.asked(up->config.ctx, s->tag, code) || code != SOCKS_SUCCEEDED)
        stream_end(up, s);
    tcp_upstream_readable(up->engine, id, now);
}

/* The stream will not open. */
static void stream_fail(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, enum tcp_refusal why,
                        uint64_t now)
{
    if (s->asked) {
        stream_tell(up, s, id, SOCKS_GENERAL_FAILURE, now);
        return;
    }
    stream_end(up, s);
    tcp_upstream_failed(up->engine, id, why, now);
}

/* --- opening --- */

static bool out_of_resources(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

/* What open() returns for an errno of socket() and connect(): EACCES would say that policy refused. */
static int open_error(int err)
{
    return out_of_resources(err) ? -ENOBUFS : err == EACCES ? -ECONNREFUSED : -err;
}

static int stream_socket(void)
{
    /* syscalls gateway: socket(AF_UNIX,SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,0) */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? open_error(errno) : fd;
}

/* Have events of a stream reported; what is so already is one too. False if that cannot be. */
static bool stream_watch(const struct socks_upstream *up, const struct stream *s, struct tcp_flow_id id, int op)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
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

    if (!stream_watch(up, s, id, EPOLL_CTL_ADD))
        return -ENOBUFS;
    s->state = STREAM_WAITING;
    socks_room_wrote(&s->room, stream_capacity(up, s), s->fd, len);
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
        if (!up->full)
            socks_budget_next(up->budget, now, &at);
        up->retry_at = at;
    }
    return 0;
}

/* Ask for the circuit of a new identity, or use the one there is. */
static int stream_go(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint32_t station,
                     bool fresh, const uint8_t *request, size_t len, uint64_t now)
{
    int err = stream_connect(up, s, id, request, len);
    up->full = err == -EAGAIN;
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
static ssize_t build_request(const struct socks_upstream *up, const struct tcp_tuple *tuple,
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
    uint64_t epoch =
        isolation_epoch(&up->secret, target->isolation, &flow, now / MICROSECONDS, up->config.isolation_lifetime);
    isolation_credential(&up->secret, target->isolation, &flow, epoch, credential);

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

/* Those who wait already come first: all of them while nobody gets through, and a workstation's own if it is the budget
 * that they wait for. */
static bool must_wait(struct socks_upstream *up, uint32_t station, bool fresh, uint64_t now)
{
    if (up->held || (up->full && up->backlog->count > 0))
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
    bool fresh = !socks_budget_is_off(up->budget) && !socks_budget_knows(up->budget, s->key, now);
    int err = must_wait(up, target->station, fresh, now)
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

/* Let go on whose turn it is. 0; -EAGAIN if nobody can go on now; -EBUSY if only this one cannot. */
static int poll_first(struct socks_upstream *up, const struct socks_waiting *w, uint64_t now)
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
        return -EAGAIN;
    }
    socks_backlog_pop(up->backlog);
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

static void retry_waiting(struct socks_upstream *up, uint64_t now)
{
    struct socks_backlog *backlog = up->backlog;
    if (up->held || backlog->count == 0 || now < up->retry_at)
        return;
    /* Until everybody has had a turn that he could not use. */
    for (uint32_t idle = 0; backlog->count > 0 && idle < backlog->queues;) {
        int err = poll_first(up, socks_backlog_first(backlog), now);
        if (err == -EAGAIN)
            break;
        if (err == -EBUSY)
            socks_backlog_skip(backlog);
        idle = err == -EBUSY ? idle + 1 : 0;
    }
    up->retry_at = now + RETRY_AFTER;
    if (!up->full)
        socks_budget_next(up->budget, now, &up->retry_at);
}

/* --- endings --- */

static uint64_t stream_key(const struct stream *s)
{
    return (uint64_t)s->key << 32 | s->key_low;
}

/* The far end has closed, and the request was answered before. */
static void stream_await_verdict(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint64_t now)
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

/* Those that nobody spoke of in time are taken for what they look like. */
static void end_waits(struct socks_upstream *up, uint64_t now)
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

void socks_upstream_poll(struct socks_upstream *up, uint64_t now)
{
    retry_waiting(up, now);
    end_waits(up, now);
}

bool socks_upstream_next(const struct socks_upstream *up, uint64_t *at)
{
    const struct socks_ending *first = up->endings != NULL ? socks_endings_first(up->endings) : NULL;
    bool waits = !up->held && up->backlog->count > 0;
    *at = up->retry_at;
    if (first == NULL)
        return waits;
    uint64_t end = first->since + up->config.end_wait;
    *at = waits && up->retry_at < end ? up->retry_at : end;
    return true;
}

void socks_upstream_hold(struct socks_upstream *up, bool hold)
{
    up->held = hold;
    up->retry_at = 0;
}

/* --- events --- */

/* No write() follows. An error says that the far end is gone, which the next read() says as well. */
static void stream_shut(const struct stream *s)
{
    /* syscalls gateway: shutdown(_,SHUT_WR) */
    (void)shutdown(s->fd, SHUT_WR);
}

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

/* --- data --- */

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
    stream_widen(up, s, length);
    /* syscalls gateway: sendmsg */
    do
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && out_of_resources(errno)) {
        /* The kernel had no memory, which may pass. No edge would tell of it, so ask for one. */
        if (!stream_watch(up, s, id, EPOLL_CTL_MOD))
            return -ENOBUFS;
    } else if (n < 0 && errno != EAGAIN) {
        return -errno;
    }
    if (n < 0)
        n = 0;
    if ((size_t)n < length)
        socks_room_filled(&s->room, stream_capacity(up, s));
    else
        socks_room_wrote(&s->room, stream_capacity(up, s), s->fd, (size_t)n);
    *room = stream_room(up, s);
    return n;
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

void socks_upstream_closed(struct socks_upstream *up, struct tcp_flow_id id)
{
    struct stream *s = stream_find(up, id);
    if (s == NULL || s->closed)
        return;
    s->closed = true;
    if (s->state == STREAM_OPEN)
        stream_shut(s);
}

void socks_upstream_release(struct socks_upstream *up, struct tcp_flow_id id, enum tcp_release how)
{
    (void)how; /* Tor has no half close and no reset: closing is all that can be said */
    struct stream *s = stream_find(up, id);
    if (s != NULL)
        stream_end(up, s);
}

/* --- making and unmaking --- */

/* What our sockets hold, before and after they are resized. */
static int measure_buffers(struct socks_upstream *up)
{
    int fd = stream_socket();
    if (fd < 0)
        return fd;
    int err = socks_room_capacity(fd, &up->narrow);
    if (err == 0 && up->config.send_buffer > 0)
        err = socks_room_resize(fd, up->config.send_buffer);
    if (err == 0)
        err = socks_room_capacity(fd, &up->wide);
    close(fd);
    return err;
}

int socks_upstream_new(struct socks_upstream **out, const struct socks_upstream_config *config)
{
    *out = NULL;
    if (config->max_flows == 0 || config->max_flows > (1u << 24) || config->send_buffer > (1u << 28))
        return -EINVAL;
    struct socks_upstream *up = calloc(1, sizeof(*up));
    if (up == NULL)
        return -ENOMEM;
    up->config = *config;
    up->epoll = -1;
    isolation_secret_init(&up->secret, config->secret);
    memset(up->config.secret, 0, sizeof(up->config.secret));

    int err = socks_tors_add(&up->tors, config->path);
    for (uint32_t i = 0; err == 0 && config->others != NULL && i < config->others->count; i++)
        err = socks_tors_add(&up->tors, config->others->address[i].sun_path);
    if (err != 0)
        goto fail;
    up->config.path = up->tors.address[0].sun_path;
    up->config.others = NULL;
    err = -ENOMEM;
    /* Zeroed by the system page by page, when first used: what is never used costs nothing. */
    up->streams = calloc((size_t)config->max_flows + 1, sizeof(*up->streams));
    up->backlog = calloc(1, sizeof(*up->backlog));
    if (config->end_wait > 0)
        up->endings = calloc(1, sizeof(*up->endings));
    if (up->streams == NULL || up->backlog == NULL || (config->end_wait > 0 && up->endings == NULL))
        goto fail;
    err = socks_budget_new(&up->budget, &config->budget);
    if (err != 0)
        goto fail;
    err = measure_buffers(up);
    if (err != 0)
        goto fail;
    up->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (up->epoll < 0) {
        err = -errno;
        goto fail;
    }
    *out = up;
    return 0;

fail:
    socks_upstream_free(up);
    return err;
}

void socks_upstream_attach(struct socks_upstream *up, struct tcp_engine *engine)
{
    up->engine = engine;
}

void socks_upstream_free(struct socks_upstream *up)
{
    if (up == NULL)
        return;
    if (up->streams != NULL)
        for (uint32_t i = 1; i <= up->config.max_flows; i++)
            if (up->streams[i].state != STREAM_FREE)
                stream_end(up, &up->streams[i]);
    if (up->epoll >= 0)
        close(up->epoll);
    free(up->endings);
    socks_budget_free(up->budget);
    free(up->backlog);
    free(up->streams);
    free(up);
}

struct socks_budget *socks_upstream_budget(const struct socks_upstream *up)
{
    return up->budget;
}

uint32_t socks_upstream_waiting(const struct socks_upstream *up)
{
    return up->backlog->count;
}

const struct socks_counters *socks_upstream_counters(const struct socks_upstream *up)
{
    return &up->counters;
}

bool socks_upstream_look(const struct socks_upstream *up, struct tcp_flow_id id, struct socks_stream_info *info)
{
    static const char *const names[] = {"free", "queued", "waiting", "open"};
    const struct stream *s = stream_find(up, id);
    if (s == NULL)
        return false;
    info->state = names[s->state];
    info->key = stream_key(s);
    return true;
}
