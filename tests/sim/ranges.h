/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of stream offsets as ascending, disjoint ranges. For the simulator's own bookkeeping: clear, not fast. */
#ifndef CLOISTER_TESTS_SIM_RANGES_H
#define CLOISTER_TESTS_SIM_RANGES_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets [left, right). */
struct range {
    int64_t left, right;
};

struct ranges {
    struct range *at; /* owned */
    uint32_t count;
    uint32_t room; /* ranges that `at` has memory for */
};

/* Add [left, right). Returns true if any of it was new. */
bool ranges_add(struct ranges *r, int64_t left, int64_t right);

/* Forget everything below `edge`. */
void ranges_trim(struct ranges *r, int64_t edge);

/* The end of the range that contains `from`, or `from` if none does. */
int64_t ranges_end(const struct ranges *r, int64_t from);

/* The start of the first range that begins after `from`, or INT64_MAX. */
int64_t ranges_next(const struct ranges *r, int64_t from);

/* Offsets of the set in [left, right). */
int64_t ranges_sum(const struct ranges *r, int64_t left, int64_t right);

/* Empty, and give the memory back. */
void ranges_clear(struct ranges *r);

#endif
