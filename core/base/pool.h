/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool of slots of one size, over memory that the caller gives.
 *
 * Slots are numbered 1 to count; 0 is "none", so that a zeroed structure refers to nothing. The lowest free
 * slot is always taken first. That keeps the used ones dense at the bottom, and the pages above them can be
 * given back to the system after a burst (`pool_settle`). What is free is kept in a bitmap of three levels
 * outside the slots: a free slot's page is never touched.
 */
#ifndef CLOISTER_BASE_POOL_H
#define CLOISTER_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MAX_SLOTS (64u * 64u * 64u) /* three levels of 64 */

struct pool {
    uint8_t *slots;      /* slot i is at slots + (i - 1) * stride */
    uint64_t *free_slot; /* one bit per slot, set = free */
    uint64_t *free_word; /* one bit per word of free_slot, set = it has a free slot */
    uint64_t free_top;   /* one bit per word of free_word */
    uint32_t stride;     /* bytes per slot */
    uint32_t count;      /* slots in all */
    uint32_t used;       /* slots taken now */
    uint32_t touched;    /* highest slot taken since the last pool_settle() */
};

/* Bytes of bookkeeping that pool_init() needs for `count` slots, a multiple of 8. */
size_t pool_overhead(uint32_t count);

/* Make a pool of `count` (1 to POOL_MAX_SLOTS) slots of `stride` bytes in `slots`, which must hold count *
 * stride bytes, with its bookkeeping in `overhead`, 8-byte aligned, of pool_overhead(count) bytes. The pool owns
 * neither. */
void pool_init(struct pool *pool, void *slots, uint32_t stride, uint32_t count, void *overhead);

/* Take the lowest free slot. Returns its number, or 0 if none is free. Its content is whatever it was. */
uint32_t pool_take(struct pool *pool);

/* The lowest free slot above `i` (which may be 0), or 0. *run is set to how many from there on are free in a row, or a part
 * of them. From 0 on, these are the slots that pool_take() will take, in its order. */
uint32_t pool_look_ahead(const struct pool *pool, uint32_t i, uint32_t *run);

/* Give slot `i` back. It must be taken. */
void pool_give(struct pool *pool, uint32_t i);

/* The memory of slot `i`, 1 <= i <= count. */
static inline void *pool_at(const struct pool *pool, uint32_t i)
{
    return pool->slots + (size_t)(i - 1) * pool->stride;
}

static inline bool pool_is_taken(const struct pool *pool, uint32_t i)
{
    return i != 0 && i <= pool->count && (pool->free_slot[(i - 1) / 64] >> (i - 1) % 64 & 1) == 0;
}

/* The highest taken slot, or 0. */
uint32_t pool_highest(const struct pool *pool);

/* After a burst: the run of bytes above the highest taken slot that was touched since the last call. Returns
 * its length (0: nothing to give back) and its start in *start, and forgets it: the caller gives the whole pages
 * in it back to the system, after which they read as zeros. */
size_t pool_settle(struct pool *pool, void **start);

#endif
