/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *     accepted --circuits--> LINE --its line--> READY --visit(): 0--> taken
 *         \                   |                 ^ | \
 *          '------------------|-----------------' |  '--visit(): no--> turned away
 *                             '---too late--------'
 *
 * Tor holds a stream open for its visitor as soon as the kernel has put it into the listener's backlog, so there is nothing to
 * answer: to turn away is to close.
 *
 * The line is looked at before it is taken, so that the stream begins right behind it. Only those that owe us one are in the
 * epoll, edge-triggered: what was looked at and left makes no edge.
 */
#include "socks/onion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socks/proxy_line.h"

#define EVENTS_AT_ONCE 64
#define ACCEPT_AT_ONCE 64u  /* of one listener, until the others' turn */
#define LINE_AFTER 5000000u /* microseconds; Tor sends the line with the first byte */
#define ASK_AGAIN 100000u   /* microseconds between two looks if nothing else happens */
#define PAUSE 100000u       /* microseconds without accepting, when the system has no descriptor */

enum state {
    VISITOR_FREE,
    VISITOR_LINE,
    VISITOR_READY,
};

struct waiting {
    struct onion_visitor visitor;
    enum state state;
    uint64_t until; /* microseconds: in VISITOR_LINE, when it is too late; in VISITOR_READY, when to ask again */
};

struct onion {
    struct onion_config config;
    int epoll;
    uint32_t count;               /* that wait */
    uint64_t pause;               /* until then listeners are not watched; 0: they are */
    uint32_t at[ONION_PORTS_MAX]; /* waiting at each port */
    struct waiting waiting[ONION_WAITING_MAX];
    struct onion_counters counters;
};

/* --- who waits --- */

static void leave(struct onion *onion, struct waiting *w)
{
    onion->at[w->visitor.port]--;
    onion->count--;
    *w = (struct waiting){0};
}

static void turn_away(struct onion *onion, struct waiting *w)
{
    /* syscalls gateway: close */
    close(w->visitor.fd);
    leave(onion, w);
}

static void try_visit(struct onion *onion, struct waiting *w, uint64_t now)
{
    int status = onion->config.visit(onion->config.ctx, &w->visitor, now);
    if (status == 0)
        leave(onion, w);
    else if (status != -EAGAIN)
        turn_away(onion, w);
    else
        w->until = now + ASK_AGAIN;
}

/* The line, if it is there. 0, -EAGAIN if it is not yet, or another negative errno. */
static int take_line(struct onion_visitor *visitor)
{
    uint8_t data[PROXY_LINE_MAX];
    ssize_t n;
    /* syscalls gateway: recvfrom */
    do
        n = recv(visitor->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : -ECONNRESET;
    ssize_t len = proxy_line_parse(data, (size_t)n, &visitor->circuit);
    if (len <= 0)
        return len < 0 ? (int)len : -EAGAIN;
    do
        n = recv(visitor->fd, data, (size_t)len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n == len ? 0 : -EPROTO;
}

static void hear_line(struct onion *onion, struct waiting *w, uint64_t now)
{
    int status = take_line(&w->visitor);
    if (status == -EAGAIN)
        return;
    epoll_ctl(onion->epoll, EPOLL_CTL_DEL, w->visitor.fd, NULL);
    if (status != 0) {
        onion->counters.malformed++;
        turn_away(onion, w);
        return;
    }
    w->state = VISITOR_READY;
    try_visit(onion, w, now);
}

/* --- who comes --- */

/* The numbers of the epoll's events: ports first. */
static bool watch(struct onion *onion, int op, int fd, uint32_t events, uint32_t number)
{
    struct epoll_event event = {.events = events, .data.u32 = number};
    /* syscalls gateway: epoll_ctl */
    return epoll_ctl(onion->epoll, op, fd, &event) == 0;
}

static void set_listening(struct onion *onion, bool listening)
{
    for (uint32_t i = 0; i < onion->config.ports; i++)
        watch(onion, EPOLL_CTL_MOD, onion->config.port[i].listener, listening ? EPOLLIN : 0, i);
}

/* A port takes no more than it leaves to all others: one alone gets half, two together two thirds, and it takes nine to leave
 * nothing for one that had nobody. */
static struct waiting *find_room(struct onion *onion, uint32_t port)
{
    if (onion->at[port] >= ONION_WAITING_MAX - onion->count)
        return NULL;
    uint32_t i = 0;
    while (onion->waiting[i].state != VISITOR_FREE)
        i++;
    return &onion->waiting[i];
}

static void welcome(struct onion *onion, uint32_t port, int fd, uint64_t now)
{
    struct waiting *w = find_room(onion, port);
    onion->counters.accepted++;
    if (w == NULL) {
        onion->counters.crowded++;
        close(fd);
        return;
    }
    *w = (struct waiting){.visitor = {.port = port, .fd = fd}, .state = VISITOR_READY, .until = now + LINE_AFTER};
    onion->at[port]++;
    onion->count++;
    if (!onion->config.port[port].circuits) {
        try_visit(onion, w, now);
        return;
    }
    w->state = VISITOR_LINE;
    if (watch(onion, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET,
              ONION_PORTS_MAX + (uint32_t)(w - onion->waiting)))
        return;
    onion->counters.crowded++;
    turn_away(onion, w);
}

static void accept_all(struct onion *onion, uint32_t port, uint64_t now)
{
    for (uint32_t i = 0; i < ACCEPT_AT_ONCE; i++) {
        /* syscalls gateway: accept4(_,_,_,SOCK_NONBLOCK|SOCK_CLOEXEC) */
        int fd = accept4(onion->config.port[port].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(onion, port, fd, now);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            onion->pause = now + PAUSE;
            set_listening(onion, false);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

int onion_hear(struct onion *onion, uint64_t now)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    /* syscalls gateway: epoll_wait */
    int n = epoll_wait(onion->epoll, events, EVENTS_AT_ONCE, 0);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        uint32_t number = events[i].data.u32;
        if (number < ONION_PORTS_MAX) {
            if (onion->pause == 0)
                accept_all(onion, number, now);
            continue;
        }
        /* One that is not there any more has been closed, and whoever has its place now is looked at for nothing. */
        struct waiting *w = &onion->waiting[number - ONION_PORTS_MAX];
        if (w->state == VISITOR_LINE)
            hear_line(onion, w, now);
    }
    return 0;
}

void onion_poll(struct onion *onion, uint64_t now)
{
    if (onion->pause != 0 && now >= onion->pause) {
        onion->pause = 0;
        set_listening(onion, true);
    }
    uint32_t left = onion->count;
    for (uint32_t i = 0; left > 0 && i < ONION_WAITING_MAX; i++) {
        struct waiting *w = &onion->waiting[i];
        left -= w->state != VISITOR_FREE;
        if (w->state == VISITOR_READY) {
            try_visit(onion, w, now);
        } else if (w->state == VISITOR_LINE && now >= w->until) {
            onion->counters.malformed++;
            turn_away(onion, w);
        }
    }
}

bool onion_next(const struct onion *onion, uint64_t *at)
{
    bool any = onion->pause != 0;
    *at = onion->pause;
    uint32_t left = onion->count;
    for (uint32_t i = 0; left > 0 && i < ONION_WAITING_MAX; i++) {
        const struct waiting *w = &onion->waiting[i];
        if (w->state == VISITOR_FREE)
            continue;
        left--;
        if (!any || w->until < *at)
            *at = w->until;
        any = true;
    }
    return any;
}

int onion_fd(const struct onion *onion)
{
    return onion->epoll;
}

const struct onion_counters *onion_counters(const struct onion *onion)
{
    return &onion->counters;
}

static bool start_listening(struct onion *onion)
{
    for (uint32_t i = 0; i < onion->config.ports; i++) {
        if (!watch(onion, EPOLL_CTL_ADD, onion->config.port[i].listener, EPOLLIN, i))
            return false;
    }
    return true;
}

int onion_new(struct onion **out, const struct onion_config *config)
{
    int status = config->ports > ONION_PORTS_MAX ? -EINVAL : -ENOMEM;
    *out = NULL;
    struct onion *onion = status == -ENOMEM ? calloc(1, sizeof(*onion)) : NULL;
    if (onion == NULL) {
        for (uint32_t i = 0; i < config->ports && i < ONION_PORTS_MAX; i++)
            close(config->port[i].listener);
        return status;
    }
    onion->config = *config;
    onion->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (onion->epoll < 0 || !start_listening(onion)) {
        status = -errno;
        onion_free(onion);
        return status;
    }
    *out = onion;
    return 0;
}

void onion_free(struct onion *onion)
{
    if (onion == NULL)
        return;
    for (uint32_t i = 0; i < ONION_WAITING_MAX; i++) {
        if (onion->waiting[i].state != VISITOR_FREE)
            turn_away(onion, &onion->waiting[i]);
    }
    for (uint32_t i = 0; i < onion->config.ports; i++)
        close(onion->config.port[i].listener);
    if (onion->epoll >= 0)
        close(onion->epoll);
    free(onion);
}
