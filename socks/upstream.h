/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's upstream: a SOCKS5 stream over a pathname socket for each flow.
 *
 * Implements open, write, read, closed and release of struct tcp_ops; events go back through tcp_upstream_*(), and only
 * from socks_upstream_dispatch(), _poll() and _judge(), never from inside a call of the engine.
 */
#ifndef CLOISTER_SOCKS_UPSTREAM_H
#define CLOISTER_SOCKS_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/drop.h"
#include "base/ipaddr.h"
#include "socks/budget.h"
#include "socks/handshake.h"
#include "socks/isolation.h"
#include "socks/tors.h"
#include "tcp/engine.h"

/* Where a flow is to go and who it is. Comes filled in from the flow itself; the target callback changes what it
 * knows better. */
struct socks_target {
    char name[SOCKS_NAME_MAX + 1]; /* the name that Tor is to connect to; empty: `addr` */
    struct ipaddr addr;            /* preset: the flow's destination */
    uint16_t port;                 /* preset: the flow's destination port, host order */
    unsigned isolation;            /* set of enum isolation_field; preset: the configured policy */
    uint64_t workstation;          /* number that never names two workstations; preset: the engine's host number */
    uint32_t station;              /* whose turn it is to wait; preset: the engine's host number */
    uint64_t nym;                  /* counts requests for a new identity; preset: 0 */
    uint32_t tag;                  /* given to done() when the flow is let go of; preset: 0 */
    enum drop why;                 /* the reason to count when refused; preset: DROP_TCP_REFUSED */
    /* For flows that ask at a port of the gateway's; see socks_upstream_ask(). */
    enum socks_command command; /* preset: SOCKS_CONNECT */
    uint16_t gate;              /* at which port; preset: 0 */
    bool lasts;                 /* its identity stays the same while it is used (lasting.h); preset: false */
    uint16_t auth_len;          /* bytes of the next; preset: 0 */
    const uint8_t *auth;        /* the client's own credentials, borrowed during the call */
};

struct socks_upstream_config {
    const char *path;                /* of the SOCKS listener's pathname socket; copied */
    const struct socks_tors *others; /* and of other Tors' listeners, or NULL; copied */
    uint32_t max_flows;              /* as in struct tcp_config */
    bool optimistic;                 /* as in struct tcp_config: write() may come before the upstream is open */
    uint32_t
        send_buffer;    /* SO_SNDBUF in bytes, as far as net.core.wmem_max allows; 0: the system's default. A socket
                           * gets more than that only when much is written to it */
    unsigned isolation; /* set of enum isolation_field */
    uint32_t isolation_lifetime; /* seconds after which an identity is a new one, 0: never */
    uint32_t
        end_wait; /* microseconds that the end of a stream waits for socks_upstream_judge(); 0: nobody can judge */
    struct socks_budget_config budget; /* of new identities; all zeros: not metered */
    uint8_t secret[16];                /* random, for the credentials */
    struct drops *drops;               /* where refusals by target() are counted, or NULL; outlives the upstream */

    /* Choose the target. 0; -EAGAIN or -ENOBUFS if there is no room now; or another negative errno to refuse the flow,
     * with target->why counted. NULL: every flow goes to its own destination. */
    int (*target)(void *ctx, struct tcp_flow_id id, const struct tcp_tuple *tuple, uint32_t host,
                  struct socks_target *target);
    /* The server has answered the request of a flow, with this enum socks_code; the engine hears of it next. NULL: nobody
     * wants to know. */
    void (*answered)(void *ctx, uint32_t tag, uint8_t code);
    /* What was asked by socks_upstream_ask() is answered with this enum socks_code, also where no server was reached. False:
     * nothing more is wanted of the stream. The engine is told that there is something to read, either way. */
    bool (*asked)(void *ctx, uint32_t tag, uint8_t code);
    /* Where the address of such an answer is to be put; lives until asked(). NULL: it is not wanted. */
    struct socks_bound *(*bound)(void *ctx, uint32_t tag);
    /* A flow that target() took is over. NULL: nobody wants to know. */
    void (*done)(void *ctx, uint32_t tag);
    void *ctx;
};

struct socks_counters {
    uint64_t opened;                    /* connections made, with the request sent */
    uint64_t queued;                    /* of these, those that had to wait: for room in the listener's backlog, for
                                         * the budget, or for Tor */
    uint64_t connected;                 /* answered with success */
    uint64_t refused;                   /* answered with a code other than success */
    uint64_t broken;                    /* ended, or spoke nonsense, before the answer was complete */
    uint64_t local;                     /* not even opened: no descriptor, no listener, queue full */
    uint64_t judged;                    /* ends of streams that socks_upstream_judge() found */
    uint64_t judged_broken;             /* of these, those that were no good ends */
    uint64_t judged_after;              /* microseconds that they waited, in sum */
    uint64_t unjudged;                  /* ends that waited in vain */
    uint64_t by_code[SOCKS_CODE_COUNT]; /* answers, by socks_code_index() */
};

/* What people may see of a flow's upstream. */
struct socks_stream_info {
    const char *state; /* "queued", "waiting" or "open" */
    uint64_t key;      /* isolation_credential_key() of its credential */
};

struct socks_upstream;

/* Make an upstream. 0 and *out, or negative errno: -ENAMETOOLONG if the path does not fit a socket address,
 * -EINVAL, -ENOMEM, or what epoll_create1() and socket() say. */
int socks_upstream_new(struct socks_upstream **out, const struct socks_upstream_config *config);

/* Tell which engine the events go to. Once, before the first dispatch. */
void socks_upstream_attach(struct socks_upstream *up, struct tcp_engine *engine);

/* Close every stream, without telling the engine, and free. NULL is allowed. */
void socks_upstream_free(struct socks_upstream *up);

/* Watch a descriptor of somebody else, too: whether it is readable (or broken), level-triggered. `bit` is one bit that
 * socks_upstream_wait() will report. The descriptor stays its owner's. 0 or negative errno. */
int socks_upstream_watch(struct socks_upstream *up, int fd, unsigned bit);

/* Sleep until something happens, but at most `timeout` ms (-1: for ever). *watched: the bits of the watched descriptors
 * that are readable. What happened to streams is kept for socks_upstream_dispatch(). 0, also if a signal came, or
 * negative errno. */
int socks_upstream_wait(struct socks_upstream *up, int timeout, unsigned *watched);

/* Tell the engine what happened to streams, at most about `max_events` times. `now` in microseconds, monotonic, as for
 * the engine. Returns how many events there were: max_events means that there may be more. Negative errno: the epoll
 * is broken. */
int socks_upstream_dispatch(struct socks_upstream *up, unsigned max_events, uint64_t now);

/* Hold back every request from now on, or no longer. Flows that open meanwhile wait, as many as backlog.h has room for
 * (open() says -EAGAIN to more). When they may go on, the next socks_upstream_poll() lets them. */
void socks_upstream_hold(struct socks_upstream *up, bool hold);

/* Tor has ended the stream with this key (isolation_credential_key()): in good order, or not. Of several that have ended and
 * have the same one, it is the first. The engine reads the end, or -ECONNRESET. False if no stream waits to hear it, or if
 * config.end_wait is 0. */
bool socks_upstream_judge(struct socks_upstream *up, uint64_t key, bool clean, uint64_t now);

/* Try again to connect what had to wait, and end waits for a judgement, if it is time. */
void socks_upstream_poll(struct socks_upstream *up, uint64_t now);

/* When to call socks_upstream_poll() next, in *at (microseconds); false if nothing waits. */
bool socks_upstream_next(const struct socks_upstream *up, uint64_t *at);

/* As in struct tcp_ops. open() returns 0, -EACCES when target() refused, -ENOBUFS when out of descriptors, -EAGAIN when too
 * many wait already, -ECONNREFUSED or -ENOENT when there is no listener. */
int socks_upstream_open(struct socks_upstream *up, struct tcp_flow_id id, const struct tcp_tuple *tuple,
                        uint32_t host, uint64_t now);

/* Open a stream for a flow that is open already, whose client has said where it is to go: `target`, of which nothing is
 * preset. Data may be written at once and is sent with the request. What came of it is told by config.asked(), never
 * by tcp_upstream_connected() or _failed(). Returns as open(), and done() is not told of what did not become a stream. */
int socks_upstream_ask(struct socks_upstream *up, struct tcp_flow_id id, const struct tcp_tuple *tuple,
                       const struct socks_target *target, uint64_t now);
ssize_t socks_upstream_write(struct socks_upstream *up, struct tcp_flow_id id, const struct iovec *iov, int count,
                             size_t *room);
ssize_t socks_upstream_read(struct socks_upstream *up, struct tcp_flow_id id, const struct iovec *iov, int count);
/* Nothing more will be written: half of the stream is shut, as soon as it is open. Tor, which knows no half close, lets a
 * visitor have what was written and ends the stream; so this is for a stream of socks_upstream_adopt(), and for another
 * server, which goes on with the other half. */
void socks_upstream_closed(struct socks_upstream *up, struct tcp_flow_id id);
void socks_upstream_release(struct socks_upstream *up, struct tcp_flow_id id, enum tcp_release how);

/* Take over `fd`, a stream socket without data of ours under way that Tor has connected to us, as the open upstream of the
 * flow that tcp_open() just made. It is read, written and released as the others are, and done() is told `tag`. 0, or
 * negative errno: then the descriptor stays the caller's. */
int socks_upstream_adopt(struct socks_upstream *up, struct tcp_flow_id id, int fd, uint32_t tag);

/* Bytes that such a stream can take at first. */
size_t socks_upstream_room(const struct socks_upstream *up);

/* Give memory back: what was kept for flows with an index above `highest`, which are gone. Returns the length of the run of
 * bytes, with its start in *start. The caller returns the whole pages inside to the system; they read as zeros later. */
size_t socks_upstream_settle(const struct socks_upstream *up, uint32_t highest, void **start);

/* The budget of new identities, the upstream's own: for what else asks Tor for circuits, and for looking at. */
struct socks_budget *socks_upstream_budget(const struct socks_upstream *up);

/* Flows that wait to be connected. */
uint32_t socks_upstream_waiting(const struct socks_upstream *up);

const struct socks_counters *socks_upstream_counters(const struct socks_upstream *up);

/* True and *info filled if there is a stream for `id`. */
bool socks_upstream_look(const struct socks_upstream *up, struct tcp_flow_id id, struct socks_stream_info *info);

#endif
