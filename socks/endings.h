/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams that the far end has closed, while nobody knows yet whether in good order.
 *
 * On a pathname socket a stream that Tor ended with an error ends as one that is complete. Only Tor's control connection
 * tells them apart, and its word takes another way, through another process. So such a stream waits here, for a bounded
 * time, until it is judged. The queue is in the order of the deadlines, as all wait equally long.
 */
#ifndef CLOISTER_SOCKS_ENDINGS_H
#define CLOISTER_SOCKS_ENDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/engine.h"

#define SOCKS_ENDINGS_MAX 4096u /* that wait at once; whoever comes then does not wait. A power of two */

struct socks_ending {
    struct tcp_flow_id id; /* index 0: judged, or gone */
    uint64_t key;          /* of its credential: see isolation_credential_key() */
    uint64_t since;        /* microseconds, when it was seen to have ended */
};

struct socks_endings {
    uint32_t first; /* place of the oldest, modulo SOCKS_ENDINGS_MAX */
    uint32_t count; /* places taken, those judged meanwhile among them */
    struct socks_ending at[SOCKS_ENDINGS_MAX];
};

/* Let one wait. False if the queue is full. */
bool socks_endings_put(struct socks_endings *endings, struct tcp_flow_id id, uint64_t key, uint64_t now);

/* Take out the one that has waited longest of those with this key. False if there is none. */
bool socks_endings_take(struct socks_endings *endings, uint64_t key, struct socks_ending *out);

/* The oldest, or NULL. Good until the queue is used again. */
const struct socks_ending *socks_endings_first(struct socks_endings *endings);

/* Take the oldest out. */
void socks_endings_pop(struct socks_endings *endings);

#endif
