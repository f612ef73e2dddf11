/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that wait until the listener's backlog has room, in order.
 *
 * connect() on a pathname socket never takes time: it succeeds, fails, or says EAGAIN because too many others have
 * not been accepted yet. What waits here is the request, ready to be sent.
 */
#ifndef CLOISTER_SOCKS_BACKLOG_H
#define CLOISTER_SOCKS_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

#include "socks/handshake.h"
#include "tcp/engine.h"

#define SOCKS_BACKLOG_MAX 256u /* requests that may wait, a power of two */

struct socks_waiting {
    struct tcp_flow_id id;
    size_t len; /* bytes of `request` */
    uint8_t request[SOCKS_REQUEST_MAX];
};

/* A ring. Zeroed at the start; memory that is not used is not touched. */
struct socks_backlog {
    uint32_t first, count;
    struct socks_waiting ring[SOCKS_BACKLOG_MAX];
};

/* Put a request at the end. 0, or -EAGAIN if SOCKS_BACKLOG_MAX wait already. */
int socks_backlog_put(struct socks_backlog *backlog, struct tcp_flow_id id, const uint8_t *request, size_t len);

/* The one that has waited longest, or NULL. It stays until it is popped. */
const struct socks_waiting *socks_backlog_first(const struct socks_backlog *backlog);

/* Take the first out. There must be one. */
void socks_backlog_pop(struct socks_backlog *backlog);

#endif
