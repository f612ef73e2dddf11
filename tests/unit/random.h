/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers for tests: the same for the same seed. CLOISTER_SEED in the environment sets it; it is printed, so
 * that a failure can be repeated.
 */
#ifndef CLOISTER_TESTS_RANDOM_H
#define CLOISTER_TESTS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random {
    uint64_t state;
};

/* SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static inline uint64_t random_u64(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to n - 1. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)((random_u64(r) >> 32) * n >> 32);
}

static inline void random_fill(struct random *r, void *to, size_t n)
{
    for (uint8_t *p = to; n > 0; n--)
        *p++ = (uint8_t)(random_u64(r) >> 56);
}

static inline struct random random_start(void)
{
    const char *given = getenv("CLOISTER_SEED");
    struct random r = {given != NULL ? strtoull(given, NULL, 0) : 1};
    printf("CLOISTER_SEED=%llu\n", (unsigned long long)r.state);
    return r;
}

#endif
