/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pool.h"

#include <assert.h>
#include <string.h>

static uint32_t words(uint32_t bits)
{
    return (bits + 63) / 64;
}

static uint64_t bit(uint32_t i)
{
    return UINT64_C(1) << (i % 64);
}

static uint32_t lowest(uint64_t w)
{
    return (uint32_t)__builtin_ctzll(w);
}

/* Set the lowest `bits` bits of an array. */
static void set_bits(uint64_t *w, uint32_t bits)
{
    for (; bits >= 64; bits -= 64)
        *w++ = UINT64_MAX;
    if (bits > 0)
        *w = bit(bits) - 1;
}

size_t pool_overhead(uint32_t count)
{
    uint32_t slot_words = words(count);
    return (slot_words + words(slot_words)) * sizeof(uint64_t);
}

void pool_init(struct pool *pool, void *slots, uint32_t stride, uint32_t count, void *overhead)
{
    assert(count >= 1 && count <= POOL_MAX_SLOTS);
    assert(((uintptr_t)overhead & 7) == 0);
    uint32_t slot_words = words(count);
    memset(pool, 0, sizeof(*pool));
    memset(overhead, 0, pool_overhead(count));
    pool->slots = slots;
    pool->stride = stride;
    pool->count = count;
    pool->free_slot = overhead;
    pool->free_word = pool->free_slot + slot_words;
    set_bits(pool->free_slot, count);
    set_bits(pool->free_word, slot_words);
    set_bits(&pool->free_top, words(slot_words));
}

uint32_t pool_take(struct pool *pool)
{
    if (pool->free_top == 0)
        return 0;
    uint32_t top = lowest(pool->free_top);
    uint32_t word = top * 64 + lowest(pool->free_word[top]);
    uint32_t slot = word * 64 + lowest(pool->free_slot[word]);

    pool->free_slot[word] &= ~bit(slot);
    if (pool->free_slot[word] == 0)
        pool->free_word[top] &= ~bit(word);
    if (pool->free_word[top] == 0)
        pool->free_top &= ~bit(top);
    pool->used++;
    if (slot + 1 > pool->touched)
        pool->touched = slot + 1;
    return slot + 1;
}

/* The lowest bit of `w` at or above `from`, or 64. */
static uint32_t lowest_from(uint64_t w, uint32_t from)
{
    w = from < 64 ? w >> from << from : 0;
    return w != 0 ? lowest(w) : 64;
}

/* The word of free_slot with the lowest free slot above those of `word`, or UINT32_MAX. */
static uint32_t next_word(const struct pool *pool, uint32_t word)
{
    uint32_t top = word / 64, next = lowest_from(pool->free_word[top], word % 64 + 1);
    if (next < 64)
        return top * 64 + next;
    top = lowest_from(pool->free_top, top + 1);
    return top < 64 ? top * 64 + lowest(pool->free_word[top]) : UINT32_MAX;
}

uint32_t pool_look_ahead(const struct pool *pool, uint32_t i, uint32_t *run)
{
    if (i >= pool->count)
        return 0;
    uint32_t word = i / 64, slot = lowest_from(pool->free_slot[word], i % 64);
    if (slot == 64) {
        word = next_word(pool, word);
        if (word == UINT32_MAX)
            return 0;
        slot = lowest(pool->free_slot[word]);
    }
    uint64_t taken = ~(pool->free_slot[word] >> slot);
    *run = taken != 0 ? lowest(taken) : 64;
    return word * 64 + slot + 1;
}

void pool_give(struct pool *pool, uint32_t i)
{
    assert(pool_is_taken(pool, i));
    uint32_t slot = i - 1;
    pool->free_slot[slot / 64] |= bit(slot);
    pool->free_word[slot / 4096] |= bit(slot / 64);
    pool->free_top |= bit(slot / 4096);
    pool->used--;
}

uint32_t pool_highest(const struct pool *pool)
{
    if (pool->used == 0)
        return 0;
    for (uint32_t word = (pool->touched + 63) / 64; word-- > 0;) {
        uint32_t bits = pool->count - word * 64 < 64 ? pool->count - word * 64 : 64;
        uint64_t all = bits == 64 ? UINT64_MAX : bit(bits) - 1;
        uint64_t taken = ~pool->free_slot[word] & all;
        if (taken != 0)
            return word * 64 + 64 - (uint32_t)__builtin_clzll(taken);
    }
    return 0;
}

size_t pool_settle(struct pool *pool, void **start)
{
    uint32_t highest = pool_highest(pool);
    uint32_t touched = pool->touched;
    if (touched <= highest)
        return 0;
    pool->touched = highest;
    *start = pool->slots + (size_t)highest * pool->stride;
    return (size_t)(touched - highest) * pool->stride;
}
