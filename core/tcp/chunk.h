/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 4 KiB buffers for payload that must be remembered: sent and not acknowledged, or received and not yet writable.
 *
 * The data of chunk i is a whole page of its own, so that free ones can be given back to the system; what is known
 * about it stands in an array beside. Chunks form singly linked lists by number; 0 ends a list.
 */
#ifndef CLOISTER_TCP_CHUNK_H
#define CLOISTER_TCP_CHUNK_H

#include <stdint.h>

#include "base/pool.h"

#define CHUNK_SIZE 4096u

/* What is known about a chunk: its payload is data[off .. off + len). */
struct chunk {
    uint32_t next;
    uint32_t seq;   /* reassembly: sequence number of the first byte; send queue: us, when that was sent first */
    uint32_t stamp; /* reassembly: which arrival touched it last, for the order of SACK blocks; send queue: us, when
                     * the last byte that was sent was sent first */
    uint16_t off;
    uint16_t len;
};

struct chunks {
    struct pool pool;
    struct chunk *info; /* info[i - 1] */
};

static inline struct chunk *chunk_info(const struct chunks *c, uint32_t i)
{
    return &c->info[i - 1];
}

static inline uint8_t *chunk_data(const struct chunks *c, uint32_t i)
{
    return pool_at(&c->pool, i);
}

/* Take an empty chunk (next, off and len zero), or 0. */
static inline uint32_t chunk_take(struct chunks *c)
{
    uint32_t i = pool_take(&c->pool);
    if (i != 0)
        *chunk_info(c, i) = (struct chunk){0};
    return i;
}

static inline void chunk_give(struct chunks *c, uint32_t i)
{
    pool_give(&c->pool, i);
}

#endif
