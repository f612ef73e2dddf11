/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where Tor brings the visitors of onion services: pathname sockets on which it connects to us, a stream for each.
 *
 * A visitor is accepted, says which circuit it comes by if that is asked for, and waits until the workstation can be
 * reached. Then its stream becomes the upstream of a flow (socks_upstream_adopt()), and nothing of it is kept here.
 */
#ifndef CLOISTER_SOCKS_ONION_H
#define CLOISTER_SOCKS_ONION_H

#include <stdbool.h>
#include <stdint.h>

#define ONION_PORTS_MAX 32u
#define ONION_WAITING_MAX 256u /* visitors, in all; at one port no more than are free for the others */

struct onion_visitor {
    uint32_t port;    /* that it came to, below onion_config.ports */
    uint32_t circuit; /* that it came by, or 0 */
    int fd;           /* its stream, non-blocking and close-on-exec */
};

struct onion_config {
    uint32_t ports; /* of the next two */
    struct {
        int listener;  /* listening, non-blocking; taken over, also on failure */
        bool circuits; /* streams begin with the line of proxy_line.h */
    } port[ONION_PORTS_MAX];
    /* Open a flow. 0: done, the stream is taken over; -EAGAIN: not yet, to be asked again by each onion_poll(); another
     * negative errno: the visitor is turned away. */
    int (*visit)(void *ctx, const struct onion_visitor *visitor, uint64_t now);
    void *ctx;
};

struct onion_counters {
    uint64_t accepted;  /* visitors */
    uint64_t malformed; /* of these, those whose first line was none of Tor's, or did not come in time */
    uint64_t crowded;   /* for whom there was no room to wait, or no descriptor */
};

struct onion;

/* 0 and *out; or negative errno: -EINVAL, -ENOMEM, or what epoll says. */
int onion_new(struct onion **out, const struct onion_config *config);

/* Turn away who waits, and close the listeners. NULL is allowed. */
void onion_free(struct onion *onion);

/* A descriptor that is readable when onion_hear() has something to do. */
int onion_fd(const struct onion *onion);

/* Take in what happened. 0, or negative errno: the epoll is broken. */
int onion_hear(struct onion *onion, uint64_t now);

/* Ask again for those that wait for their workstation, and turn away who took too long. */
void onion_poll(struct onion *onion, uint64_t now);

/* When to call onion_poll() at the latest, in *at (microseconds); false if nobody waits. */
bool onion_next(const struct onion *onion, uint64_t *at);

const struct onion_counters *onion_counters(const struct onion *onion);

#endif
