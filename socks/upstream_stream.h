/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the upstream share, and nobody else sees. One heading per file; upstream.c's essay says how they
 * play together.
 */
#ifndef CLOISTER_SOCKS_UPSTREAM_STREAM_H
#define CLOISTER_SOCKS_UPSTREAM_STREAM_H

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "socks/backlog.h"
#include "socks/endings.h"
#include "socks/lasting.h"
#include "socks/room.h"
#include "socks/upstream.h"

#define EVENTS_AT_ONCE 64u /* events fetched by one epoll_wait() */
#define MICROSECONDS 1000000u
#define AHEAD_MAX 6u /* bytes; with the 9 of the shortest answer, one more than the usual ones have */

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
    bool pushed : 1;       /* much was written to it once: events tell when there is room */
    bool lasts : 1;        /* its identity is in up->lasting */
    uint8_t state : 2;     /* enum stream_state */
    uint8_t verdict : 3;   /* enum verdict */
};
static_assert(sizeof(struct stream) <= 36, "a stream costs an idle flow at most 36 bytes");
static_assert(AHEAD_MAX < 1 << 3, "ahead_len counts them");
static_assert(STREAM_OPEN < 1 << 2, "state holds them");

static_assert(SOCKS_TORS_MAX <= 8, "socks_upstream.full has a bit for each");

struct socks_upstream {
    struct socks_upstream_config config;
    struct isolation_secret secret;
    struct socks_tors tors;
    struct tcp_engine *engine;
    struct stream *streams; /* config.max_flows + 1; [0] is not used */
    struct socks_backlog *backlog;
    struct socks_budget *budget;
    struct socks_endings *endings; /* NULL without config.end_wait */
    struct socks_lasting *lasting;
    uint64_t retry_at;     /* microseconds; of meaning while somebody waits */
    uint64_t now;          /* microseconds, as dispatch() was last told */
    uint32_t narrow, wide; /* SO_SNDBUF as the kernel keeps it, bytes: of a new socket, and once it is set */
    int epoll;
    bool held;        /* nothing is connected for now */
    uint8_t full;     /* a bit for each Tor: its listener's backlog was full at the last try */
    unsigned fetched; /* events[] holds so many that are not dispatched yet */
    unsigned watched; /* bits of socks_upstream_watch() that were found readable and not reported yet */
    struct epoll_event events[EVENTS_AT_ONCE];
    struct socks_counters counters;
};

/* The stream of a flow that lives, or NULL. */
static inline struct stream *stream_find(const struct socks_upstream *up, struct tcp_flow_id id)
{
    if (id.index == 0 || id.index > up->config.max_flows)
        return NULL;
    struct stream *s = &up->streams[id.index];
    return s->state != STREAM_FREE && s->generation == id.generation ? s : NULL;
}

static inline uint32_t stream_capacity(const struct socks_upstream *up, const struct stream *s)
{
    return s->wide ? up->wide : up->narrow;
}

static inline size_t stream_room(const struct socks_upstream *up, const struct stream *s)
{
    return socks_room_left(&s->room, stream_capacity(up, s));
}

static inline uint64_t stream_key(const struct stream *s)
{
    return (uint64_t)s->key << 32 | s->key_low;
}

static inline bool out_of_resources(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

/* --- upstream.c --- */

/* The budget hears of the first answer of an identity, and whoever waits for it may go on. */
void stream_settle(struct socks_upstream *up, struct stream *s, bool good);

/* Let go of a stream in any state. */
void stream_drop(struct socks_upstream *up, struct stream *s);

/* The same, and tell the owner of the target. */
void stream_end(struct socks_upstream *up, struct stream *s);

/* A client of ours gets his answer. */
void stream_tell(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint8_t code, uint64_t now);

/* The stream will not open. */
void stream_fail(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, enum tcp_refusal why,
                 uint64_t now);

/* --- upstream_open.c --- */

/* A socket for a stream, not connected, or negative errno as socks_upstream_open() returns it. */
int stream_socket(void);

/* Have events of a stream reported (`op` is that of epoll_ctl()), those of room only if it was pushed; what is so
 * already is one too. False if that cannot be. */
bool stream_watch(const struct socks_upstream *up, const struct stream *s, struct tcp_flow_id id, int op);

/* Let go on who waits to be connected, if it is time. */
void upstream_retry_waiting(struct socks_upstream *up, uint64_t now);

/* --- upstream_data.c --- */

/* Give the socket the buffer of config.send_buffer. */
void stream_resize(const struct socks_upstream *up, struct stream *s);

/* No write() follows. An error says that the far end is gone, which the next read() says as well. */
void stream_shut(const struct stream *s);

/* The far end has closed, and the request was answered before. */
void stream_await_verdict(struct socks_upstream *up, struct stream *s, struct tcp_flow_id id, uint64_t now);

/* Those that nobody spoke of in time are taken for what they look like. */
void upstream_end_waits(struct socks_upstream *up, uint64_t now);

#endif
