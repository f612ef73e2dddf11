/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that wait for their turn: until the listener's backlog has room, until Tor is up, until the circuit budget
 * allows a new identity.
 *
 * One queue for each workstation, in the order of its requests, and turns that go round the queues: who has opened three
 * hundred flows at once delays his own, not another's first. No workstation takes more of the room than base/share.h leaves it.
 */
#ifndef CLOISTER_SOCKS_BACKLOG_H
#define CLOISTER_SOCKS_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socks/handshake.h"
#include "tcp/engine.h"

#define SOCKS_BACKLOG_MAX 1024u                         /* requests that may wait */
#define SOCKS_BACKLOG_SHARE (SOCKS_BACKLOG_MAX / 4 * 3) /* of one workstation that is alone */

/* A request that is ready to be sent. */
struct socks_waiting {
    struct tcp_flow_id id;
    uint32_t identity;    /* as struct socks_budget has it */
    uint32_t station;     /* whose it is */
    uint16_t len;         /* bytes of `request` */
    bool fresh;           /* its identity is new to Tor */
    uint16_t next, prior; /* in the queue, or next of those that are free; 0: none */
    uint16_t queue;       /* the queue it is in */
    uint8_t request[SOCKS_REQUEST_MAX];
};

/* The requests of one workstation. */
struct socks_queue {
    uint32_t station;
    uint16_t first, last; /* of its requests */
    uint16_t count;
    uint16_t next, prior; /* in the ring of queues that have requests, or next of those that are free */
};

/* Zeroed at the start; memory that is not used is not touched. Numbers of requests and queues count from 1. */
struct socks_backlog {
    uint32_t count;       /* requests that wait */
    uint32_t queues;      /* workstations that wait */
    uint16_t turn;        /* the queue whose turn it is, if there is one */
    uint16_t free, fresh; /* first request given back; requests that were ever used */
    uint16_t free_queue, fresh_queue;
    struct socks_queue queue[SOCKS_BACKLOG_MAX + 1];
    struct socks_waiting waiting[SOCKS_BACKLOG_MAX + 1];
};

/* Put a request at the end of its workstation's queue: `what` without its numbers, of whose request only what->len bytes
 * are read. Returns the number to remove it by, from 1, or -EAGAIN if there is no room for it. */
int socks_backlog_put(struct socks_backlog *backlog, const struct socks_waiting *what, const uint8_t *request);

/* The oldest request of the workstation whose turn it is, or NULL if none waits. */
const struct socks_waiting *socks_backlog_first(const struct socks_backlog *backlog);

/* The one of the same workstation that came after `waiting`, or NULL. */
const struct socks_waiting *socks_backlog_after(const struct socks_backlog *backlog,
                                                const struct socks_waiting *waiting);

/* Take out one of the workstation whose turn it is, by its number; the turn goes to the next workstation. */
void socks_backlog_take(struct socks_backlog *backlog, uint16_t number);

/* The same with its first. There must be one. */
void socks_backlog_pop(struct socks_backlog *backlog);

/* The workstation whose turn it is cannot use it: on to the next. */
void socks_backlog_skip(struct socks_backlog *backlog);

/* Take the request with this number out, wherever it stands. */
void socks_backlog_remove(struct socks_backlog *backlog, uint16_t number);

/* True if a request of `station` waits. */
bool socks_backlog_has(const struct socks_backlog *backlog, uint32_t station);

#endif
