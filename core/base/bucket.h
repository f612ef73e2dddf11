/* SPDX-License-Identifier: BSD-3-Clause */
/* A rate limit in eight bytes: so many events a second, and a number of them at once. */
#ifndef CLOISTER_BASE_BUCKET_H
#define CLOISTER_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* When the last event would have come had all of them kept the pace, microseconds. Zeroed at first: nothing used. */
struct bucket {
    uint64_t due;
};

/* True if an event at `now` is within `rate` (per second, at least 1) and `burst` (events at once, at least 1); it counts
 * then. False: it does not count, so that a flood does not keep itself out longer than it lasts. */
static inline bool bucket_take(struct bucket *bucket, uint32_t rate, uint32_t burst, uint64_t now)
{
    const uint64_t pace = 1000000u / rate + (1000000u % rate != 0);
    uint64_t due = bucket->due > now ? bucket->due : now;
    if (due - now > pace * (burst - 1))
        return false;
    bucket->due = due + pace;
    return true;
}

#endif
