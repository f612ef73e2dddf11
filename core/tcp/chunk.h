/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 4 KiB buffers for payload that must be remembered: sent and not acknowledged, or received and not yet writable.
 *
 * The data of chunk i is a whole page of its own, so that free ones can be given back to the system; what is known
 * about it stands in an array beside. Chunks form singly linked lists by number; 0 ends a list.
 */
#ifndef CLOISTER_TCP_CHUNK_H
#define CLOISTER_TCP_CHUNK_H

#include <stdbool.h>
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
    uint64_t
        push; /* send queue: PSH belongs to the byte before data[n], for each n of 16 bits up to 0; newest lowest */
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

/* Remember that PSH belongs to the byte before data[at]. The last four are kept: as many full segments as there may be. */
static inline void chunk_push(struct chunk *c, uint32_t at)
{
    if ((uint16_t)c->push != at)
        c->push = c->push << 16 | at;
}

/* Does PSH belong to a byte of data[from .. to)? */
static inline bool chunk_pushes(const struct chunk *c, uint32_t from, uint32_t to)
{
    for (uint64_t push = c->push; push != 0; push >>= 16)
        if ((uint16_t)push > from && (uint16_t)push <= to)
            return true;
    return false;
}

static inline void chunk_give(struct chunks *c, uint32_t i)
{
    pool_give(&c->pool, i);
}

#endif
